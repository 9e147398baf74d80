"""Telling operators of a thing that should not wait: a finding, and a mail to those who get the digest."""

from __future__ import annotations

from consumers.flow import installed
from consumers.maintenance.yard import Yard
from consumers.submit import submit
from schemas.jobs import JobRequest
from streams.errors import Refused
from streams.findings import Finding, Findings
from streams.keys import job_id_for
from streams.scripts import Code


async def alert(yard: Yard, kind: str, subject: str, said: str, cure: str) -> None:
    """Keep a finding, and mail it: once an hour at most, however often it is found."""
    at_ms = round(yard.now.timestamp() * 1_000)
    await Findings(yard.log.client, yard.log.keys).note(Finding(kind, subject, said, cure, at_ms))
    if yard.settings.digest_to:
        await mail(
            yard, f"alert {kind} {subject} {yard.now:%Y-%m-%dT%H}", f"Millrace alert: {said}", f"{said}.\n\n{cure}."
        )


async def settled(yard: Yard, kind: str, subject: str) -> None:
    """It is well again."""
    await Findings(yard.log.client, yard.log.keys).drop(kind, subject)


async def mail(yard: Yard, identity: str, subject: str, text: str, html: str | None = None) -> str:
    """Mail the operators by a job of its own; answers its id. The same identity is mailed once.

    Raises:
        UnknownFlow: The flow `email` is not installed.
    """
    spec = {"to": list(yard.settings.digest_to), "subject": subject[:500], "text": text}
    if html is not None:
        spec["html"] = html
    request = JobRequest(flow="email", spec=spec, priority="low")
    try:
        return (await submit(yard.log, installed(), request, identity=identity)).job_id
    except Refused as refusal:
        if refusal.code != Code.CONFLICT:
            raise
        return job_id_for(identity, yard.log.keys.partitions)  # mailed before, in other words
