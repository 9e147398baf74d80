"""From the call of `submit` to the beginning of the job's first handler, in another process."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from api.bench.ground import FLOWS, Ground, new_bench_job
from api.bench.processes import done, workers
from api.bench.statistics import cuts
from consumers.submit import submit
from schemas.jobs import JobRequest
from schemas.names import STAGES

WARM_UP_JOBS: Final = 20
"""Of the run on an idle worker; not counted."""
WARM_UP_S: Final = 1.0
"""Of half load; not counted."""
TICK_S: Final = 0.005


async def latency(ground: Ground, found: dict[str, Any]) -> dict[str, Any]:
    """On an idle worker, and at half of the load that `transitions_per_s` of `found` is."""
    ground.told("latency")
    idle_ms = await idle(ground)
    half_per_s = found["transitions_per_s"] / len(STAGES) / 2
    return {
        "latency_ms": {name: idle_ms[name] for name in ("p50", "p99")},
        "latency_half_load_ms": await loaded(ground, half_per_s),
    }


async def idle(ground: Ground) -> dict[str, float]:
    """Jobs one after the other."""
    plan = ground.plan
    jobs = WARM_UP_JOBS + plan.latency_jobs
    called_ns: dict[str, int] = {}
    async with (
        ground.namespace() as log,
        ground.watched("latency", jobs * len(STAGES)),
        workers(ground.orders(log, jobs * len(STAGES), is_timing_starts=True)) as (worker,),
    ):
        began = time.perf_counter()
        for n in range(jobs):
            await asyncio.sleep(max(0.0, began + n / plan.latency_per_s - time.perf_counter()))
            at = time.monotonic_ns()
            submitted = await submit(log, FLOWS, JobRequest(flow="noop", spec={"n": n}))
            called_ns[submitted.job_id] = at
        first_ns = (await done(worker)).first_ns
    return cuts((first_ns[job] - at) / 1e6 for job, at in list(called_ns.items())[WARM_UP_JOBS:])


async def loaded(ground: Ground, jobs_per_s: float) -> dict[str, float]:
    """Jobs at a steady rate, those due in the same 5 ms submitted together; each is timed.

    The clock of a job starts when it was due: a submitter that falls behind counts against us.
    """
    for_s = ground.plan.half_load_s + WARM_UP_S
    jobs = max(10, int(for_s * jobs_per_s))
    due_ns: dict[str, int] = {}
    async with (
        ground.namespace() as log,
        ground.watched("half load", jobs * len(STAGES)),
        workers(ground.orders(log, jobs * len(STAGES), is_timing_starts=True)) as (worker,),
    ):
        began, began_ns, n = time.perf_counter(), time.monotonic_ns(), 0
        while n < jobs:
            due = min(jobs, int((time.perf_counter() - began) * jobs_per_s) + 1)
            batch = []
            for number in range(n, due):
                job = new_bench_job(log, number)
                due_ns[job.job_id] = began_ns + int(number / jobs_per_s * 1e9)
                batch.append(job)
            if batch:
                await log.submit_many(batch)
            n = due
            await asyncio.sleep(TICK_S)
        submitted_s = time.perf_counter() - began
        told = await done(worker)
    counted = [
        (told.first_ns[job] - at) / 1e6
        for job, at in due_ns.items()
        if at - began_ns >= min(WARM_UP_S, for_s / 2) * 1e9
    ]
    return {
        **cuts(counted), "jobs_per_s": round(jobs_per_s), "submitted_per_s": round(jobs / submitted_s),
        "jobs": len(counted),
    }  # fmt: skip
