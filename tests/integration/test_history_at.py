"""A job at a past instant through the API, while its entries are in Redis and when only history has them."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from consumers.store import Store
from consumers.store.migrate import upgrade
from consumers.worker.follow import HISTORY
from tests.support.api_place import ApiPlace, until
from tests.support.servers import REPOSITORY, fresh_database


@pytest.fixture
def two_databases(postgres_server_url: str) -> Iterator[tuple[str, str]]:
    """Two of this test's own, with the tables in them."""
    with fresh_database(postgres_server_url) as one, fresh_database(postgres_server_url) as other:
        asyncio.run(upgrade(one))
        asyncio.run(upgrade(other))
        yield one, other


def seen(view: dict[str, Any]) -> tuple[str, dict[str, tuple[int, int, int]]]:
    counts = {name: (one["open"], one["done"], one["failed"]) for name, one in view["stages"].items()}
    return view["status"], {name: count for name, count in counts.items() if any(count)}


async def test_a_job_at_an_instant_is_what_it_was_then_also_when_redis_has_let_it_go(place: ApiPlace) -> None:
    began = datetime.now(UTC)
    watched: list[tuple[datetime, dict[str, Any]]] = []

    async def look(job: str) -> None:
        await asyncio.sleep(0.03)  # instants are told to the millisecond, and workers' clocks are looked at
        view = (await place.call("GET", f"jobs/{job}")).body
        watched.append((datetime.now(UTC), view))
        await asyncio.sleep(0.03)

    job = await place.submit("wait")
    await look(job)
    async with place.worker(with_history=True):
        await asyncio.wait_for(place.gate.reached.wait(), 20)
        await until(lambda: _is_running(place, job))  # announced a little later
        await look(job)
        place.gate.is_open.set()
        await place.ended(job)
        await until(lambda: _history_is_done(place, job))
        await look(job)
    assert [view["status"] for _, view in watched] == ["queued", "running", "succeeded"]

    async def check() -> None:
        for at, view in watched:
            past = await place.call("GET", f"jobs/{job}?at={at:%Y-%m-%dT%H:%M:%S.%fZ}")
            assert past.status == 200, past.body
            assert seen(past.body) == seen(view)
        running = await place.call("GET", f"jobs/{job}?at={watched[1][0]:%Y-%m-%dT%H:%M:%S.%fZ}")
        (task,) = running.body["open_tasks"]
        assert (task["task"], task["stage"], task["state"]) == (1, "crawl", "running")
        assert task["worker"]

    await check()
    early = await place.call("GET", f"jobs/{job}?at={began - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}")
    assert early.status == 404
    assert "was not there at" in early.body["detail"]
    assert (await place.call("GET", f"jobs/{job}?at=03:12")).status == 422
    keys = place.services.keys.of_job(job)
    await place.services.client.delete(keys.lifecycle, keys.job(job))
    for _, view in watched:
        view["stages"] = {name: counts for name, counts in view["stages"].items() if any(counts.values())}
    await check()
    durations = await place.services.store.jobs.durations(
        tenant="default", since=began, until=datetime.now(UTC) + timedelta(seconds=1), flow="probe"
    )
    assert {one.stage: one.runs for one in durations if one.stage == "extract"} == {"extract": 2}
    assert all(one.median_s <= one.p95_s <= one.max_s <= one.total_s for one in durations)


async def _is_running(place: ApiPlace, job: str) -> bool:
    return bool((await place.call("GET", f"jobs/{job}")).body["status"] == "running")


async def _history_is_done(place: ApiPlace, job: str) -> bool:
    keys = place.services.keys.of_job(job)
    groups = await place.services.client.xinfo_groups(keys.lifecycle)
    ours = [group for group in groups if group["name"].decode() == HISTORY]
    notified = (await place.call("GET", f"jobs/{job}")).body["stages"].get("notify", {}).get("done") == 1
    return bool(notified and ours and ours[0]["pending"] == 0 and ours[0]["lag"] == 0)


async def test_history_is_the_same_whether_or_not_its_followers_were_killed(
    two_databases: tuple[str, str], place: ApiPlace
) -> None:
    killed_url, whole_url = two_databases
    async with place.worker():
        jobs = [await place.submit(act) for act in ("", "die", "miss", "die once", "")]
        for job in jobs:
            await place.ended(job)
        for letter in (await place.call("GET", "dlq")).body["items"]:
            await place.call("POST", f"dlq/{letter['dead_id']}/retry")
        for job in jobs:
            await place.ended(job)
    lifecycle = place.services.keys.partition(0).lifecycle
    entries = [
        (entry_id.decode(), {name.decode(): value.decode() for name, value in raw.items()})
        for entry_id, raw in await place.services.client.xrange(lifecycle)
    ]

    def follow(database_url: str, batches: int, when: str) -> int:
        command = (sys.executable, "-m", "tests.support.killed_history", place.redis_url, database_url)
        told = (place.settings.namespace, str(batches), when)
        return subprocess.run([*command, *told], cwd=REPOSITORY, timeout=60, check=False).returncode

    async with Store.connect(whole_url) as whole:
        await whole.jobs.project(0, entries)
        expected = await _rows(whole)
    for batches, when in ((1, "after"), (2, "before")):
        ended = await asyncio.to_thread(follow, killed_url, batches, when)
        assert ended == -signal.SIGKILL
    assert await asyncio.to_thread(follow, killed_url, 0, "after") == 0
    async with Store.connect(killed_url) as killed:
        assert await _rows(killed) == expected
    assert len(expected[0]) == len(jobs)
    assert len(expected[1]) == sum(fields["type"] != "progressed" for _, fields in entries)


async def _rows(store: Store) -> tuple[list[Any], list[Any]]:
    async with store.database.begin() as session:
        jobs = list(await session.execute(text("SELECT * FROM jobs ORDER BY job_id")))
        events = list(await session.execute(text("SELECT * FROM task_events ORDER BY job_id, entry_ms, entry_seq")))
    return jobs, events
