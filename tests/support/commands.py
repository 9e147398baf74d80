"""The installed `millrace` command, run as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

from typer.testing import CliRunner

from api.cli import app

PROGRAM = Path(sys.executable).parent / "millrace"
NOT_KEPT = ("MILLRACE_", "OTEL_")
"""Settings of the machine that runs the tests."""


class Home:
    """A home for commands: embedded servers, no setting of the machine that runs the tests."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_KEPT)}
        self.env = {**kept, "MILLRACE_HOME": str(folder), "COLUMNS": "120", "NO_COLOR": "1", **settings}

    def run(self, *arguments: str, code: int = 0) -> str:
        """What a command prints on standard output; it must end with `code`."""
        done = self.done(*arguments)
        assert done.returncode == code, (done.returncode, done.stdout[-4_000:], done.stderr[-4_000:])
        return done.stdout

    def json(self, *arguments: str, code: int = 0) -> Any:
        """The one document that a command prints with ``--json``."""
        return json.loads(self.run(*arguments, "--json", code=code))

    def lines(self, *arguments: str) -> list[Any]:
        """The JSON lines that a command prints with ``--json``."""
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]

    def done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that has ended, run in this process: starting Python for each would take most of the time."""
        unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith(NOT_KEPT)}
        result = CliRunner().invoke(app, list(arguments), env={**unset, **self.env})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)

    def apart(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """A command that has ended, run as a process: those that fork need one of their own."""
        return subprocess.run(
            [PROGRAM, *arguments], env=self.env, capture_output=True, text=True, check=False, timeout=timeout_s
        )


class Running:
    """A command that stays in the foreground, such as ``up``; `ready` is what it said first."""

    def __init__(self, home: Home, *arguments: str) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the command
        self.process = subprocess.Popen(
            [PROGRAM, *arguments, "--json"],
            env=home.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._is_stopped = False
        self.ready = self.next_event()

    def next_event(self) -> dict[str, Any]:
        """The next line it prints; blocks."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it ended: {self.log()[-4_000:]}"
        event: dict[str, Any] = json.loads(line)
        return event

    def log(self) -> str:
        """What it and its processes logged."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait for the end; answers the exit code."""
        self._is_stopped = True
        self.process.send_signal(number)
        return self.process.wait(60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        elif not self._is_stopped:
            print(f"it ended by itself with {self.process.returncode}: {self.log()[-8_000:]}")
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
