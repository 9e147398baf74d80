"""How workers share what there is: nobody holds what another could run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from consumers.outcome import Done, Outcome
from streams.policy import StagePolicy
from tests.support.chaos_local import QUICK, Note, flow_of, here

if TYPE_CHECKING:
    from consumers.context import StageContext


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
