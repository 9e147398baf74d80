"""Health: that a job comes through at all says that schedules, log, workers and database work together."""

from __future__ import annotations

from typing import Any, Final

from consumers.maintenance.alerts import settled
from consumers.maintenance.fleet import fleet
from consumers.maintenance.yard import Yard
from schemas.maintenance import Report
from schemas.names import LANES, POOLS, STAGES
from streams.findings import Finding, Findings
from streams.keys import StreamName

KIND: Final = "no_worker_for_pool"


async def health(yard: Yard) -> Report:
    """Look at the fleet: readers that are deaf, and pools with work that no worker reads.

    A deaf reader is restarted by its own worker (`consumers.worker.watchdog`), which needs no job for it.
    """
    workers = await fleet(yard.log)
    deaf = [f"{one['name']}: {pool}" for one in workers for pool in one.get("deaf", ())]
    lonely = await _lonely(yard, workers)
    findings = Findings(yard.log.client, yard.log.keys)
    for pool in POOLS:
        if pool in lonely and not yard.order.dry_run:
            what = f"pool {pool} has {lonely[pool]} entries waiting and no worker reads it"
            cure = f"start one that has what it needs: `millrace worker --pools {pool}`"
            await findings.note(Finding(KIND, pool, what, cure, round(yard.now.timestamp() * 1_000)))
        elif not yard.order.dry_run:
            await settled(yard, KIND, pool)
    said = [f"reader {one} is deaf" for one in deaf] + [f"nobody reads pool {pool}" for pool in lonely]
    return yard.report(
        *(said or (f"{len(workers)} workers read",)),
        counts={"workers": len(workers), "deaf_readers": len(deaf), "lonely_pools": len(lonely)},
    )


async def _lonely(yard: Yard, workers: list[dict[str, Any]]) -> dict[str, int]:
    """Entries by pool, of pools that no worker has."""
    read = {pool for one in workers for pool in one["pools"]}
    pools = [pool for pool in POOLS if pool not in read]
    places = [
        (pool, keys.named(str(StreamName(stage, pool, lane))))
        for pool in pools for stage in STAGES for lane in LANES for keys in yard.log.keys.all_partitions
    ]  # fmt: skip
    pipe = yard.log.client.pipeline(transaction=False)
    for _, key in places:
        pipe.xlen(key)
    found: dict[str, int] = {}
    for (pool, _), length in zip(places, await pipe.execute() if places else (), strict=True):
        if length:
            found[pool] = found.get(pool, 0) + length
    return found
