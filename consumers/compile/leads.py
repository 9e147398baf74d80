"""The job's businesses as leads of the tenant's lead book: each once, with its score."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import orjson
from pydantic import RootModel

from consumers.leads.let_in import ERASED
from consumers.leads.merge import deduplicated
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from schemas.leads import FoundLead, LeadLine, LeadsResult, Left
from schemas.stages import CompileRequest
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import Failure, StageContext


class Collected(RootModel[Left | FoundLead]):
    """What classify and extract collected."""


@stage(
    name="compile",
    accepts=CompileRequest,
    policy=StagePolicy(
        soft_timeout_s=900, timeout_s=1_000, concurrency=2, retry=RetryPolicy(max_attempts=4, base_s=10, cap_s=300)
    ),
)
async def compile_leads(_: CompileRequest, ctx: StageContext) -> Outcome:
    """Merge duplicates, keep out who was erased, and put the rest into the lead book."""
    ctx.progress("compiling the leads", 90)
    found: list[FoundLead] = []
    left: Counter[str] = Counter()
    async for one in ctx.collected(Collected):
        if isinstance(one.root, Left):
            left[one.root.left] += 1
        else:
            found.append(one.root)
    # The record that most people reviewed comes first: its name is the lead's.
    leads = deduplicated(sorted(found, key=lambda lead: (-(lead.reviews or 0), lead.key)))
    seal = await ctx.store.lead_suppressions.seal(ctx.settings, ctx.blobs)
    kept = await ctx.store.leads.keep(leads, job_id=ctx.job_id, tenant=ctx.tenant, seal=seal)
    suppressed = kept.suppressed + left.pop(ERASED, 0)
    lines = sorted(
        (LeadLine(lead_id=one.lead_id, score=one.score, is_new=one.is_new) for one in kept.leads),
        key=lambda line: (-line.score, line.lead_id),
    )
    result = LeadsResult(
        businesses=len(found) + left.total() + suppressed - kept.suppressed, qualified=len(found), left_out=dict(left),
        duplicates=len(found) - len(leads), suppressed=suppressed, new=sum(line.is_new for line in lines),
        leads=tuple(lines),
    )  # fmt: skip
    return Done(result=result, missing=tuple(_told(failure) for failure in await ctx.failures()))


def _told(failure: Failure) -> str:
    payload = orjson.loads(failure.data)
    business = payload.get("business") or payload
    what = business.get("source_url") or business.get("url") or "a page of the source"
    return f"{failure.stage} of {what}: {failure.reason}"
