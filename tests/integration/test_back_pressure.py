"""Back-pressure: what is full refuses new jobs, by priority and with a time to come again, and goes on working."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import OutOfMemoryError

from consumers.doctor.worklog import StreamFacts, judge_pressure
from consumers.noop import flow as noop
from consumers.outcome import Done, Emit, Outcome
from consumers.worker.ingest import Ingest
from schemas.events import SUBMIT
from streams.pressure import FRESH_S, Overloaded, Pressure, most_waiting
from tests.support.api_place import api_place, until
from tests.support.chaos_local import Note, flow_of, here
from tests.support.commands import Home

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from consumers.context import StageContext
    from streams.embedded.valkey import ValkeyServer


async def test_a_full_backlog_refuses_low_first_and_high_last(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path
) -> None:
    async with api_place(valkey_url, store_url, namespace, tmp_path, max_backlog=10) as place:

        async def asked(priority: str, **more: Any) -> int:
            body = {"flow": "noop", "spec": {}, "priority": priority, **more}
            answer = await place.call("POST", "jobs", body)
            if answer.status == 503:
                assert answer.headers["retry-after"] == "30"
                assert answer.body["reason"] == "backlog_full"
                assert "MILLRACE_MAX_BACKLOG" in answer.body["detail"]
            return answer.status

        assert [await asked("low", job_id=f"l{n}") for n in range(9)] == [202] * 8 + [503]
        assert [await asked("normal") for _ in range(2)] == [202, 503]
        assert [await asked("high") for _ in range(2)] == [202, 503]
        assert await asked("low", job_id="l3") == 202, "what was accepted is known"
        later = "2099-01-01T00:00:00Z"
        assert await asked("low", run_at=later) == 202, "what is delayed is counted where it waits"
        metrics = (await place.call("GET", "/metrics")).body
        assert 'millrace_backlog_ratio{stage="crawl",pool="default"} 1.0' in metrics
        assert "millrace_backpressure 0" in metrics
        async with place.worker():
            await until(lambda: _is_empty(place.services.client, place.services.keys.partition(0).stream("crawl")))
            assert await asked("low") == 202


async def _is_empty(client: Any, stream: str) -> bool:
    return int(await client.xlen(stream)) == 0


async def test_what_comes_by_xadd_waits_until_there_is_room(valkey_url: str, namespace: str) -> None:
    gate, began = asyncio.Event(), asyncio.Event()

    async def waits(_: Note, __: StageContext) -> Outcome:
        began.set()
        await gate.wait()
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=waits), max_backlog=4) as place:
        client, events = place.log.client, place.log.keys.events
        for n in range(10):
            await client.xadd(events, {"type": SUBMIT, "data": f'{{"flow":"one","spec":{{"n":{n}}}}}'})
        await place.start(follows=(Ingest,))
        await began.wait()
        crawl = place.log.keys.partition(0).stream("crawl")
        await place.until(lambda: _has(client, crawl, 3), "a full backlog")
        assert await client.xlen(events) == 10, "the batch is not acknowledged"
        with pytest.raises(Overloaded):
            await place.submit()
        gate.set()
        await place.until(lambda: _is_empty(client, events), "the end of ingest")
        jobs = [row["job"] for row in await _submitted(place.log)]
        assert len(jobs) == len(set(jobs)) == 10
        assert await client.xlen(place.log.keys.partition(0).dlq) == 0


async def _has(client: Any, stream: str, count: int) -> bool:
    return int(await client.xlen(stream)) == count


async def _submitted(log: Any) -> list[dict[str, str]]:
    rows = await log.client.xrange(log.keys.partition(0).lifecycle)
    found = [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in rows]
    return [row for row in found if row["type"] == "submitted"]


async def test_at_maxmemory_running_work_ends_and_submissions_are_refused(
    start_valkey: Callable[..., ValkeyServer], store_url: str, namespace: str, tmp_path: Path
) -> None:
    url = start_valkey(appendfsync="no").url
    gate, running = asyncio.Event(), asyncio.Semaphore(0)

    async def opens(note: Note, _: StageContext) -> Outcome:
        running.release()
        await gate.wait()
        return Done(tuple(Emit("extract", Note(n=n)) for n in range(100)) if note.n else ())

    async with (
        here(url, namespace, flow_of(crawl=opens), noop, lease_ms=1_000) as place,
        api_place(url, store_url, namespace, tmp_path) as api,
    ):
        first, second = await place.start(), await place.start()
        jobs = [await place.submit(n=n) for n in (0, 1, 2)]
        for _ in jobs:
            await running.acquire()
        client = place.log.client
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("maxmemory", 1)
        answer = await api.call("POST", "jobs", {"flow": "noop", "spec": {}})
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        with pytest.raises(OutOfMemoryError):
            await place.submit()  # past the look at memory: the last line holds too
        assert "millrace_backpressure 1" in (await api.call("GET", "/metrics")).body

        gate.set()
        for job in jobs:
            record = await place.ended(job, 30)
            assert record.status == "succeeded"
            assert record.number("extract.done") == (100 if record.spec["n"] else 0)
        assert not first.crashed
        assert not second.crashed

        await client.config_set("maxmemory", 0)
        assert not await Pressure(client, place.log.keys).said()
        await asyncio.sleep(FRESH_S)
        answer = await api.call("POST", "jobs", {"flow": "noop", "spec": {}})
        assert answer.status == 202
        for late in (answer.body["job_id"], await place.submit(n=0)):
            assert (await place.ended(late)).status == "succeeded"
        await place.check()


async def test_at_maxmemory_what_a_dead_worker_held_is_run_by_another(
    start_valkey: Callable[..., ValkeyServer], namespace: str
) -> None:
    url = start_valkey(appendfsync="no").url
    runs: list[str] = []
    running, gate = asyncio.Event(), asyncio.Event()

    async def holds(_: Note, ctx: StageContext) -> Outcome:
        runs.append(ctx.job_id)
        running.set()
        if len(runs) == 1:
            await gate.wait()
        return Done()

    async with here(url, namespace, flow_of(crawl=holds), lease_ms=1_000) as place:
        first = await place.start()
        job = await place.submit()
        await running.wait()
        await first.keeper.stop()  # it renews and sweeps no more, as if it were dead
        await first.reclaiming.stop_taking()
        await place.log.client.config_set("maxmemory", 1)
        second = await place.start(name="second")
        assert (await place.ended(job)).status == "succeeded"
        assert runs == [job, job]
        assert not second.crashed
        await place.log.client.config_set("maxmemory", 0)
        gate.set()


def test_each_lane_has_its_share_of_the_backlog() -> None:
    assert [most_waiting(100, lane) for lane in ("high", "normal", "low")] == [100, 90, 80]
    assert most_waiting(0, "low") == 0
    assert most_waiting(1, "low") == 1


def test_the_doctor_names_what_is_full() -> None:
    facts = [
        StreamFacts("t:{0}:crawl", "default", 60, {"w": 10}, {}, has_group=True),
        StreamFacts("t:{0}:crawl:low", "default", 10, {}, {}, has_group=True),
        StreamFacts("t:{1}:crawl", "default", 79, {}, {}, has_group=True),
    ]
    full, backlog = judge_pressure("Redis uses 90% of its maxmemory", facts, 100)
    assert "90%" in full.found
    assert backlog.found.startswith("t:{0}:crawl has 80 entries of 100")
    assert judge_pressure("", facts, 0) == []


def test_the_command_says_that_the_backlog_is_full(tmp_path: Path, start_valkey: Callable[..., ValkeyServer]) -> None:
    server = start_valkey(appendfsync="no")
    home = Home(tmp_path, MILLRACE_REDIS_URL=server.url, MILLRACE_MAX_BACKLOG="1")
    home.run("submit", "noop")
    refused = home.done("submit", "noop")
    assert refused.returncode == 1
    assert "send it again later" in refused.stderr
    assert "MILLRACE_MAX_BACKLOG" in refused.stderr
