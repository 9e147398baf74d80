"""The five claims that the systems before this one made: what each claimed, what is measured, whether it holds."""

from __future__ import annotations

from typing import Any, Final

from api.bench.ground import Ground
from api.bench.processes import done, workers
from schemas.names import STAGES

FAILING: Final = 0.05
JOBS_PER_MIN: Final = 500
LATENCY_MS: Final = 100
MEMORY_MB: Final = 256
MEMORY_JOBS: Final = 10_000
SUCCEEDED: Final = 0.995
RECOVERY_S: Final = 30
MB: Final = 1_000_000
MINUTE_S: Final = 60.0


async def claims(ground: Ground, found: dict[str, Any]) -> dict[str, Any]:
    """Measure two of them; the others follow from the latency, memory and recovery that `found` has."""
    workers_told = ground.plan.claim_workers
    ground.told(f"claims: {workers_told} workers, then {FAILING:.0%} of attempts failing")
    per_min = await _jobs_per_min(ground)
    share = await _succeeded(ground)
    used_mb = round(found["redis_bytes_per_job"] * MEMORY_JOBS / MB + found["worker_rss_mb"], 1)
    latency_ms = max(found["latency_ms"]["p99"], found["latency_half_load_ms"]["p99"])
    recovery_s = max(found["recovery_s"][way]["max"] for way in ("by_lease", "by_supervisor"))
    rows = (
        ("throughput", f"{JOBS_PER_MIN} tasks/min with {workers_told} workers", per_min, "jobs/min",
         per_min >= JOBS_PER_MIN),
        ("latency", f"< {LATENCY_MS} ms", latency_ms, "ms, p99, also at half load", latency_ms < LATENCY_MS),
        ("memory", f"{MEMORY_MB} MB for {MEMORY_JOBS:,} tasks", used_mb, "MB: queued jobs in Redis, and a worker",
         used_mb < MEMORY_MB),
        ("success", f"{SUCCEEDED:.1%} success when {FAILING:.0%} of attempts fail", round(share * 100, 2),
         "% of the jobs succeeded", share >= SUCCEEDED),
        ("recovery", f"recovery < {RECOVERY_S} s", recovery_s, "s, the slowest entry of killed workers",
         recovery_s < RECOVERY_S),
    )  # fmt: skip
    return {"claims": [dict(zip(("name", "claimed", "measured", "unit", "holds"), row, strict=True)) for row in rows]}


async def _jobs_per_min(ground: Ground) -> int:
    """Six-stage jobs a minute, by so many worker processes: a job counts as one task."""
    jobs = ground.plan.claim_jobs
    async with ground.namespace() as log, ground.watched("claims: workers", jobs * len(STAGES)):
        await ground.fill(log, jobs)
        async with workers(*[ground.orders(log)] * ground.plan.claim_workers) as started:
            await ground.until_ended(log)
            told = [one for one in [await done(one) for one in started] if one.began_ns]
    took_s = (max(one.ended_ns for one in told) - min(one.began_ns for one in told)) / 1e9
    return round(jobs / took_s * MINUTE_S)


async def _succeeded(ground: Ground) -> float:
    """The share of jobs that succeed although a share of their attempts fails, with the shipped retries."""
    jobs = ground.plan.claim_jobs
    async with ground.namespace() as log, ground.watched("claims: failing attempts", jobs * len(STAGES)):
        await ground.fill(log, jobs)
        async with workers(ground.orders(log, fails=FAILING)) as (worker,):
            await ground.until_ended(log)
            told = await done(worker)
        ends = [fields[b"status"] async for _, fields in ground.happened(log) if _is_end(fields)]
    if len(ends) != jobs or not (jobs < 100 or told.outcomes.get("retried")):  # noqa: PLR2004 - of few, none may fail
        raise RuntimeError(f"of {jobs} jobs {len(ends)} ended; the worker counted {told.outcomes}")
    return ends.count(b"succeeded") / jobs


def _is_end(fields: dict[bytes, bytes]) -> bool:
    return fields.get(b"status") in {b"succeeded", b"partial", b"failed"}
