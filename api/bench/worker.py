"""The worker process of a benchmark: a `Worker` as shipped, on a namespace that holds jobs already or will get them.

Started with its orders as JSON in the first argument; answers with one JSON line on stdout.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
import zlib
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson
import psutil
import uvloop
from pydantic import BaseModel

from consumers import noop
from consumers.context import StageContext
from consumers.execute import Next
from consumers.flow import Flows
from consumers.outcome import Outcome
from consumers.resources import SharedResources
from consumers.worker.follow import ArchiveFollower
from consumers.worker.worker import Worker, WorkerOptions
from schemas.settings import Settings
from streams import telemetry
from streams.errors import TransientError

READY: Final = b"ready\n"
GIVE_UP_S: Final = 600.0
KIB_PER_MB: Final = 1024
MB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Orders:
    """What the worker is to do.

    Attributes:
        transitions: Settlements after which it stops; 0: when its input ends.
        is_timing_starts: Whether to note when each job's first handler began.
        archive_to: Folder into which it archives lifecycle beside its work; empty for no archive.
        fails: Share of the attempts that fail with an error that is tried again.
        lease_ms: Of the settings; 0 for the shipped one.
        rss_every: Settlements between two looks at its memory; 0 for none.
        name: Its consumer name; empty: one is made.
    """

    redis_url: str
    namespace: str
    partitions: int
    transitions: int
    is_timing_starts: bool = False
    archive_to: str = ""
    fails: float = 0.0
    lease_ms: int = 0
    rss_every: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it.

    Attributes:
        took_s: From the first start of a handler to the last settlement.
        cpu_s: Of this process, from the first start to its end.
        rss_mb: Its largest resident size.
        outcomes: Settlements by name.
        first_ns: Job id -> when its first handler began, on the machine's monotonic clock.
        began_ns, ended_ns: First start and last settlement, on that clock; 0 when it had nothing to do.
        rss_at: Settlements so far -> resident MB then.
    """

    took_s: float
    cpu_s: float
    rss_mb: float
    outcomes: dict[str, int]
    first_ns: dict[str, int]
    began_ns: int = 0
    ended_ns: int = 0
    rss_at: dict[str, float] = field(default_factory=dict)


class Notes:
    """What is noted while it works: a listener of the worker's signals, and its middleware."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.first_ns: dict[str, int] = {}
        self.rss_at: dict[str, float] = {}
        self.began_ns = self.ended_ns = self.settled = 0
        self.cpu_began_s = 0.0
        self.is_over = asyncio.Event()
        self._process = psutil.Process()

    def on_signal(self, name: str, _: tuple[Any, ...]) -> None:
        """Count."""
        if name == "settled":
            self.settled += 1
            self.ended_ns = time.monotonic_ns()
            if self.orders.rss_every and self.settled % self.orders.rss_every == 0:
                self.rss_at[str(self.settled)] = round(self._process.memory_info().rss / MB, 2)
            if self.settled == self.orders.transitions:
                self.is_over.set()
        elif name == "started" and not self.began_ns:
            self.began_ns, self.cpu_began_s = time.monotonic_ns(), time.process_time()

    async def first(self, _: BaseModel, context: StageContext, handler: Next) -> Outcome:
        """Middleware: note when a job's first handler began."""
        self.first_ns.setdefault(context.job_id, time.monotonic_ns())
        return await handler()

    async def fail(self, _: BaseModel, context: StageContext, handler: Next) -> Outcome:
        """Middleware: fail the ordered share of attempts, always the same ones.

        Raises:
            TransientError: This is one of them.
        """
        drawn = zlib.crc32(f"{context.idempotency_key} {context.attempt}".encode()) / 2**32
        if drawn < self.orders.fails:
            raise TransientError("this attempt was ordered to fail", reason="ordered")
        return await handler()


async def work(orders: Orders) -> Done:
    """Run until all ordered transitions are settled, or until told to stop.

    Raises:
        TimeoutError: That was not within ten minutes.
    """
    settings = Settings(
        namespace=orders.namespace, partitions=orders.partitions, artifacts_url=orders.archive_to or None
    )
    if orders.lease_ms:
        settings = settings.model_copy(update={"lease_ms": orders.lease_ms})
    notes = Notes(orders)
    layers = ((notes.first,) if orders.is_timing_starts else ()) + ((notes.fail,) if orders.fails else ())
    options = WorkerOptions(
        name=orders.name, middleware=layers, follows=(ArchiveFollower,) if orders.archive_to else ()
    )
    async with SharedResources(settings, None) as resources:
        worker = Worker(
            settings, redis_url=orders.redis_url, flows=Flows([noop.bare]), resources=resources, options=options
        )
        worker.signals.listen(notes.on_signal)
        await worker.start()
        if not orders.transitions:
            _end_with_input(notes.is_over)
        os.write(2, READY)
        async with asyncio.timeout(GIVE_UP_S):
            await notes.is_over.wait()
        cpu_s = time.process_time() - notes.cpu_began_s if notes.began_ns else 0.0
        await worker.drain()
    # The unit of ru_maxrss is KiB on Linux, bytes on macOS.
    unit = 1 if sys.platform == "linux" else 1024
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit / KIB_PER_MB
    return Done(
        (notes.ended_ns - notes.began_ns) / 1e9, cpu_s, rss_mb, worker.committer.counts, notes.first_ns,
        notes.began_ns, notes.ended_ns, notes.rss_at,
    )  # fmt: skip


def _end_with_input(is_over: asyncio.Event) -> None:
    loop, told = asyncio.get_running_loop(), sys.stdin.fileno()

    def read() -> None:
        if not os.read(told, 4_096):
            loop.remove_reader(told)
            is_over.set()

    loop.add_reader(told, read)


def main() -> None:
    """Do as the first argument says."""
    tracing = telemetry.start(instance="bench")
    try:
        done = uvloop.run(work(Orders(**orjson.loads(sys.argv[1]))))
    finally:
        tracing.shutdown()
    sys.stdout.buffer.write(orjson.dumps(asdict(done)) + b"\n")


if __name__ == "__main__":
    main()
