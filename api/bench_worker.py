"""The worker process of a benchmark: a `Worker` as shipped, on a namespace that holds jobs already or will get them.

Started by `api.bench` with its orders as JSON in the first argument; answers with one JSON line on stdout.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson
import uvloop
from pydantic import BaseModel

from consumers import noop
from consumers.context import StageContext
from consumers.execute import Next
from consumers.flow import Flows
from consumers.outcome import Outcome
from consumers.resources import SharedResources
from consumers.worker.worker import Worker, WorkerOptions
from schemas.settings import Settings
from streams import telemetry

GIVE_UP_S: Final = 300.0
KIB_PER_MB: Final = 1024


@dataclass(frozen=True, slots=True)
class Orders:
    """What the worker is to do.

    Attributes:
        transitions: Settlements after which it stops.
        is_timing_starts: Whether to note when each job's first handler began.
    """

    redis_url: str
    namespace: str
    partitions: int
    transitions: int
    is_timing_starts: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it.

    Attributes:
        took_s: From the first start of a handler to the last settlement.
        cpu_s: Of this process, meanwhile.
        rss_mb: Its largest resident size.
        outcomes: Settlements by name.
        first_ns: Job id -> when its first handler began, on the machine's monotonic clock.
    """

    took_s: float
    cpu_s: float
    rss_mb: float
    outcomes: dict[str, int]
    first_ns: dict[str, int]


async def work(orders: Orders) -> Done:
    """Run until all ordered transitions are settled.

    Raises:
        TimeoutError: They were not within five minutes.
    """
    settings = Settings(namespace=orders.namespace, partitions=orders.partitions)
    first_ns: dict[str, int] = {}
    began: list[tuple[float, float]] = []
    left = orders.transitions
    is_over = asyncio.Event()

    async def note(_: BaseModel, context: StageContext, handler: Next) -> Outcome:
        first_ns.setdefault(context.job_id, time.monotonic_ns())
        return await handler()

    def on_signal(name: str, _: tuple[Any, ...]) -> None:
        nonlocal left
        if name == "started" and not began:
            began.append((time.perf_counter(), time.process_time()))
        elif name == "settled":
            left -= 1
            if left == 0:
                is_over.set()

    options = WorkerOptions(middleware=(note,) if orders.is_timing_starts else ())
    async with SharedResources(settings, None) as resources:
        worker = Worker(
            settings, redis_url=orders.redis_url, flows=Flows([noop.bare]), resources=resources, options=options
        )
        worker.signals.listen(on_signal)
        await worker.start()
        sys.stderr.write("ready\n")
        sys.stderr.flush()
        async with asyncio.timeout(GIVE_UP_S):
            await is_over.wait()
        took_s, cpu_s = time.perf_counter() - began[0][0], time.process_time() - began[0][1]
        await worker.drain()
    # The unit of ru_maxrss is KiB on Linux, bytes on macOS.
    unit = 1 if sys.platform == "linux" else 1024
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit / KIB_PER_MB
    return Done(took_s, cpu_s, rss_mb, worker.committer.counts, first_ns)


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
