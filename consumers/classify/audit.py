"""What kind of page each one is, and whether it may be listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.audit.page_types import indexability, page_type_of
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from schemas.audit import PageClass, PageSeen
from streams.policy import StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext


@stage(name="classify", accepts=PageSeen, emits=("extract",), policy=StagePolicy(soft_timeout_s=30, timeout_s=40))
async def classify(page: PageSeen, ctx: StageContext) -> Outcome:  # noqa: ARG001 - every handler has one
    """Give a page its type."""
    is_indexable, reason = indexability(page)
    given = page.model_dump(exclude={"v"})
    return Done(
        (Emit("extract", PageClass(**given, page_type=page_type_of(page), is_indexable=is_indexable, reason=reason)),)
    )
