"""Schedules on a real server: each tick one job, whatever happens; over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumers.flow import Flows
from consumers.noop import flow as noop
from consumers.schedules import Kept, NoSuchSchedule, Ticker
from schemas.schedules import ScheduleChange
from streams.findings import Findings
from streams.keys import Keys
from streams.log import Log
from streams.pressure import Pressure
from tests.support.api_place import ApiPlace
from tests.support.chaos_local import Here, flow_of, here

START = datetime(2026, 1, 1, tzinfo=UTC)
JOB = {"flow": "noop", "spec": {}}


def plan(job: dict[str, Any] | None = None, **timing: Any) -> ScheduleChange:
    return ScheduleChange.model_validate({"every_s": 60, **timing, "job": job or JOB})


def kept(name: str = "mine", job: dict[str, Any] | None = None, **timing: Any) -> Kept:
    return Kept(tenant="default", name=name, plan=plan(job, **timing), anchor_ms=round(START.timestamp() * 1_000))


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def jobs(place: Here) -> list[str]:
    rows = await place.log.client.xrange(place.log.keys.partition(0).lifecycle)
    return [fields[b"job"].decode() for _, fields in rows if fields[b"type"] == b"submitted"]


async def test_five_processes_submit_each_tick_once(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        tickers = [Ticker(place.log, place.flows) for _ in range(5)]
        book = tickers[0].book
        schedule = await book.put(kept(), START)
        assert sum(await asyncio.gather(*(ticker.run_due(after(59)) for ticker in tickers))) == 0
        for n in range(1, 4):
            new = await asyncio.gather(*(ticker.run_due(after(60 * n + 1)) for ticker in tickers))
            assert sum(new) == 1
        assert len(set(await jobs(place))) == 3
        (at,), (state,) = await book.next_at([schedule]), await book.states([schedule])
        assert at == after(240)
        assert (state.tick_ms, state.error) == (round(after(180).timestamp() * 1_000), "")
        assert state.job_id in await jobs(place)


async def test_a_process_that_dies_behind_the_submission_submits_no_second_job(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        ticker = Ticker(place.log, place.flows)
        schedule = await ticker.book.put(kept(), START)
        assert await ticker.run_due(after(61)) == 1
        await place.log.client.zadd(place.log.keys.schedules("due"), {schedule.member: after(60).timestamp() * 1_000})
        assert await ticker.run_due(after(62)) == 0
        assert len(await jobs(place)) == 1
        assert await ticker.book.next_at([schedule]) == [after(120)]


@pytest.mark.parametrize(("missed", "submitted"), [("skip", 0), ("run_once", 1), ("run_all", 3)])
async def test_after_a_night_off(valkey_url: str, namespace: str, missed: str, submitted: int) -> None:
    async with here(valkey_url, namespace, noop) as place:
        ticker = Ticker(place.log, place.flows)
        schedule = await ticker.book.put(kept(every_s=3_600, missed=missed, missed_most=3), START)
        assert await ticker.run_due(after(8 * 3_600 + 600)) == submitted
        (state,) = await ticker.book.states([schedule])
        assert state.missed == 8 - submitted
        assert await ticker.book.next_at([schedule]) == [after(9 * 3_600)]


async def test_what_is_paused_changed_or_removed_does_not_tick(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop) as place:
        ticker = Ticker(place.log, place.flows)
        book = ticker.book
        first = await book.put(kept(), START)
        changed = await book.put(first.model_copy(update={"plan": plan(every_s=600)}), START)
        assert await ticker.run_due(after(61)) == 0
        await place.log.client.zadd(place.log.keys.schedules("due"), {first.member: 0})  # from a process that lagged
        assert await ticker.run_due(after(61)) == 0
        paused = await book.put(changed.model_copy(update={"is_paused": True}), after(61))
        assert await ticker.run_due(after(601)) == 0
        assert await book.next_at([paused]) == [None]
        going = await book.put(paused.model_copy(update={"is_paused": False}), after(700))
        assert await ticker.run_due(after(700)) == 0, "what would have ticked meanwhile is not made up for"
        assert await book.next_at([going]) == [after(1_200)]
        await book.remove(going)
        assert await ticker.run_due(after(1_300)) == 0
        with pytest.raises(NoSuchSchedule):
            await book.get("default", "mine")


async def test_a_flow_that_is_not_here_is_left_to_others_then_told(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop, flow_of("other")) as place:
        lacks = Ticker(place.log, Flows([noop]))
        has = Ticker(place.log, place.flows)
        schedule = await has.book.put(kept(job={"flow": "other", "spec": {}}), START)
        assert await lacks.run_due(after(61)) == 0
        (state,) = await has.book.states([schedule])
        assert "other" in state.error
        assert await has.run_due(after(62)) == 1
        (state,) = await has.book.states([schedule])
        assert state.error == ""

        assert await lacks.run_due(after(119)) == 0
        assert await lacks.run_due(after(120 + 400)) == 0
        (finding,) = await Findings(place.log.client, place.log.keys).all()
        assert (finding.kind, finding.subject) == ("schedule_not_submitted", "default/mine")


async def test_under_pressure_only_maintenance_ticks(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, noop, flow_of("maintenance")) as place:
        pressure = Pressure(place.log.client, place.log.keys)
        await pressure.begin("full")
        ticker = Ticker(place.log, place.flows)
        await ticker.book.put(kept(), START)
        await ticker.book.put(kept("own", {"flow": "maintenance", "spec": {}}), START)
        assert await ticker.run_due(after(61)) == 1
        await pressure.end()
        assert await Ticker(place.log, place.flows).run_due(after(62)) == 1


def asked(**fields: Any) -> dict[str, Any]:
    return {"name": "nightly", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "job": JOB, **fields}


async def test_a_schedule_over_http(place: ApiPlace, namespace: str) -> None:
    await place.become("someone")
    made = await place.call("POST", "schedules", asked(about="every night"))
    assert made.status == 201, made.body
    assert made.headers["location"] == "/api/v1/schedules/nightly"
    assert (made.body["cron"], made.body["missed"], made.body["is_paused"]) == ("30 2 * * *", "run_once", False)
    assert made.body["next_at"] > datetime.now(UTC).isoformat()
    assert (await place.call("POST", "schedules", asked())).status == 409
    changed = await place.call("PUT", "schedules/nightly", {"every_s": 60, "job": {**JOB, "priority": "low"}})
    assert (changed.body["every_s"], changed.body["cron"], changed.body["job"]["priority"]) == (60, None, "low")
    paused = await place.call("POST", "schedules/nightly/pause", {"reason": "holidays"})
    assert (paused.body["is_paused"], paused.body["pause_reason"], paused.body["next_at"]) == (True, "holidays", None)
    assert (await place.call("GET", "schedules/nightly")).body == paused.body
    going = await place.call("POST", "schedules/nightly/resume")
    assert going.body["next_at"] is not None
    assert going.body["pause_reason"] == ""
    done = await place.call("POST", "schedules/nightly/run")
    assert (done.status, done.body["flow"]) == (202, "noop")
    assert (await place.call("GET", f"jobs/{done.body['job_id']}")).body["priority"] == "low"

    await place.call("POST", "schedules", asked(name="another"))
    page = (await place.call("GET", "schedules?limit=1")).body
    assert [one["name"] for one in page["items"]] == ["another"]
    rest = (await place.call("GET", f"schedules?cursor={page['next']}")).body
    assert ([one["name"] for one in rest["items"]], rest["next"]) == (["nightly"], None)

    log = Log(place.services.client, Keys(namespace), place.services.flows, record_ttl_s=60)
    assert await Ticker(log, place.services.flows).run_due(datetime.now(UTC) + timedelta(seconds=61)) == 1
    ticked = (await place.call("GET", "schedules/nightly")).body
    assert (await place.call("GET", f"jobs/{ticked['last_job_id']}")).status == 200
    await place.become("another")
    assert (await place.call("GET", "schedules")).body["items"] == []
    assert (await place.call("GET", "schedules/nightly")).status == 404
    await place.become("someone")
    assert (await place.call("DELETE", "schedules/nightly")).status == 204
    assert (await place.call("DELETE", "schedules/nightly")).status == 404


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"cron": "nonsense"}, "cron"),
        ({"time_zone": "Mars"}, "time_zone"),
        ({"job": {"flow": "gone", "spec": {}}}, "job.flow"),
        ({"job": {"flow": "noop", "spec": {"colour": 1}}}, "job.spec.colour"),
        ({"job": {"flow": "probe", "spec": {"url": "http://127.0.0.1/"}}}, "job.spec.url"),
        ({"every_s": 5}, "body"),
        ({"name": "a b"}, "name"),
    ],
)
async def test_what_is_no_schedule_is_refused(place: ApiPlace, fields: dict[str, Any], where: str) -> None:
    answer = await place.call("POST", "schedules", asked(**fields))
    assert (answer.status, answer.fields[0]) == (422, where)
    assert (await place.call("GET", "schedules")).body["items"] == []


async def test_who_may_only_submit_makes_no_schedules(place: ApiPlace) -> None:
    place.key, _ = await place.services.api_keys.create("x", scopes=("submit", "read"))
    assert (await place.call("POST", "schedules", asked())).status == 403
    assert (await place.call("GET", "schedules")).status == 200
