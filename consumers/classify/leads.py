"""Whether a business is a lead."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from consumers.leads.identity import own_website
from consumers.leads.qualify import block_keys, why_not
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from schemas.leads import Business, LeadsSpec, Left, Qualified
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext


@stage(
    name="classify",
    accepts=Business,
    emits=("download",),
    policy=StagePolicy(timeout_s=60, concurrency=16, retry=RetryPolicy(max_attempts=4, base_s=2, cap_s=60)),
    fetches=False,
)
async def classify(business: Business, ctx: StageContext) -> Outcome:
    """Let on who qualifies; keep of the others only why they do not."""
    spec = await ctx.spec(LeadsSpec)
    blocked = await ctx.store.lead_lists.blocked_of(block_keys(business, spec.region), tenant=ctx.tenant)
    reason = why_not(business, spec, blocked, datetime.now(UTC).date())
    if reason is not None:
        await ctx.collect(Left(key=business.key, left=reason))
        return Done()
    return Done((Emit("download", Qualified(business=business, website=own_website(business.website))),))
