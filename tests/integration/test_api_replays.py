"""``/replays``: asked for, looked at, stopped; a worker carries them out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumers.replays import run
from consumers.worker import replaying
from tests.support.api_place import ApiPlace, until

NOW = datetime.now(UTC).isoformat()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "LOOK_EVERY_S", 0.05)


@pytest.fixture
async def working(place: ApiPlace, tenant: str) -> AsyncIterator[ApiPlace]:
    await place.become(tenant)
    async with place.worker(with_history=True):
        yield place


async def in_history(place: ApiPlace, *jobs: str) -> None:
    record = await place.services.log.job(jobs[0])
    assert record is not None

    async def are_there() -> bool:
        page = await place.services.store.jobs.page(tenant=record.tenant, limit=100)
        return {job.job_id for job in page.items if job.finished_at} >= set(jobs)

    await until(are_there)


async def over(place: ApiPlace, replay_id: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def is_over() -> bool:
        found.update((await place.call("GET", f"replays/{replay_id}")).body)
        return found["finished_at"] is not None

    await until(is_over)
    return found


async def jobs_of(place: ApiPlace, replay_id: str, count: int) -> list[dict[str, Any]]:
    """The jobs of a replay, when they have ended."""
    found: list[dict[str, Any]] = []

    async def are_ended() -> bool:
        found[:] = (await place.call("GET", f"jobs?replay={replay_id}")).body["items"]
        return len(found) == count and all(job["finished_at"] for job in found)

    await until(are_ended)
    return found


async def test_a_replay_is_planned_carried_out_and_leads_to_its_jobs(working: ApiPlace) -> None:
    origins = [await working.submit("miss" if n else "") for n in range(3)]
    for origin in origins:
        await working.ended(origin)
    await in_history(working, *origins)
    body = {"select": {"flow": "probe", "status": ["partial", "succeeded"]}, "rate": {"jobs_per_s": 1_000}}

    planned = (await working.call("POST", "replays?dry_run=true", body)).body
    assert (planned["jobs"], planned["missing"]) == (3, {})
    assert planned["entries"] == {"extract": 6, "compile": 3, "notify": 3}
    assert planned["starts_at"] == {"probe": {"extract": 3}}
    assert planned["reused"] == 3
    assert planned["size_bytes"] > 0
    assert (await working.call("GET", "replays")).body == {"items": [], "next": None}

    asked = await working.call("POST", "replays", body)
    assert asked.status == 202
    replay_id = asked.body["replay_id"]
    assert asked.headers["location"] == f"/api/v1/replays/{replay_id}"
    done = await over(working, replay_id)
    assert (done["status"], done["selected"], done["jobs"], done["entries"], done["percent"]) == (
        "done", 3, 3, 12, 100.0,
    )  # fmt: skip
    jobs = await jobs_of(working, replay_id, 3)
    assert {job["origin"] for job in jobs} == set(origins)
    for job in jobs:
        assert (job["replay"], job["priority"]) == (replay_id, "low")
        assert job["links"]["origin"] == f"/api/v1/jobs/{job['origin']}"
        assert job["links"]["replay"] == f"/api/v1/replays/{replay_id}"
        again = (await working.call("GET", f"jobs/{job['job_id']}/result")).body
        before = (await working.call("GET", f"jobs/{job['origin']}/result")).body
        assert (again["result"], again["status"], again["origin"]) == (
            before["result"],
            before["status"],
            job["origin"],
        )
        assert before["origin"] is None
        trace = (await working.call("GET", f"jobs/{job['job_id']}/trace")).body
        assert {span["stage"] for span in trace["spans"]} == {"extract", "compile", "notify"}

    # Replays are not taken along, unless they are named; then it is said what to name instead.
    assert (await working.call("POST", "replays?dry_run=true", body)).body["jobs"] == 3
    named = {"select": {"jobs": [jobs[0]["job_id"], "0-never"]}}
    planned = (await working.call("POST", "replays?dry_run=true", named)).body
    assert (planned["jobs"], planned["missing"]) == (0, {"is_a_replay": 1, "not_found": 1})
    assert jobs[0]["origin"] in " ".join(one["detail"] for one in planned["problems"])
    listed = (await working.call("GET", "replays")).body["items"]
    assert [one["replay_id"] for one in listed] == [replay_id]


async def test_the_same_key_is_the_same_replay(place: ApiPlace, tenant: str) -> None:
    await place.become(tenant)
    key, body = {"Idempotency-Key": "mine"}, {"select": {"flow": "probe"}}
    ids = {(await place.call("POST", "replays", body, headers=key)).body["replay_id"] for _ in range(2)}
    assert len(ids) == 1
    other = await place.call("POST", "replays", {"select": {"flow": "noop"}}, headers=key)
    assert (other.status, other.body["type"]) == (422, "/problems/submission-conflict")
    await place.become(f"{tenant}-other")
    assert (await place.call("POST", "replays", body, headers=key)).body["replay_id"] not in ids


async def test_a_replay_that_cannot_go_on_says_why(working: ApiPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = await working.submit()
    await working.ended(origin)

    async def breaks(*_: object, **__: object) -> None:
        raise ValueError("nobody foresaw this")

    monkeypatch.setattr(run, "open_replayed", breaks)
    body = {"select": {"jobs": [origin]}}
    replay_id = (await working.call("POST", "replays", body)).body["replay_id"]
    done = await over(working, replay_id)
    assert (done["status"], done["error"]) == ("failed", "ValueError: nobody foresaw this")


async def test_a_replay_is_stopped(working: ApiPlace) -> None:
    origins = [await working.submit() for _ in range(4)]
    for origin in origins:
        await working.ended(origin)
    await in_history(working, *origins)
    body = {"select": {"jobs": origins}, "rate": {"jobs_per_s": 0.2}}
    replay_id = (await working.call("POST", "replays", body)).body["replay_id"]

    async def has_begun() -> bool:
        return bool((await working.call("GET", f"replays/{replay_id}")).body["jobs"])

    await until(has_begun)
    cancelled = await working.call("POST", f"replays/{replay_id}/cancel")
    assert (cancelled.status, cancelled.body["status"]) == (202, "cancelling")
    done = await over(working, replay_id)
    assert (done["status"], done["jobs"]) == ("cancelled", 1)
    again = await working.call("POST", f"replays/{replay_id}/cancel")
    assert (again.status, again.body["type"]) == (409, "/problems/replay-is-over")


async def test_whose_it_is_and_who_may(place: ApiPlace, tenant: str) -> None:
    await place.become(tenant)
    body = {"select": {"flow": "probe"}}
    ids = [(await place.call("POST", "replays", body)).body["replay_id"] for _ in range(3)]
    first = (await place.call("GET", "replays?limit=2")).body
    second = (await place.call("GET", f"replays?limit=2&cursor={first['next']}")).body
    assert [one["replay_id"] for one in (*first["items"], *second["items"])] == ids[::-1]
    assert second["next"] is None
    await place.become(f"{tenant}-other")
    assert (await place.call("GET", f"replays/{ids[0]}")).status == 404
    assert (await place.call("POST", f"replays/{ids[0]}/cancel")).status == 404
    assert (await place.call("GET", "replays")).body["items"] == []
    place.key, _ = await place.services.api_keys.create("reads", tenant=tenant, scopes=("read", "submit"))
    assert (await place.call("GET", f"replays/{ids[0]}")).status == 200
    assert (await place.call("POST", "replays", body)).status == 403
    assert (await place.call("POST", f"replays/{ids[0]}/cancel")).status == 403


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"select": {}}, ["select"]),
        ({"select": {"jobs": ["nonsense"]}}, ["select.jobs.0"]),
        ({"select": {"since": NOW, "until": NOW}}, ["select"]),
        ({"select": {"flow": "probe"}, "rate": {}}, ["rate"]),
        ({"select": {"flow": "probe"}, "rate": {"jobs_per_s": 0}}, ["rate.jobs_per_s"]),
        ({"select": {"status": ["running"]}, "from_stage": "parse"}, ["select.status.0", "from_stage"]),
        ({"select": {"flow": "probe", "colour": 1}, "priority": "urgent"}, ["select.colour", "priority"]),
    ],
)
async def test_what_does_not_fit_is_named(place: ApiPlace, body: Any, fields: list[str]) -> None:
    answer = await place.call("POST", "replays", body)
    assert (answer.status, answer.fields) == (422, fields)


async def test_by_time_stage_and_dead_letters(working: ApiPlace) -> None:
    well, dead = await working.submit(), await working.submit("die once")
    for origin in (well, dead):
        await working.ended(origin)
    await in_history(working, well, dead)

    async def taken(**select: Any) -> tuple[int, dict[str, int]]:
        found = (await working.call("POST", "replays?dry_run=true", {"select": select})).body
        return found["jobs"], found["missing"]

    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert await taken(since=past) == (2, {})
    assert await taken(until=past) == (0, {})
    assert await taken(stage="extract") == (2, {})
    assert await taken(stage="download") == (0, {})
    assert await taken(dlq=True) == (1, {})
    assert await taken(dlq=True, stage="compile") == (0, {})
    assert await taken(dlq=True, jobs=[well]) == (0, {})
    assert await taken(jobs=[dead], status=["succeeded"]) == (0, {"not_found": 1})


async def test_a_shadow_shows_what_would_change_and_submits_nothing(working: ApiPlace) -> None:
    job = await working.submit()
    await working.ended(job)
    await in_history(working, job)
    before = len((await working.call("GET", "jobs")).body["items"])
    body = {"select": {"jobs": [job]}, "from_stage": "extract"}
    (shown,) = (await working.call("POST", "replays/shadow", body)).body["items"]
    assert (shown["job_id"], shown["status"], shown["was"]) == (job, "succeeded", "succeeded")
    assert shown["entries"] > 0
    assert shown["compared"]
    assert shown["changes"] == []
    assert shown["is_same"]
    assert len((await working.call("GET", "jobs")).body["items"]) == before
    assert (await working.call("GET", f"jobs/{job}")).body["revision"] == 1
    wrong = await working.call("POST", "replays/shadow", {"select": {"jobs": [job]}, "from_stage": "bake"})
    assert wrong.status == 422
