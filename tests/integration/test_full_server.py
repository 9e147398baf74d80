"""A server at its `maxmemory`: it refuses what takes memory, and whoever works goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from consumers.outcome import Done, Outcome
from consumers.worker.follow import HistoryFollower
from consumers.worker.ingest import Ingest
from streams.errors import TransientError
from tests.support.chaos_local import Note, flow_of, handing_on, here

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.context import StageContext
    from streams.embedded.valkey import ValkeyServer
    from streams.groups import Entries
    from tests.support.chaos_local import Here


class Heard(HistoryFollower):
    """The history group's member, which keeps nothing."""

    async def handle(self, partition: int, entries: Entries) -> None:
        """Take a batch."""


async def test_a_full_server_crashes_no_worker(start_valkey: Callable[..., ValkeyServer], namespace: str) -> None:
    """Timers, sweeps, presence and history crashed the worker, and with it all that was at work."""
    began, goes_on = asyncio.Event(), asyncio.Event()

    async def classify(note: Note, ctx: StageContext) -> Outcome:
        if note.n == 7 and ctx.attempt == 1:
            raise TransientError("again while the server is full", retry_after_s=0.5)
        if note.n != 7:
            began.set()
            await goes_on.wait()
        return Done()

    server = start_valkey(appendfsync="no")
    flow = flow_of(crawl=handing_on("classify"), classify=classify)
    async with here(server.url, namespace, flow, lease_ms=1_000) as place:
        await place.start(follows=(Ingest, Heard))
        waiting, at_work = await place.submit(n=7), await place.submit(n=1)
        await began.wait()
        await place.until(lambda: _told(place, waiting, "retried"), "the retry")
        await place.log.client.config_set("maxmemory", 1)
        swept = _count(place.signals, "reclaimer.swept")
        await place.until(lambda: _count(place.signals, "reclaimer.swept") > swept + 8, "sweeps of a full server")
        late = await place.start(follows=(Ingest, Heard))
        goes_on.set()
        await place.until(lambda: _told(place, at_work, "completed"), "work to end while the server is full")
        record = await place.log.job(waiting)
        assert record is not None
        assert record.number("delayed") == 1
        assert not any(worker.crashed for worker in place.workers)
        await place.log.client.config_set("maxmemory", 0)
        for job in (waiting, at_work):
            assert (await place.ended(job)).status == "succeeded"
        assert late.name
        await place.check()


def _count(signals: list[tuple[str, tuple[object, ...]]], name: str) -> int:
    return sum(signal[0] == name for signal in signals)


async def _told(place: Here, job: str, kind: str) -> bool:
    return bool(await place.told(job, kind))
