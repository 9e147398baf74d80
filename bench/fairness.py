"""How fair the log is: what one tenant, lane or pool does to another, as ratios measured in one run.

Workers run in processes of their own, on an embedded server of its own (or MILLRACE_REDIS_URL). Spans without and with
the load take turns, so that whatever else runs on this machine hits both. It prints JSON (``--json``: on one line):

- ``tenant``: p99 of another tenant's jobs (submit to end, ms), 10 at a time, alone and while one tenant has
  ``--entries`` entries of a wide job open; their ratio (at most 2 is asked).
- ``lanes``: with more ``high`` jobs than can be done, the share of what was done that was ``low`` (at least 0.05); p99
  of high jobs alone and behind a saturated ``low``, and their ratio (at most 2).
- ``pools``: jobs a second of the default pool with heavy slots free and with every heavy slot busy; what is kept (0.9).

Handlers sleep (``--work-ms``), as those do that wait for sites: what is measured is who is given a slot, not how many
cores there are. Run it from the root: ``.venv/bin/python bench/fairness.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import orjson
import uvloop

from consumers.context import StageContext
from consumers.flow import Flow, Flows
from consumers.outcome import Done, Emit, Outcome
from consumers.resources import SharedResources
from consumers.stage import stage
from consumers.submit import submit
from consumers.worker.worker import Worker, WorkerOptions
from schemas.jobs import Asked, JobRequest
from schemas.settings import Settings, load_settings
from schemas.stages import CompileRequest, Payload
from streams.connect import connect
from streams.embedded import EmbeddedServers
from streams.keys import Keys
from streams.log import Log
from streams.pauses import Pauses
from streams.policy import StagePolicy

ROUNDS: Final = 5
AT_A_TIME: Final = 10
SLOTS: Final = 64
"""Of a worker, where it is to be kept busy; what one tenant does to another is measured with those that ship."""
SPAN_S: Final = 2.0
PUT_TOGETHER: Final = 32
PAUSED_S: Final = 1.5
"""Workers see a pause within a second."""


class Work(Payload):
    """So many tasks, each so long."""

    width: int = 1
    work_ms: float = 0.0


class WorkSpec(Asked):
    """As `Work`."""

    width: int = 1
    work_ms: float = 0.0


@stage(name="crawl", accepts=Work, emits=("extract",))
async def crawl(work: Work, _: StageContext) -> Outcome:
    """Open the tasks."""
    return Done(tuple(Emit("extract", work) for _ in range(work.width)))


async def works(work: Work, _: StageContext) -> Outcome:
    """Take the time."""
    await asyncio.sleep(work.work_ms / 1_000)
    return Done()


@stage(name="compile", accepts=CompileRequest)
async def compile_(_: CompileRequest, __: StageContext) -> Outcome:
    """Nothing to compile."""
    return Done()


def _flow(name: str, pool: str) -> Flow:
    extract = stage(name="extract", accepts=Work, policy=StagePolicy(pool=pool, timeout_s=900, soft_timeout_s=890))
    return Flow(
        name, WorkSpec, (crawl, extract(works), compile_),
        first=lambda spec: Work(width=spec.width, work_ms=spec.work_ms),
    )  # fmt: skip


FLOWS: Final = Flows([_flow("light", "default"), _flow("heavy", "heavy")])


class Bench:
    """A log with workers, and what is asked of it."""

    def __init__(self, log: Log, work_ms: float) -> None:
        self.log = log
        self.work_ms = work_ms

    async def put(self, flow: str = "light", *, tenant: str = "default", priority: str = "normal", **spec: Any) -> str:
        """Submit a job."""
        request = JobRequest.model_validate({"flow": flow, "spec": spec, "priority": priority})
        return (await submit(self.log, FLOWS, request, tenant=tenant)).job_id

    async def took_ms(self, count: int, **job: Any) -> list[float]:
        """Submit so many at once; how long each took to its end."""

        async def one() -> float:
            began_s = time.monotonic()
            job_id = await self.put(work_ms=self.work_ms, **job)
            await self.ended(job_id)
            return (time.monotonic() - began_s) * 1_000

        return list(await asyncio.gather(*(one() for _ in range(count))))

    async def ended(self, job_id: str) -> None:
        """Wait for a job's end."""
        key = self.log.keys.of_job(job_id).job(job_id)

        async def has_ended() -> bool:
            return bool(await self.log.client.hexists(key, "finished_at"))

        await _until(has_ended)

    async def done(self, jobs: list[str]) -> int:
        """How many of these have ended."""
        pipe = self.log.client.pipeline(transaction=False)
        for job_id in jobs:
            pipe.hexists(self.log.keys.of_job(job_id).job(job_id), "finished_at")
        return sum(await pipe.execute())

    async def tenant(self, entries: int) -> dict[str, Any]:
        """Another tenant's jobs, alone and beside a wide job."""
        alone = [took for _ in range(ROUNDS) for took in await self.took_ms(AT_A_TIME, tenant="small")]
        wide = await self.put(tenant="large", width=entries, work_ms=self.work_ms)

        async def is_open() -> bool:
            record = await self.log.job(wide)
            return record is not None and record.number("crawl.done") == 1

        await _until(is_open)
        beside = [took for _ in range(ROUNDS) for took in await self.took_ms(AT_A_TIME, tenant="small")]
        record = await self.log.job(wide)
        left = record.open("extract") if record is not None else 0
        await self.log.cancel(wide)
        return {
            "entries": entries, "entries_left": left, "p99_ms_alone": _p99(alone), "p99_ms_beside": _p99(beside),
            "ratio": _p99(beside) / _p99(alone), "asked_at_most": 2.0,
        }  # fmt: skip

    async def lanes(self) -> dict[str, Any]:
        """Low under a saturated high, and high before a saturated low."""
        alone = [took for _ in range(ROUNDS) for took in await self.took_ms(AT_A_TIME, priority="high")]
        low, high = await self._queued(low=20 * SLOTS, high=20 * SLOTS)
        while await self.done(high) < len(high) // 2:  # noqa: ASYNC110 - Redis tells no event
            await asyncio.sleep(0.005)
        of_high, of_low = await self.done(high), await self.done(low)
        await self._drained([*high, *low])
        (low,) = await self._queued(low=60 * SLOTS)
        before = [took for _ in range(ROUNDS) for took in await self.took_ms(AT_A_TIME, priority="high")]
        still_low = len(low) - await self.done(low)
        await self._drained(low)
        return {
            "low_share": of_low / max(1, of_high + of_low), "asked_at_least": 0.05, "low_left": still_low,
            "high_p99_ms_alone": _p99(alone), "high_p99_ms_before_low": _p99(before),
            "high_ratio": _p99(before) / _p99(alone), "asked_at_most": 2.0,
        }  # fmt: skip

    async def pools(self, slots: int) -> dict[str, Any]:
        """The default pool's speed, with heavy slots free and busy in turns."""
        free: list[float] = []
        busy: list[float] = []
        heavy_stream = self.log.keys.partition(0).stream("extract", "heavy")
        for _ in range(ROUNDS):
            free.append(await self._speed())
            heavy = await self.put("heavy", width=2 * slots, work_ms=600_000)

            async def are_busy() -> bool:
                pending = await self.log.client.xpending(heavy_stream, "millrace")
                return int(pending["pending"]) >= slots

            await _until(are_busy)
            busy.append(await self._speed())
            await self.log.cancel(heavy, kill=True)
            await _until(lambda: self._is_empty(heavy_stream))
        return {
            "heavy_slots": slots, "per_s_free": median(free), "per_s_busy": median(busy),
            "kept": median(busy) / median(free), "asked_at_least": 0.9,
        }  # fmt: skip

    async def _is_empty(self, stream: str) -> bool:
        return int(await self.log.client.xlen(stream)) == 0

    async def _queued(self, **lanes: int) -> list[list[str]]:
        """So many jobs of each lane, that may begin all at once."""
        pauses = Pauses(self.log.client, self.log.keys)
        await pauses.add("stage", "crawl", reason="measured", by="bench")
        await asyncio.sleep(PAUSED_S)
        found = []
        for lane, count in lanes.items():
            jobs: list[str] = []
            for _ in range(0, count, PUT_TOGETHER):
                puts = (self.put(priority=lane, work_ms=self.work_ms) for _ in range(PUT_TOGETHER))
                jobs += await asyncio.gather(*puts)
            found.append(jobs)
        await pauses.remove("stage", "crawl")
        return found

    async def _drained(self, jobs: list[str]) -> None:
        async def are_done() -> bool:
            return await self.done(jobs) == len(jobs)

        await _until(are_done)

    async def _speed(self) -> float:
        """Jobs a second while there is always one more to do."""
        ended, until_s = 0, time.monotonic() + SPAN_S

        async def one_after_the_other() -> None:
            nonlocal ended
            while time.monotonic() < until_s:
                await self.took_ms(1)
                ended += time.monotonic() < until_s

        await asyncio.gather(*(one_after_the_other() for _ in range(AT_A_TIME)))
        return ended / SPAN_S


async def measure(redis_url: str, entries: int, work_ms: float, workers: int) -> dict[str, Any]:
    """Everything, on a server that nobody else should use."""
    shipped = Settings().concurrency
    async with _workers(redis_url, workers, shipped) as log:
        tenant = await (await _warm(log, work_ms)).tenant(entries)
    async with _workers(redis_url, workers, SLOTS) as log:
        bench = await _warm(log, work_ms)
        lanes, pools = await bench.lanes(), await bench.pools(2 * workers)
    return {
        "workers": workers, "work_ms": work_ms, "tenant": {"slots": shipped, **tenant},
        "lanes": {"slots": SLOTS, **lanes}, "pools": {"slots": SLOTS, **pools},
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }  # fmt: skip


async def _warm(log: Log, work_ms: float) -> Bench:
    """The bench, when the workers are there."""
    bench = Bench(log, work_ms)
    await bench.took_ms(AT_A_TIME)
    return bench


async def _until(is_so: Callable[[], Awaitable[bool]], within_s: float = 300.0) -> None:
    async with asyncio.timeout(within_s):
        while not await is_so():  # noqa: ASYNC110 - Redis tells no event
            await asyncio.sleep(0.003)


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


@contextlib.asynccontextmanager
async def _workers(redis_url: str, count: int, slots: int) -> AsyncIterator[Log]:
    namespace = f"bench-{uuid.uuid4().hex[:8]}"
    client = connect(redis_url)
    log = Log(client, Keys(namespace), FLOWS, record_ttl_s=3_600)
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as artifacts:
        command = [
            sys.executable, __file__, "--worker", namespace, "--url", redis_url, "--artifacts", artifacts,
            "--slots", str(slots),
        ]  # fmt: skip
        pipe = asyncio.subprocess.PIPE
        workers = [await asyncio.create_subprocess_exec(*command, stdin=pipe) for _ in range(count)]
        try:
            yield log
        finally:
            for worker in workers:
                if worker.stdin is not None:
                    worker.stdin.close()
                await worker.wait()
            async for key in client.scan_iter(f"{namespace}:*", count=1_000):
                await client.unlink(key)
            await client.aclose()


async def _work(redis_url: str, namespace: str, artifacts: str, slots: int) -> None:
    """Be a worker until standard input ends."""
    settings = Settings(namespace=namespace, artifacts_url=artifacts, concurrency=slots)
    async with SharedResources(settings, None) as resources:
        options = WorkerOptions(pools=("default", "heavy"))
        worker = Worker(settings, redis_url=redis_url, flows=FLOWS, resources=resources, options=options)
        await worker.start()
        await asyncio.to_thread(sys.stdin.read)
        await worker.drain(1.0)


@contextlib.contextmanager
def _server() -> Iterator[str]:
    settings = load_settings()
    if settings.redis_url is not None:
        yield settings.redis_url.get_secret_value()
        return
    with (
        tempfile.TemporaryDirectory(prefix="millrace-bench-") as home,
        EmbeddedServers.start(Path(home), postgres=False) as servers,
    ):
        yield servers.redis_url


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description="Measure what tenants, lanes and pools do to each other.")
    parser.add_argument("--entries", type=int, default=100_000, help="entries of the large tenant's job")
    parser.add_argument("--work-ms", type=float, default=100.0, help="what a handler takes")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--worker", metavar="NAMESPACE", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--artifacts", help=argparse.SUPPRESS)
    parser.add_argument("--slots", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if asked.worker:
        uvloop.run(_work(asked.url, asked.worker, asked.artifacts, asked.slots))
        return
    with _server() as redis_url:
        figures = uvloop.run(measure(redis_url, asked.entries, asked.work_ms, asked.workers))
    option = None if asked.json else orjson.OPT_INDENT_2
    sys.stdout.write(orjson.dumps(figures, option=option).decode() + "\n")


if __name__ == "__main__":
    main()
