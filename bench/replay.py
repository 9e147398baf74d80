"""What archiving costs, and what a replay from the archive does to live traffic.

Servers of its own (as durable as those that ship) in a temporary folder; the worker is the shipped one, in a process of
its own, with all that a worker does beside its stages. Only the handlers do nothing. It prints one JSON line:

- ``archive``: throughput with and without archiving beside the work, in turn and several times, so that whatever else
  runs here hits both; `cpu_us` is of worker and server together for a transition, which a busy machine disturbs less.
- ``replay``: jobs that are in the archive alone are replayed at the rate, while other jobs come in steadily. `lost` are
  those without a job of their own or with another number of entries; ``live_ms`` is the time from a job's submission
  to its first handler, before and during the replay.

    .venv/bin/python bench/replay.py --entries 100000 --rate 2000
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import orjson
import uvloop

from api.bench.ground import Ground, sink
from api.bench.plan import Plan
from api.bench.rounds import Shape, Throughput, pipeline
from consumers import noop
from consumers.flow import Flows
from consumers.replays.record import Replays
from consumers.replays.run import Means, plan
from consumers.resources import SharedResources
from consumers.store import Store, upgrade
from consumers.submit import new_job, submit
from consumers.worker.follow import ArchiveFollower, HistoryFollower
from consumers.worker.replaying import Replayer
from consumers.worker.worker import Worker, WorkerOptions
from schemas.jobs import JobRequest
from schemas.names import STAGES
from schemas.replays import ReplayRequest, is_over
from schemas.settings import Settings
from streams.archiver import Archiver, raw_ranges
from streams.blobs import Blobs
from streams.connect import connect
from streams.embedded import EmbeddedServers
from streams.keys import Keys, job_id_for
from streams.log import Log

NAMESPACE: Final = "bench-replay"
PER_JOB: Final = len(STAGES)
BATCH: Final = 100
LIVE_PER_S: Final = 20.0
FLOWS: Final = Flows([noop.flow])


@dataclass(frozen=True, slots=True)
class Here:
    """Where it runs."""

    redis_url: str
    database_url: str
    folder: Path

    @property
    def settings(self) -> Settings:
        """Of every process."""
        return Settings(namespace=NAMESPACE, artifacts_url=str(self.folder / "artifacts"), home=self.folder)


async def work(redis_url: str, database_url: str, folder: str) -> None:
    """The worker process: until its input ends; then it prints when the first handler of each job began."""
    first_ns: dict[str, int] = {}

    async def note(_: Any, context: Any, handler: Any) -> Any:
        first_ns.setdefault(context.job_id, time.monotonic_ns())
        return await handler()

    here = Here(redis_url, database_url, Path(folder))
    options = WorkerOptions(middleware=(note,), follows=(HistoryFollower, ArchiveFollower, Replayer))
    async with SharedResources(here.settings, database_url) as resources:
        worker = Worker(here.settings, redis_url=redis_url, flows=FLOWS, resources=resources, options=options)
        await worker.start()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await worker.drain()
    sys.stdout.buffer.write(orjson.dumps(first_ns))


@asynccontextmanager
async def worker_of(here: Here, first_ns: dict[str, int]) -> AsyncIterator[None]:
    """A worker process; its notes are in `first_ns` when it has ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--worker", here.redis_url, here.database_url, str(here.folder),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 30,
    )  # fmt: skip
    assert process.stdin is not None  # noqa: S101 - asked for
    assert process.stdout is not None  # noqa: S101 - asked for
    try:
        assert await process.stdout.readline() == b"ready\n"  # noqa: S101 - it prints that first
        yield
    finally:
        process.stdin.close()
        first_ns.update(orjson.loads(await process.stdout.read() or b"{}"))
        await process.wait()


async def archive_cost(redis_url: str, folder: Path, jobs: int, rounds: int) -> dict[str, Any]:
    """Throughput with and without archiving, in turn."""
    without: list[Throughput] = []
    with_: list[Throughput] = []
    async with sink() as endpoint:
        ground = Ground(redis_url, Plan(jobs=jobs), lambda _: None, endpoint=endpoint)
        for turn in range(rounds + 1):
            runs = [(without, ""), (with_, str(folder / f"archive-{turn}"))]
            for kept, to in runs if turn % 2 else runs[::-1]:
                found = await pipeline(ground, Shape(archive_to=to))
                if turn:  # the first turn warms up
                    kept.append(found)
        await ground.client.aclose()

    def middle(name: str, runs: list[Throughput]) -> float:
        return median(getattr(one, name) for one in runs)

    def cpu_us(runs: list[Throughput]) -> float:
        return median(one.cpu_us_per_transition + one.server_cpu_us_per_transition for one in runs)

    return {
        "jobs": jobs, "rounds": rounds, "without_per_s": [one.transitions_per_s for one in without],
        "with_per_s": [one.transitions_per_s for one in with_],
        "cost": round(1 - middle("transitions_per_s", with_) / middle("transitions_per_s", without), 4),
        "cpu_us": {"without": round(cpu_us(without), 2), "with": round(cpu_us(with_), 2)},
        "cpu_cost": round(cpu_us(with_) / cpu_us(without) - 1, 4),
    }  # fmt: skip


async def catch_up(here: Here, keys: Keys) -> dict[str, Any]:
    """Archive all that is there without a pause, then let Redis forget it; what that took."""
    client, blobs = raw_ranges(connect(here.redis_url, single=True)), Blobs.open(here.settings.artifacts_location)
    entries, length = 0, 0
    for partition in keys.all_partitions:
        # The worker has archived some of it meanwhile.
        (group,) = [one for one in await client.xinfo_groups(partition.lifecycle) if one["name"] == b"archive"]
        after = group["last-delivered-id"].decode()
        while rows := await client.xrange(partition.lifecycle, f"({after}", "+", count=5_000):
            entries += len(rows)
            after = rows[-1][0].decode()
    info = await client.info("cpu")
    before = {
        "wall": time.perf_counter(), "cpu": time.process_time(),
        "server": float(info["used_cpu_user"] + info["used_cpu_sys"]),
    }  # fmt: skip
    for partition in keys.all_partitions:
        archiver = Archiver(client, blobs.chunks, keys.namespace, "bench", max_bytes=1 << 30)
        await client.delete(partition.archiver)
        await archiver.catch_up(partition)
        await archiver.let_go(partition)
    info = await client.info("cpu")
    took = {
        "wall": time.perf_counter() - before["wall"], "cpu": time.process_time() - before["cpu"],
        "server": float(info["used_cpu_user"] + info["used_cpu_sys"]) - before["server"],
    }  # fmt: skip
    for partition in keys.all_partitions:
        length += await client.xlen(partition.lifecycle)
        await client.xtrim(partition.lifecycle, maxlen=0, approximate=False)
    size_bytes = sum([one.size_bytes async for one in blobs.chunks.list_raw(f"archive/{keys.namespace}")])
    blobs.close()
    await client.aclose()
    entries = max(1, entries)
    return {
        "entries": length, "without_rest": entries, "entries_per_s": round(entries / took["wall"]),
        "cpu_us_per_entry": round(took["cpu"] / entries * 1e6, 2),
        "server_us_per_entry": round(took["server"] / entries * 1e6, 2),
        "bytes_per_entry": round(size_bytes / length, 1),
    }  # fmt: skip


async def live(log: Log, seconds: Callable[[], bool]) -> dict[str, int]:
    """Submit jobs steadily for as long as told; job id -> when `submit` was called."""
    called: dict[str, int] = {}
    began = time.perf_counter()
    while seconds():
        await asyncio.sleep(max(0.0, began + len(called) / LIVE_PER_S - time.perf_counter()))
        at = time.monotonic_ns()
        called[(await submit(log, FLOWS, JobRequest(flow="noop", spec={}))).job_id] = at
    return called


def cuts(called: dict[str, int], first_ns: dict[str, int]) -> dict[str, float]:
    """p50 and p99 of the time to a job's first handler."""
    waits = [(first_ns[job] - at) / 1e6 for job, at in called.items()]
    found = quantiles(waits, n=100, method="inclusive")
    return {"jobs": len(waits), "p50": round(found[49], 2), "p99": round(found[98], 2)}


async def replay(here: Here, jobs: int, rate: float, quiet_s: float) -> dict[str, Any]:
    """Fill the archive, replay it, and look at live traffic meanwhile."""
    settings = here.settings
    client = connect(here.redis_url)
    keys = Keys(NAMESPACE)
    log = Log(client, keys, FLOWS, record_ttl_s=settings.record_ttl_s)
    store, blobs = Store.connect(here.database_url), Blobs.open(settings.artifacts_location)
    request = ReplayRequest.model_validate(
        {"select": {"flow": "noop"}, "from_stage": "crawl", "rate": {"entries_per_s": rate}}
    )
    first_ns: dict[str, int] = {}
    async with worker_of(here, first_ns):
        for start in range(0, jobs, BATCH):
            batch = [
                new_job(noop.flow, JobRequest(flow="noop", spec={"n": n}), job_id_for(f"bench {n}", 1),
                        tenant="default", traceparent=f"00-{n + 1:032x}-{n + 1:016x}-00")
                for n in range(start, min(start + BATCH, jobs))
            ]  # fmt: skip
            await log.submit_many(batch)
        await until_history(store, jobs)
    archived = await catch_up(here, keys)
    async with worker_of(here, first_ns):
        warm = time.monotonic() + 3
        await live(log, lambda: time.monotonic() < warm)
        quiet = time.monotonic() + quiet_s
        before = await live(log, lambda: time.monotonic() < quiet)
        # The live jobs so far are not a part of it: it takes what the archive alone has.
        planned = await plan(Means(log, FLOWS, store, blobs), request, tenant="default", most=200)
        replays = Replays(client, keys)
        until = request.select.model_copy(update={"jobs": ()})
        record = await replays.create(
            request.model_copy(update={"select": until}), tenant="default", created_by="bench"
        )
        began = time.monotonic()
        states: list[tuple[float, int]] = []

        def goes_on() -> bool:
            return not states or states[-1][0] >= 0

        async def watch() -> None:
            while True:
                now = await replays.get(record.replay_id)
                states.append((time.monotonic() - began, now.entries))
                if is_over(now.status):
                    states.append((-1.0, now.entries))
                    return
                await asyncio.sleep(0.25)

        during, _ = await asyncio.gather(live(log, goes_on), watch())
        done = await replays.get(record.replay_id)
        took_s = (done.finished_ms - done.started_ms) / 1_000
        await until_history(store, done.jobs, replay=record.replay_id)
        for _ in range(60):  # the last notification of a job ends after the job
            lost = await lost_of(store, record.replay_id, jobs)
            if not lost:
                break
            await asyncio.sleep(1)
    quiet_ms, busy_ms = cuts(before, first_ns), cuts(during, first_ns)
    await client.aclose()
    blobs.close()
    await store.close()
    return {
        "status": done.status, "jobs": done.jobs, "entries": done.entries, "missing": done.missing, "lost": lost,
        "rate": rate, "reached_per_s": round(done.entries / took_s, 1), "took_s": round(took_s, 1),
        "looked_at_first": planned.jobs, "live_ms": {"quiet": quiet_ms, "during": busy_ms},
        "p99_ratio": round(busy_ms["p99"] / quiet_ms["p99"], 2), "archived": archived,
    }  # fmt: skip


async def until_history(store: Store, jobs: int, replay: str | None = None) -> None:
    """Wait until so many jobs have ended, as history knows."""
    from sqlalchemy import func, select  # noqa: PLC0415 - here only

    from consumers.store.models import Job  # noqa: PLC0415

    query = select(func.count()).where(Job.finished_at.is_not(None))
    if replay is not None:
        query = query.where(Job.replay == replay)
    async with asyncio.timeout(900):
        while True:
            async with store.database.begin() as session:
                if (await session.scalar(query) or 0) >= jobs:
                    return
            await asyncio.sleep(0.3)


async def lost_of(store: Store, replay: str, jobs: int) -> int:
    """Of the jobs that were first, how many have not exactly one replay that ended well after its six tasks."""
    from sqlalchemy import text  # noqa: PLC0415 - here only

    query = text("""
        SELECT count(DISTINCT j.origin) FROM jobs j WHERE j.replay = :replay AND j.status = 'succeeded' AND 6 = (
            SELECT count(*) FROM task_events e WHERE e.job_id = j.job_id AND e.type = 'completed')
        AND j.origin IN (SELECT job_id FROM jobs WHERE replay IS NULL ORDER BY created_at, job_id LIMIT :jobs)
    """)
    async with store.database.begin() as session:
        return jobs - int(await session.scalar(query, {"replay": replay, "jobs": jobs}) or 0)


async def main(asked: argparse.Namespace) -> dict[str, Any]:
    """Everything."""
    found: dict[str, Any] = {}
    load = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        home = Path(name)
        # PostgreSQL that root starts runs as a user of its own, who must get there.
        await asyncio.to_thread(home.chmod, 0o755)
        servers = await asyncio.to_thread(EmbeddedServers.start, home)
        try:
            if asked.rounds:
                found["archive"] = await archive_cost(servers.redis_url, home, asked.jobs, asked.rounds)
            if asked.entries:
                await upgrade(servers.database_url)
                here = Here(servers.redis_url, servers.database_url, home)
                found["replay"] = await replay(here, -(-asked.entries // PER_JOB), asked.rate, asked.quiet)
        finally:
            await asyncio.to_thread(servers.stop)
    found["conditions"] = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores", "fsync": "always",
        "load_average_before": [round(one, 2) for one in load],
        "load_average_after": [round(one, 2) for one in os.getloadavg()],
    }  # fmt: skip
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000, help="replayed from the archive; 0 for none")
    parser.add_argument("--rate", type=float, default=2_000, help="of the replay, entries a second")
    parser.add_argument("--quiet", type=float, default=20, help="seconds of live traffic before it")
    parser.add_argument("--jobs", type=int, default=5_000, help="of six transitions, in each run of the archive's cost")
    parser.add_argument("--rounds", type=int, default=5, help="runs with and without archiving; 0 for none")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        uvloop.run(work(*given.worker))
    else:
        sys.stdout.buffer.write(orjson.dumps(uvloop.run(main(given))) + b"\n")
