"""The daily digest: what happened since the last one, mailed to the operators, left out when nothing did."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from consumers.maintenance.alerts import mail
from consumers.maintenance.built_in import FLOW
from consumers.maintenance.yard import Yard
from consumers.notify.templates import render
from consumers.notify.words import shown
from schemas.maintenance import Report
from streams.findings import Findings

SPAN: Final = timedelta(days=1)
MOST: Final = 20
"""Lines of each part; more are counted."""

SENT_WITHIN: Final = timedelta(minutes=2)
"""A mail that was begun so shortly ago may be being sent."""


async def digest(yard: Yard) -> Report:
    """Mail the last 24 hours: jobs by flow and status, failures, findings, mails that may have been sent."""
    since, until = yard.now - SPAN, yard.now
    happenings = yard.store.happenings
    counts = await happenings.ended(since, until, but_flow=FLOW)
    failed = await happenings.failures(since, until, limit=MOST)
    maybe = await happenings.maybe_sent(since, until - SENT_WITHIN, limit=MOST)
    findings = await Findings(yard.log.client, yard.log.keys).all()
    parts: list[dict[str, Any]] = [
        _part("Failed", [f"{job.flow} {job.job_id}: {job.error or job.status}" for job in failed]),
        _part("To look at", [f"{one.said}; {one.cure}" for one in findings]),
        _part("Mails that may have been sent", [f"{one.target} (job {one.job_id})" for one in maybe]),
    ]
    parts = [part for part in parts if part["lines"]]
    facts = {"jobs": sum(one.jobs for one in counts), "parts": len(parts)}
    if not counts and not parts:
        return yard.report("nothing happened: no digest", counts=facts)
    if not yard.settings.digest_to:
        return yard.report("nobody gets the digest: set MILLRACE_DIGEST_TO", counts=facts)
    to = ", ".join(yard.settings.digest_to)
    if yard.order.dry_run:
        return yard.report(f"a digest of {facts['jobs']} jobs would go to {to}", counts=facts)
    values = {"since": _said(since), "until": _said(until), "counts": counts, "parts": parts}
    subject = (
        f"Millrace: {facts['jobs']} jobs ended, {sum(one.jobs for one in counts if one.status == 'failed')} failed"
    )
    job = await mail(
        yard, f"digest {yard.now:%Y-%m-%d}", subject, render("digest.txt", **values), render("digest.html", **values)
    )
    return yard.report(f"mailed to {to}", counts=facts, job_id=job)


def _part(title: str, lines: list[str]) -> dict[str, Any]:
    return {"title": title, "lines": shown(lines, MOST)}


def _said(instant: Any) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"
