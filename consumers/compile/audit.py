"""Issues, scores, a fix plan and the comparison with the audit before, from all that the crawl kept."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, get_args

import orjson

from consumers.audit.beyond import ask_beyond
from consumers.audit.geo import geo_of
from consumers.audit.judging import SiteReader, Tally, judge
from consumers.audit.page import to_json
from consumers.audit.profile import profile_of
from consumers.audit.reporting import write_report
from consumers.audit.rules import Status
from consumers.audit.summary import (
    fix_plan_of,
    headline_of,
    issues_of,
    outcomes_of,
    rule_counts,
    scores_of,
    unmeasured_of,
)
from consumers.audit.wording import worded
from consumers.compile.audit_issues import Issues
from consumers.compile.audit_parts import measure_parts
from consumers.net import urls
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from consumers.store.audits import page_digest
from schemas.audit import AuditSpec, Collected, ErrandKind, KeptPage
from schemas.audit_result import AuditResult, Comparison, Example, PageCounts
from schemas.names import WORK_STAGES
from schemas.stages import CompileRequest
from streams.errors import PermanentError
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.audit.rules import Verdict
    from consumers.audit.site import Site
    from consumers.context import StageContext

BATCH: Final = 50
BESIDE: Final = frozenset({"class", *get_args(ErrandKind)})
"""What is collected beside pages: it is read first, for a page's row says of what type it is."""

MAX_MISSING: Final = 200
MAX_LEAVING: Final = 100
"""Links of a page to other sites that are kept for the backlinks of those."""


@stage(
    name="compile",
    accepts=CompileRequest,
    policy=StagePolicy(
        soft_timeout_s=1_650, timeout_s=1_800, concurrency=3, memory_mb=2_048,
        retry=RetryPolicy(max_attempts=3, base_s=10, cap_s=300),
    ),
)  # fmt: skip
async def compile_audit(_: CompileRequest, ctx: StageContext) -> Outcome:
    """Judge the site, keep pages and issues, compare, and tell."""
    spec = await ctx.spec(AuditSpec)
    audit = await ctx.store.audits.get(ctx.job_id, tenant=ctx.tenant)
    if audit is None:
        raise PermanentError(
            f"job {ctx.job_id} read no page, so there is nothing to compile; see its dead letters",
            reason="nothing_read",
        )
    ctx.progress("judging the site", 70)
    record = await ctx.job()
    dropped = record.number("over_budget") if record is not None else 0
    await ctx.store.audits.clear(ctx.job_id, ctx.revision, tenant=ctx.tenant)
    ignored = {(one.rule, one.url) for one in await ctx.store.websites.wont_fix(audit.website_id, tenant=ctx.tenant)}
    issues = Issues(ctx.job_id, ctx.revision, ignored, ctx)
    reader = await _read(spec.url, issues, ctx)
    site, tally = await asyncio.to_thread(reader.site), reader.tally
    if dropped and spec.check_links:
        await ask_beyond(site, tally.fetched, ctx)
    profile = profile_of(spec, _home(site), reader.counter)
    parts = await measure_parts(spec, tally, profile, ctx)
    tally.parts |= parts
    verdicts = await asyncio.to_thread(judge, site, tally, is_complete=not dropped)
    ctx.progress("keeping issues", 80)
    await _site_issues(verdicts, tally, issues)
    changed = await ctx.store.audits.compare(ctx.job_id, ctx.revision, tenant=ctx.tenant)
    comparison = await _comparison(audit.previous, changed, scores_of(issues.tallies, tally.outcomes).overall, ctx)
    result = await _result(tally, issues, verdicts, comparison, dropped, ctx)
    plan = await worded(result.fix_plan, ctx) if spec.external_intel else result.fix_plan
    geo = geo_of(site, profile, result.issues)
    result = result.model_copy(
        update={"parts": parts, "geo": geo, "fix_plan": plan, "headline": headline_of(result, has_report=spec.report)}
    )
    await ctx.store.audits.finish(
        ctx.job_id, ctx.revision, result.model_dump(mode="json"), tenant=ctx.tenant, finished_at=datetime.now(UTC)
    )
    if spec.report:
        ctx.progress("writing the report", 95)
        await write_report(ctx.job_id, ctx)
    return Done(result=result, missing=result.missing)


def _home(site: Site) -> dict[str, Any]:
    if site.home is None:
        return {}
    signals: dict[str, Any] = orjson.loads(to_json(site.home))
    return signals


async def _read(start: str, issues: Issues, ctx: StageContext) -> SiteReader:
    """Read what was collected, once: facts for the site's rules stay, pages and their findings go to the store."""
    reader = SiteReader(start)
    async for one in ctx.collected(Collected, kinds=BESIDE):
        reader.tally.take(one.root)
    ordinal = 0
    batch: list[dict[str, Any]] = []
    async for one in ctx.collected(Collected, kinds=("page",)):
        batch.append(one.root)
        if len(batch) >= BATCH:
            ordinal = await _pages(batch, ordinal, reader, issues, ctx)
            batch = []
    await _pages(batch, ordinal, reader, issues, ctx)
    return reader


async def _pages(
    payloads: list[dict[str, Any]], ordinal: int, reader: SiteReader, issues: Issues, ctx: StageContext
) -> int:
    """Keep some pages; answers the ordinal of the next."""
    pages = await asyncio.to_thread(reader.read, payloads)
    rows, links = [], []
    for payload, kept in zip(payloads, pages, strict=True):
        for finding in kept.findings:
            url = kept.page.get("requested_url") or kept.url
            example = Example(url=url, detail=finding.detail, snippet=finding.snippet, target=finding.target)
            issues.add(finding.rule, example, finding.count)
        is_start = kept.via == "start" or not kept.depth
        shown = kept.model_dump(mode="json") if is_start else payload  # of the start more is known by now
        rows.append(_row(kept, shown, reader.tally, ordinal, ctx))
        links += _leaving(kept, ordinal, ctx)
        ordinal += 1
    await ctx.store.audits.add_pages(rows)
    await ctx.store.audits.add_links(links)
    if issues.is_full:
        await issues.flush()
    return ordinal


async def _site_issues(verdicts: Iterable[Verdict], tally: Tally, issues: Issues) -> None:
    for verdict in verdicts:
        outcome = tally.outcomes.setdefault(verdict.rule, Counter())
        outcome[verdict.status] += 1
        for one in verdict.evidence:
            example = Example(url=one.url, detail=one.detail[:500], snippet=one.snippet[:500], target=one.target)
            issues.add(verdict.rule, example)
            if issues.is_full:
                await issues.flush()
    await issues.flush()


def _leaving(kept: KeptPage, ordinal: int, ctx: StageContext) -> list[dict[str, Any]]:
    found = [one for one in kept.links if not one.internal][:MAX_LEAVING]
    return [
        {
            "job_id": ctx.job_id, "revision": ctx.revision, "ordinal": ordinal * MAX_LEAVING + n, "tenant": ctx.tenant,
            "site": urls.site_of(one.url), "url": kept.url, "target": one.url, "anchor": one.text,
            "nofollow": one.nofollow,
        }
        for n, one in enumerate(found)
    ]  # fmt: skip


def _row(kept: KeptPage, payload: dict[str, Any], tally: Tally, ordinal: int, ctx: StageContext) -> dict[str, Any]:
    page = kept.page
    url = page.get("requested_url") or kept.url
    page_type, is_indexable = tally.classes.get(url, tally.classes.get(kept.url, ("page", False)))
    return {
        "job_id": ctx.job_id, "revision": ctx.revision, "ordinal": ordinal, "tenant": ctx.tenant, "url": url,
        "digest": page_digest(url), "status": page.get("status", 0), "page_type": page_type,
        "is_indexable": is_indexable, "depth": kept.depth, "title": next(iter(page.get("titles") or ()), ""),
        "issues": sum(one.count for one in kept.findings), "payload": payload,
    }  # fmt: skip


async def _comparison(
    previous: str | None, changed: dict[str, int] | None, score: float, ctx: StageContext
) -> Comparison | None:
    if previous is None or changed is None:
        return None
    before = await ctx.store.audits.get(previous, tenant=ctx.tenant)
    score_before = before.score if before is not None else None
    return Comparison(
        previous=previous, **changed, score_before=score_before,
        score_change=round(score - score_before, 1) if score_before is not None else None,
    )  # fmt: skip


async def _result(
    tally: Tally,
    issues: Issues,
    verdicts: tuple[Verdict, ...],
    comparison: Comparison | None,
    dropped: int,
    ctx: StageContext,
) -> AuditResult:
    counts, outcomes = tally.pages, tally.outcomes
    whys = {one.rule: one.why for one in verdicts if one.status is Status.NOT_MEASURED}
    missing = [_told(one.stage, one.reason, one.data) for one in await ctx.failures() if one.stage in WORK_STAGES]
    return AuditResult(
        audit_id=ctx.job_id,
        url=tally.start,
        website=urls.origin_of(tally.start) if tally.start else "",
        pages=PageCounts(
            crawled=counts["crawled"], html=counts["html"], indexable=counts["indexable"],
            redirects=counts["redirects"], errors=counts["errors"], blocked=counts["blocked"],
            reused=counts["reused"], rendered=counts["rendered"], dropped=dropped,
            by_type={
                name.removeprefix("type "): count for name, count in sorted(counts.items()) if name.startswith("type ")
            },
        ),
        issue_count=sum(one.count for one in issues.tallies.values()),
        scores=scores_of(issues.tallies, outcomes),
        issues=issues_of(issues.tallies),
        fix_plan=fix_plan_of(issues.tallies, counts["html"]),
        comparison=comparison,
        not_measured=unmeasured_of(outcomes, whys),
        rules=rule_counts(issues.tallies, outcomes),
        geo={},
        parts=dict(tally.parts),
        is_complete=not dropped,
        outcomes=outcomes_of(outcomes),
        missing=tuple(missing[:MAX_MISSING]),
    )  # fmt: skip


def _told(stage_name: str, reason: str, data: bytes) -> str:
    payload = orjson.loads(data)
    what = payload.get("url") or payload.get("kind") or stage_name
    return f"{urls.redact(what) if '://' in what else what}: {reason}"
