"""An audit's report written anew from what is kept of it: its result, the newest measured parts, its history."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from consumers.audit.report.model import FixedIssue, Rendered, ReportInput, ScorePoint, WhiteLabel
from consumers.audit.report.render import render_report
from consumers.net import urls
from schemas.audit_result import AuditResult
from streams.errors import PermanentError

if TYPE_CHECKING:
    from typing import Any

    from consumers.context import StageContext
    from consumers.store.models import Audit, AuditPart, Website

MAX_HISTORY: Final = 20
MAX_FIXED: Final = 50


async def write_report(audit_id: str, ctx: StageContext) -> int:
    """Make the report of a finished audit and keep it as its newest revision.

    Returns:
        The revision; the newest one's own when nothing has changed since.

    Raises:
        PermanentError: ``no_audit`` or ``missing_extra``.
    """
    store = ctx.store
    audit = await store.audits.get(audit_id, tenant=ctx.tenant)
    if audit is None or audit.payload is None:
        raise PermanentError(
            f"audit {audit_id} has no result to report on; wait for its end or submit it again", reason="no_audit"
        )
    website = await store.websites.get(audit.website_id, tenant=ctx.tenant)
    given = report_input(
        audit,
        website,
        parts=await store.audits.parts(audit_id, tenant=ctx.tenant),
        history=await store.audits.history(audit.website_id, tenant=ctx.tenant, limit=MAX_HISTORY),
        fixed=await store.audits.fixed(audit_id, tenant=ctx.tenant, limit=MAX_FIXED),
    )
    made: Rendered = await ctx.run_cpu(render_report, given)
    pdf = base64.b64decode(made.pdf)
    await _as_files(made, pdf, ctx)
    return await store.audit_reports.put(
        audit_id, tenant=ctx.tenant, made_by="millrace", markdown=made.markdown, html=made.html,
        pdf=pdf,
    )  # fmt: skip


async def _as_files(made: Rendered, pdf: bytes, ctx: StageContext) -> None:
    """The report among the job's own files."""
    for name, content_type, data in (
        ("report.pdf", "application/pdf", pdf),
        ("report.md", "text/markdown", made.markdown.encode()),
        ("report.html", "text/html", made.html.encode()),
    ):
        kept = await ctx.blobs.put(data, tenant=ctx.tenant, content_type=content_type)
        await ctx.store.artifacts.put(
            ctx.job_id, ctx.task, name, tenant=ctx.tenant, sha256=kept.sha256, content_type=content_type,
            size_bytes=kept.size_bytes,
        )  # fmt: skip


def report_input(
    audit: Audit, website: Website | None, *, parts: dict[str, AuditPart], history: list[Audit], fixed: list[Any]
) -> ReportInput:
    """What a report is made from, from the rows that are kept."""
    result = AuditResult.model_validate(audit.payload)
    points = [
        ScorePoint(at=one.created_at.date().isoformat(), score=one.score)
        for one in reversed(history)
        if one.score is not None and one.created_at <= audit.created_at
    ]
    return ReportInput(
        result=result,
        name=name_of(audit, website),
        made_on=(audit.finished_at or datetime.now(UTC)).date().isoformat(),
        label=label_of(website),
        history=tuple(points),
        fixed=tuple(FixedIssue(rule=one.rule, url=one.url) for one in fixed),
        parts={kind: one.payload for kind, one in parts.items()},
    )


def name_of(audit: Audit, website: Website | None) -> str:
    """What the report calls the site: its name, else its host."""
    return (website.name if website is not None else None) or urls.host_of(audit.url)


def label_of(website: Website | None) -> WhiteLabel:
    """Whose report it is, as the website's options say; plain without."""
    given = (website.options if website is not None else {}).get("report", {})
    try:
        return WhiteLabel.model_validate(given)
    except ValidationError:
        return WhiteLabel()
