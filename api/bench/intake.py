"""What taking jobs in costs: the rate of submissions, and the memory of those that wait."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from api.bench.ground import FLOWS, Ground
from consumers.submit import submit
from schemas.jobs import JobRequest

CALLERS: Final = 32


async def submissions(ground: Ground, _: dict[str, Any]) -> dict[str, Any]:
    """Jobs a second from one process: one call after the other, from 32 callers at once, and in batches of 100."""
    ground.told("submissions")
    jobs = ground.plan.single_submits
    numbers = iter(range(2 * jobs))
    async with ground.namespace() as log, ground.watched("submissions"):

        async def call(times: int) -> None:
            for _ in range(times):
                await submit(log, FLOWS, JobRequest(flow="noop", spec={"n": next(numbers)}))

        began = time.perf_counter()
        await call(jobs)
        single_s = time.perf_counter() - began
        began = time.perf_counter()
        await asyncio.gather(*(call(jobs // CALLERS or 1) for _ in range(min(CALLERS, jobs))))
        several_s = time.perf_counter() - began
        began = time.perf_counter()
        await ground.fill(log, jobs * 20, first=2 * jobs)
        batched_s = time.perf_counter() - began
    callers = min(CALLERS, jobs)
    return {
        "submits_per_s": {
            "single": round(jobs / single_s),
            "callers_32": round(callers * (jobs // CALLERS or 1) / several_s),
            "batches_of_100": round(jobs * 20 / batched_s),
        }
    }


async def memory(ground: Ground, _: dict[str, Any]) -> dict[str, Any]:
    """What a queued small job takes: record, stream entry and lifecycle entry, without its idempotency key."""
    ground.told("memory")
    async with ground.namespace() as log:
        before = await ground.used_bytes()
        await ground.fill(log, ground.plan.memory_jobs)
        await ground.remove(f"{log.keys.partition(0).prefix}accepted:*")
        used = await ground.used_bytes() - before
        lifecycle = await ground.client.memory_usage(log.keys.partition(0).lifecycle, samples=0)
    jobs = ground.plan.memory_jobs
    return {
        "redis_bytes_per_job": round(used / jobs, 1),
        "lifecycle_bytes_per_entry": round(lifecycle / jobs, 1),
    }
