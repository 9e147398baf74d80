"""A pool of CPU children for one worker."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import TYPE_CHECKING, Self, TypeVar, TypeVarTuple

from pydantic import ValidationError

from consumers.cpu.errors import CpuChildDied, CpuTaskTimedOut, MemoryCapExceeded
from consumers.cpu.process import Child, ChildGone
from consumers.cpu.wire import Kind, pack_task, returned, task_name, unpack_failure, unpack_result

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

MIN_MEMORY_MB = 128
"""What an interpreter with the libraries of a stage needs before it has done anything."""

_log = logging.getLogger(__name__)


class CpuPool:
    """Runs functions in warm subprocesses that can be killed at any moment.

    Children start when they are first needed and stay warm, at most ``concurrency`` of them; once one was needed,
    at least one is kept ready. Use it as an async context manager, or call :meth:`aclose`.

    A child serves many tasks, of many tenants: recycle after 1 where one must not see what another left in memory.

    Args:
        concurrency: Tasks at a time, >= 1; further calls wait their turn.
        recycle_after: Tasks that a child serves before a fresh one takes its place.
        recycle_rss_mb: Resident memory, in MiB, above which a child is replaced after a task.
        owner: Marks the children, for :func:`consumers.cpu.environment.kill_owned_by`; the worker's name.
    """

    def __init__(
        self, concurrency: int, *, recycle_after: int = 1000, recycle_rss_mb: int = 1024, owner: str | None = None
    ) -> None:
        if concurrency < 1 or recycle_after < 1:
            raise ValueError(f"{concurrency=} and {recycle_after=} must be at least 1")
        self._recycle_after = recycle_after
        self._recycle_rss_bytes = recycle_rss_mb * 2**20
        self._owner = owner or f"{socket.gethostname()}-{os.getpid()}"
        self._slots = asyncio.Semaphore(concurrency)
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._unclaimed: list[asyncio.Task[Child]] = []
        self._chores: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def pids(self) -> tuple[int, ...]:
        """The children's process ids, which are their process groups' too."""
        return tuple(child.pid for child in (*self._idle, *self._busy))

    async def run(
        self,
        fn: Callable[[*Ts], R],
        *args: *Ts,
        timeout_s: float,
        memory_mb: int,
        soft_timeout_s: float | None = None,
        progress: Callable[[str, float | None], None] | None = None,
    ) -> R:
        """Run ``fn(*args)`` in a child.

        Cancelling this call kills the child with every process that it started.

        Args:
            fn: A function at the top of a module. Its return annotation is what the result is validated against
                (see :mod:`consumers.cpu.wire`). It may call :func:`consumers.cpu.task.report_progress`.
            *args: Its arguments, picklable; mind that large ones are copied.
            timeout_s: Hard limit in seconds, > 0; counted from the moment a child has the task, not from the wait for
                one. Then the process group is killed.
            memory_mb: Cap in MiB, >= 128, on what the child and the processes it starts may use, the interpreter
                (about 40 MiB) included.
            soft_timeout_s: Seconds, < ``timeout_s``, after which :class:`consumers.cpu.task.SoftTimeLimit` is raised
                in ``fn``.
            progress: Called in the event loop with what ``fn`` reports.

        Raises:
            TransientError, PermanentError: What ``fn`` raised, as the same class if this process has imported it.
            CpuTaskFailed: ``fn`` raised another error, or returned something that cannot be sent or validated.
            CpuTaskTimedOut: A limit passed.
            MemoryCapExceeded: It wanted more than ``memory_mb``.
            CpuChildDied: The child crashed or was killed.
            TypeError: ``fn`` or an argument cannot be sent to a child.
        """
        if memory_mb < MIN_MEMORY_MB:
            raise ValueError(f"{memory_mb=} is below the {MIN_MEMORY_MB} that an interpreter needs")
        if timeout_s <= 0 or (soft_timeout_s is not None and not 0 < soft_timeout_s < timeout_s):
            raise ValueError(f"{soft_timeout_s=} and {timeout_s=} must be above 0, the soft limit below the hard one")
        returned(fn)  # refuse an unknown return type before the work, not after it
        name, soft_s = task_name(fn), soft_timeout_s or 0.0
        task = pack_task(fn, args, soft_s, memory_mb * 2**20)
        async with self._slots:
            child = await self._take()
            finished = False
            try:
                async with asyncio.timeout(timeout_s) as limit:
                    kind, body = await child.call(task, name, memory_mb * 2**20, progress)
                if kind is Kind.FAILURE:
                    error = unpack_failure(body, task=name, soft_timeout_s=soft_s, memory_mb=memory_mb)
                    finished = not isinstance(error, MemoryCapExceeded)  # else its heap is in pieces
                    raise error
                result = unpack_result(fn, kind, body)
                finished = True
            except TimeoutError:
                if not limit.expired():
                    raise
                child.kill()
                await child.gone()
                raise CpuTaskTimedOut(task=name, limit="hard", after_s=timeout_s) from None
            except (ChildGone, ValidationError):
                raise await child.cause_of_death(name, memory_mb) from None
            finally:
                self._give_back(child, finished=finished)
            return result

    async def aclose(self) -> None:
        """Kill every child, busy ones too, and wait until they are reaped."""
        self._closed = True
        for child in (*self._idle, *self._busy):
            self._retire(child)
        self._idle.clear()
        for started in await asyncio.gather(*self._unclaimed, return_exceptions=True):
            if isinstance(started, Child):
                self._retire(started)
        while self._chores:
            await asyncio.gather(*self._chores, return_exceptions=True)

    def _is_closed(self) -> bool:
        return self._closed

    async def _take(self) -> Child:
        while True:
            child = self._idle.pop() if self._idle else await self._start()  # the last one used has warm caches
            if child.usable:
                self._busy.add(child)
                return child

    async def _start(self) -> Child:
        if self._is_closed():
            raise RuntimeError("the CPU pool is closed")
        starting = self._unclaimed.pop() if self._unclaimed else asyncio.create_task(Child.start(self._owner))
        try:
            child = await asyncio.shield(starting)
        except asyncio.CancelledError:  # of the caller: a start is not left half done, the next caller gets it
            self._unclaimed.append(starting)
            raise
        if self._is_closed():
            self._retire(child)
            raise RuntimeError("the CPU pool was closed while a child started")
        return child

    def _give_back(self, child: Child, *, finished: bool) -> None:
        self._busy.discard(child)
        worn = child.tasks >= self._recycle_after or child.rss_bytes > self._recycle_rss_bytes or child.left_behind
        if finished and not worn and child.usable and not self._closed:
            self._idle.append(child)
            return
        self._retire(child)
        if not self._idle and not self._closed:
            self._chore(self._keep_one_ready())

    def _retire(self, child: Child) -> None:
        child.kill()
        self._chore(self._see_off(child))

    async def _see_off(self, child: Child) -> None:
        await child.gone()

    async def _keep_one_ready(self) -> None:
        async with self._slots:  # a start is a slot's work: no more children than slots
            if self._idle or self._closed:
                return
            try:
                self._idle.append(await self._start())
            except (CpuChildDied, OSError):
                _log.exception("no CPU child could be kept ready; the next task tries to start one")
            except RuntimeError:
                return  # closed meanwhile

    def _chore(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
