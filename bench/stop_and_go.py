"""What stopping and going on costs: a paced redrive of dead letters under live work, and how soon a pause holds.

Two workers run in processes of their own, on an embedded server of its own (or MILLRACE_REDIS_URL). The redrive takes
turns with quiet spans of the same length, so that whatever else runs on this machine hits both. It prints JSON:

- ``redrive``: letters, the pace asked and had, letters lost, the median and the longest call of its script (ms, by the
  server's clock, with what it was preempted), and the p99 of live jobs (submit to end, ms) in the quiet spans and
  during the redrive.
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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
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
from streams.dlq import GATHERED_MS, DeadLetters, LetterFilter, Place
from streams.embedded import EmbeddedServers
from streams.errors import PermanentError
from streams.keys import Keys
from streams.log import Log
from streams.pauses import Pauses
from streams.policy import RetryPolicy, StagePolicy
from streams.scripts import script

EMITTED_AT_ONCE: Final = 100
LIVE_PER_S: Final = 20.0
ROUNDS: Final = 10
WORKERS: Final = 2


class Item(Payload):
    """What dies before the cause is mended: before the file is there."""

    n: int = 0
    mended: str = ""


class DyingSpec(Asked):
    """How many items a job has, and the file that says that the cause is mended."""

    items: int = EMITTED_AT_ONCE
    mended: str


@stage(name="crawl", accepts=Item, emits=("extract",))
async def crawl(item: Item, _: StageContext) -> Outcome:
    """Open the items."""
    return Done(tuple(Emit("extract", Item(n=n, mended=item.mended)) for n in range(item.n)))


@stage(
    name="extract",
    accepts=Item,
    policy=StagePolicy(retry=RetryPolicy(max_attempts=1), window=10_000),
)
async def extract(item: Item, _: StageContext) -> Outcome:
    """Die before the cause is mended, be done after."""
    if not Path(item.mended).exists():  # noqa: ASYNC240 - a look at a local file
        raise PermanentError("the cause is not mended yet", reason="http_503")
    return Done()


@stage(name="compile", accepts=CompileRequest)
async def compile_(_: CompileRequest, __: StageContext) -> Outcome:
    """Nothing to compile."""
    return Done()


DYING: Final = Flow(
    "dying", DyingSpec, (crawl, extract, compile_), first=lambda spec: Item(n=spec.items, mended=spec.mended)
)
FLOWS: Final = Flows([noop.flow, DYING])


async def measure(redis_url: str, letters: int, rate: float) -> dict[str, Any]:
    """Everything, on a server that nobody else should use."""
    async with _workers(redis_url) as (log, starts):
        return {"redrive": await _redrive(log, letters, rate), "pause": await _pause(log, starts)}


async def _redrive(log: Log, letters: int, rate: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder:
        mended = Path(folder) / "mended"
        spec = {"items": EMITTED_AT_ONCE, "mended": str(mended)}
        jobs = [
            (await submit(log, FLOWS, JobRequest(flow="dying", spec=spec))).job_id
            for _ in range(letters // EMITTED_AT_ONCE)
        ]
        dlq = log.keys.partition(0).dlq

        async def are_dead() -> bool:
            return bool(await log.client.xlen(dlq) >= letters)

        async def are_done() -> bool:
            return await _mended(log, jobs) >= letters

        await _until(are_dead, 120.0)
        mended.touch()
        for name, value in (("slowlog-log-slower-than", 100), ("slowlog-max-len", 100_000)):
            await log.client.config_set(name, value)
        await log.client.slowlog_reset()
        dead = DeadLetters(log)
        chosen = LetterFilter(until_ms=await dead.newest_ms())
        quiet: list[float] = []
        busy: list[float] = []
        redriven, after, span_s, took_s = 0, None, letters / rate / ROUNDS, 0.0
        for turn in range(ROUNDS):
            quiet += await _live_ms(log, span_s)
            most = letters // ROUNDS if turn < ROUNDS - 1 else letters
            done, after, turn_s, live = await _turn(log, dead, chosen, after, most, rate, span_s)
            redriven, took_s, busy = redriven + done, took_s + turn_s, busy + live
        await _until(are_done, 30.0)
        sha = script("redrive").sha.encode()
        slow = [row["duration"] / 1_000 for row in await log.client.slowlog_get(100_000) if sha in row["command"][:60]]
        return {
            "letters": letters, "redriven": redriven, "lost": letters - await _mended(log, jobs),
            "asked_per_s": rate, "had_per_s": redriven / took_s,
            "median_redrive_script_ms": median(slow or [0.1]), "longest_redrive_script_ms": max(slow, default=0.1),
            "live_p99_ms_quiet": _p99(quiet), "live_p99_ms_during": _p99(busy),
            "live_p99_ratio": _p99(busy) / _p99(quiet),
        }  # fmt: skip


async def _turn(
    log: Log, dead: DeadLetters, chosen: LetterFilter, after: Place | None, most: int, rate: float, span_s: float
) -> tuple[int, Place | None, float, list[float]]:
    """Redrive some, with live work meanwhile; how many, where to go on, seconds until they ran, how live jobs did."""
    live = asyncio.create_task(_live_ms(log, span_s))
    began_s = time.monotonic()
    worked = await dead.redrive(chosen, per_s=rate, after=after, most=most)
    timers = log.keys.partition(0).timers

    async def have_run() -> bool:
        return bool(await log.client.zcard(timers) == 0)

    await _until(have_run, span_s + 30)
    took_s = time.monotonic() - began_s - GATHERED_MS / 1_000  # the first waits so long
    return worked.done, worked.next, took_s, await live


async def _mended(log: Log, jobs: list[str]) -> int:
    records = [await log.job(job) for job in jobs]
    return sum(record.number("extract.done") for record in records if record is not None)


async def _pause(log: Log, starts: list[float]) -> dict[str, Any]:
    live = asyncio.create_task(_live_ms(log, 4.0, per_s=200, waits=False))
    await asyncio.sleep(1.0)
    pauses = Pauses(log.client, log.keys)
    await pauses.add("stage", "classify", reason="measured", by="bench")
    paused_s = time.monotonic()
    await live
    before = list(starts)

    async def runs_again() -> bool:
        return len(starts) > len(before)

    await pauses.remove("stage", "classify")
    resumed_s = time.monotonic()
    await _until(runs_again, 10.0)
    return {
        "started_later_than_1_s": sum(at - paused_s > 1.0 for at in before),
        "last_start_ms": max(0.0, (max(before) - paused_s) * 1_000),
        "resumed_within_ms": (min(starts[len(before) :]) - resumed_s) * 1_000,
    }


async def _live_ms(log: Log, for_s: float, *, per_s: float = LIVE_PER_S, waits: bool = True) -> list[float]:
    """Submit jobs at a pace, and say how long each took to its end."""
    took: list[float] = []

    async def one() -> None:
        began_s = time.monotonic()
        done = await submit(log, FLOWS, JobRequest(flow="noop", spec={}))
        key = log.keys.of_job(done.job_id).job(done.job_id)

        async def has_ended() -> bool:
            return bool(await log.client.hexists(key, "finished_at"))

        if waits:
            await _until(has_ended, 60.0)
            took.append((time.monotonic() - began_s) * 1_000)

    began_s, jobs = time.monotonic(), []
    for n in range(int(for_s * per_s)):
        await asyncio.sleep(max(0.0, began_s + n / per_s - time.monotonic()))
        jobs.append(asyncio.create_task(one()))
    await asyncio.gather(*jobs)
    return took


async def _until(is_so: Callable[[], Awaitable[bool]], within_s: float) -> None:
    """Look again and again until it is so, or the time is over."""
    deadline_s = time.monotonic() + within_s
    while not await is_so() and time.monotonic() < deadline_s:  # noqa: ASYNC110 - Redis tells no event
        await asyncio.sleep(0.003)


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


@contextlib.asynccontextmanager
async def _workers(redis_url: str) -> AsyncIterator[tuple[Log, list[float]]]:
    """Worker processes, and a list that gets the time of every start at classify."""
    namespace = f"bench-{uuid.uuid4().hex[:8]}"
    client = connect(redis_url)
    log = Log(client, Keys(namespace), FLOWS, record_ttl_s=3_600)
    command = [sys.executable, __file__, "--worker", namespace, "--url", redis_url]
    pipe = asyncio.subprocess.PIPE
    workers = [await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe) for _ in range(WORKERS)]
    starts: list[float] = []

    async def follow(out: asyncio.StreamReader) -> None:
        async for line in out:
            starts.append(float(line))  # noqa: PERF401 - as they come

    following = [asyncio.create_task(follow(worker.stdout)) for worker in workers if worker.stdout is not None]
    try:
        yield log, starts
    finally:
        for worker in workers:
            if worker.stdin is not None:
                worker.stdin.close()
            await worker.wait()
        await asyncio.gather(*following)
        async for key in client.scan_iter(f"{namespace}:*", count=1_000):
            await client.unlink(key)
        await client.aclose()


async def _work(redis_url: str, namespace: str) -> None:
    """Be a worker until standard input ends; print the time of every start at classify."""
    settings = Settings(namespace=namespace)
    async with SharedResources(settings, None) as resources:
        worker = Worker(settings, redis_url=redis_url, flows=FLOWS, resources=resources)

        def heard(name: str, values: tuple[Any, ...]) -> None:
            if name == "started" and values[0].name.stage == "classify":
                sys.stdout.write(f"{time.monotonic()}\n")
                sys.stdout.flush()

        worker.signals.listen(heard)
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
    parser = argparse.ArgumentParser(description="Measure a paced redrive under live work, and a pause.")
    parser.add_argument("--letters", type=int, default=10_000, help="dead letters, a multiple of 1,000")
    parser.add_argument("--rate", type=float, default=500.0, help="letters a second")
    parser.add_argument("--worker", metavar="NAMESPACE", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if asked.worker:
        uvloop.run(_work(asked.url, asked.worker))
        return
    with _server() as redis_url:
        figures = uvloop.run(measure(redis_url, asked.letters, asked.rate))
    sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")


if __name__ == "__main__":
    main()
