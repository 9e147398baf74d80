"""The `leads_pagespeed` flow: the websites of leads measured, each lead an entry; what is measured stays with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consumers.audit import measuring
from consumers.audit.outside.pagespeed import not_measured
from consumers.flow import Flow
from consumers.leads.score import speed_of
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from schemas.leads import SpeedErrand, SpeedLine, SpeedResult, SpeedSpec, SpeedStart
from schemas.stages import CompileRequest
from streams.errors import PermanentError
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext

LIMIT_S: Final = 12 * 3_600.0


@stage(name="crawl", accepts=SpeedStart, emits=("download",), fetches=False)
async def begin(start: SpeedStart, _: StageContext) -> Outcome:
    """One entry for each lead."""
    return Done(tuple(Emit("download", SpeedErrand(lead_id=one), once=one) for one in start.leads))


@stage(
    name="download",
    accepts=SpeedErrand,
    policy=StagePolicy(
        soft_timeout_s=900, timeout_s=1_000, concurrency=2, pool="heavy",
        retry=RetryPolicy(max_attempts=4, base_s=5, cap_s=60),
    ),
)  # fmt: skip
async def measure(errand: SpeedErrand, ctx: StageContext) -> Outcome:
    """Measure one website and write it down with its lead; one that is not measured keeps what was measured before."""
    lead = await ctx.store.leads.get(errand.lead_id, tenant=ctx.tenant)
    if lead is None:
        raise PermanentError(
            f"there is no lead {errand.lead_id}; GET /api/v1/leads lists those that there are", reason="no_lead"
        )
    website = lead.payload.get("website")
    ctx.progress("measuring websites", 30)
    if website is None:
        speed = not_measured("no_website: the lead has no website of its own")
    else:
        speed = await measuring.measured(
            "pagespeed", ctx, lambda: measuring.pagespeed(website, ctx), is_last=ctx.is_last_attempt
        )
    await ctx.store.leads.put_speed(errand.lead_id, speed, tenant=ctx.tenant, actor=f"job {ctx.job_id}")
    line = SpeedLine(
        lead_id=errand.lead_id, status=speed["status"], reason=str(speed.get("reason", "")),
        mobile=speed_of(speed, "mobile"), desktop=speed_of(speed, "desktop"),
    )  # fmt: skip
    await ctx.collect(line)
    return Done()


@stage(name="compile", accepts=CompileRequest)
async def tell(_: CompileRequest, ctx: StageContext) -> Outcome:
    """What was measured, and what was not and why."""
    lines = tuple([one async for one in ctx.collected(SpeedLine)])
    measured = sum(one.status == "measured" for one in lines)
    missing = tuple(f"{one.stage}: {one.reason}" for one in await ctx.failures())
    result = SpeedResult(measured=measured, not_measured=len(lines) - measured, leads=lines)
    return Done(result=result, missing=missing)


flow = Flow(
    name="leads_pagespeed",
    spec=SpeedSpec,
    stages=(begin, measure, tell),
    first=lambda spec: SpeedStart(leads=spec.leads),
    limit_s=LIMIT_S,
    about="how fast the websites of leads are",
)
