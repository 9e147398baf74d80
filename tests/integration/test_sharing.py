"""How workers share what there is: nobody holds what another could run."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from consumers.outcome import Done, Emit, Outcome
from consumers.submit import submit
from schemas.jobs import JobRequest
from streams.policy import StagePolicy
from streams.reader import Reader
from tests.support.chaos_local import QUICK, Note, flow_of, here

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.context import StageContext
    from consumers.worker.worker import Worker


async def test_a_worker_does_not_hold_what_an_idle_one_could_run(valkey_url: str, namespace: str) -> None:
    """Each worker may run one at a time, and each handler waits for another to run with it."""
    together = asyncio.Barrier(2)

    async def meets(_: Note, __: StageContext) -> Outcome:
        await together.wait()
        return Done()

    one_each = {"crawl": StagePolicy(concurrency=1, retry=QUICK)}
    flows = flow_of("slow", crawl=meets, policies=one_each), flow_of("free")  # type: ignore[arg-type]
    async with here(valkey_url, namespace, *flows) as place:
        jobs = [await place.submit("slow") for _ in range(10)]
        first = await place.start()
        await place.until(lambda: first.committer.counts.get("released", 0) == 9, "nine that are given back")
        assert len(first.hand.entries) == 1
        await place.start(name="idle")
        for job in jobs:
            assert (await place.ended(job)).status == "succeeded"
        others = [await place.submit("free") for _ in range(20)]
        for job in others:
            assert (await place.ended(job)).status == "succeeded"
        await place.check()


async def test_partitions_follow_the_workers_that_are_there(valkey_url: str, namespace: str) -> None:
    ran: Counter[tuple[str, int]] = Counter()

    async def counts(_: Note, ctx: StageContext) -> Outcome:
        ran[ctx.bench.moves.consumer, int(ctx.job_id.partition("-")[0])] += 1  # type: ignore[attr-defined]
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=counts), partitions=4) as place:
        first, second = await place.start(name="first"), await place.start(name="second")

        def share(worker: Worker) -> frozenset[int]:
            return worker.readers["default"].preferred

        def are_shared(*workers: Worker) -> Callable[[], bool]:
            return lambda: (
                set().union(*map(share, workers)) == set(range(4))
                and max(len(share(one)) for one in workers) == -(-4 // len(workers))
                and sum(len(share(one)) for one in workers) == 4
            )

        await place.until(are_shared(first, second), "two shares")
        third = await place.start(name="third")
        await place.until(are_shared(first, second, third), "three shares")
        await third.drain()
        await second.presence.stop()  # as if it were dead: it is heard no more, and reads on all the same
        await place.until(lambda: share(first) == frozenset(range(4)), "all of them")
        await place.log.client.delete(place.log.keys.worker("second"))

        second.readers["default"].prefer(frozenset({0}))
        first.readers["default"].prefer(frozenset({0}))
        jobs = [await place.submit() for _ in range(40)]
        for job in jobs:
            assert (await place.ended(job)).status == "succeeded"
        assert {partition for _, partition in ran} == set(range(4)), "nothing is deaf, whoever prefers what"
        await place.check()


async def test_a_busy_worker_reads_its_share_first_and_the_others_all_the_same(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, flow_of(), partitions=4) as place:
        reader = Reader(place.log.client, place.log.client, place.log.keys, "one", pools=("default",))
        await reader.create_groups()
        for _ in range(400):
            await place.submit()
        reader.prefer(frozenset({1, 2}))
        found: Counter[int] = Counter()
        for _ in range(16):
            for entry in await reader.poll({"default": 4}, frozenset()):
                found[entry.keys.partition] += 1
        assert found[1] + found[2] > 3 * (found[0] + found[3])
        assert found[0] + found[3] > 0
        while entries := await reader.poll({"default": 50}, frozenset()):
            for entry in entries:
                found[entry.keys.partition] += 1
        assert found.total() == 400


async def test_a_wide_job_of_one_tenant_does_not_hold_up_anothers_small_ones(valkey_url: str, namespace: str) -> None:
    wide, entries = "", 2_000

    async def opens(note: Note, _: StageContext) -> Outcome:
        return Done(tuple(Emit("extract", Note()) for _ in range(note.n or 1)))

    async with here(valkey_url, namespace, flow_of(crawl=opens), parked_in_memory=256) as place:
        await place.start(concurrency=64)

        async def done() -> int:
            record = await place.log.job(wide)
            return record.number("extract.done") if record is not None else 0

        request = JobRequest(flow="one", spec={"n": entries})
        wide = (await submit(place.log, place.flows, request, tenant="large")).job_id
        place.accepted.append(wide)
        await place.until(done, "the first of the wide job")
        for job in [await place.submit() for _ in range(10)]:
            assert (await place.ended(job)).status == "succeeded"
        assert await done() < entries / 2, "the small ones had their turn between"
        assert (await place.ended(wide, 40)).status == "succeeded"


async def test_a_saturated_lane_leaves_the_others_their_share(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, flow_of()) as place:
        reader = Reader(place.log.client, place.log.client, place.log.keys, "one", pools=("default",))
        await reader.create_groups()
        for priority in ("low", "high", "normal"):
            for _ in range(300):
                await place.submit(priority=priority)
        for slots, polls in ((1, 120), (4, 30), (40, 4)):
            found: Counter[str] = Counter()
            for _ in range(polls):
                for entry in await reader.poll({"default": slots}, frozenset()):
                    found[entry.name.lane] += 1
            total = found.total()
            assert found["low"] >= 0.05 * total, (slots, found)
            assert found["high"] > found["normal"] > found["low"], (slots, found)


async def test_with_every_heavy_slot_busy_other_pools_go_on(valkey_url: str, namespace: str) -> None:
    gate, held = asyncio.Event(), asyncio.Semaphore(0)

    async def holds(_: Note, __: StageContext) -> Outcome:
        held.release()
        await gate.wait()
        return Done()

    heavy = flow_of("heavy", crawl=holds, policies={"crawl": StagePolicy(pool="heavy", retry=QUICK)})
    async with here(valkey_url, namespace, flow_of(), heavy) as place:
        worker = await place.start()
        waiting = [await place.submit("heavy") for _ in range(3 * worker.hand.slots["heavy"])]
        for _ in range(worker.hand.slots["heavy"]):
            await held.acquire()
        for job in [await place.submit() for _ in range(50)]:
            assert (await place.ended(job)).status == "succeeded"
        assert worker.hand.free()["heavy"] == 0
        gate.set()
        for job in waiting:
            assert (await place.ended(job)).status == "succeeded"
