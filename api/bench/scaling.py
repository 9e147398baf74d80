"""How soon `millrace worker --autoscale 1,2` has a second process when work waits, and gives it up when none does."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from api.bench.ground import Ground
from api.bench.tree import tree
from consumers.worker.presence import presence
from streams.log import Log

LOOK_EVERY_S: Final = 0.1
WITHIN_S: Final = 120.0
FEED: Final = 2_000
"""Jobs that are submitted together, so that work waits from the first moment on."""


async def autoscale(ground: Ground, _: dict[str, Any]) -> dict[str, Any]:
    """Seconds until there were two processes, and from the last job's end until there was one; and jobs lost.

    Raises:
        RuntimeError: It did not come to two, or back to one, within two minutes.
    """
    jobs = ground.plan.scaled_jobs
    async with ground.namespace() as log, tree(ground, log, "worker", "--autoscale", "1,2"):
        ground.told("autoscale: up")
        began = time.monotonic()
        filling = asyncio.create_task(_fill(ground, log, jobs))
        await _until(ground, log, 2)
        up_s = time.monotonic() - began
        await filling
        await ground.until_ended(log)
        ground.told("autoscale: down")
        began = time.monotonic()
        await _until(ground, log, 1)
        down_s = time.monotonic() - began
        ended = sum(
            [
                fields[b"type"] == b"completed" and fields[b"stage"] == b"notify"
                async for _, fields in ground.happened(log)
            ]
        )
    return {"autoscale": {"up_s": round(up_s, 1), "down_s": round(down_s, 1), "jobs": jobs, "lost": jobs - ended}}


async def _fill(ground: Ground, log: Log, jobs: int) -> None:
    for first in range(0, jobs, FEED):
        await ground.fill(log, min(FEED, jobs - first), first=first)


async def _until(ground: Ground, log: Log, processes: int) -> None:
    try:
        async with asyncio.timeout(WITHIN_S):
            while len(await presence(ground.client, log.keys)) != processes:  # noqa: ASYNC110 - others come and go
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        raise RuntimeError(f"autoscale did not come to {processes} processes within {WITHIN_S:g} s") from None
