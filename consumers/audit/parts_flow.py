"""The `audit_parts` flow: parts of a finished audit measured again, each an entry, then its report written anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from consumers.audit import measuring
from consumers.audit.reporting import write_report
from consumers.compile.audit_again import judge_again
from consumers.flow import Flow
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from schemas.audit_parts import KeptPart, PartErrand, PartsResult, PartsSpec, PartsStart
from schemas.names import WORK_STAGES
from schemas.stages import CompileRequest
from streams.errors import PermanentError
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext
    from consumers.store.models import Audit

LIMIT_S: Final = 4_000.0


async def finished(audit_id: str, ctx: StageContext) -> Audit:
    """A finished audit of the tenant.

    Raises:
        PermanentError: ``no_audit``.
    """
    audit = await ctx.store.audits.get(audit_id, tenant=ctx.tenant)
    if audit is None or not audit.payload:
        raise PermanentError(
            f"there is no finished audit {audit_id}; GET /api/v1/audits lists those that there are", reason="no_audit"
        )
    return audit


@stage(name="crawl", accepts=PartsStart, emits=("download",))
async def begin(start: PartsStart, ctx: StageContext) -> Outcome:
    """One entry for each part."""
    await finished(start.audit_id, ctx)
    return Done(tuple(Emit("download", PartErrand(audit_id=start.audit_id, part=part)) for part in start.parts))


@stage(
    name="download",
    accepts=PartErrand,
    policy=StagePolicy(
        soft_timeout_s=900, timeout_s=1_000, concurrency=2, retry=RetryPolicy(max_attempts=4, base_s=5, cap_s=60)
    ),
)
async def measure(errand: PartErrand, ctx: StageContext) -> Outcome:
    """Measure one part by what the audit knows."""
    audit = await finished(errand.audit_id, ctx)
    ctx.progress(f"measuring {errand.part}", 30)
    data = await measuring.measured(
        errand.part, ctx, lambda: _measured(errand.part, audit, ctx), is_last=ctx.is_last_attempt
    )
    await ctx.collect(KeptPart(part=errand.part, data=data))
    return Done()


@stage(
    name="compile",
    accepts=CompileRequest,
    policy=StagePolicy(soft_timeout_s=300, timeout_s=330, memory_mb=2_048, concurrency=2),
)
async def compile_parts(_: CompileRequest, ctx: StageContext) -> Outcome:
    """Keep what was measured as the audit's newest, judge what rests on it, and write the report anew."""
    spec = await ctx.spec(PartsSpec)
    audit = await finished(spec.audit_id, ctx)
    by = f"{ctx.job_id}/{ctx.revision}"
    versions = {}
    async for one in ctx.collected(KeptPart):
        versions[one.part] = await ctx.store.audits.put_part(
            spec.audit_id, one.part, one.data, tenant=ctx.tenant, measured_by=by
        )
    ctx.progress("judging again what rests on it", 80)
    await judge_again(audit, ctx)
    ctx.progress("writing the report", 90)
    revision = await write_report(spec.audit_id, ctx)
    missing = tuple(f"{one.stage}: {one.reason}" for one in await ctx.failures() if one.stage in WORK_STAGES)
    return Done(
        result=PartsResult(audit_id=spec.audit_id, versions=versions, report_revision=revision), missing=missing
    )


async def _measured(part: str, audit: Audit, ctx: StageContext) -> dict[str, Any]:
    payload = audit.payload or {}
    start, profile = payload.get("url", audit.url), payload.get("geo", {}).get("profile", {})
    known = payload.get("parts", {})
    found = [one["domain"] for one in known.get("rankings", {}).get("competitors", [])]
    if part == "pagespeed":
        return await measuring.pagespeed(start, ctx)
    if part == "backlinks":
        return await measuring.backlinks(start, ctx)
    if part == "rankings":
        return await measuring.rankings(start, profile.get("keywords", []), ctx)
    if part == "visibility":
        names = [one.partition(".")[0] for one in found]
        return await measuring.visibility(start, profile.get("brand", ""), profile.get("questions", []), names, ctx)
    if part == "competitors":
        given = [one["url"] for one in known.get("competitors", {}).get("sites", [])]
        return await measuring.competitors(given, found, ctx, is_last=ctx.is_last_attempt)
    kept: dict[str, Any] = known.get("keywords", {})
    return kept


flow = Flow(
    name="audit_parts",
    spec=PartsSpec,
    stages=(begin, measure, compile_parts),
    first=lambda spec: PartsStart(audit_id=spec.audit_id, parts=spec.parts),
    limit_s=LIMIT_S,
    about="parts of a finished audit measured again, and its report written anew",
)
