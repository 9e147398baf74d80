"""Measuring what needs the crawl's result: keywords, rankings, visibility, competitors; each kept as it is had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consumers.audit import measuring
from consumers.audit.outside.pagespeed import not_measured

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from consumers.audit.judging import Tally
    from consumers.audit.profile import Profile
    from consumers.context import StageContext
    from schemas.audit import AuditSpec


async def measure_parts(spec: AuditSpec, tally: Tally, profile: Profile, ctx: StageContext) -> dict[str, Any]:
    """Measure the parts that an audit asks for, and keep them; what an earlier attempt has is not measured again."""
    by = f"{ctx.job_id}/{ctx.revision}"
    known = {
        kind: one.payload
        for kind, one in (await ctx.store.audits.parts(ctx.job_id, tenant=ctx.tenant)).items()
        if one.measured_by == by
    }

    async def keep(kind: str, measure: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        if kind not in known:
            ctx.progress(f"measuring {kind}", 88)
            known[kind] = await measuring.measured(kind, ctx, measure, is_last=ctx.is_last_attempt)
            await ctx.store.audits.put_part(ctx.job_id, kind, known[kind], tenant=ctx.tenant, measured_by=by)
        return known[kind]

    start = tally.start
    for kind in ("pagespeed", "backlinks"):
        if kind in tally.parts:
            await keep(kind, _had(tally.parts[kind]))
    given = tally.parts.get("competitors")
    if given:
        await keep("competitors", _had({"status": "measured", "source": "given", "sites": given}))
    if spec.geo:
        await keep("keywords", _had(keywords_of(profile)))
        if spec.external_intel:
            found = await keep("rankings", lambda: measuring.rankings(start, profile.keywords, ctx))
            domains = [one["domain"] for one in found.get("competitors", [])]
            if not given:
                await keep("competitors", lambda: measuring.competitors((), domains, ctx, is_last=ctx.is_last_attempt))
            names = [one.partition(".")[0] for one in domains]
            await keep("visibility", lambda: measuring.visibility(start, profile.brand, profile.questions, names, ctx))
        else:
            for kind in ("rankings", "backlinks", "visibility"):
                await keep(kind, _had(not_measured("switched_off: external_intel is false in the spec")))
    return {kind: known[kind] for kind in sorted(known)}


def keywords_of(profile: Profile) -> dict[str, Any]:
    """The part about keywords."""
    return {
        "status": "measured", "source": "TF-IDF over the crawl", "brand": profile.brand, "category": profile.category,
        "evidence": profile.evidence, "keywords": list(profile.keywords), "terms": list(profile.terms),
    }  # fmt: skip


def _had(payload: dict[str, Any]) -> Callable[[], Awaitable[dict[str, Any]]]:
    async def given() -> dict[str, Any]:
        return payload

    return given
