"""The same worker on every arrangement of servers: many partitions, a Cluster, Sentinel, TLS; and their failovers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from api.live import Hub
from consumers.context import StageContext
from consumers.maintenance.chores import CHORES
from consumers.maintenance.yard import Yard
from consumers.noop import flow as noop
from consumers.outcome import Done, Outcome, Reject
from consumers.replays.gather import Chosen, recorded
from consumers.replays.record import Replays
from consumers.schedules import Kept, Ticker
from consumers.store import Store
from consumers.submit import new_job
from consumers.worker.follow import ArchiveFollower, HistoryFollower, Retention
from consumers.worker.ingest import Ingest
from consumers.worker.worker import Worker
from schemas.events import SUBMIT
from schemas.jobs import JobRequest
from schemas.maintenance import Order
from schemas.names import JobId
from schemas.replays import ReplayRequest
from schemas.schedules import ScheduleChange
from streams import archive
from streams.connect import AWAY
from streams.copying import Copy, begin, carry_out
from streams.errors import PermanentError, Refused, TransientError
from streams.keys import job_id_for
from streams.log import Log
from streams.policy import AtOnce, RateLimit, StagePolicy
from streams.replay import ReplayedJob, open_replayed
from streams.scripts import Code
from streams.sweep import sweep_claims
from streams.telemetry import setup
from streams.telemetry.traceparent import trace_of_job
from tests.support import topologies
from tests.support.chaos_local import Here, Note, flow_of, handing_on, here

if TYPE_CHECKING:
    from pathlib import Path

    from streams.groups import Entries

pytestmark = pytest.mark.redis

PARTITIONS = 16
JOBS = 48


@pytest.fixture(scope="module")
def cluster_url(redis_server: str | None) -> Iterator[str]:
    with topologies.cluster(redis_server) as cluster:
        yield cluster.url


@pytest.fixture(scope="module")
def sentinel_url(redis_server: str | None) -> Iterator[str]:
    with topologies.watched(redis_server) as watched:
        yield watched.url


@pytest.fixture(scope="module")
def tls_url(redis_server: str | None) -> Iterator[str]:
    if not topologies.speaks_tls(redis_server):
        pytest.skip("this server was built without TLS")
    with topologies.behind_tls(redis_server) as url:
        yield url


@pytest.fixture(params=["one server", "cluster", "sentinel", "tls"])
def redis_url(request: pytest.FixtureRequest) -> str:
    fixture = {"one server": "valkey_url", "cluster": "cluster_url", "sentinel": "sentinel_url", "tls": "tls_url"}
    url: str = request.getfixturevalue(fixture[request.param])
    return url


class Told(HistoryFollower):
    """The history group's member, with a list in the place of PostgreSQL."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self.entries: list[tuple[int, str]] = []

    async def handle(self, partition: int, entries: Entries) -> None:
        self.entries += [(partition, entry_id) for entry_id, _ in entries]


class PromptArchive(ArchiveFollower):
    within_s = 0.1


def making(made: list[Any], kind: Callable[[Worker], Any]) -> Callable[[Worker], Any]:
    def make(worker: Worker) -> Any:
        made.append(kind(worker))
        return made[-1]

    return make


class Repairs:
    """What the flow's tasks wait for."""

    def __init__(self) -> None:
        self.is_done = False

    async def classify(self, note: Note, ctx: StageContext) -> Outcome:
        if note.n == 1 and ctx.attempt == 1:
            raise TransientError("not yet")
        if note.n == 2 and not self.is_done:
            return Reject("broken")
        return Done()


@asynccontextmanager
async def everywhere(
    redis_url: str, namespace: str, home: Path, **settings: Any
) -> AsyncIterator[tuple[Here, Repairs]]:
    repairs = Repairs()
    flow = flow_of(crawl=handing_on("classify", 4), classify=repairs.classify)
    given = {"partitions": PARTITIONS, "home": home, "lease_ms": 2_000, **settings}
    async with here(redis_url, namespace, noop, flow, **given) as place:
        yield place, repairs


async def submit_noops(place: Here, jobs: int, *, after: str = "") -> list[str]:
    flow = place.flows.get("noop")
    ids = [JobId(f"{at % PARTITIONS}-noop{after}.{at}") for at in range(jobs)]
    request = JobRequest(flow="noop", spec={"fan_out": 3})
    new = [
        new_job(flow, request, one, tenant="default", traceparent=str(trace_of_job(one, setup.current.sampler)))
        for one in ids
    ]
    place.accepted += [one for one in ids if one not in place.accepted]
    assert set(await place.log.submit_many(new)) <= {Code.OK, Code.DUPLICATE}
    assert await place.log.submit_many(new) == [Code.DUPLICATE] * jobs
    return list(ids)


async def test_a_worker_does_everything_everywhere(redis_url: str, namespace: str, tmp_path: Path) -> None:
    async with everywhere(redis_url, namespace, tmp_path) as (place, repairs):
        told: list[Told] = []
        worker = await place.start(follows=(Ingest, making(told, Told), PromptArchive, Retention))
        ids = await submit_noops(place, JOBS)
        run_at = datetime.now(UTC) + timedelta(seconds=0.5)
        lively = await place.submit()
        delayed = await place.submit(run_at=run_at)
        event = {"type": SUBMIT, "source": "test", "id": "1", "data": orjson.dumps({"flow": "noop", "spec": {}})}
        await place.log.client.xadd(place.log.keys.events, event)
        await place.log.client.xadd(place.log.keys.events, {"type": "other"})

        for job in (lively, delayed):
            assert (await place.ended(job)).status == "partial"
        assert len(await place.told(lively, "retried")) == 1
        (promoted,) = [at for at, row in await place.log.lifecycle(delayed) if row["type"] == "promoted"][:1]
        assert int(promoted.partition("-")[0]) >= int(run_at.timestamp() * 1_000)
        repairs.is_done = True
        letters = await place.log.dead_letters()
        assert sorted(letter.fields["reason"] for letter in letters) == ["broken", "broken", "no_data"]
        mine = [letter.dead_id for letter in letters if letter.fields["job"]]
        assert await place.log.redrive(mine) == [Code.OK, Code.OK]
        for job in (lively, delayed):
            record = await place.ended(job)
            assert (record.status, record.revision) == ("succeeded", 2)
        for job in ids:
            assert (await place.ended(job)).status == "succeeded"
        place.accepted.append(job_id_for('event ["test","1"]', PARTITIONS))
        assert (await place.ended(place.accepted[-1])).status == "succeeded"
        await place.check()

        client, keys = place.log.client, place.log.keys
        assert await client.xlen(keys.events) == 0
        assert await client.get(keys.worker(worker.name)) is not None
        assert await client.smembers(keys.workers) == {worker.name.encode()}
        lifecycle = {
            (partition.partition, entry_id.decode())
            for partition in keys.all_partitions
            for entry_id, _ in await client.xrange(partition.lifecycle)
        }
        await place.until(lambda: set(told[0].entries) == lifecycle, "history")
        assert len(told[0].entries) == len(lifecycle)
        chunks = place.resources.blobs.chunks

        async def is_archived() -> bool:
            kept = [
                (partition.partition, entry_id)
                for partition in keys.all_partitions
                async for entry_id, _ in archive.read(chunks, namespace, partition.partition)
            ]
            return set(kept) == lifecycle

        await place.until(is_archived, "the archive")


async def test_what_happens_to_a_job_is_told_live_everywhere(redis_url: str, namespace: str, tmp_path: Path) -> None:
    async with everywhere(redis_url, namespace, tmp_path) as (place, _), Hub(redis_url, place.log.keys) as hub:
        await place.start()
        for partition in (0, PARTITIONS - 1):
            job = f"{partition}-told"
            async with hub.of(job) as happens:
                await place.submit("noop", job_id=job)
                await place.ended(job)
                told = await place.log.lifecycle(job)
                heard = [await happens.next(5.0) for _ in told]
            assert [entry.entry_id for entry in heard if entry] == [entry_id for entry_id, _ in told]


def no_database() -> Store:
    raise PermanentError("there is no database here", reason="no_database")


async def test_schedules_limits_and_chores_work_everywhere(redis_url: str, namespace: str, tmp_path: Path) -> None:
    gone: list[int] = []

    async def one_by_one(note: Note, ctx: StageContext) -> Outcome:
        gone.append(note.n)
        return Done()

    limits = (AtOnce("site", 1), RateLimit("page", 100, 1.0))
    flow = flow_of(crawl=one_by_one, policies={"crawl": StagePolicy(limits=limits)})
    given: dict[str, Any] = {"partitions": PARTITIONS, "home": tmp_path, "lease_ms": 2_000}
    async with here(redis_url, namespace, flow, **given) as place:
        await place.start()
        ticker = Ticker(place.log, place.flows)
        now = (await ticker.book.now()).replace(microsecond=0)
        plan = ScheduleChange.model_validate({"every_s": 1, "missed": "run_all", "job": {"flow": "one", "spec": {}}})
        schedule = Kept(tenant="default", name="x", plan=plan, anchor_ms=round(now.timestamp() * 1_000))
        schedule = await ticker.book.put(await ticker.book.put(schedule, now), now)
        assert await ticker.run_due(now + timedelta(seconds=5)) == 5
        await place.until(lambda: len(gone) == 5, "the ticks' jobs")
        (state,) = await ticker.book.states([schedule])
        assert (await place.ended(state.job_id)).status == "succeeded"
        for chore in ("memory", "health", "stale"):
            yard = Yard(Order(chore=chore), now, place.log, place.settings, no_database, lambda: place.resources.blobs)
            assert (await CHORES[chore](yard)).chore == chore
        await ticker.book.remove(schedule)
        assert await ticker.run_due(now + timedelta(seconds=60)) == 0


@pytest.mark.parametrize("slots", [1, 64])
async def test_a_clusters_doorbells_ring_soon(cluster_url: str, namespace: str, tmp_path: Path, slots: int) -> None:
    async with everywhere(cluster_url, namespace, tmp_path) as (place, _):
        await place.start(concurrency=slots)
        began = time.monotonic()
        for partition in range(PARTITIONS):
            await place.submit("noop", job_id=f"{partition}-quick")
            await place.ended(f"{partition}-quick")
        # Six times a job rings; at one bell for all in turn it would take 6 s or so.
        assert (time.monotonic() - began) / PARTITIONS < 1.5


@pytest.mark.parametrize("event", ["hand_over", "crash"])
@pytest.mark.parametrize("kind", ["sentinel", "cluster"])
async def test_work_goes_on_after_a_failover(
    kind: str, event: str, redis_server: str | None, namespace: str, tmp_path: Path
) -> None:
    started = (
        topologies.watched(redis_server) if kind == "sentinel" else topologies.cluster(redis_server, replicas=True)
    )
    with started as servers:
        async with everywhere(servers.url, namespace, tmp_path, lease_ms=1_000) as (place, repairs):
            repairs.is_done = True
            usual = place.log
            told: list[Told] = []
            await place.start(follows=(Ingest, making(told, Told)))
            async with Hub(servers.url, place.log.keys) as hub, hub.of("0-after") as happens:
                # The promise holds for what a replica has.
                place.log = Log(usual.client, usual.keys, place.flows, record_ttl_s=3_600, wait_replicas=1)
                before = await submit_noops(place, JOBS)
                await place.until(lambda: len(place.signals) > JOBS, "work")
                await asyncio.to_thread(getattr(servers, event))
                place.log = usual
                await insist(lambda: submit_noops(place, PARTITIONS, after="after"))
                await insist(lambda: place.submit(job_id="0-after", run_at=datetime.now(UTC) + timedelta(seconds=0.2)))
                data = orjson.dumps({"flow": "noop", "spec": {}, "job_id": "0-event"})
                await place.log.client.xadd(place.log.keys.events, {"type": SUBMIT, "data": data})
                place.accepted.append("0-event")
                for job in dict.fromkeys([*before, *place.accepted]):
                    assert (await place.ended(job, timeout_s=30)).status == "succeeded"
                heard = [entry.entry_id for _ in range(4) if (entry := await happens.next(5.0))]
                assert heard == [entry_id for entry_id, _ in await place.log.lifecycle("0-after")][:4]
            assert not any(worker.crashed for worker in place.workers)
            await place.check()

            async def is_told() -> bool:
                lengths = [await place.log.client.xlen(keys.lifecycle) for keys in place.log.keys.all_partitions]
                return bool(len(set(told[0].entries)) >= sum(lengths))

            await place.until(is_told, "history")


async def test_a_submission_is_acknowledged_by_replicas_or_refused(
    redis_server: str | None, namespace: str, tmp_path: Path
) -> None:
    with topologies.cluster(redis_server, replicas=True) as cluster:
        async with everywhere(cluster.url, namespace, tmp_path) as (place, _):
            place.log = Log(place.log.client, place.log.keys, place.flows, record_ttl_s=3_600, wait_replicas=1)
            await place.submit("noop", job_id="0-first")
            for replica in cluster.replicas:
                replica.kill()
            for _ in range(2):  # it is there by then, but still on one server only
                with pytest.raises(Refused, match="MILLRACE_WAIT_REPLICAS"):
                    await place.submit("noop", job_id="0-second")


async def insist(attempt: Callable[[], Awaitable[Any]]) -> None:
    """Try again while the log is away, or has no replica, as any client would."""
    async with asyncio.timeout(20):
        while True:
            try:
                await attempt()
            except (*AWAY, Refused):
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_part_of_a_job_runs_again_everywhere(redis_url: str, namespace: str, tmp_path: Path) -> None:
    async with everywhere(redis_url, namespace, tmp_path) as (place, _):
        await place.start()
        client, keys, blobs = place.log.client, place.log.keys, place.resources.blobs
        origins = await submit_noops(place, 3)
        for at, origin in enumerate(origins):
            await place.ended(origin)
            record = await place.log.job(origin)
            assert record is not None
            ended_ms = record.number("finished_at")
            chosen = Chosen(origin, "noop", "default", "succeeded", record.created_ms, ended_ms)
            cut = (await recorded(place.log, blobs, [chosen]))[origin].cut("download")
            again = ReplayedJob(
                JobId(f"{(at + 5) % PARTITIONS}-again.{at}"), "noop", cut.tasks, cut.next_task, b"{}", "",
                origin=origin, once=("a", "b"), reused=cut.reused,
            )  # fmt: skip
            assert await open_replayed(place.log, again) == Code.OK
            assert await open_replayed(place.log, again) == Code.DUPLICATE
            done = await place.ended(again.job_id)
            assert (done.status, done.number("extract.done"), done.origin) == ("succeeded", 3, origin)

        replays = Replays(client, keys)
        request = ReplayRequest.model_validate({"select": {"flow": "noop"}})
        asked = await replays.create(request, tenant="default", created_by="test")
        assert await replays.hold(asked.replay_id, "a", 10_000)
        assert not await replays.hold(asked.replay_id, "b", 10_000)
        await replays.begin(asked)
        assert await replays.note(asked)
        await replays.cancel(asked.replay_id, tenant="default")
        assert not await replays.note(asked)
        await replays.end(asked, "cancelled")
        assert [one.status for one in await replays.page(tenant="default", before=None, limit=5)] == ["cancelled"]

        source = keys.partition(0).lifecycle
        copy = await begin(client, keys, Copy(source, f"{namespace}-into"), resume=False, force=False)
        copied = [at.copied async for at in carry_out(client, keys, copy, per_s=1e6)]
        assert copied[-1] == await client.xlen(f"{namespace}-into") > 0
        assert not (await sweep_claims(client, keys, blobs.chunks)).missing
