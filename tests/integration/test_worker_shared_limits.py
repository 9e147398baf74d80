"""Limits that all workers share, as policies declare them: never more than allowed, nobody waits longer than needed."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest

from consumers.context import StageContext
from consumers.outcome import Done, Outcome, Snooze
from streams.limits import ConcurrencyLimit, Limits
from streams.overrides import Override, Overrides
from streams.policy import AtOnce, Limit, RateLimit, StagePolicy, waiting_for
from tests.support.chaos_local import QUICK, Here, Note, flow_of, here


@dataclass
class Room:
    """Counts who is in it."""

    is_held: bool = False
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    running: int = 0
    most: int = 0
    began_s: list[float] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)

    async def enter(self, _: Note, ctx: StageContext) -> Outcome:
        self.running += 1
        self.most = max(self.most, self.running)
        self.began_s.append(asyncio.get_running_loop().time())
        self.attempts.append(ctx.attempt)
        try:
            if self.is_held:
                await self.leave.wait()
            else:
                await asyncio.sleep(0.01)
        finally:
            self.running -= 1
        return Done()


def limited(room: Room, *limits: Limit) -> Any:
    return flow_of(crawl=room.enter, policies={"crawl": StagePolicy(retry=QUICK, limits=limits)})


async def is_waiting(place: Here, job: str, limit: str) -> bool:
    record = await place.log.job(job)
    assert record is not None
    return record.fields.get("progress.step") == waiting_for(limit)


async def test_two_workers_keep_one_limit_of_how_many_at_once(valkey_url: str, namespace: str) -> None:
    room = Room()
    async with here(valkey_url, namespace, limited(room, AtOnce("site", 2))) as place:
        jobs = [await place.submit() for _ in range(8)]
        await asyncio.gather(place.start(), place.start())
        for job in jobs:
            assert (await place.ended(job)).status == "succeeded"  # well before a waiter would look by itself
            assert await place.told(job, "retried") == []
        assert room.most == 2
        assert room.attempts == [1] * 8
        assert await Limits(place.log.client, namespace).held("site") == 0
        await place.check()


async def test_each_value_has_a_limit_of_its_own(valkey_url: str, namespace: str) -> None:
    room = Room(is_held=True)
    by = AtOnce("site", 1, by=lambda note: f"site {note.n}" if note.n else None)
    async with here(valkey_url, namespace, limited(room, by)) as place:
        await place.start()
        jobs = [await place.submit(n=n) for n in (1, 1, 2, 0, 0)]
        await place.until(lambda: room.running == 4, "one of each site, and both without")
        second = [job for job in jobs[:2] if await is_waiting(place, job, "site")]
        assert len(second) == 1
        room.leave.set()
        for job in jobs:
            assert (await place.ended(job)).status == "succeeded"


async def test_a_rate_snoozes_each_task_once_to_its_slot(valkey_url: str, namespace: str) -> None:
    room = Room()
    async with here(valkey_url, namespace, limited(room, RateLimit("mail", 2, 1.0))) as place:
        jobs = [await place.submit() for _ in range(4)]
        await asyncio.gather(place.start(), place.start())
        await place.until(lambda: is_waiting(place, jobs[-1], "mail"), "the last one's wait to be shown")
        records = [await place.ended(job) for job in jobs]
        assert {record.status for record in records} == {"succeeded"}
        assert all("waiting" not in record.fields.get("progress.step", "") for record in records)
        snoozed = [[row["reason"] for row in await place.told(job, "snoozed")] for job in jobs]
        assert max(map(len, snoozed)) == 1
        assert sum(map(len, snoozed)) == 3
        assert set(itertools.chain(*snoozed)) == {"waiting for limit mail"}
    gaps = [after - before for before, after in itertools.pairwise(sorted(room.began_s))]
    assert min(gaps) > 0.4  # 0.5 between two admissions by the server's clock
    assert room.attempts == [1] * 4


async def test_an_operator_changes_a_limit_while_it_is_in_use(valkey_url: str, namespace: str) -> None:
    room = Room(is_held=True)
    async with here(valkey_url, namespace, limited(room, AtOnce("site", 1))) as place:
        await place.start()
        overrides = Overrides(place.log.client, place.log.keys)
        first = await place.submit()
        await place.until(lambda: room.running == 1, "the first")
        await overrides.set("site", Override(2))
        await asyncio.sleep(1.0)
        second = await place.submit()
        await place.until(lambda: room.running == 2, "the second")
        room.leave.set()
        for job in (first, second):
            assert (await place.ended(job)).status == "succeeded"
        assert await overrides.clear("site")
        assert not await overrides.clear("site")


async def test_a_dead_holders_permit_goes_to_who_waits(valkey_url: str, namespace: str) -> None:
    room = Room()
    async with here(valkey_url, namespace, limited(room, AtOnce("site", 1)), lease_ms=600) as place:
        limit = ConcurrencyLimit(1, ttl_ms=600)
        assert (await Limits(place.log.client, namespace).acquire("site", "0-dead/1", limit)).granted
        await place.start()
        job = await place.submit()
        await place.until(lambda: is_waiting(place, job, "site"), "it to wait")
        assert (await place.ended(job, timeout_s=5)).status == "succeeded"


async def test_who_lost_its_permit_is_stopped_and_runs_again(valkey_url: str, namespace: str) -> None:
    room = Room(is_held=True)
    async with here(valkey_url, namespace, limited(room, AtOnce("site", 1)), lease_ms=600) as place:
        await place.start()
        job = await place.submit()
        await place.until(lambda: room.running == 1, "it to run")
        await place.log.client.delete(f"{namespace}:{{limit:site}}:permits")
        await place.until(lambda: len(room.began_s) == 2, "it to run again")
        assert room.most == 1
        room.leave.set()
        record = await place.ended(job)
        assert record.status == "succeeded"
        assert room.attempts == [1, 1]
        await place.check()


async def test_a_handler_asks_for_several_slots_under_one_entry(valkey_url: str, namespace: str) -> None:
    done: list[str] = []

    async def sends(_: Note, ctx: StageContext) -> Outcome:
        for to in ("a", "b"):
            if to not in done:
                wait_s = await ctx.reserve(RateLimit("mail", 2, 1.0), to)
                if wait_s:
                    return Snooze(wait_s, waiting_for("mail"))
                done.append(to)
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=sends)) as place:
        await place.start()
        job = await place.submit()
        assert (await place.ended(job)).status == "succeeded"
        assert done == ["a", "b"]
        assert len(await place.told(job, "snoozed")) == 1


@pytest.mark.parametrize("row", ["no json", '{"count": 0}', '{"counts": 1}'])
async def test_an_override_that_cannot_be_read_counts_for_nothing(valkey_url: str, namespace: str, row: str) -> None:
    async with here(valkey_url, namespace, flow_of()) as place:
        await place.log.client.hset(place.log.keys.limits, "site", row)
        limit = AtOnce("site", 3)
        assert await Overrides(place.log.client, place.log.keys).applied(limit) == limit
