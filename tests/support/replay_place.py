"""Replays in a test: of what a running place has done, by hand or by its worker."""

from __future__ import annotations

from typing import Any

from consumers.replays.record import ReplayRecord, Replays
from consumers.replays.run import Means, Run, plan
from consumers.worker.worker import Worker
from schemas.names import JobId
from schemas.replays import ReplayPlan, ReplayRequest
from streams.archiver import Archiver, raw_ranges
from streams.connect import connect
from streams.keys import job_id_for
from tests.support.flow_place import TENANT, Place

FAST = {"entries_per_s": 100_000}


def asked(from_stage: str = "crawl", *, fetch: bool = False, rate: Any = None, **select: Any) -> ReplayRequest:
    """What to replay."""
    return ReplayRequest.model_validate(
        {"select": select, "from_stage": from_stage, "fetch": fetch, "rate": rate or FAST}
    )


def means_of(worker: Worker) -> Means:
    """What replaying needs."""
    return Means(worker.jobs, worker.flows, worker.resources.store, worker.resources.blobs)


def new_id(replay_id: str, origin: str) -> JobId:
    """The job by which a replay repeats an origin."""
    return job_id_for(f"replay {replay_id} {origin}", 1)


async def planned(place: Place, request: ReplayRequest) -> ReplayPlan:
    """What a replay would do."""
    return await plan(means_of(place.worker), request, tenant=TENANT)


async def replayed(place: Place, request: ReplayRequest, runner: str = "test") -> ReplayRecord:
    """Ask for a replay and carry it out here."""
    replays = Replays(place.worker.client, place.worker.keys)
    record = await replays.create(request, tenant=TENANT, created_by="test")
    await Run(means_of(place.worker), replays, record, runner).carry_out()
    return await replays.get(record.replay_id)


async def archive_and_trim(place: Place, redis_url: str) -> None:
    """Archive all of lifecycle, then let Redis forget it."""
    worker = place.worker
    client = raw_ranges(connect(redis_url, single=True))
    for keys in worker.keys.all_partitions:
        archiver = Archiver(client, worker.resources.blobs.chunks, worker.keys.namespace, "by hand", max_bytes=1 << 30)
        await archiver.catch_up(keys)
        await archiver.let_go(keys)
        # As trimming does, which leaves what shares a node with something younger.
        await client.xtrim(keys.lifecycle, maxlen=0, approximate=False)
    await client.aclose()
