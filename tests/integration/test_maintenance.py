"""What keeps a Millrace in order: each chore on real servers, at the time that the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from api.environment import Place
from api.up import Plan, Workers, _work
from consumers.email.flow import flow as email
from consumers.flow import Flows
from consumers.maintenance.built_in import built_in, keep_built_in
from consumers.maintenance.chores import CHORES
from consumers.maintenance.flow import flow as maintenance
from consumers.maintenance.yard import Yard
from consumers.noop import flow as noop
from consumers.outcome import Done, Outcome
from consumers.schedules import Book, Ticker
from consumers.store import Store
from consumers.store.cleanup import OF_JOBS
from consumers.store.logs import LogLine
from consumers.store.memos import Remembered
from consumers.submit import submit
from consumers.worker.follow import HistoryFollower
from consumers.worker.schedules import ScheduleLoop
from consumers.worker.watchdog import DEAF_AFTER_S, Watchdog
from schemas.jobs import JobRequest
from schemas.maintenance import Order, Report
from schemas.settings import Settings
from streams.errors import PermanentError
from streams.findings import Finding, Findings
from streams.keys import Keys
from streams.overrides import Override, Overrides
from streams.policy import StagePolicy
from streams.pressure import Overloaded, Pressure, fullest
from streams.reader import GROUP
from streams.record import JobRecord
from tests.support.api_place import ApiPlace, until
from tests.support.chaos_local import Here, Note, flow_of, here
from tests.support.postbox import open_postbox

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def yard(
    place: Here,
    chore: str,
    store: Store | None = None,
    now: datetime = NOW,
    settings: Settings | None = None,
    **order: Any,
) -> Yard:
    def kept() -> Store:
        if store is None:
            raise PermanentError("there is no database here", reason="no_database")
        return store

    return Yard(
        Order(chore=chore, **order), now, place.log, settings or place.settings, kept, lambda: place.resources.blobs
    )


async def done(place: Here, chore: str, store: Store | None = None, **rest: Any) -> Report:
    return await CHORES[chore](yard(place, chore, store, **rest))


def ended(job_id: str, tenant: str, at: datetime, flow: str = "noop", status: str = "succeeded") -> list[Any]:
    """Lifecycle entries of a job that was submitted and ended at an instant."""
    ms = int(at.timestamp() * 1_000)
    common = {"job": job_id, "flow": flow, "tenant": tenant, "revision": "1"}
    return [
        (f"{ms}-0", {"type": "submitted", **common, "task": "1", "stage": "crawl", "status": "queued", "spec": "{}"}),
        (f"{ms}-1", {"type": "completed", **common, "task": "1", "stage": "crawl", "status": status}),
    ]


async def keep(store: Store, job_id: str, tenant: str, at: datetime, **rest: Any) -> None:
    """A job with a row in every table."""
    await store.jobs.project(0, ended(job_id, tenant, at, **rest))
    await store.contributions.put(job_id, 1, 0, {"n": 1}, tenant=tenant, revision=1)
    await store.results.put(job_id, {"n": 1}, tenant=tenant, revision=1, expires_at=at + timedelta(days=400))
    await store.artifacts.put(
        job_id, 1, "a.txt", tenant=tenant, sha256="0" * 64, content_type="text/plain", size_bytes=1
    )
    await store.deliveries.begin(
        f"{job_id}/1", tenant=tenant, job_id=job_id, revision=1, channel="mail", target="a@example.com"
    )
    await store.logs.append([LogLine(job_id, tenant, at, "info", "a line", {})])
    one = Remembered(is_json=True, body=b"1", took_s=1.0)
    await store.memos.put(job_id, one, tenant=tenant, job_id=job_id, task=1, stage="extract")


async def test_what_is_old_goes_and_the_rest_stays(valkey_url: str, namespace: str, store: Store, tenant: str) -> None:
    old, young, own = f"0-{tenant}-old", f"0-{tenant}-young", f"0-{tenant}-own"
    await keep(store, old, tenant, NOW - timedelta(days=91))
    await keep(store, young, tenant, NOW - timedelta(days=89))
    await keep(store, own, tenant, NOW - timedelta(days=3), flow="maintenance")
    await store.results.put("0-brief", {"n": 1}, tenant=tenant, revision=1, expires_at=NOW - timedelta(seconds=1))
    async with here(valkey_url, namespace, noop) as place:
        would = await done(place, "clean_up", store, dry_run=True)
        counts = {"expired_results": 1, "memo": 0, **{table.__tablename__: 2 for table in OF_JOBS}}
        assert would.counts == counts | {"task_events": 4}
        assert "2 rows of jobs would be removed" in would.said
        assert await store.jobs.get(old, tenant=tenant) is not None, "a dry run removes nothing"
        report = await done(place, "clean_up", store)
        assert report.counts == would.counts
        assert [await store.jobs.get(job, tenant=tenant) is not None for job in (old, young, own)] == [
            False, True, False,
        ]  # fmt: skip
        assert await store.deliveries.of(young, tenant=tenant)
        again = await done(place, "clean_up", store)
        assert set(again.counts.values()) == {0}
        assert (await done(place, "clean_up", store, older_than_days=80)).counts["jobs"] == 1


async def test_a_result_is_kept_as_long_as_its_job_says_or_the_setting(
    valkey_url: str, namespace: str, store_url: str, store: Store
) -> None:
    async def compiles(_: Any, __: Any) -> Outcome:
        return Done(result=Note(n=1))

    flow = flow_of(compile=compiles)
    async with here(valkey_url, namespace, flow, store_url=store_url, result_ttl_s=7_200) as place:
        await place.start()
        for ttl_s, expected_s in ((None, 7_200), (120, 120)):
            job = await place.submit(result_ttl_s=ttl_s)
            await place.ended(job)
            kept = await store.results.get(job, tenant="default")
            assert kept is not None
            assert kept.expires_at is not None
            assert 0 <= expected_s - (kept.expires_at - datetime.now(UTC)).total_seconds() < 30


async def test_nearly_full_redis_holds_submissions_back_and_tells(place: ApiPlace, namespace: str) -> None:
    async with here(place.redis_url, namespace, noop, email, maintenance) as inner:
        findings, pressure = Findings(inner.log.client, inner.log.keys), Pressure(inner.log.client, inner.log.keys)
        used = (await inner.log.client.info("memory"))["used_memory"]
        settings = inner.settings.model_copy(update={"digest_to": ("ops@example.com",)})
        before = await inner.log.client.config_get("maxmemory")
        try:
            await inner.log.client.config_set("maxmemory", int(used / 0.9))
            report = await done(inner, "memory", settings=settings)
            assert report.facts["share"] > 0.8
            assert await pressure.said()
            refused = await place.call("POST", "jobs", {"flow": "noop", "spec": {}})
            assert (refused.status, refused.headers["retry-after"]) == (503, "30")
            assert refused.body["reason"] == "back_pressure"
            assert "maxmemory" in refused.body["detail"]
            with pytest.raises(Overloaded):
                await pressure.check()
            (finding,) = await findings.all()
            assert finding.kind == "redis_nearly_full"
            await done(inner, "memory", settings=settings)  # the alert is mailed once an hour
            rows = await inner.log.client.xrange(inner.log.keys.partition(0).lifecycle)
            assert [row[b"flow"] for _, row in rows if row[b"type"] == b"submitted"] == [b"email"]

            await inner.log.client.config_set("maxmemory", int(used / 0.3))
            await done(inner, "memory")
            assert await findings.all() == []
            assert not await Pressure(inner.log.client, inner.log.keys).said()
        finally:
            await inner.log.client.config_set("maxmemory", before["maxmemory"])
    await asyncio.sleep(1.0)
    assert (await place.call("POST", "jobs", {"flow": "noop", "spec": {}})).status == 202


def test_the_fullest_node_counts() -> None:
    infos = [
        {"used_memory": 10, "maxmemory": 0},
        {"used_memory": 8, "maxmemory": 10},
        {"used_memory": 9, "maxmemory": 90},
    ]
    assert fullest(infos) == (0.8, 8, 10)


async def test_a_pool_with_work_and_no_worker_is_found(valkey_url: str, namespace: str) -> None:
    flow = flow_of(policies={"crawl": StagePolicy(pool="browser")})
    async with here(valkey_url, namespace, flow) as place:
        await place.start()
        await place.submit()
        findings = Findings(place.log.client, place.log.keys)
        assert (await done(place, "health", dry_run=True)).counts["lonely_pools"] == 1
        assert await findings.all() == []
        await done(place, "health")
        (finding,) = await findings.all()
        assert (finding.kind, finding.subject) == ("no_worker_for_pool", "browser")
        assert "--pools browser" in finding.cure
        await place.start(pools=("browser",))

        async def is_read() -> bool:
            await done(place, "health")
            return await findings.all() == []

        await place.until(is_read, "the pool's worker to be seen")


async def test_what_workers_left_behind_goes(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        worker = await place.start()
        client, keys = place.log.client, place.log.keys
        stream = keys.partition(0).stream("crawl")
        await client.xgroup_createconsumer(stream, GROUP, "long-gone")
        await client.xgroup_createconsumer(stream, GROUP, "holds-something")
        entry = await client.xadd(stream, {"job": "", "flow": "gone", "data": "{}"})
        await client.xclaim(stream, GROUP, "holds-something", 0, [entry], force=True)
        await client.sadd(keys.workers, "long-gone")

        def names(consumers: list[dict[str, Any]]) -> set[str]:
            return {one["name"].decode() for one in consumers}

        assert (await done(place, "stale", dry_run=True)).counts["absent_workers"] == 1
        report = await done(place, "stale")
        assert report.counts["absent_workers"] == 1
        assert report.counts["left_consumers"] == 0, "it may come back within a day"
        assert await client.smembers(keys.workers) == {worker.name.encode()}
        assert "long-gone" in names(await client.xinfo_consumers(stream, GROUP))
        await client.zadd(keys.partition(0).timers, {"task/0-x/1": 1})
        overdue = await done(place, "stale")
        assert any("overdue" in line for line in overdue.said)


async def test_consumers_that_are_gone_for_a_day_are_removed(
    valkey_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.maintenance.repairs.GONE_MS", -1)
    async with here(valkey_url, namespace, noop) as place:
        client, stream = place.log.client, place.log.keys.partition(0).stream("crawl")
        with pytest.raises(ResponseError):
            await client.xinfo_consumers(stream, GROUP)
        worker = await place.start()
        await client.xgroup_createconsumer(stream, GROUP, "long-gone")
        await client.xgroup_createconsumer(stream, GROUP, "holds-something")
        entry = await client.xadd(stream, {"job": "0-x", "flow": "gone", "data": "{}"})
        await client.xclaim(stream, GROUP, "holds-something", 0, [entry], force=True)
        await until(lambda: _is_there(place, worker.name))
        assert (await done(place, "stale", dry_run=True)).counts["left_consumers"] >= 1
        await done(place, "stale")
        left = {one["name"].decode() for one in await client.xinfo_consumers(stream, GROUP)}
        assert "long-gone" not in left


async def _is_there(place: Here, name: str) -> bool:
    return bool(await place.log.client.sismember(place.log.keys.workers, name))


async def test_the_digest_tells_what_happened_and_is_left_out_when_nothing_did(
    valkey_url: str, store_url: str, store: Store, namespace: str, tenant: str
) -> None:
    now = datetime.now(UTC)
    async with open_postbox() as postbox:
        sets = {**postbox.settings, "digest_to": ("ops@example.com", "boss@example.com")}
        async with here(valkey_url, namespace, noop, email, store_url=store_url, **sets) as place:
            await Overrides(place.log.client, place.log.keys).set("mail", Override(1_000))
            quiet = await done(place, "digest", store, now=datetime(2020, 1, 1, tzinfo=UTC))
            assert quiet.said == ("nothing happened: no digest",)
            await store.jobs.project(0, ended(f"0-{tenant}-a", tenant, now - timedelta(hours=2)))
            failed = f"0-{tenant}-b"
            await store.jobs.project(0, ended(failed, tenant, now - timedelta(hours=1), "probe", "failed"))
            said = Finding("no_worker_for_pool", "browser", "pool <browser> has work", "start a worker", 1)
            await Findings(place.log.client, place.log.keys).note(said)
            would = await done(place, "digest", store, now=now, dry_run=True)
            assert would.said[0].endswith("would go to ops@example.com, boss@example.com")
            report = await done(place, "digest", store, now=now)
            again = await done(place, "digest", store, now=now)
            assert again.facts["job_id"] == report.facts["job_id"], "once a day, however often it is asked for"
            await place.start()
            assert (await place.ended(report.facts["job_id"])).status == "succeeded"
        assert sorted(mail["To"] for mail in postbox.mails) == ["boss@example.com", "ops@example.com"]
        text, page = postbox.text(), postbox.text(kind="html")
        assert failed in text
        assert "pool <browser> has work; start a worker" in text
        assert "pool &lt;browser&gt; has work" in page
        assert postbox.mails[0]["Subject"].startswith("Millrace: ")

        nobody = place.settings.model_copy(update={"digest_to": ()})
        assert "MILLRACE_DIGEST_TO" in (await done(place, "digest", store, now=now, settings=nobody)).said[0]


@asynccontextmanager
async def scheduled(valkey_url: str, store_url: str, namespace: str) -> AsyncIterator[Here]:
    async with here(valkey_url, namespace, noop, maintenance, store_url=store_url) as place:
        await asyncio.gather(*(place.start(follows=(ScheduleLoop, HistoryFollower)) for _ in range(2)))
        yield place


async def test_payloads_that_nothing_refers_to_are_swept(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        chunks = place.resources.blobs.chunks
        await chunks.put_claim(b"x" * 70_000, tenant="default")
        later = datetime.now(UTC) + timedelta(days=2)
        assert (await done(place, "sweep", now=later, dry_run=True)).counts["claims"] == 1
        assert (await done(place, "sweep")).counts["claims"] == 0, "it is young"
        assert (await done(place, "sweep", now=later)).counts["claims"] == 1
        assert (await done(place, "sweep", now=later)).counts["claims"] == 0


async def test_stale_jobs_are_mended_as_the_doctor_does(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        job = (await submit(place.log, place.flows, JobRequest(flow="noop", spec={}))).job_id
        keys = place.log.keys.of_job(job)
        await place.log.client.hset(keys.job(job), "crawl.open", 7)
        assert (await done(place, "stale", dry_run=True)).counts["log"] >= 1
        report = await done(place, "stale")
        assert report.counts["log"] >= 1
        assert any(job in line for line in report.said)
        assert (await done(place, "stale", dry_run=True)).counts["log"] == 0


async def test_the_built_in_schedules_come_with_the_workers_and_their_jobs_run(
    valkey_url: str, store_url: str, store: Store, namespace: str
) -> None:
    async with scheduled(valkey_url, store_url, namespace) as place:
        book = Book(place.log.client, place.log.keys)

        async def are_there() -> bool:
            mine = [name for name, plan in built_in(place.settings) if plan.job.flow in place.flows.by_name]
            return len(await book.of("default")) == len(mine)

        await place.until(are_there, "the built-in schedules")
        health = await book.get("default", "health")
        assert health.is_built_in
        ticker = Ticker(place.log, place.flows)
        assert await ticker.run_due(await book.now() + timedelta(seconds=31)) == 1
        record = await place.ended((await book.states([health]))[0].job_id)
        assert (record.status, record.lane, record.flow) == ("succeeded", "low", "maintenance")
        kept = await store.results.get(record.job_id, tenant="default")
        assert kept is not None
        assert (kept.payload["chore"], kept.payload["counts"]["workers"]) == ("health", 2)


async def test_edited_built_in_schedules_stay_edited(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, maintenance) as place:
        book = Book(place.log.client, place.log.keys)
        await keep_built_in(book, place.settings, place.flows, NOW)
        first = await book.get("default", "clean-up")
        await keep_built_in(book, place.settings, place.flows, NOW)
        assert await book.get("default", "clean-up") == first
        later = place.settings.model_copy(update={"digest_hour": 9})
        await keep_built_in(book, later, place.flows, NOW)
        assert (await book.get("default", "digest")).plan.cron == "0 9 * * *"
        mine = first.plan.model_copy(update={"cron": "0 5 * * *"})
        await book.put(first.model_copy(update={"plan": mine, "is_edited": True}), NOW)
        await keep_built_in(book, place.settings, place.flows, NOW)
        assert (await book.get("default", "clean-up")).plan.cron == "0 5 * * *"
        other = Book(place.log.client, Keys(f"{namespace}x"))
        await keep_built_in(other, place.settings, Flows([noop]), NOW)
        assert await other.of("default") == []


async def test_a_deaf_reader_is_restarted(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, flow_of()) as place:
        worker = await place.start(follows=(Watchdog,), pools=("default",))
        (watchdog,) = [one for one in worker._children if isinstance(one, Watchdog)]
        (reading,) = worker.reading
        is_stuck = asyncio.Event()
        whole = worker.readers["default"].poll

        async def never(*_: Any) -> Any:
            is_stuck.set()
            await asyncio.Event().wait()

        worker.readers["default"].poll = never  # type: ignore[assignment]
        job = await place.submit()  # rings it out of its wait
        await is_stuck.wait()
        clock = asyncio.get_running_loop().time
        assert await watchdog.revive_deaf(clock()) == 0
        worker.readers["default"].poll = whole  # type: ignore[method-assign]
        assert await watchdog.revive_deaf(clock() + DEAF_AFTER_S + 60) == 1
        job = await place.submit()
        record: JobRecord = await place.ended(job)
        assert record.status == "succeeded"
        assert reading.is_reading
        assert not worker.crashed


async def test_a_worker_that_grew_too_large_asks_to_be_replaced(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, flow_of(), worker_max_mb=100) as place:
        worker = await place.start()
        watchdog = Watchdog(worker)
        assert not watchdog.judge(100 << 20)
        assert not worker.is_spent.is_set()
        assert watchdog.judge((100 << 20) + 1)
        assert worker.is_spent.is_set()


async def test_a_worker_that_is_to_be_replaced_drains_and_ends_well(
    valkey_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Judged(Watchdog):
        async def on_started(self) -> None:
            self.judge(1 << 50)

    monkeypatch.setattr("api.up.Watchdog", Judged)
    plan = Plan(Place(Settings(namespace=namespace, home=tmp_path), valkey_url, None), Workers(1))
    assert await asyncio.wait_for(_work(plan, "spent"), 20) == 0


async def test_a_chore_that_is_none_says_so(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> None:
    async with here(valkey_url, namespace, maintenance, store_url=store_url) as place:
        await place.start()
        request = JobRequest(flow="maintenance", spec={"chore": "tidy"})
        record = await place.ended((await submit(place.log, place.flows, request)).job_id)
        assert (record.status, record.fields["error"]) == ("failed", "unknown_chore")
