"""Dead letters as an operator works on them: found, redriven, edited, given up; through the API and on a real log."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest

from consumers.context import StageContext
from consumers.edit import BadEdit, edited
from consumers.encode import check_in
from consumers.flow import Flow
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from schemas.jobs import Asked
from schemas.stages import CompileRequest, Payload
from schemas.upcast import upcaster
from streams.codec import host_of
from streams.dlq import DeadLetters, LetterFilter, Worked
from streams.errors import PermanentError
from streams.keys import job_id_for
from streams.log import NewJob
from streams.policy import RetryPolicy, StagePolicy
from streams.scripts import Code
from tests.support.api_place import ApiPlace, api_place, until
from tests.support.chaos_local import Note, flow_of, handing_on, here


async def letters(place: ApiPlace, query: str = "") -> list[dict[str, Any]]:
    """The dead letters of a list."""
    found: list[dict[str, Any]] = (await place.call("GET", f"dlq{query}")).body["items"]
    return found


async def test_a_letter_says_what_happened_to_what_since_when_and_what_to_do(place: ApiPlace) -> None:
    async with place.worker():
        job = await place.submit("die")
        await place.ended(job)
        (letter,) = await letters(place)
        assert (letter["reason"], letter["error"]) == ("http_403", "the site refuses us")
        assert (letter["job"], letter["stage"], letter["tenant"]) == (job, "extract", "default")
        assert letter["at"].endswith("Z")
        assert "The site refuses us" in letter["advice"]
        assert (letter["redriven"], letter["quarantined"]) == (0, False)
        whole = (await place.call("GET", f"dlq/{letter['dead_id']}")).body
        assert orjson.loads(whole["data"])["act"] == "die"


async def test_letters_are_found_by_what_they_are(place: ApiPlace) -> None:
    async with place.worker():
        jobs = [await place.submit("die") for _ in range(3)]
        for job in jobs:
            await place.ended(job)
        stray = {"job": "", "task": "", "flow": "probe", "stage": "crawl", "reason": "bad_json", "stream": "crawl"}
        await place.services.client.xadd(place.services.keys.partition(0).dlq, stray)
        for query, count in (
            ("", 4), ("?stage=extract", 3), ("?stage=crawl", 1), ("?flow=probe", 4), ("?flow=noop", 0),
            ("?reason=http_403", 3), (f"?job={jobs[0]}", 1), ("?tenant=default", 3), ("?quarantined=true", 0),
            ("?quarantined=false", 4), ("?since=2020-01-01T00:00:00Z", 4), ("?until=2020-01-01T00:00:00Z", 0),
            ("?since=0001-01-01T00:00:00Z", 4), ("?until=0001-01-01T00:00:00Z", 0),
            ("?host=a.example", 0), ("?since=2090-01-01T00:00:00Z", 0),
        ):  # fmt: skip
            assert len(await letters(place, query)) == count, query
        for query, field in (("?stage=bake", "stage"), ("?since=soon", "since")):
            answer = await place.call("GET", f"dlq{query}")
            assert (answer.status, answer.fields) == (422, [field])


async def test_one_many_and_all_go_back_to_work(place: ApiPlace) -> None:
    async with place.worker():
        jobs = [await place.submit("die once") for _ in range(5)]
        for job in jobs:
            await place.ended(job)
        one = (await letters(place))[0]
        answer = await place.call("POST", f"dlq/{one['dead_id']}/retry")
        assert (answer.status, answer.body["job_id"]) == (202, one["job"])
        assert (await place.ended(one["job"]))["status"] == "succeeded"
        again = await place.call("POST", f"dlq/{one['dead_id']}/retry")
        assert (again.status, again.body["type"]) == (404, "/problems/not-found")

        dry = await place.call("POST", "dlq/retry", {"reason": "http_403", "dry_run": True})
        assert (dry.body["letters"], dry.body["by_cause"]) == (
            4, [{"flow": "probe", "stage": "extract", "reason": "http_403", "letters": 4}],
        )  # fmt: skip
        assert len(await letters(place)) == 4
        first = await place.call("POST", "dlq/retry", {"reason": "http_403", "limit": 3, "rate": 200})
        assert (first.body["redriven"], first.body["next"] is not None) == (3, True)
        rest = await place.call("POST", "dlq/retry", {"reason": "http_403", "cursor": first.body["next"]})
        assert (rest.body["redriven"], rest.body["next"]) == (1, None)
        for job in jobs:
            assert (await place.ended(job))["status"] == "succeeded", "what was mended leaves nothing out"
        assert (await place.call("POST", "dlq/retry", {"all": True})).body["redriven"] == 0
        for body in ({}, {"force": True, "all": True}, {"rate": 0, "all": True}, {"ids": ["0-1-1"], "force": True}):
            assert (await place.call("POST", "dlq/retry", body)).status in {404, 422}, body


async def test_what_dies_again_and_again_is_quarantined(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path
) -> None:
    async with api_place(valkey_url, store_url, namespace, tmp_path, max_redrives=2) as place, place.worker():
        job = await place.submit("die")
        await place.ended(job)
        for often in range(2):
            assert (await place.call("POST", "dlq/retry", {"all": True})).body["redriven"] == 1
            await place.ended(job)
            (letter,) = await letters(place)
            assert letter["redriven"] == often + 1
        assert letter["quarantined"]
        assert "--force" in letter["advice"]
        mass = await place.call("POST", "dlq/retry", {"all": True})
        assert (mass.body["redriven"], mass.body["quarantined"]) == (0, 1)
        path = f"dlq/{letter['dead_id']}/retry"
        for refused in (await place.call("POST", path), await place.call("POST", f"jobs/{job}/retry")):
            assert (refused.status, refused.body["type"]) == (409, "/problems/quarantined")
        assert (await place.call("POST", path, {"force": True})).status == 202
        await place.ended(job)


async def test_a_letter_that_is_given_up_is_closed_and_missing(place: ApiPlace) -> None:
    async with place.worker(with_history=True):
        jobs = [await place.submit("die") for _ in range(3)]
        for job in jobs:
            await place.ended(job)
        one = (await letters(place, f"?job={jobs[0]}"))[0]
        assert (await place.call("DELETE", f"dlq/{one['dead_id']}")).body["dropped"] == 1
        assert (await place.call("DELETE", f"dlq/{one['dead_id']}")).status == 404
        view = (await place.call("GET", f"jobs/{jobs[0]}")).body
        assert (view["status"], view["missing"]) == ("partial", 1)
        key = place.services.keys.of_job(jobs[0]).job(jobs[0])
        assert await place.services.client.ttl(key) > 0, "a record without dead letters may go"
        assert (await place.call("POST", "dlq/drop", {"all": True, "dry_run": True})).body["letters"] == 2
        assert (await place.call("POST", "dlq/drop", {"stage": "extract"})).body["dropped"] == 2
        assert await letters(place) == []


async def test_history_tells_why_a_job_is_partial(place: ApiPlace) -> None:
    async with place.worker(with_history=True):
        dead, lacking = await place.submit("die"), await place.submit("miss")
        for job, error, missing in ((dead, "http_403", 0), (lacking, None, 1)):
            live = await place.ended(job)
            await place.services.client.delete(place.services.keys.of_job(job).job(job))

            async def is_told(job: str = job) -> bool:
                past = await place.call("GET", f"jobs/{job}")
                return past.status == 200 and bool(past.body["finished_at"])

            await until(is_told)
            for view in (live, (await place.call("GET", f"jobs/{job}")).body):
                assert (view["status"], view["error"], view["missing"]) == ("partial", error, missing)


async def test_other_tenants_letters_are_not_there(place: ApiPlace) -> None:
    async with place.worker():
        await place.become("acme")
        job = await place.submit("die")
        await place.ended(job)
        (letter,) = await letters(place)
        await place.become("other")
        assert await letters(place) == []
        assert (await place.call("POST", f"dlq/{letter['dead_id']}/retry")).status == 404
        assert (await place.call("DELETE", f"dlq/{letter['dead_id']}")).status == 404
        assert (await place.call("POST", "dlq/retry", {"all": True})).body["redriven"] == 0
        assert (await place.call("GET", "dlq?tenant=acme")).status == 403
        await place.become("default")
        assert await letters(place) == []
        assert len(await letters(place, "?tenant=acme")) == 1


class Report(Payload):
    """Version 2: `address` became `url`."""

    v: Literal[2] = 2  # type: ignore[assignment]
    url: str
    text: str = ""


class ReportSpec(Asked):
    url: str = "http://bad.example/"


@upcaster(Report, 1)
def _(old: dict[str, Any]) -> dict[str, Any]:
    return {"url": old["address"], "text": old["text"]}


def report_flow(seen: list[Report]) -> Flow:
    @stage(name="crawl", accepts=Report)
    async def crawl(report: Report, _: StageContext) -> Outcome:
        if host_of(report.model_dump_json().encode()) == "bad.example":
            raise PermanentError("the site refuses us", reason="http_403")
        seen.append(report)
        return Done()

    @stage(name="compile", accepts=CompileRequest)
    async def compile_(_: CompileRequest, __: StageContext) -> Outcome:
        return Done()

    return Flow("report", ReportSpec, (crawl, compile_), first=lambda spec: Report(url=spec.url))


async def test_a_claim_check_of_the_previous_version_is_edited(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    seen: list[Report] = []
    flow = report_flow(seen)
    text = "é" * 600_000
    async with here(valkey_url, namespace, flow, artifacts_url=str(tmp_path)) as place:
        blobs = place.resources.blobs
        old = orjson.dumps({"v": 1, "address": "http://bad.example/a", "text": text})
        claim = await check_in(old, blobs, "default")
        assert len(claim) < 200
        job = job_id_for("the report", 1)
        await place.log.submit(NewJob(job, "report", claim, b"{}", ""))
        await place.start()
        assert (await place.ended(job)).status == "failed"
        (letter,) = await place.log.dead_letters()
        for wrong, said in (
            ({"merge": {"url": 7}}, "url"), ({"merge": {"address": "http://good.example/"}}, "address"),
            ({"data": {"v": 3, "url": "x"}}, "version 3"), ({"merge": {}, "data": {}}, "either"),
        ):  # fmt: skip
            with pytest.raises(BadEdit, match=said):
                await edited(letter, place.flows, blobs, "default", **wrong)
        mended = await edited(letter, place.flows, blobs, "default", merge={"url": "http://good.example/"})
        assert mended.before["url"] == "http://bad.example/a"
        assert host_of(mended.data) == "good.example"
        assert await place.log.redrive([letter.dead_id], overlay={letter.dead_id: mended.data}) == [Code.OK]
        assert (await place.ended(job)).status == "succeeded"
        assert seen == [Report(url="http://good.example/", text=text)]


async def test_an_edit_is_checked_before_anything_runs(place: ApiPlace) -> None:
    async with place.worker():
        job = await place.submit("die")
        await place.ended(job)
        (letter,) = await letters(place)
        path = f"dlq/{letter['dead_id']}/edit"
        wrong = await place.call("POST", path, {"merge": {"sya": "typo"}})
        assert (wrong.status, "sya" in wrong.body["detail"]) == (422, True)
        assert (await letters(place))[0]["dead_id"] == letter["dead_id"]
        dry = (await place.call("POST", path, {"merge": {"act": ""}, "dry_run": True})).body
        assert (dry["before"]["act"], dry["after"]["act"]) == ("die", "")
        assert (await place.call("POST", path, {"merge": {"act": ""}})).status == 202
        assert (await place.ended(job))["status"] == "succeeded"


async def test_a_mass_redrive_keeps_its_pace_and_loses_nothing(valkey_url: str, namespace: str) -> None:
    died: set[int] = set()

    async def dies_once(note: Note, _: StageContext) -> Outcome:
        if note.n in died:
            return Done()
        died.add(note.n)
        raise PermanentError("no", reason="http_503")

    once = StagePolicy(retry=RetryPolicy(max_attempts=1), window=1_000)
    flow = flow_of(crawl=handing_on("extract", 300), extract=dies_once, policies={"extract": once})
    async with here(valkey_url, namespace, flow, partitions=2) as place:
        await place.start()
        jobs = [await place.submit(n=300 * at) for at in range(2)]
        for job in jobs:
            await place.ended(job)
        work = DeadLetters(place.log)
        chosen = LetterFilter(reason="http_503", until_ms=await work.newest_ms())
        assert (await work.count(chosen)).letters == 600
        told: list[int] = []
        began_s = asyncio.get_running_loop().time()
        first = await work.redrive(chosen, per_s=400, most=200, told=lambda so_far: told.append(so_far.done))
        assert (first.done, told) == (200, list(range(25, 201, 25)))
        assert 0 < first.spread_s <= 0.5
        for job in jobs:
            await place.ended(job)
        took_s = asyncio.get_running_loop().time() - began_s
        assert took_s >= 0.47, "200 at 400 a second, the first at once"
        for job in jobs:
            record = await place.log.job(job)
            assert record is not None
            assert record.revision <= 2, "what of a job is redriven together is one revision"
        rest: Worked = await work.redrive(chosen, after=first.next)
        assert (rest.done, rest.next) == (400, None)
        for job in jobs:
            assert (await place.ended(job)).status == "succeeded"
        assert (await work.count(replace(chosen, until_ms=0))).letters == 0
        await place.check()


async def test_letters_that_died_alike_are_an_incident_that_goes_back_to_work_as_a_whole(place: ApiPlace) -> None:
    async with place.worker():
        jobs = [await place.submit("die once") for _ in range(3)]
        jobs.append(await place.submit("die"))
        for job in jobs:
            await place.ended(job)
        (incident,) = (await place.call("GET", "dlq/incidents")).body["items"]
        assert (incident["error_type"], incident["reason"]) == ("http_403", "http_403")
        assert (incident["stage"], incident["flow"], incident["host"]) == ("extract", "probe", "")
        assert (incident["letters"], incident["jobs"], incident["tenants"]) == (4, 4, 1)
        assert incident["first_seen"] <= incident["last_seen"]
        assert (await place.call("GET", f"dlq/incidents/{incident['id']}")).body == incident
        assert len(await letters(place, f"?incident={incident['id']}")) == 4
        for query, count in (("?stage=crawl", 0), ("?flow=probe", 1), ("?until=2020-01-01T00:00:00Z", 0)):
            assert len((await place.call("GET", f"dlq/incidents{query}")).body["items"]) == count, query
        gone = await place.call("POST", "dlq/incidents/0123456789ab/retry")
        assert (gone.status, gone.body["type"].rpartition("/")[2]) == (404, "not-found")
        dry = await place.call("POST", f"dlq/incidents/{incident['id']}/retry", {"dry_run": True})
        assert dry.body["letters"] == 4
        answer = await place.call("POST", f"dlq/incidents/{incident['id']}/retry")
        assert (answer.status, answer.body["redriven"]) == (202, 4)
        for job in jobs[:3]:
            await until(lambda job=job: _is(place, job, "succeeded"))  # type: ignore[misc]
        # What dies again is the same incident again.
        await until(lambda: _has_letters(place, 1))
        (again,) = (await place.call("GET", "dlq/incidents")).body["items"]
        assert (again["id"], again["letters"]) == (incident["id"], 1)


async def _is(place: ApiPlace, job: str, status: str) -> bool:
    return bool((await place.call("GET", f"jobs/{job}")).body["status"] == status)


async def _has_letters(place: ApiPlace, count: int) -> bool:
    return len(await letters(place)) == count
