"""The worker's end of one CPU child."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from consumers.cpu import guard
from consumers.cpu.environment import GUARD_MODULE, child_environment
from consumers.cpu.errors import CpuChildDied, CpuError, MemoryCapExceeded
from consumers.cpu.wire import FRAME_HEADER, MAX_RESULT_BYTES, Kind, Progress

_START_WITHIN_S = 30.0
_END_WITHIN_S = 2.0
_WATCH_AFTER_S = 0.05
"""Tasks shorter than this end before the guard has looked once; RLIMIT_DATA holds for them too."""
_LINE_BYTES = 4096
_LINES_PER_TASK = 1000
_SHOWN_CHARACTERS = 200
_BUFFER_BYTES = 2**20
_MAX_SIGNAL = 64

_output = logging.getLogger("consumers.cpu.output")
_log = logging.getLogger(__name__)

OnProgress = Callable[[str, float | None], None]
Answer = tuple[Kind, bytes]


class ChildGone(Exception):  # noqa: N818 - a fact for the pool, which makes a CpuError of it
    """The child ended, or what it sent is not of the protocol: ask for :meth:`Child.cause_of_death`."""


class Child:
    """A running child and its guard. Made by :meth:`start`, ended by :meth:`kill`; runs one task at a time.

    Attributes:
        pid: The child's process id, which is its process group's too.
        tasks: How many tasks it has finished.
        rss_bytes: Its resident memory after the last one.
        left_behind: The last one left processes of its own running.
    """

    def __init__(self) -> None:
        self.pid = 0
        self.tasks = 0
        self.rss_bytes = 0
        self.left_behind = False
        self.usable = False
        self._task = ""
        self._watched = False
        self._lines_left = _LINES_PER_TASK
        self._last_lines: deque[str] = deque(maxlen=20)

    @classmethod
    async def start(cls, owner: str) -> Self:
        """Start a fresh interpreter, not a fork of this process: it has an event loop and threads.

        Raises:
            CpuChildDied: It did not come up; what it wrote is in the message.
        """
        child = cls()
        await child._start(owner)
        return child

    async def _start(self, owner: str) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                fd = theirs.fileno()
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", GUARD_MODULE, str(fd)),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=child_environment(os.environ, owner),
                    pass_fds=(fd,),
                    start_new_session=True,
                )
            ours.setblocking(False)  # noqa: FBT003 - it has no keyword
            self._reader, self._writer = await asyncio.open_unix_connection(sock=ours, limit=_BUFFER_BYTES)
        except BaseException:
            ours.close()  # with it, a child that did start ends
            raise
        self._gone = asyncio.create_task(self._attend())
        try:
            async with asyncio.timeout(_START_WITHIN_S):
                _, pid = await self._frame()
            self.pid = int(pid)
        except (ChildGone, TimeoutError):
            self.kill()
            raise await self.cause_of_death("nothing yet, it was starting", memory_mb=0) from None
        except BaseException:
            self.kill()
            raise
        self.usable = True

    async def call(self, task: bytes, name: str, memory_bytes: int, on_progress: OnProgress | None) -> Answer:
        """Have it run a packed task.

        Raises:
            ChildGone: It ended, or what it sent is not of the protocol.
        """
        self._task, self._lines_left = name, _LINES_PER_TASK
        watching = asyncio.get_running_loop().call_later(_WATCH_AFTER_S, self._watch, memory_bytes)
        try:
            self._writer.write(task)
            with _as_child_gone():
                await self._writer.drain()
            while (answer := await self._frame())[0] is Kind.PROGRESS:
                if on_progress is not None:
                    progress = Progress.model_validate_json(answer[1])
                    on_progress(progress.step, progress.percent)
        finally:
            watching.cancel()
            if self._watched:
                self._watch(0)
        self.tasks += 1
        return answer

    def kill(self) -> None:
        """Close the lifeline: the guard kills the child's process group and all of its descendants. Does not wait."""
        self.usable = False
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        for writer in (self._process.stdin, self._writer):
            if not writer.is_closing():
                writer.transport.abort()

    async def gone(self) -> int | None:
        """Wait until child and guard are reaped; the guard's exit code, None if the guard hangs (it is logged)."""
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self._gone), _END_WITHIN_S)
        _log.error("CPU child %d is not gone %g s after its end was asked for", self.pid, _END_WITHIN_S)
        self._kill_without_guard()
        return None

    async def cause_of_death(self, name: str, memory_mb: int) -> CpuError:
        """Wait until it is gone and say why."""
        self.usable = False
        if not self._writer.is_closing():
            self._writer.transport.abort()  # a child that broke the protocol ends by this
        code = await self.gone()
        if code == guard.EXIT_MEMORY:
            return MemoryCapExceeded(task=name, memory_mb=memory_mb)
        output = "\n".join(self._last_lines)
        if code is None or code == guard.EXIT_ABANDONED:
            return CpuChildDied(task=name, signal=None, output=output)
        number = -code if code < 0 else code - guard.EXIT_SIGNAL
        if 0 < number <= _MAX_SIGNAL:
            return CpuChildDied(task=name, signal=number, output=output)
        return CpuChildDied(task=name, signal=None, exit_code=code, output=output)

    async def _frame(self) -> Answer:
        with _as_child_gone():
            header = await self._reader.readexactly(FRAME_HEADER.size)
            kind, length, self.rss_bytes, self.left_behind = FRAME_HEADER.unpack(header)
            if length > MAX_RESULT_BYTES:
                raise ChildGone
            return Kind(kind), await self._reader.readexactly(length)

    def _watch(self, memory_bytes: int) -> None:
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(guard.CAP.pack(memory_bytes))
            self._watched = memory_bytes > 0

    async def _attend(self) -> int:
        """Forward what it writes until it ends; returns the guard's exit code."""
        process = self._process
        assert process.stdout is not None  # noqa: S101 - both are pipes
        assert process.stderr is not None  # noqa: S101
        forwards = [
            asyncio.create_task(self._forward(process.stdout, logging.INFO)),
            asyncio.create_task(self._forward(process.stderr, logging.WARNING)),
        ]
        try:
            code = await process.wait()
            self.usable = False
            if code < 0:
                self._kill_without_guard()
            await asyncio.wait(forwards, timeout=_END_WITHIN_S)
        finally:
            for forward in forwards:
                forward.cancel()
            self.kill()
        return code

    def _kill_without_guard(self) -> None:
        """The last resort when somebody killed or stopped the guard."""
        with suppress(ProcessLookupError, PermissionError):
            self._process.kill()
        with suppress(ProcessLookupError, PermissionError):
            if self.pid:
                os.killpg(self.pid, signal.SIGKILL)

    async def _forward(self, stream: asyncio.StreamReader, level: int) -> None:
        """Log each line; long ones in pieces, and at most so many a task."""
        pending = b""
        while chunk := await stream.read(2**16):
            *lines, pending = (pending + chunk).split(b"\n")
            if len(pending) > _LINE_BYTES:
                lines.append(pending)
                pending = b""
            for line in lines:
                self._log_line(line, level)
        if pending:
            self._log_line(pending, level)

    def _log_line(self, line: bytes, level: int) -> None:
        text = line[:_LINE_BYTES].decode(errors="replace").rstrip()
        self._last_lines.append(text[:_SHOWN_CHARACTERS])
        self._lines_left -= 1
        if self._lines_left == 0:
            text = f"... more than {_LINES_PER_TASK} lines in one task, the rest is dropped"
        if self._lines_left >= 0:
            _output.log(level, "%s", text, extra={"cpu_pid": self.pid, "cpu_task": self._task})


@contextmanager
def _as_child_gone() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError, ValueError) as error:  # ValueError: a kind of frame that does not exist
        raise ChildGone from error
