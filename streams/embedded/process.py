"""One server process and the lock that says whether it lives."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from streams.embedded.errors import EmbeddedError
from streams.embedded.lock import POLL_S, FileLock

LOG_TAIL_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class RunAs:
    """The OS user a server runs as, when it must not be ours."""

    name: str
    uid: int
    gid: int


class ServerProcess:
    """A server that outlives its starter if it must, so that the next one can take it over.

    It runs in a session of its own: Ctrl-C reaches us, not it, and work in hand can be finished before it stops.
    """

    def __init__(self, name: str, lock: Path, log: Path) -> None:
        self.name = name
        self.log = log
        self._lock = FileLock(lock)
        self._child: subprocess.Popen[bytes] | None = None

    def spawn(self, command: Sequence[str | Path], *, cwd: Path, env: dict[str, str], run_as: RunAs | None) -> None:
        """Start `command` with the lock in its hands. `claim` must have returned True."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - a server of ours, no shell
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=env,
                pass_fds=(self._lock.fileno(),),
                start_new_session=True,
                user=run_as.uid if run_as else None,
                group=run_as.gid if run_as else None,
                extra_groups=[] if run_as else None,
            )
        self._lock.close()

    def claim(self, timeout_s: float = 0.0) -> bool:
        """Take the lock before a start; False when a server of this home lives already."""
        return self._lock.acquire(timeout_s)

    def unclaim(self) -> None:
        """Give the lock up without a start."""
        self._lock.close()

    def lock_fd(self) -> int:
        """The claimed lock's descriptor, for a child that prepares the server's data."""
        return self._lock.fileno()

    def is_alive(self) -> bool:
        """Whether the server, ours or taken over, still lives."""
        if self._child is not None:
            return self._child.poll() is None
        return self._lock.is_held_elsewhere()

    def wait_until(self, is_ready: Callable[[], bool], timeout_s: float) -> bool:
        """Poll `is_ready` until it is true; False after `timeout_s` or as soon as the server is dead."""
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            if time.monotonic() >= deadline or not self.is_alive():
                return False
            time.sleep(POLL_S)
        return True

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait for the end of the server and of every child of it."""
        deadline = time.monotonic() + timeout_s
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout_s)
                self._child = None
        if self._child is not None or not self.claim(max(0.0, deadline - time.monotonic())):
            return False
        self.unclaim()
        return True

    def kill(self, pid: int | None) -> None:
        """SIGKILL, the last resort; harmless to what was acknowledged, both servers write ahead.

        Raises:
            EmbeddedError: It lives on.
        """
        victim = self._child.pid if self._child is not None else pid
        if victim is not None:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        if not self.wait_gone(10.0):
            raise EmbeddedError(
                f"{self.name} holds {self._lock.path} and neither answers nor ends. "
                f"Find it with `lsof {self._lock.path}` and end it by hand."
            )

    def pid(self, pid_file: Path, folder: Path) -> int | None:
        """The server's process as its own `pid_file` has it, or None when it does not live.

        The id may have been given to another program since: ours works in its data `folder`.
        """
        with suppress(OSError, ValueError, psutil.Error):
            pid = int(pid_file.read_text().split(maxsplit=1)[0])
            if Path(psutil.Process(pid).cwd()).samefile(folder):
                return pid
        return None

    def log_tail(self) -> str:
        """The last lines the server wrote."""
        with suppress(OSError), self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace")
        return ""
