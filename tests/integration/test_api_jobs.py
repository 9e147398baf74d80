"""Submitting a job over HTTP, and looking at it until it is done."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from consumers.store.memos import Remembered
from streams.embedded.valkey import ValkeyServer
from tests.support.api_place import ApiPlace, api_place, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PROBE = {"flow": "probe", "spec": {"say": "hi"}}


async def test_a_job_is_submitted_and_followed_to_its_result(place: ApiPlace) -> None:
    accepted = await place.call("POST", "jobs", PROBE)
    assert accepted.status == 202
    job = accepted.body["job_id"]
    assert accepted.body == {
        "job_id": job, "flow": "probe", "status": "queued", "trace_id": accepted.headers["x-trace-id"],
        "links": accepted.body["links"],
    }  # fmt: skip
    assert accepted.headers["location"] == accepted.body["links"]["self"] == f"/api/v1/jobs/{job}"
    queued = await place.call("GET", accepted.headers["location"])
    assert (queued.body["status"], queued.body["stages"]) == ("queued", {"crawl": {"open": 1, "done": 0, "failed": 0}})
    async with place.worker():
        done = await place.ended(job)
    assert done["status"] == "succeeded"
    assert done["progress"]["percent"] == 100
    assert done["stages"]["extract"] == {"open": 0, "done": 2, "failed": 0}
    result = await place.call("GET", done["links"]["result"])
    assert result.body["result"] == {"said": ["hi", "two"]}
    assert result.body["missing"] == []


async def test_a_running_job_is_cancelled_and_then_killed(place: ApiPlace) -> None:
    async with place.worker() as worker:
        settled = asyncio.Event()
        worker.signals.listen(lambda name, _: settled.set() if name == "settled" else None)
        job = await place.submit("wait")
        await place.gate.reached.wait()

        async def is_running() -> bool:
            return bool((await place.call("GET", f"jobs/{job}")).body["status"] == "running")

        await until(is_running)
        cancelled = await place.call("POST", f"jobs/{job}/cancel")
        assert (cancelled.status, cancelled.body["status"]) == (202, "cancelled")
        # By now it may have stopped by itself: then there is nothing to kill.
        killed = await place.call("POST", f"jobs/{job}/cancel", {"force": True})
        assert killed.status == 202 or killed.body["type"] == "/problems/job-is-over"
        await settled.wait()

        async def has_stopped() -> bool:
            record = await place.services.log.job(job)
            return record is not None and record.number("work") == 0

        await until(has_stopped)
        over = await place.call("POST", f"jobs/{job}/cancel")
        assert (over.status, over.body["type"]) == (409, "/problems/job-is-over")
        assert (await place.call("GET", f"tasks/{job}")).body["status"] == "REVOKED"


async def test_the_same_key_and_body_are_the_same_job_and_another_body_is_refused(place: ApiPlace) -> None:
    key = {"Idempotency-Key": "order-17"}
    first = await place.call("POST", "jobs", PROBE, headers=key)
    again = await place.call("POST", "jobs", PROBE, headers=key)
    assert (again.status, again.body) == (202, first.body)
    other = await place.call("POST", "jobs", {"flow": "probe", "spec": {"say": "ho"}}, headers=key)
    assert (other.status, other.body["type"]) == (422, "/problems/submission-conflict")
    assert len((await place.call("GET", "jobs")).body["items"]) == 1


async def test_many_sends_of_one_submission_at_once_are_one_job(place: ApiPlace) -> None:
    key = {"Idempotency-Key": "at once"}
    answers = await asyncio.gather(*(place.call("POST", "jobs", PROBE, headers=key) for _ in range(20)))
    assert {answer.status for answer in answers} == {202}
    assert len({answer.body["job_id"] for answer in answers}) == 1
    assert len({answer.body["trace_id"] for answer in answers}) == 1


async def test_a_job_id_of_ones_own_goes_with_a_key(place: ApiPlace) -> None:
    key = {"Idempotency-Key": "mine"}
    first = await place.call("POST", "jobs", {**PROBE, "job_id": "order-17"}, headers=key)
    again = await place.call("POST", "jobs", {**PROBE, "job_id": "order-17"}, headers=key)
    assert first.body["job_id"] == again.body["job_id"] == "0-order-17"
    for other in ({**PROBE, "job_id": "order-18"}, PROBE):
        refused = await place.call("POST", "jobs", other, headers=key)
        assert (refused.status, refused.body["type"]) == (422, "/problems/submission-conflict")
    elsewhere = await place.call("POST", "jobs", {**PROBE, "job_id": "order-17", "priority": "high"})
    assert elsewhere.status == 422


async def test_a_foreign_trace_is_joined(place: ApiPlace) -> None:
    headers = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
    accepted = await place.call("POST", "jobs", PROBE, headers=headers)
    assert accepted.body["trace_id"] == accepted.headers["x-trace-id"] == TRACE_ID
    assert (await place.call("GET", accepted.body["links"]["self"])).body["trace_id"] == TRACE_ID
    broken = await place.call("POST", "jobs", PROBE, headers={"traceparent": "00-xyz-1-1"})
    assert broken.status == 202
    assert len(broken.body["trace_id"]) == 32


async def test_a_dry_run_submits_nothing(place: ApiPlace) -> None:
    told = await place.call("POST", "jobs?dry_run=true", {**PROBE, "priority": 9})
    assert told.status == 200
    assert told.body["dry_run"] is True
    assert (told.body["priority"], told.body["stage"]) == ("high", "crawl")
    assert told.body["first"]["say"] == "hi"
    refused = await place.call("POST", "jobs?dry_run=true", {"flow": "probe", "spec": {"shout": 1}})
    assert refused.fields == ["spec.shout"]
    assert (await place.call("GET", "jobs")).body["items"] == []


async def test_a_dry_run_says_what_jobs_alike_needed(place: ApiPlace) -> None:
    unknown = (await place.call("POST", "jobs?dry_run=true", PROBE)).body["estimate"]
    assert (unknown["based_on"], unknown["alike"], unknown["duration_s"]) == (0, "none", None)
    assert unknown["caps"]["job_tokens"] == place.settings.llm_job_tokens
    async with place.worker(with_history=True):
        jobs = [await place.submit() for _ in range(2)]
        for job in jobs:
            await place.call("GET", f"jobs/{job}?wait=20")

        async def is_known() -> bool:
            told = (await place.call("POST", "jobs?dry_run=true", PROBE)).body["estimate"]
            return bool(told["based_on"] == len(jobs) and told["entries"]["p50"] > 0)

        await until(is_known)


async def test_what_a_job_had_from_memo(place: ApiPlace) -> None:
    job = await place.submit()
    told = (await place.call("GET", f"jobs/{job}/memo")).body
    assert told == {"computed": 0, "reused": 0, "saved_s": 0.0, "stages": {}}
    whose: dict[str, Any] = {"tenant": "default", "job_id": job, "task": 1, "stage": "extract"}
    memos = place.services.store.memos
    await memos.put(job, Remembered(is_json=True, body=b"1", took_s=2.0), **{**whose, "job_id": "0-earlier"})
    assert await memos.get(job, **whose) is not None
    told = (await place.call("GET", f"jobs/{job}/memo")).body
    assert (told["reused"], told["saved_s"], told["stages"]["extract"]["reused"]) == (1, 2.0, 1)
    assert (await place.call("GET", "jobs/0-none/memo")).status == 404


async def test_a_job_waits_for_its_time_or_expires(place: ApiPlace) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    delayed = await place.submit(run_at=later.isoformat())
    view = (await place.call("GET", f"jobs/{delayed}")).body
    assert (view["status"], datetime.fromisoformat(view["run_at"])) == (
        "queued",
        later.replace(microsecond=later.microsecond // 1000 * 1000),
    )
    async with place.worker():
        expiring = await place.submit(run_at=later.isoformat(), expires_at=(later + timedelta(hours=1)).isoformat())
        assert (await place.call("GET", f"jobs/{expiring}")).body["expires_at"]


async def test_what_was_dead_lettered_is_listed_and_retried(place: ApiPlace) -> None:
    async with place.worker():
        job = await place.submit("die once")
        done = await place.ended(job)
        assert (done["status"], done["error"], done["stages"]["extract"]["failed"]) == ("partial", "http_403", 1)
        result = (await place.call("GET", f"jobs/{job}/result")).body
        (letter,) = result["dead_letters"]
        assert (letter["reason"], letter["stage"], letter["error"]) == ("http_403", "extract", "the site refuses us")
        assert result["missing"][0]["reason"] == "http_403"
        assert result["result"] == {"said": ["two"]}
        task = (await place.call("GET", f"tasks/{job}")).body
        assert (task["status"], task["missing"]) == ("SUCCESS", result["missing"])

        listed = (await place.call("GET", "dlq")).body["items"]
        assert [one["dead_id"] for one in listed] == [letter["dead_id"]]
        whole = (await place.call("GET", f"dlq/{letter['dead_id']}")).body
        assert "die once" in whole["data"]

        retried = await place.call("POST", f"jobs/{job}/retry")
        assert (retried.status, retried.body["redriven"], retried.body["revision"]) == (202, 1, 2)
        done = await place.ended(job)
        assert (done["status"], done["revision"]) == ("succeeded", 2)
        both = [(await place.call("GET", f"jobs/{job}/result?revision={n}")).body["result"] for n in (1, 2)]
        assert both == [{"said": ["two"]}, {"said": ["hello", "two"]}]
        nothing = await place.call("POST", f"jobs/{job}/retry")
        assert (nothing.status, nothing.body["type"]) == (409, "/problems/nothing-to-retry")
        assert (await place.call("GET", f"jobs/{job}/result?revision=3")).status == 404


async def test_what_a_job_leaves_is_read(place: ApiPlace) -> None:
    async with place.worker() as worker:
        job = await place.submit()
        await place.ended(job)
        assert worker.shipper is not None
        assert await worker.shipper.flush(5.0)
        lines = (await place.call("GET", f"jobs/{job}/logs")).body
        assert [(line["message"], line["fields"]) for line in lines["items"]] == [("looking around", {"say": "hello"})]
        seq = lines["items"][0]["seq"]
        assert (await place.call("GET", f"jobs/{job}/logs?after={seq}")).body == {"items": [], "next": None}
        page = (await place.call("GET", f"jobs/{job}/logs?limit=1")).body
        assert (await place.call("GET", f"jobs/{job}/logs?cursor={page['next']}")).body["items"] == []

        files = (await place.call("GET", f"jobs/{job}/artifacts")).body["items"]
        assert [one["name"] for one in files] == ["hello.html", "two.html"]
        body = await place.call("GET", files[0]["href"])
        assert body.body == "hello"
        assert body.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in body.headers["content-security-policy"]
        assert (await place.call("GET", f"jobs/{job}/artifacts/1/other.html")).status == 404

        trace = (await place.call("GET", f"jobs/{job}/trace")).body
        assert {span["stage"] for span in trace["spans"]} >= {"crawl", "extract", "compile"}
        assert (trace["job_id"], trace["status"], len(trace["trace_id"])) == (job, "succeeded", 32)
        few = (await place.call("GET", f"jobs/{job}/trace?limit=2")).body
        assert (len(few["spans"]), few["left_out"]) == (2, len(trace["spans"]) - 2)
        otlp = (await place.call("GET", f"jobs/{job}/trace?format=otlp")).body
        assert len(otlp["resourceSpans"][0]["scopeSpans"][0]["spans"]) == len(trace["spans"]) + 1


async def test_results_that_are_not_there(place: ApiPlace) -> None:
    async with place.worker():
        running = await place.submit("wait")
        early = await place.call("GET", f"jobs/{running}/result")
        assert (early.status, early.body["type"]) == (404, "/problems/no-result")
        failed = await place.submit("die once", spec={"act": "die"}, from_stage=None)
        noop = (await place.call("POST", "jobs", {"flow": "noop", "spec": {}})).body["job_id"]
        await place.ended(noop)
        assert (await place.call("GET", f"jobs/{noop}/result")).body["result"] is None
        await place.ended(failed)
        expiring = await place.submit()
        await place.ended(expiring)
        await place.services.store.results.put(
            expiring, {}, tenant="default", revision=1, expires_at=datetime.now(UTC) - timedelta(seconds=1)
        )
        gone = await place.call("GET", f"jobs/{expiring}/result")
        assert (gone.status, gone.body["type"]) == (410, "/problems/result-expired")
        assert (await place.call("GET", f"tasks/{expiring}")).body["result"] is None


async def test_old_clients_see_their_states(place: ApiPlace) -> None:
    async def state(job: str) -> dict[str, Any]:
        body: dict[str, Any] = (await place.call("GET", f"tasks/{job}")).body
        return body

    job = await place.submit("wait")
    assert (await state(job))["status"] == "PENDING"
    async with place.worker():

        async def progresses() -> bool:
            return bool((await state(job))["status"] == "PROGRESS" and (await state(job))["meta"]["percent"])

        await until(progresses)
        running = await state(job)
        assert (running["meta"]["percent"], running["meta"]["step"]) == (25.0, "looking around")
        place.gate.is_open.set()
        await place.ended(job)
        done = await state(job)
        assert (done["status"], done["result"], done["error"]) == ("SUCCESS", {"said": ["hello", "two"]}, None)
        assert "missing" not in done


async def test_the_list_has_live_jobs_and_history_by_page(place: ApiPlace, tenant: str) -> None:
    await place.become(tenant)
    async with place.worker(with_history=True):
        jobs = [await place.submit() for _ in range(5)]
        for job in jobs:
            await place.ended(job)
    # With the worker gone history does not follow: these are in lifecycle alone.
    jobs += [await place.submit() for _ in range(3)]
    jobs.reverse()
    listed = (await place.call("GET", "jobs")).body
    assert [one["job_id"] for one in listed["items"]] == jobs
    assert [one["status"] for one in listed["items"]] == ["queued"] * 3 + ["succeeded"] * 5
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await place.call("GET", f"jobs?limit=3{f'&cursor={cursor}' if cursor else ''}")).body
        seen += [one["job_id"] for one in page["items"]]
        cursor = page["next"]
    assert seen == jobs
    queued = (await place.call("GET", "jobs?status=queued")).body["items"]
    assert [one["job_id"] for one in queued] == jobs[:3]
    assert (await place.call("GET", "jobs?flow=noop")).body["items"] == []


async def test_history_answers_when_the_live_record_is_gone(place: ApiPlace, tenant: str) -> None:
    await place.become(tenant)
    async with place.worker(with_history=True):
        job = await place.submit("miss")
        await place.ended(job)

        async def is_history() -> bool:
            past = await place.services.store.jobs.get(job, tenant=tenant)
            return past is not None and past.finished_at is not None

        await until(is_history)
    keys = place.services.keys.of_job(job)
    await place.services.client.delete(keys.job(job), keys.lifecycle)
    view = (await place.call("GET", f"jobs/{job}")).body
    assert (view["status"], view["flow"], view["stages"]) == ("partial", "probe", {})
    assert (await place.call("GET", f"jobs/{job}/result")).body["result"] == {"said": ["hello", "two"]}
    trace = (await place.call("GET", f"jobs/{job}/trace")).body
    assert {span["stage"] for span in trace["spans"]} >= {"crawl", "extract", "compile"}
    assert (await place.call("POST", f"jobs/{job}/cancel")).status == 409
    assert (await place.call("POST", f"jobs/{job}/retry")).status == 409
    events = await place.call("GET", f"jobs/{job}/events")
    assert events.body.count("event: completed") >= 4
    assert "event: end" in events.body


async def test_a_redis_that_is_away_is_said_and_comes_back(
    start_valkey: Callable[..., ValkeyServer], store_url: str, namespace: str, tmp_path: Path
) -> None:
    server = start_valkey()
    async with api_place(server.url, store_url, namespace, tmp_path) as place:
        assert (await place.call("GET", "/health/ready")).body["status"] == "ready"
        await asyncio.to_thread(server.kill)
        away = await place.call("POST", "jobs", PROBE)
        assert (away.status, away.headers["retry-after"]) == (503, "2")
        unready = await place.call("GET", "/health/ready")
        assert unready.status == 503
        assert unready.body["checks"]["postgresql"] == "ok"
        assert unready.body["checks"]["redis"] != "ok"
        assert (await place.call("GET", "/health")).status == 200
        await asyncio.to_thread(server.start)
        assert (await place.call("POST", "jobs", PROBE)).status == 202
