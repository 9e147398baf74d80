"""What a page turned out to be, kept for compile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.outcome import Done, Outcome
from consumers.stage import stage
from schemas.audit import KeptClass, PageClass
from streams.policy import StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext


@stage(name="extract", accepts=PageClass, policy=StagePolicy(soft_timeout_s=60, timeout_s=90))
async def extract(page: PageClass, ctx: StageContext) -> Outcome:
    """Keep a page's type."""
    await ctx.collect(
        KeptClass(
            url=page.requested_url or page.url,
            page_type=page.page_type,
            is_indexable=page.is_indexable,
            reason=page.reason,
        )
    )
    return Done()
