"""What a business's website tells of it: contacts, profiles, by what it was made, what is wrong with it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from consumers.leads.let_in import ERASED, let_in_lead
from consumers.leads.site import read_site
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from schemas.leads import LeadsSpec, Left, Origin, VisitedSite
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext


@stage(
    name="extract",
    accepts=VisitedSite,
    policy=StagePolicy(timeout_s=120, concurrency=4, retry=RetryPolicy(max_attempts=3, base_s=2, cap_s=60)),
)
async def extract(visited: VisitedSite, ctx: StageContext) -> Outcome:
    """Read the pages that were kept."""
    spec = await ctx.spec(LeadsSpec)
    bodies = [await ctx.blobs.read(page.sha256, tenant=ctx.tenant) for page in visited.pages]
    lead = await asyncio.to_thread(read_site, visited, bodies, spec.region, datetime.now(UTC).year)
    business = visited.business
    origin = Origin(job_id=ctx.job_id, key=business.key, source=business.source, url=business.source_url)
    let_in = await let_in_lead(lead.model_copy(update={"origins": (origin,)}), ctx)
    await ctx.collect(let_in or Left(key="", left=ERASED))
    return Done()
