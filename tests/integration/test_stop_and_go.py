"""Pauses, purges, drains and kills: what an operator stops, stops, and goes on where it was."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from consumers.context import StageContext
from consumers.encode import check_in
from consumers.flow import Flow
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from schemas.jobs import Asked
from schemas.stages import CompileRequest, Payload
from streams.drain import drain_worker
from streams.keys import job_id_for
from streams.log import NewJob
from streams.pauses import PauseKind, Pauses
from streams.policy import StagePolicy
from streams.purge import Purge, PurgeFilter
from tests.support.api_place import ApiPlace, api_place, until
from tests.support.chaos_local import Here, Note, flow_of, handing_on, here

if TYPE_CHECKING:
    from pathlib import Path


def started(place: Here, stage: str) -> list[str]:
    """Jobs whose entries at a stage were started, so far."""
    return [v[0].job for name, v in place.signals if name == "started" and v[0].name.stage == stage]


async def is_paused_everywhere(place: Here, scope: str) -> None:
    await place.until(lambda: all(scope in worker.hand.paused.by_scope for worker in place.workers), "the pause", 1.0)


async def test_a_paused_stage_starts_nothing_and_goes_on(valkey_url: str, namespace: str) -> None:
    flow = flow_of(crawl=handing_on("classify", 3))
    async with here(valkey_url, namespace, flow) as place:
        pauses = Pauses(place.log.client, place.log.keys)
        for _ in range(2):
            await place.start()
        await place.ended(await place.submit())
        await pauses.add("stage", "classify", reason="look at it", by="me")
        await is_paused_everywhere(place, "stage:classify")
        before = len(started(place, "classify"))
        jobs = [await place.submit() for _ in range(20)]
        stream = place.log.keys.partition(0).stream("classify")

        async def all_wait() -> bool:
            return bool(await place.log.client.xlen(stream) == 60)

        await place.until(all_wait, "all that can be done")
        assert len(started(place, "classify")) == before
        assert (await place.log.client.xpending(stream, "millrace"))["pending"] == 0, "it is not read"
        assert await pauses.remove("stage", "classify") is not None
        began_s = time.monotonic()
        for job in jobs:
            assert (await place.ended(job, 5)).status == "succeeded"
            assert await place.told(job, "snoozed") == []
        assert time.monotonic() - began_s < 4
        assert await pauses.remove("stage", "classify") is None
        await place.check()


async def test_a_worker_that_starts_during_a_pause_keeps_to_it(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, flow_of()) as place:
        pauses = Pauses(place.log.client, place.log.keys)
        job = await place.submit()
        await pauses.add("stage", "crawl", reason="", by="me")
        for garbage in (b"{", b"[1]", b'{"kind": "stage", "names": 1}'):
            await place.log.client.hset(place.log.keys.pauses, garbage, garbage)
        worker = await place.start()
        assert worker.hand.closed() >= {("crawl", "default")}
        await asyncio.sleep(0.3)  # nothing is to happen: there is no signal for that
        assert started(place, "crawl") == []
        await pauses.remove("stage", "crawl")
        await place.ended(job, 4)


async def test_what_is_held_has_not_begun_and_wakes_at_once(valkey_url: str, namespace: str) -> None:
    one, other = flow_of("one", limit_s=60), flow_of("two")
    kinds: tuple[tuple[PauseKind, str], ...] = (("flow", "one"), ("tenant", "default"))
    async with here(valkey_url, namespace, one, other) as place:
        pauses = Pauses(place.log.client, place.log.keys)
        await place.start()
        for kind, name in kinds:
            await pauses.add(kind, name, reason="a strike", by="me")
            await is_paused_everywhere(place, f"{kind}:{name}")
            jobs = [await place.submit("one") for _ in range(10)]
            timers = place.log.keys.partition(0).timers

            async def all_held(timers: str = timers) -> bool:
                return bool(await place.log.client.zcard(timers) == 10)

            await place.until(all_held, "all to be held")
            for job in jobs:
                record = await place.log.job(job)
                assert record is not None
                assert record.status == "queued"
                assert "started_at" not in record.fields
                (held,) = await place.told(job, "snoozed")
                assert held["reason"] == f"paused {kind}:{name}"
                assert held["attempt"] == "1"
            if kind == "flow":
                assert (await place.ended(await place.submit("two"), 3)).status == "succeeded"
            gone = jobs.pop()
            assert (await place.log.cancel(gone)).status == "cancelled"
            assert await pauses.remove(kind, name) is not None
            for job in jobs:
                assert (await place.ended(job, 5)).status == "succeeded"
                assert len(await place.told(job, "snoozed")) == 1, "it is held once, not again and again"
            assert (await place.ended(gone, 5)).status == "cancelled"
        await place.check()


class Page(Payload):
    url: str
    text: str = ""


class PageSpec(Asked):
    url: str


async def test_a_paused_host_is_spared_and_others_are_not(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    seen: list[str] = []

    @stage(name="crawl", accepts=Page)
    async def crawl(page: Page, _: StageContext) -> Outcome:
        seen.append(page.url)
        return Done()

    @stage(name="compile", accepts=CompileRequest)
    async def compile_(_: CompileRequest, __: StageContext) -> Outcome:
        return Done()

    flow = Flow("pages", PageSpec, (crawl, compile_), first=lambda spec: Page(url=spec.url))
    slow, quick = "http://Slow.example:8080/a", "http://quick.example/a"
    async with here(valkey_url, namespace, flow, artifacts_url=str(tmp_path)) as place:
        pauses = Pauses(place.log.client, place.log.keys)
        await pauses.add("host", "Slow.example.", reason="it asked", by="me")
        await place.start()
        large = Page(url=slow, text="x" * 100_000).model_dump_json().encode()
        claim = await check_in(large, place.resources.blobs, "default")
        jobs = [job_id_for(name, 1) for name in ("a", "b", "c")]
        for job, data in zip(jobs, (Page(url=slow).model_dump_json().encode(), claim), strict=False):
            await place.log.submit(NewJob(job, "pages", data, b"{}", ""))
        await place.log.submit(NewJob(jobs[2], "pages", Page(url=quick).model_dump_json().encode(), b"{}", ""))
        await place.ended(jobs[2])
        assert seen == [quick]
        await pauses.remove("host", "slow.example")
        for job in jobs[:2]:
            assert (await place.ended(job, 5)).status == "succeeded"
        assert seen == [quick, slow, slow]


async def test_pauses_are_set_listed_and_ended_by_the_api(place: ApiPlace) -> None:
    made = await place.call("POST", "pauses", {"host": "Slow.example.", "reason": "it asked"})
    assert (made.status, made.body["name"], made.body["reason"]) == (201, "slow.example", "it asked")
    (shown,) = (await place.call("GET", "pauses")).body["items"]
    assert (shown["kind"], shown["by"]) == ("host", "key:anonymous")
    assert shown["since"].endswith("Z")
    assert (await place.call("DELETE", "pauses?host=slow.example")).body["resumed"] is True
    assert (await place.call("DELETE", "pauses?host=slow.example")).status == 404
    assert (await place.call("DELETE", "pauses")).status == 422
    for wrong in ({}, {"stage": "bake"}, {"stage": "crawl", "flow": "x"}, {"host": "a b"}):
        assert (await place.call("POST", "pauses", wrong)).status == 422, wrong
    acts = [(one["actor"], one["action"], one["target"]) for one in await _audit(place)]
    assert acts[:2] == [
        ("key:anonymous", "pause.remove", "host:slow.example"), ("key:anonymous", "pause.add", "host:slow.example"),
    ]  # fmt: skip


async def test_no_more_is_read_of_a_stage_than_may_run(valkey_url: str, namespace: str) -> None:
    """A worker used to take what it could not run yet, and idle ones had nothing."""
    release = asyncio.Event()

    async def waits(_: Note, __: StageContext) -> Outcome:
        await release.wait()
        return Done()

    flow = flow_of(crawl=waits, policies={"crawl": StagePolicy(concurrency=2)})
    async with here(valkey_url, namespace, flow, partitions=2) as place:
        jobs = [await place.submit() for _ in range(6)]
        for _ in range(3):
            await place.start()
        await place.until(lambda: len(started(place, "crawl")) == 6, "all six to run at once", 5)
        assert [len(worker.hand.entries) for worker in place.workers] == [2, 2, 2]
        release.set()
        for job in jobs:
            await place.ended(job)
        await place.check()


async def test_a_forced_cancel_kills_a_subprocess_within_a_second(valkey_url: str, namespace: str) -> None:
    began = asyncio.Event()

    async def computes(_: Note, ctx: StageContext) -> Outcome:
        began.set()
        await ctx.run_cpu(time.sleep, 600)
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=computes)) as place:
        worker = await place.start()
        job = await place.submit()
        await began.wait()
        await asyncio.sleep(0.2)  # the child starts
        asked_s = time.monotonic()
        await place.log.cancel(job, kill=True)
        await place.until(lambda: not worker.hand.entries, "the kill", 1.5)
        assert time.monotonic() - asked_s < 1.2
        record = await place.ended(job)
        assert record.status == "cancelled"


async def test_a_purge_cancels_the_jobs_concerned(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, flow_of("one"), flow_of("two"), partitions=2) as place:
        later = datetime.now(UTC) + timedelta(hours=1)
        ones = [await place.submit("one") for _ in range(7)] + [await place.submit("one", run_at=later)]
        twos = [await place.submit("two", priority="high") for _ in range(3)]
        await place.log.client.xadd(place.log.keys.partition(0).stream("crawl"), {"flow": "one", "data": '{"v":1}'})
        purge = Purge(place.log)
        counted = await purge.count(PurgeFilter(flow="one"))
        assert (len(counted.jobs), dict(counted.entries), counted.strays) == (8, {"crawl": 8}, 1)
        assert len((await purge.count(PurgeFilter(stage="crawl"))).jobs) == 11
        assert len((await purge.count(PurgeFilter(tenant="default", flow="two"))).jobs) == 3
        assert not (await purge.count(PurgeFilter(tenant="other"))).jobs
        done = await purge.run(PurgeFilter(flow="one"), reason="purged by me")
        assert (done.jobs, done.strays, done.over) == (set(ones), 1, 0)
        await place.start()
        for job in ones:
            record = await place.ended(job)
            assert (record.status, record.fields["error"]) == ("cancelled", "purged by me")
        for job in twos:
            assert (await place.ended(job)).status == "succeeded"
        assert started(place, "crawl") == [job for job in started(place, "crawl") if job in twos]


async def test_a_worker_is_asked_to_drain(place: ApiPlace) -> None:
    async with place.worker() as worker:

        async def is_there() -> bool:
            return bool((await place.call("GET", "workers")).body["items"])

        await until(is_there)
        assert (await place.call("POST", "workers/nobody/drain")).status == 404
        answer = await place.call("POST", f"workers/{worker.name}/drain", {"replace": True})
        assert (answer.status, answer.body["draining"]) == (202, True)
        async with asyncio.timeout(1):
            await worker.control.drain_asked.wait()
        assert worker.control.is_replaced
    assert await place.services.client.exists(place.services.keys.drain(worker.name)) == 0
    assert not await drain_worker(place.services.client, place.services.keys, worker.name, by="me", replace=False)


async def test_operators_of_other_tenants_stop_their_own_only(place: ApiPlace) -> None:
    await place.become("acme")
    mine = await place.call("POST", "jobs", {"flow": "noop", "spec": {}})
    await place.become("other")
    theirs = await place.call("POST", "jobs", {"flow": "noop", "spec": {}})
    for method, path, body in (
        ("POST", "pauses", {"stage": "crawl"}), ("POST", "pauses", {"tenant": "acme"}),
        ("POST", "purge", {"tenant": "acme"}), ("POST", "workers/x/drain", None),
        ("GET", "audit_log?tenant=acme", None),
    ):  # fmt: skip
        assert (await place.call(method, path, body)).status == 403, path
    assert (await place.call("POST", "pauses", {"tenant": "other"})).status == 201
    assert (await place.call("POST", "purge", {"stage": "crawl", "dry_run": True})).body["jobs"] == 1
    assert (await place.call("POST", "purge", {"stage": "crawl"})).body["jobs"] == 1
    assert (await place.call("GET", f"jobs/{theirs.body['job_id']}")).body["status"] == "cancelled"
    acts = [one["action"] for one in await _audit(place)]
    assert acts == ["purge", "pause.add"]
    await place.become("acme")
    assert (await place.call("GET", f"jobs/{mine.body['job_id']}")).body["status"] == "queued"
    assert (await place.call("GET", "pauses")).body["items"] == []
    place.key, _ = await place.services.api_keys.create("reader", tenant="default", scopes=("read",))
    assert (await place.call("GET", "audit_log")).status == 403
    assert (await place.call("POST", "pauses", {"stage": "crawl"})).status == 403


async def test_the_audit_log_works_without_a_database(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    async with api_place(valkey_url, None, namespace, tmp_path) as place:
        for at in range(5):
            await place.call("POST", "pauses", {"host": f"h{at}.example"})
        page = (await place.call("GET", "audit_log?limit=2")).body
        targets = [one["target"] for one in page["items"]]
        while page["next"]:
            page = (await place.call("GET", f"audit_log?limit=2&cursor={page['next']}")).body
            targets += [one["target"] for one in page["items"]]
        assert targets == [f"host:h{at}.example" for at in (4, 3, 2, 1, 0)]
        assert len((await place.call("GET", "audit_log?action=pause")).body["items"]) == 5
        assert (await place.call("GET", "audit_log?action=job")).body["items"] == []


async def test_what_is_done_while_the_database_is_away_is_on_record(
    valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    async with api_place(valkey_url, "postgresql://127.0.0.1:1/none", namespace, tmp_path) as place:
        assert (await place.call("POST", "pauses", {"flow": "noop"})).status == 201
        ((_, fields),) = await place.services.client.xrange(place.services.keys.audit)
        assert (fields[b"action"], fields[b"target"]) == (b"pause.add", b"flow:noop")
        assert (await place.call("GET", "audit_log")).status == 503


async def test_the_audit_log_has_both_homes_in_one_order(place: ApiPlace) -> None:
    await place.become("audited")
    away = {"tenant": "audited", "actor": "cli:me", "action": "job.cancel", "target": "0-away", "detail": "{}"}
    await place.services.store.audit.record("key:1", "job.cancel", "0-a", {"force": True}, tenant="audited")
    await place.services.client.xadd(place.services.keys.audit, away)
    await place.services.store.audit.record("key:1", "job.retry", "0-b", tenant="audited")
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await place.call("GET", f"audit_log?limit=1{cursor}")).body
        seen += [one["target"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == ["0-b", "0-away", "0-a"]
    assert [one["target"] for one in await _audit(place, "?actor=key:1&action=job.cancel")] == ["0-a"]
    assert (await _audit(place, "?target=0-a"))[0]["detail"] == {"force": True}


async def _audit(place: ApiPlace, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await place.call("GET", f"audit_log{query}")).body["items"]
    return found
