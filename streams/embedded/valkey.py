"""The embedded Valkey (or Redis) that holds the log: every write synced before it is answered."""

import os
import socket
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import orjson
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from streams.embedded.binaries import WHEEL, RedisProgram, redis_program
from streams.embedded.errors import EmbeddedError
from streams.embedded.process import ServerProcess

LOOPBACK = "127.0.0.1"
DURABLE: Mapping[str, str] = {
    "appendonly": "yes",
    "appendfsync": "always",
    # The log writes some 1.5 KiB a transition: at the server's own 64 MB it would rewrite its file every few seconds
    # of full load, beside the work. Reading 256 MB back takes some seconds.
    "auto-aof-rewrite-min-size": "256mb",
    "maxmemory-policy": "noeviction",
    "save": "",
}
LOAD_TIMEOUT_S = 120.0
"""How long a server may take to load its data; it fails at once when it dies."""
ADOPT_TIMEOUT_S = 20.0
"""How long a server found alive may take to answer; then it is killed, which loses nothing, and started again."""
STOP_TIMEOUT_S = 30.0
PORT_ATTEMPTS = 3


class ValkeyServer:
    """Valkey on a loopback port, data in `<home>/valkey`, address in `<home>/valkey.json`.

    The port is kept from start to start when it is free. The address is written before the server starts, so
    one that lost its starter at any moment can be found and taken over.

    Args:
        home: Folder of the servers; exists.
        options: Server options that differ from `DURABLE`, as in its configuration file.
        program: Path of the server to start, or ``wheel``. Default: the one that wrote the data, else
            `redis_program` decides.
    """

    name = "Valkey"

    def __init__(self, home: Path, options: Mapping[str, str] | None = None, program: str | None = None) -> None:
        self._program = program
        self._dir = home / "valkey"
        self._state = home / "valkey.json"
        self._options = {**DURABLE, **(options or {})}
        self._process = ServerProcess(self.name, home / "valkey.lock", home / "valkey.log")

    @property
    def url(self) -> str:
        """``redis://127.0.0.1:<port>/0`` of the last start.

        Raises:
            EmbeddedError: It was never started.
        """
        return f"redis://{LOOPBACK}:{self._read_state()['port']}/0"

    @property
    def pid(self) -> int | None:
        """The server's process, or None when it does not live."""
        return self._process.pid(self._dir / "valkey.pid", self._dir)

    def start(self) -> None:
        """Take over the server of this home if one lives, else start one; returns when it answers.

        Raises:
            EmbeddedError: It does not start; the text has the end of its log.
        """
        self._dir.mkdir(exist_ok=True)
        if not self._process.claim():
            if self._process.wait_until(self.answers, ADOPT_TIMEOUT_S):
                return
            self._process.kill(self.pid)
            self._process.claim()
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                self._spawn(fresh_port=attempt > 1)
            finally:
                self._process.unclaim()
            if self._process.wait_until(self.answers, LOAD_TIMEOUT_S):
                return
            # Between choosing a port and listening on it, another program may have taken it.
            if "in use" not in self._process.log_tail() or not self._process.wait_gone(STOP_TIMEOUT_S):
                break
            self._process.claim()
        raise EmbeddedError(
            f"Valkey did not start on {self._dir}. The end of {self._process.log}:\n{self._process.log_tail()}"
        )

    def stop(self) -> None:
        """SHUTDOWN, and wait for the end."""
        if self.answers():
            with suppress(RedisError), closing(self._connect()) as redis:
                redis.shutdown()
        if not self._process.wait_gone(STOP_TIMEOUT_S):
            self._process.kill(self.pid)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._process.kill(self.pid)

    def is_alive(self) -> bool:
        """Whether its process lives. Only for the process that owns the home."""
        return self._process.is_alive()

    def answers(self) -> bool:
        """Whether the recorded address is answered by the server of this home, loaded and ready."""
        try:
            with closing(self._connect()) as redis:
                redis.ping()
                folder = redis.config_get("dir")["dir"]
            return self._dir.samefile(str(folder))
        except (RedisError, EmbeddedError, OSError):
            return False

    def _spawn(self, *, fresh_port: bool) -> None:
        state = self._read_state() if self._state.exists() else {}
        if self._program and self._program != WHEEL:
            program = RedisProgram(Path(self._program), self._program)
        else:
            wrote_the_data = state.get("program") if any(self._dir.iterdir()) else None
            program = redis_program(self._program or wrote_the_data)
        port = _free_port(None if fresh_port else state.get("port"))
        _write_atomically(self._state, orjson.dumps({"port": port, "program": program.origin}))
        flags = {
            **self._options,
            "port": str(port),
            "bind": LOOPBACK,
            "dir": str(self._dir),
            "pidfile": str(self._dir / "valkey.pid"),
            "daemonize": "no",
        }
        arguments = [part for name, value in flags.items() for part in (f"--{name}", value)]
        self._process.spawn([program.path, *arguments], cwd=self._dir, env={"PATH": os.defpath}, run_as=None)

    def _connect(self) -> Redis:
        # No retries and short limits: whoever asks is polling or on the way out.
        return Redis.from_url(
            self.url,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=2,
            socket_timeout=5,
        )

    def _read_state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = orjson.loads(self._state.read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            raise EmbeddedError(f"No Valkey was started in {self._state.parent}. Run `millrace up`.") from None
        return state


def _free_port(wanted: int | None) -> int:
    """`wanted` when nothing listens there, else a port that the system says is free."""
    for port in (wanted, 0):
        if port is None:
            continue
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOOPBACK, port))
            chosen: int = probe.getsockname()[1]
            return chosen
    raise EmbeddedError("No port is free on 127.0.0.1 for Valkey.")


def _write_atomically(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)
