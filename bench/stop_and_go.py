"""What stopping and going on costs: a paced redrive of dead letters under live work, and how soon a pause holds.

It runs two workers and an embedded server of its own (or MILLRACE_REDIS_URL), and prints one JSON line:

- ``redrive``: letters, the pace asked and had, letters lost, the longest call of its script (ms, the server's clock)
  and the p99 of live jobs (submit to end, ms) before and during the redrive.
- ``pause``: starts at the stage later than 1 s after the pause, the last start (ms after it), and how soon work starts
  again after the end of the pause (ms).

Keys go under a namespace of their own and are removed. Run it from the root: ``.venv/bin/python bench/stop_and_go.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import orjson
import uvloop

from consumers import noop
from consumers.context import StageContext
from consumers.flow import Flow, Flows
from consumers.outcome import Done, Emit, Outcome
from consumers.resources import SharedResources
from consumers.stage import stage
from consumers.submit import submit
from consumers.worker.worker import Worker
from schemas.jobs import Asked, JobRequest
from schemas.settings import Settings, load_settings
from schemas.stages import CompileRequest, Payload
from streams.connect import connect
from streams.dlq import DeadLetters, LetterFilter
from streams.embedded import EmbeddedServers
from streams.errors import PermanentError
from streams.keys import Keys
from streams.log import Log
from streams.pauses import Pauses
from streams.policy import RetryPolicy, StagePolicy
from streams.scripts import script

EMITTED_AT_ONCE: Final = 100
LIVE_PER_S: Final = 20.0
MEASURED_S: Final = 8.0


class Item(Payload):
    """What dies once."""

    n: int = 0


class DyingSpec(Asked):
    """How many items a job has."""

    items: int = 100


DIED: set[str] = set()
MENDED: set[str] = set()
"""What was done after its redrive."""
IS_MENDED = asyncio.Event()


@stage(name="crawl", accepts=Item, emits=("extract",))
async def crawl(item: Item, _: StageContext) -> Outcome:
    """Open the items."""
    return Done(tuple(Emit("extract", Item(n=n)) for n in range(item.n)))


@stage(
    name="extract",
    accepts=Item,
    policy=StagePolicy(retry=RetryPolicy(max_attempts=1), window=10_000),
)
async def extract(_: Item, ctx: StageContext) -> Outcome:
    """Die before the cause is mended, be done after."""
    if not IS_MENDED.is_set():
        DIED.add(ctx.idempotency_key)
        raise PermanentError("the cause is not mended yet", reason="http_503")
    MENDED.add(ctx.idempotency_key)
    return Done()


@stage(name="compile", accepts=CompileRequest)
async def compile_(_: CompileRequest, __: StageContext) -> Outcome:
    """Nothing to compile."""
    return Done()


DYING: Final = Flow("dying", DyingSpec, (crawl, extract, compile_), first=lambda spec: Item(n=spec.items))


async def measure(redis_url: str, letters: int, rate: float) -> dict[str, Any]:
    """Everything, on a server that nobody else should use."""
    async with _workers(redis_url) as (log, workers):
        return {
            "redrive": await _redrive(log, redis_url, letters, rate),
            "pause": await _pause(log, workers),
        }


async def _redrive(log: Log, redis_url: str, letters: int, rate: float) -> dict[str, Any]:
    flows = Flows([noop.flow, DYING])
    for _ in range(letters // EMITTED_AT_ONCE):
        await submit(log, flows, JobRequest(flow="dying", spec={"items": EMITTED_AT_ONCE}))
    dead = DeadLetters(log)
    await _until(lambda: len(DIED) >= letters, 120.0)
    counted = (await dead.count(LetterFilter())).letters
    before = await _live_ms(log, flows, MEASURED_S)
    IS_MENDED.set()
    await log.client.config_set("slowlog-log-slower-than", 100)
    await log.client.config_set("slowlog-max-len", 100_000)
    await log.client.slowlog_reset()
    live = asyncio.create_task(_live_ms(log, flows, letters / rate))
    began_s = time.perf_counter()
    redriving = [sys.executable, __file__, "--redrive", log.keys.namespace, "--rate", str(rate), "--url", redis_url]
    process = await asyncio.create_subprocess_exec(*redriving, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    worked = orjson.loads(out)
    sent_s = time.perf_counter() - began_s
    await _until(lambda: len(MENDED) >= letters, letters / rate + 30)
    took_s = time.perf_counter() - began_s
    during = await live
    sha = script("redrive").sha.encode()
    slow = [row["duration"] / 1_000 for row in await log.client.slowlog_get(10_000) if sha in row["command"][:60]]
    return {
        "letters": counted, "redriven": worked["done"], "lost": letters - len(MENDED),
        "left": (await dead.count(LetterFilter())).letters, "asked_per_s": rate, "had_per_s": worked["done"] / took_s,
        "sent_within_s": sent_s,
        "longest_redrive_script_ms": max(slow, default=0.1),
        "live_p99_ms_before": _p99(before), "live_p99_ms_during": _p99(during),
        "live_p99_ratio": _p99(during) / _p99(before),
    }  # fmt: skip


async def _pause(log: Log, workers: list[Worker]) -> dict[str, Any]:
    flows = Flows([noop.flow])
    starts: list[float] = []

    def heard(name: str, values: tuple[Any, ...]) -> None:
        if name == "started" and values[0].name.stage == "classify":
            starts.append(time.perf_counter())

    for worker in workers:
        worker.signals.listen(heard)
    live = asyncio.create_task(_live_ms(log, flows, 4.0, per_s=200, waits=False))
    await asyncio.sleep(1.0)
    pauses = Pauses(log.client, log.keys)
    await pauses.add("stage", "classify", reason="measured", by="bench")
    paused_s = time.perf_counter()
    await live
    last_ms = max((at - paused_s for at in starts), default=0.0) * 1_000
    late = sum(at - paused_s > 1.0 for at in starts)
    before = len(starts)
    await pauses.remove("stage", "classify")
    resumed_s = time.perf_counter()
    await _until(lambda: len(starts) > before, 10.0)
    return {
        "started_before": before, "started_later_than_1_s": late, "last_start_ms": max(0.0, last_ms),
        "resumed_within_ms": (min(at for at in starts[before:]) - resumed_s) * 1_000,
    }  # fmt: skip


async def _live_ms(
    log: Log, flows: Flows, for_s: float, *, per_s: float = LIVE_PER_S, waits: bool = True
) -> list[float]:
    """Submit jobs at a pace, and say how long each took to its end."""
    took: list[float] = []

    async def one() -> None:
        began_s = time.perf_counter()
        done = await submit(log, flows, JobRequest(flow="noop", spec={}))
        while waits:
            record = await log.job(done.job_id)
            if record is not None and "finished_at" in record.fields:
                took.append((time.perf_counter() - began_s) * 1_000)
                return
            await asyncio.sleep(0.002)

    began_s, jobs = time.perf_counter(), []
    for n in range(int(for_s * per_s)):
        await asyncio.sleep(max(0.0, began_s + n / per_s - time.perf_counter()))
        jobs.append(asyncio.create_task(one()))
    await asyncio.gather(*jobs)
    return took


async def _until(is_so: Callable[[], bool], within_s: float) -> None:
    """Look again and again until it is so, or the time is over."""
    deadline_s = time.perf_counter() + within_s
    while not is_so() and time.perf_counter() < deadline_s:  # noqa: ASYNC110 - no event for it
        await asyncio.sleep(0.005)


async def _redrive_apart(redis_url: str, namespace: str, rate: float) -> dict[str, Any]:
    """The redrive itself, in a process of its own as the command is."""
    client = connect(redis_url)
    dead = DeadLetters(Log(client, Keys(namespace), Flows([noop.flow, DYING]), record_ttl_s=3_600))
    worked = await dead.redrive(LetterFilter(until_ms=await dead.newest_ms()), per_s=rate)
    await client.aclose()
    return {"done": worked.done, "refused": dict(worked.refused)}


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


@contextlib.asynccontextmanager
async def _workers(redis_url: str) -> AsyncIterator[tuple[Log, list[Worker]]]:
    namespace = f"bench-{uuid.uuid4().hex[:8]}"
    settings = Settings(namespace=namespace)
    client = connect(redis_url)
    flows = Flows([noop.flow, DYING])
    log = Log(client, Keys(namespace), flows, record_ttl_s=3_600)
    async with SharedResources(settings, None) as resources:
        workers = [Worker(settings, redis_url=redis_url, flows=flows, resources=resources) for _ in range(2)]
        for worker in workers:
            await worker.start()
        try:
            yield log, workers
        finally:
            for worker in workers:
                await worker.drain(1.0)
            async for key in client.scan_iter(f"{namespace}:*", count=1_000):
                await client.unlink(key)
            await client.aclose()


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
    parser = argparse.ArgumentParser(description="Measure a paced redrive under live work, and a pause.")
    parser.add_argument("--letters", type=int, default=10_000, help="dead letters, a multiple of 100")
    parser.add_argument("--rate", type=float, default=500.0, help="letters a second")
    parser.add_argument("--redrive", metavar="NAMESPACE", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.redrive:
        sys.stdout.write(orjson.dumps(uvloop.run(_redrive_apart(asked.url, asked.redrive, asked.rate))).decode())
        return
    logging.disable(logging.CRITICAL)
    with _server() as redis_url:
        figures = uvloop.run(measure(redis_url, asked.letters, asked.rate))
    sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")


if __name__ == "__main__":
    main()
