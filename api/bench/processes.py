"""Processes of a benchmark: what is measured runs in one of its own, and answers with one JSON line."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

import orjson

from api.bench.worker import READY, Done, Orders

ROOT: Final = Path(__file__).resolve().parents[2]
TAIL: Final = 4_000
"""Bytes of its errors that are told when it fails."""


class Measuring:
    """One started process."""

    def __init__(self, process: asyncio.subprocess.Process, printed: IO[bytes]) -> None:
        self.process = process
        self._printed = printed

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str] | None = None, *, is_told: bool = False
    ) -> Measuring:
        """Start a program.

        Args:
            is_told: Whether it goes on until its input ends (`tell`).
            environment: Beside this process's own.
        """
        printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it has ended; an answer may be megabytes
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                *command, stdin=pipe if is_told else asyncio.subprocess.DEVNULL, stdout=printed, stderr=pipe,
                env={**os.environ, "PYTHONPATH": path, **(environment or {})},
            ),
            printed,
        )  # fmt: skip

    async def ready(self) -> None:
        """Wait until it says so.

        Raises:
            RuntimeError: It ended before.
        """
        assert self.process.stderr is not None  # noqa: S101 - it was asked for
        try:
            await self.process.stderr.readuntil(READY)
        except asyncio.IncompleteReadError as end:
            raise RuntimeError(f"a measuring process ended early:\n{end.partial.decode()[-TAIL:]}") from None

    async def answer(self) -> dict[str, Any]:
        """Its JSON document, the last that it prints, when it has ended; one that is told ends now.

        Raises:
            RuntimeError: It failed.
        """
        if self.process.stdin is not None:
            self.process.stdin.close()
        _, err = await self.process.communicate()
        self._printed.seek(0)
        out = self._printed.read()
        if self.process.returncode != 0:
            said = err.decode(errors="replace")[-TAIL:]
            raise RuntimeError(f"a measuring process failed ({self.process.returncode}):\n{said}")
        found: dict[str, Any] = orjson.loads(out[out.rfind(b"\n{") + 1 :])  # others may have printed before it
        return found

    async def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.communicate()
        self._printed.close()


def python(*arguments: str) -> list[str]:
    """A command of this Python."""
    return [sys.executable, *arguments]


async def output(command: Sequence[str], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What a program answers.

    Raises:
        RuntimeError: It failed.
    """
    one = await Measuring.start(command, environment)
    try:
        return await one.answer()
    finally:
        await one.kill()


@asynccontextmanager
async def workers(*orders: Orders, environment: Mapping[str, str] | None = None) -> AsyncIterator[list[Measuring]]:
    """Worker processes, ready; they are killed at the end of the block if they still run."""
    started = [
        await Measuring.start(
            python("-m", "api.bench.worker", orjson.dumps(asdict(one)).decode()),
            environment, is_told=not one.transitions,
        )
        for one in orders
    ]  # fmt: skip
    try:
        await asyncio.gather(*(one.ready() for one in started))
        yield started
    finally:
        await asyncio.gather(*(one.kill() for one in started))


async def done(worker: Measuring, beside: Coroutine[Any, Any, None] | None = None) -> Done:
    """What a worker did, when it is over.

    Args:
        beside: What is done meanwhile, such as feeding it; it is cancelled at the end. When it fails, so does this.

    Raises:
        RuntimeError: It failed.
    """
    answering = asyncio.create_task(worker.answer())
    feeding = asyncio.create_task(beside) if beside is not None else None
    try:
        await asyncio.wait({answering, feeding} if feeding else {answering}, return_when=asyncio.FIRST_COMPLETED)
        if feeding is not None and feeding.done():
            feeding.result()
        return Done(**await answering)
    finally:
        for task in (answering, feeding):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
