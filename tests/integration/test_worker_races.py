"""Moments that are easily got wrong: a drain, a log that is away, a crash inside the worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from api.chaos.proxy import proxied
from consumers.context import StageContext
from consumers.outcome import Done, Outcome
from streams.policy import StagePolicy
from streams.scripts import script
from tests.support.chaos_local import Note, flow_of, handing_on, here

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.embedded.valkey import ValkeyServer


async def test_work_that_ends_as_it_is_announced_is_completed(valkey_url: str, namespace: str) -> None:
    """Its worker starts its own entries unasked and tells the log an eighth of a second later."""
    refused = 0

    async def works(note: Note, _: StageContext) -> Outcome:
        await asyncio.sleep(0.12 + note.n % 100 * 0.004)
        return Done()

    flow = flow_of(crawl=handing_on("classify", 400), classify=works, policies={"classify": StagePolicy(window=1_000)})
    async with here(valkey_url, namespace, flow) as place:
        worker = await place.start(concurrency=100)
        job = await place.submit()
        record = await place.ended(job)
        refused = sum(worker.committer.refused.values())
        assert record.status == "succeeded"
        assert refused == 0
        await place.check()


async def test_a_completion_between_an_announcement_and_its_answer_is_accepted(valkey_url: str, namespace: str) -> None:
    """The log knows the lease under a start that the worker has not been told of yet."""
    finish = asyncio.Event()

    async def works(_: Note, __: StageContext) -> Outcome:
        await finish.wait()
        return Done()

    flow = flow_of(crawl=handing_on("classify"), classify=works)
    async with here(valkey_url, namespace, flow) as place:
        worker = await place.start()
        starts = worker.moves.start

        async def slow_start(keys: object, entries: list[object], **options: bool) -> object:
            answer = await starts(keys, entries, **options)  # type: ignore[arg-type]
            if entries[0].name.stage == "classify":  # type: ignore[attr-defined]
                finish.set()
                await place.until(
                    lambda: any(n == "settled" and v[0].name.stage == "classify" for n, v in place.signals), "its end"
                )
            return answer

        worker.moves.start = slow_start  # type: ignore[method-assign, assignment]
        job = await place.submit()
        assert (await place.ended(job, timeout_s=3)).status == "succeeded"
        assert worker.committer.refused == {}
        await place.check()


async def test_a_drain_lets_work_finish_and_gives_the_rest_back_uncounted(valkey_url: str, namespace: str) -> None:
    ended: list[tuple[int, str]] = []
    is_second = False
    release = asyncio.Event()

    async def works(note: Note, ctx: StageContext) -> Outcome:
        if note.n == 0:
            await asyncio.sleep(0.3)
        elif not is_second:
            await asyncio.Event().wait()
        ended.append((note.n, ctx.idempotency_key))
        return Done()

    flow = flow_of(crawl=handing_on("classify", 6), classify=works, policies={"classify": StagePolicy(concurrency=3)})
    async with here(valkey_url, namespace, flow) as place:
        first = await place.start()
        job = await place.submit()
        await place.until(lambda: len(first.hand.entries) == 3, "the entries that it may run")
        second = await place.start()
        is_second = True
        draining = asyncio.create_task(first.drain(0.6))
        began = asyncio.get_running_loop().time()
        await draining
        record = await place.ended(job)
        took_s = asyncio.get_running_loop().time() - began
        release.set()
        assert record.status == "succeeded"
        assert sorted(n for n, _ in ended) == [0, 1, 2, 3, 4, 5]
        assert took_s < 3, f"what was given back waited for its lease: {took_s:.1f} s"
        assert await place.told(job, "reclaimed") == []
        assert {name for name in record.fields if name.startswith("crash.")} == set()
        assert second.reclaiming.claimed >= 2
        await place.check()


async def test_what_arrives_in_the_moment_of_a_drain_waits_for_no_lease(valkey_url: str, namespace: str) -> None:
    """The doorbell may just have been answered: its entry is run or given back, not left to the dead."""
    async with here(valkey_url, namespace, flow_of()) as place:
        await place.start()
        for _ in range(8):
            leaving = place.workers[-1]
            draining = asyncio.create_task(leaving.drain())
            jobs = [asyncio.create_task(place.submit()) for _ in range(20)]
            await place.start()
            began = asyncio.get_running_loop().time()
            await draining
            assert asyncio.get_running_loop().time() - began < 1
            for job in await asyncio.gather(*jobs):
                await place.ended(job, timeout_s=3)
                assert await place.told(job, "reclaimed") == []
        await place.check()


@pytest.mark.slow
async def test_a_drain_ends_when_the_log_is_away(start_valkey: Callable[..., ValkeyServer], namespace: str) -> None:
    began = asyncio.Event()

    async def works(_: Note, __: StageContext) -> Outcome:
        began.set()
        await asyncio.Event().wait()
        return Done()

    server = start_valkey(appendfsync="no")
    async with here(server.url, namespace, flow_of(crawl=works)) as place:
        worker = await place.start()
        await place.submit()
        await began.wait()
        server.kill()
        async with asyncio.timeout(40):
            await worker.drain(0.1)
        server.start()


async def test_work_starts_once_when_the_log_goes_away_in_a_batch(
    start_valkey: Callable[..., ValkeyServer], namespace: str
) -> None:
    """Some of a batch were started, then the log was away: only the others are started again."""
    runs: dict[str, int] = {}
    release = asyncio.Event()

    async def works(_: Note, ctx: StageContext) -> Outcome:
        runs[ctx.job_id] = runs.get(ctx.job_id, 0) + 1
        await release.wait()
        return Done()

    server = start_valkey(appendfsync="always")
    async with here(server.url, namespace, flow_of(crawl=works), partitions=4) as place:
        sha, asked = script("start").sha.encode(), 0

        def second(chunk: bytes) -> bool:
            nonlocal asked
            asked += sha in chunk
            return sha in chunk and 2 <= asked <= 8

        async with proxied(server.url) as proxy:
            proxy.cut_answer = second
            jobs = [await place.submit() for _ in range(30)]
            await place.start(redis_url=proxy.url)
            await place.until(lambda: len(runs) == len(jobs), "the starts", 30)
            release.set()
            for job in jobs:
                await place.ended(job)
            assert proxy.cuts >= 4
            assert set(runs.values()) == {1}
            await place.check()
            for worker in place.workers:
                await worker.drain()


async def test_a_crash_inside_a_worker_stops_it(valkey_url: str, namespace: str) -> None:
    """It neither reads nor renews any more, so that others take over; who runs it is told."""
    began = asyncio.Event()

    async def works(_: Note, __: StageContext) -> Outcome:
        began.set()
        await asyncio.Event().wait()
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=works)) as place:
        worker = await place.start()
        await place.submit()
        await began.wait()
        stopped = asyncio.create_task(worker.wait_until_stopped())

        async def broken(*_: object) -> list[int]:
            raise RuntimeError("a bug")

        worker.keeper._moves.heartbeat = broken  # type: ignore[method-assign, assignment]
        async with asyncio.timeout(10):
            await asyncio.wait({stopped})
        assert worker.crashed
        assert worker.should_stop
        assert all(loop.should_stop for loop in worker.reading)
        place.accepted.clear()


async def test_an_entry_is_adopted_once_though_answers_are_cut_off(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, flow_of()) as place, proxied(valkey_url) as proxy:
        sha = script("adopt").sha.encode()
        proxy.cut_answer = lambda chunk: proxy.cuts < 6 and sha in chunk  # more often than a command is re-sent
        worker = await place.start(redis_url=proxy.url)
        keys = place.log.keys.partition(0)
        await place.log.client.xadd(keys.stream("classify"), {"flow": "one", "data": '{"v":1}'})
        await place.until(lambda: any(n == "settled" and v[0].name.stage == "notify" for n, v in place.signals), "it")
        await place.until(lambda: proxy.cuts == 6 and not worker.hand.entries, "an empty hand")
        rows = await place.log.client.xrange(keys.lifecycle)
        assert [raw[b"type"] for _, raw in rows].count(b"adopted") == 1
        await place.check()
        await worker.drain()
