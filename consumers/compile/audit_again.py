"""A finished audit judged again by parts that were measured anew."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from consumers.audit.geo import geo_issues
from consumers.audit.judging import (
    NEED_ANSWERS,
    NEED_LIGHTHOUSE,
    lighthouse_of,
    of_visibility,
    statuses_of,
    with_lighthouse,
)
from consumers.audit.rules import Status
from consumers.audit.summary import (
    fix_plan_of,
    headline_of,
    issue_order,
    issues_of,
    outcomes_of,
    plan_order,
    rule_counts,
    scores_of,
    tallies_of,
    unmeasured_of,
)
from consumers.audit.wording import worded
from consumers.compile.audit_issues import Issues
from consumers.store.audits import ChangedPage
from schemas.audit import KeptPage
from schemas.audit_result import AuditResult, Example

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.audit.summary import RuleTally
    from consumers.context import StageContext
    from consumers.store.models import Audit
    from schemas.audit_result import FixItem

AGAIN: Final = NEED_LIGHTHOUSE | NEED_ANSWERS


async def judge_again(audit: Audit, ctx: StageContext) -> None:
    """Put the rules again that rest on measured parts; issues, scores, counts and fix plan follow.

    Twice is once: a compile that dies in between is taken up by its next attempt.

    Args:
        audit: A finished one; the newest version of each of its parts counts.
    """
    store, tenant = ctx.store.audits, ctx.tenant
    result = AuditResult.model_validate(audit.payload)
    parts = {kind: one.payload for kind, one in (await store.parts(audit.job_id, tenant=tenant)).items()}
    if not result.outcomes:
        ctx.log.warning(
            "audit %s keeps its scores: it was compiled before outcomes were kept; audit again", audit.job_id
        )
        result = result.model_copy(update={"parts": parts})
        await store.change(audit.job_id, audit.revision, result.model_dump(mode="json"), tenant=tenant)
        return
    ignored = {(one.rule, one.url) for one in await ctx.store.websites.wont_fix(audit.website_id, tenant=tenant)}
    after = await store.withdraw(audit.job_id, audit.revision, AGAIN, tenant=tenant)
    issues = Issues(audit.job_id, audit.revision, ignored, ctx, after + 1)
    outcomes = {
        rule: Counter({Status(name): n for name, n in counted.items()}) for rule, counted in result.outcomes.items()
    }
    page = await _start_page(audit, result.url, parts.get("pagespeed"), outcomes, issues, ctx)
    for verdict in of_visibility(result.url, parts.get("visibility")):
        outcomes[verdict.rule] = Counter({verdict.status: 1})
        for one in verdict.evidence:
            issues.add(verdict.rule, Example(url=one.url, detail=one.detail, snippet=one.snippet, target=one.target))
    await issues.flush()
    changed = await store.compare(audit.job_id, audit.revision, tenant=tenant)
    result = _renewed(result, issues.tallies, outcomes, changed).model_copy(update={"parts": parts})
    if any(one.wording for one in result.fix_plan):
        result = result.model_copy(update={"fix_plan": await _worded(result.fix_plan, ctx)})
    result = result.model_copy(update={"headline": headline_of(result, has_report=True)})
    await store.change(audit.job_id, audit.revision, result.model_dump(mode="json"), tenant=tenant, page=page)


async def _start_page(
    audit: Audit,
    url: str,
    pagespeed: Mapping[str, Any] | None,
    outcomes: dict[str, Counter[Status]],
    issues: Issues,
    ctx: StageContext,
) -> ChangedPage | None:
    """The page that Lighthouse measures: its row, its findings and what its rules came to."""
    row = await ctx.store.audits.known_page(audit.job_id, url, tenant=ctx.tenant)
    if row is None:
        return None
    before = KeptPage.model_validate(row.payload)
    kept = await asyncio.to_thread(with_lighthouse, before, lighthouse_of(pagespeed))
    for page, times in ((before, -1), (kept, 1)):
        for rule, status in statuses_of(page):
            outcomes.setdefault(rule, Counter())[status] += times
    for one in kept.findings:
        if one.rule in AGAIN:
            example = Example(url=row.url, detail=one.detail, snippet=one.snippet, target=one.target)
            issues.add(one.rule, example, one.count)
    return ChangedPage(row.ordinal, kept.model_dump(mode="json"), sum(one.count for one in kept.findings))


def _renewed(
    result: AuditResult,
    found: Mapping[str, RuleTally],
    outcomes: Mapping[str, Counter[Status]],
    changed: Mapping[str, int] | None,
) -> AuditResult:
    """The result with what was found again in the place of what was found before."""
    rest = [one for one in result.issues if one.rule not in AGAIN]
    tallies = tallies_of(rest) | dict(found)
    issues = sorted([*rest, *issues_of(found)], key=issue_order)
    words = {one.rule: one.wording for one in result.fix_plan}
    plan = [one for one in result.fix_plan if one.rule not in AGAIN]
    plan += [
        one.model_copy(update={"wording": words.get(one.rule, "")}) for one in fix_plan_of(found, result.pages.html)
    ]
    scores = scores_of(tallies, outcomes)
    comparison = result.comparison
    if comparison is not None and changed is not None:
        before = comparison.score_before
        score_change = round(scores.overall - before, 1) if before is not None else None
        comparison = comparison.model_copy(update={**changed, "score_change": score_change})
    return result.model_copy(
        update={
            "issues": tuple(issues),
            "issue_count": sum(one.count for one in issues),
            "fix_plan": tuple(sorted(plan, key=plan_order)),
            "scores": scores,
            "rules": rule_counts(tallies, outcomes),
            "not_measured": unmeasured_of(outcomes, {one.rule: one.reason for one in result.not_measured}),
            "outcomes": outcomes_of(outcomes),
            "comparison": comparison,
            "geo": {**result.geo, "issues": geo_issues(issues)},
        }
    )


async def _worded(plan: tuple[FixItem, ...], ctx: StageContext) -> tuple[FixItem, ...]:
    """The plan with words for the items that came anew."""
    new = {one.rule: one for one in await worded(tuple(one for one in plan if one.rule in AGAIN), ctx)}
    return tuple(new.get(one.rule, one) for one in plan)
