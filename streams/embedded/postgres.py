"""The embedded PostgreSQL with pgvector that holds results and history."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from streams.embedded import os_user
from streams.embedded.binaries import PostgresPrograms, copy_postgres, postgres_programs
from streams.embedded.errors import EmbeddedError
from streams.embedded.process import RunAs, ServerProcess

SUPERUSER = "postgres"
DATABASE = "millrace"
PORT = 5432
"""Names the socket only: the server listens on no network address."""
SOCKET_NAME = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_DIR = 80
"""Bytes; a socket's whole path has at most 104 on macOS and 108 on Linux."""
START_TIMEOUT_S = 120.0
"""A server that was killed replays its write-ahead log first."""
STOP_TIMEOUT_S = 30.0
_ENV = {"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"}


class PostgresServer:
    """PostgreSQL on a socket in its own data folder, `<home>/postgres`.

    Trust authentication is safe there: only the server's user and root can enter the folder. Started by root,
    it runs as another user; when that one cannot reach `home`, the data is kept under `os_user.SHARED` and
    `<home>/postgres` points there.

    Args:
        home: Folder of the servers; exists.
        options: Server options that differ from the defaults, as in postgresql.conf.
    """

    name = "PostgreSQL"

    def __init__(self, home: Path, options: Mapping[str, str] | None = None) -> None:
        self._data = home / "postgres"
        self._options = dict(options or {})
        self._process = ServerProcess(self.name, home / "postgres.lock", home / "postgres.log")

    @property
    def url(self) -> str:
        """``postgresql://postgres@/millrace?host=<folder of the socket>``."""
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(self._socket_dir()), safe='/')}"

    @property
    def pid(self) -> int | None:
        """The server's process, or None when it does not run."""
        return self._process.pid(self._data / "postmaster.pid", self._data)

    @property
    def notice(self) -> str | None:
        """What an operator should know about where the data is."""
        return f"PostgreSQL keeps its data in {self._data.resolve()}." if self._data.is_symlink() else None

    def start(self) -> None:
        """Take over the server of this home if one lives, else start one; returns when it accepts connections.

        Raises:
            EmbeddedError: It does not start; the text has the end of its log.
        """
        # A server that lost its starter is ready soon, or its start is cut short by the death of what it needed.
        if not self._process.claim():
            if self._process.wait_until(self.answers, START_TIMEOUT_S):
                return
            self._process.kill(self.pid)
            self._process.claim()
        try:
            run_as = self._prepare_data()
            programs = self._programs(run_as)
            if not (self._data / "PG_VERSION").exists():
                self._make_cluster(programs, run_as)
            socket_dir = self._make_socket_dir(run_as)
            # Our lock was free, so nobody serves this folder: these files are from before a crash. The process id
            # in them may be another program's by now, or a zombie's, and would keep PostgreSQL from starting.
            for left_over in (self._data / "postmaster.pid", socket_dir / f"{SOCKET_NAME}.lock"):
                left_over.unlink(missing_ok=True)
            settings = {
                **self._options,
                "listen_addresses": "",
                "port": str(PORT),
                "unix_socket_directories": str(socket_dir),
            }
            flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            # By its real path: a link in a closed home leads the server's user nowhere.
            command: list[str | Path] = [programs.postgres, "-D", self._data.resolve(), *flags]
            self._process.spawn(command, cwd=Path("/"), env=_ENV, run_as=run_as)
        finally:
            self._process.unclaim()
        if not self._process.wait_until(self.answers, START_TIMEOUT_S):
            raise EmbeddedError(
                f"PostgreSQL did not start on {self._data}. The end of {self._process.log}:\n{self._process.log_tail()}"
            )

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, everything is written, and the end is waited for."""
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        if not self._process.wait_gone(STOP_TIMEOUT_S):
            self._process.kill(pid)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._process.kill(self.pid)

    def is_alive(self) -> bool:
        """Whether its process lives. Only for the process that owns the home."""
        return self._process.is_alive()

    def answers(self) -> bool:
        """Whether it lives and takes queries: it says so in ``postmaster.pid``, where pg_ctl looks too."""
        try:
            last_line = (self._data / "postmaster.pid").read_text().splitlines()[-1]
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self._socket_dir() / SOCKET_NAME))
        except (OSError, IndexError):
            return False
        return last_line.strip() == "ready"

    def _prepare_data(self) -> RunAs | None:
        run_as = os_user.run_as(self._data)
        if run_as is not None and not self._data.exists() and not os_user.is_open(self._data):
            self._data.unlink(missing_ok=True)
            self._data.symlink_to(os_user.new_folder() / "postgres")
        return run_as

    def _programs(self, run_as: RunAs | None) -> PostgresPrograms:
        programs = postgres_programs()
        if run_as is None or os_user.is_runnable(programs.postgres):
            return programs
        return copy_postgres(programs, os_user.make_open(os_user.SHARED))

    def _make_cluster(self, programs: PostgresPrograms, run_as: RunAs | None) -> None:
        """Make the data folder under another name and move it into place complete, database included."""
        target = self._data.resolve()
        draft = target.with_name(f"{target.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if run_as is not None:
            os.chown(draft, run_as.uid, run_as.gid)
        initdb = (
            *(programs.initdb, "--pgdata", draft, "--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8"),
            # The same order of text on every machine, whatever locales it has.
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        )
        self._run(initdb, run_as, "")
        single = (programs.postgres, "--single", "-D", draft, "-c", "log_checkpoints=off", "postgres")
        self._run(single, run_as, f"CREATE DATABASE {DATABASE};\n")
        draft.rename(target)

    def _run(self, command: tuple[str | Path, ...], run_as: RunAs | None, stdin: str) -> None:
        done = subprocess.run(  # noqa: S603 - the programs of the wheel, no shell
            command,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd="/",
            env=_ENV,
            pass_fds=(self._process.lock_fd(),),
            user=run_as.uid if run_as else None,
            group=run_as.gid if run_as else None,
            extra_groups=[] if run_as else None,
        )
        if done.returncode != 0:
            raise EmbeddedError(f"PostgreSQL could not make its data folder {self._data}:\n{done.stdout[-2_000:]}")

    def _socket_dir(self) -> Path:
        data = self._data.resolve()
        if len(os.fsencode(data)) <= LONGEST_SOCKET_DIR:
            return data
        digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
        return Path(tempfile.gettempdir()).resolve() / f"millrace-{os.geteuid()}-{digest}"

    def _make_socket_dir(self, run_as: RunAs | None) -> Path:
        folder = self._socket_dir()
        if folder != self._data.resolve():
            owner = run_as.uid if run_as else os.geteuid()
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                os.chown(folder, owner, -1)
            # The temporary folder is everybody's: what is there already must be ours, and closed.
            status = folder.lstat()
            if status.st_uid != owner or status.st_mode & 0o077 or folder.is_symlink():
                raise EmbeddedError(f"{folder} belongs to somebody else or is open to others. Remove it.")
        return folder
