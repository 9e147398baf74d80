"""Entries of a stream in an operator's hands: looked at, taken from a worker, closed unhandled; and jobs found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.api_place import ApiPlace, until

if TYPE_CHECKING:
    from pathlib import Path


async def entries(place: ApiPlace, name: str = "crawl", query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await place.call("GET", f"streams/{name}/entries{query}")).body["items"]
    return found


async def test_waiting_entries_are_looked_at_by_page_and_acknowledged(place: ApiPlace) -> None:
    jobs = [await place.submit("wait") for _ in range(3)]
    first = await place.call("GET", "streams/crawl/entries?limit=2")
    second = await place.call("GET", f"streams/crawl/entries?limit=2&cursor={first.body['next']}")
    found = first.body["items"] + second.body["items"]
    assert [one["job"] for one in found] == jobs
    assert [(one["held_by"], one["is_held"], one["task"]) for one in found] == [("", False, "1")] * 3
    assert '"act":"wait"' in found[0]["data"]
    refused = await place.call("POST", "streams/crawl/claim", {"ids": [found[0]["id"]]})
    assert refused.body["refused"] == {found[0]["id"]: "not_pending"}
    # Nobody has read the stream: there is no group to acknowledge for.
    refused = await place.call("POST", "streams/crawl/ack", {"ids": [found[0]["id"]]})
    assert refused.body["refused"] == {found[0]["id"]: "superseded"}
    await place.services.client.xgroup_create(place.services.keys.partition(0).named("crawl"), "millrace", "0")
    done = await place.call("POST", "streams/crawl/ack", {"ids": [found[0]["id"]]})
    assert (done.body["acknowledged"], done.body["refused"]) == (1, {})
    assert [one["job"] for one in await entries(place)] == jobs[1:]
    job = (await place.call("GET", f"jobs/{jobs[0]}")).body
    assert job["status"] == "failed"
    assert job["error"] == "acknowledged"
    assert (await place.call("GET", "dlq")).body["items"] == []
    (told,) = (await place.call("GET", "audit_log?action=stream.ack&target=crawl")).body["items"][:1]
    assert told["detail"]["acknowledged"] == 1
    for path, body, status in (
        ("streams/crawl/ack", {"ids": ["1-1"]}, 404), ("streams/nothing/ack", {"ids": ["1-1"]}, 404),
        ("streams/crawl/ack", {"ids": ["1-1"], "partition": 9}, 404), ("streams/crawl/ack", {"ids": ["x"]}, 422),
    ):  # fmt: skip
        assert (await place.call("POST", path, body)).status == status
    await place.become("another-tenant")
    assert await entries(place) == []
    assert (await place.call("POST", "streams/crawl/ack", {"ids": [found[1]["id"]]})).status == 404


async def test_a_held_entry_is_taken_away_and_its_worker_is_refused(place: ApiPlace) -> None:
    async with place.worker() as worker:
        job = await place.submit("wait")
        await place.gate.reached.wait()
        (held,) = await entries(place)
        assert (held["held_by"], held["is_held"], held["delivery"]) == (worker.name, True, 1)
        assert (await place.call("POST", "streams/crawl/claim", {"ids": [held["id"]]})).body["claimed"] == 1
        place.gate.is_open.set()
        assert (await place.ended(job))["status"] == "succeeded"
        moves = await place.services.client.xrange(place.services.keys.partition(0).lifecycle)
        assert b"reclaimed" in [fields[b"type"] for _, fields in moves]


async def test_a_stray_is_acknowledged_by_the_operators_of_the_installation(place: ApiPlace) -> None:
    key = place.services.keys.partition(0).named("crawl")
    await place.services.client.xgroup_create(key, "millrace", "0", mkstream=True)
    await place.services.client.xadd(key, {"job": "not a job", "data": "{}"})
    (stray,) = await entries(place)
    assert (await place.call("POST", "streams/crawl/ack", {"ids": [stray["id"]]})).body["acknowledged"] == 1
    assert await entries(place) == []


async def test_jobs_are_found_by_words_id_worker_and_time(place: ApiPlace, tmp_path: Path) -> None:
    await place.become(place.settings.namespace)
    async with place.worker(with_history=True) as worker:
        spec = {"url": "https://shop.example.com/investors?year=2024", "say": "Grüße"}
        one = (await place.call("POST", "jobs", {"flow": "probe", "spec": spec})).body["job_id"]
        other = (await place.call("POST", "jobs", {"flow": "probe", "spec": {"say": "bye"}})).body["job_id"]
        for job in (one, other):
            await place.ended(job)

        async def found(**query: str) -> set[str]:
            answer = await place.call("GET", "jobs", params=query)
            assert answer.status == 200, answer.body
            return {row["job_id"] for row in answer.body["items"]}

        async def is_in_history() -> bool:
            return await found(worker=worker.name) == {one, other}

        await until(is_in_history)
        for text in ("shop", "Example", "investors 2024", "grüße", "grü", one, one[:9], "https://shop.example.com/inv"):
            assert await found(q=text) == {one}, text
        for text in ("hop", "shop nothing", "'; DROP TABLE jobs; --", "shop:* & !x", "\\", "%", "nothing"):
            assert await found(q=text) == set(), text
        assert await found(q="  ") == {one, other}
        assert await found(worker="nobody") == set()
        assert await found(since="2020-01-01T00:00:00Z", status="succeeded") == {one, other}
        assert await found(until="2020-01-01T00:00:00Z") == set()
