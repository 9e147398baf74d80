"""Flows of maintenance: jobs of the default pool in the low lane, one chore each, no chore twice at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from consumers.context import StageContext
from consumers.flow import Flow
from consumers.maintenance.chores import CHORES
from consumers.maintenance.yard import Chore, Yard
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from schemas.maintenance import MaintenanceResult, MaintenanceSpec, Order, Report
from schemas.stages import CompileRequest
from streams.errors import PermanentError
from streams.policy import AtOnce, RetryPolicy, StagePolicy


def maintenance(name: str, chores: Mapping[str, Chore], about: str) -> Flow:
    """A flow whose jobs do one chore each, in the low lane when the built-in schedules submit them."""
    policy = StagePolicy(
        soft_timeout_s=1_650,
        timeout_s=1_800,
        concurrency=2,
        retry=RetryPolicy(max_attempts=3, base_s=5, cap_s=60),
        limits=(AtOnce(name, 1, by=lambda order: order.chore),),
    )

    @stage(name="crawl", accepts=Order, policy=policy)
    async def work(order: Order, ctx: StageContext) -> Outcome:
        """Do the chore, and keep its report."""
        chore = chores.get(order.chore)
        if chore is None:
            known = ", ".join(sorted(chores))
            raise PermanentError(f"there is no chore {order.chore!r}; there are: {known}", reason="unknown_chore")
        yard = Yard(order, datetime.now(UTC), ctx.jobs, ctx.settings, lambda: ctx.store, lambda: ctx.blobs)
        report = await chore(yard)
        for line in report.said:
            ctx.log.info("%s: %s", order.chore, line)
        await ctx.collect(report)
        return Done()

    return Flow(
        name=name,
        spec=MaintenanceSpec,
        stages=(work, tell),
        first=lambda spec: Order(chore=spec.chore, dry_run=spec.dry_run, older_than_days=spec.older_than_days),
        about=about,
    )


@stage(name="compile", accepts=CompileRequest)
async def tell(_: CompileRequest, ctx: StageContext) -> Outcome:
    """The report as the job's result."""
    async for report in ctx.collected(Report):
        status = "would_do" if report.dry_run else "done"
        return Done(
            result=MaintenanceResult.model_validate({**report.model_dump(exclude={"v", "dry_run"}), "status": status})
        )
    return Done()


flow = maintenance("maintenance", CHORES, "keeps Millrace itself in order; the built-in schedules submit it")
