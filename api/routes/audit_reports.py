"""An audit's report in its forms, its revisions, a supplied one, and links that share it."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from api.audits import audit_of
from api.auth import Reader, Submitter
from api.bodies import body_schema, fit, read_json
from api.json_response import Json, items
from api.problems import Problem
from api.services import Services, services_of
from api.views import API
from consumers.audit.report.model import Rendered
from consumers.audit.report.render import render_supplied
from consumers.audit.reporting import label_of, name_of
from consumers.cpu.pool import CpuPool
from consumers.store.models import AuditReport
from schemas.jobs import Asked

router = APIRouter(tags=["audits"])

SANDBOX: Final = "sandbox; default-src 'none'"
SHOWN: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""A report as a page: no script runs, nothing is loaded, and it has no origin."""

RENDER_S: Final = 60.0
MEMORY_MB: Final = 1_024
Revision = Annotated[int | None, Query(ge=1)]


class SuppliedReport(Asked):
    """The body of ``PUT /audits/{id}/report.md``."""

    markdown: Annotated[str, Field(min_length=1, max_length=900_000)]


class ShareRequest(Asked):
    """The body of ``POST /audits/{id}/share``; may be left out."""

    expires_in_s: Annotated[int, Field(ge=60, le=90 * 86_400)] = 7 * 86_400


@router.get("/audits/{audit_id}/reports")
async def list_reports(request: Request, caller: Reader, audit_id: str) -> Response:
    """The revisions of the report, newest first."""
    services = services_of(request)
    await audit_of(services, audit_id, caller.tenant)
    place = f"{API}/audits/{audit_id}"
    shown: list[dict[str, Any]] = [
        {
            "revision": one.revision, "made_by": one.made_by, "created_at": one.created_at,
            "links": {
                name: f"{place}/report.{name}?revision={one.revision}" for name in ("md", "html", "pdf")
            },
        }
        for one in await services.store.audit_reports.list(audit_id, tenant=caller.tenant)
    ]  # fmt: skip
    return items(shown)


@router.get("/audits/{audit_id}/report.md")
async def get_markdown(request: Request, caller: Reader, audit_id: str, revision: Revision = None) -> Response:
    """The report as Markdown."""
    report = await _report(services_of(request), audit_id, caller.tenant, revision)
    return _file(report, report.markdown.encode(), "md", "text/markdown; charset=utf-8")


@router.get("/audits/{audit_id}/report.html")
async def get_html(request: Request, caller: Reader, audit_id: str, revision: Revision = None) -> Response:
    """The report as one HTML file, to be saved."""
    report = await _report(services_of(request), audit_id, caller.tenant, revision)
    return _file(report, report.html.encode(), "html", "text/html; charset=utf-8")


@router.get("/audits/{audit_id}/report.pdf")
async def get_pdf(request: Request, caller: Reader, audit_id: str, revision: Revision = None) -> Response:
    """The report as PDF."""
    report = await _report(services_of(request), audit_id, caller.tenant, revision)
    return _file(report, report.pdf, "pdf", "application/pdf")


@router.put("/audits/{audit_id}/report.md", openapi_extra=body_schema(SuppliedReport, {"markdown": "# Audit\n\n…"}))
async def put_markdown(request: Request, caller: Submitter, audit_id: str) -> Response:
    """Put a Markdown of your own in the report's place, as its next revision; HTML and PDF follow from it."""
    services = services_of(request)
    audit = await audit_of(services, audit_id, caller.tenant)
    asked = fit(SuppliedReport, await read_json(request), "the report")
    website = await services.store.websites.get(audit.website_id, tenant=caller.tenant)
    made_on = datetime.now(UTC).date().isoformat()
    pool = CpuPool(1)
    try:
        made: Rendered = await pool.run(
            render_supplied, asked.markdown, name_of(audit, website), made_on, label_of(website),
            timeout_s=RENDER_S, memory_mb=MEMORY_MB,
        )  # fmt: skip
    finally:
        await pool.aclose()
    revision = await services.store.audit_reports.put(
        audit_id, tenant=caller.tenant, made_by="caller", markdown=made.markdown, html=made.html,
        pdf=base64.b64decode(made.pdf),
    )  # fmt: skip
    return Json({"audit_id": audit_id, "revision": revision, "made_by": "caller"})


@router.post("/audits/{audit_id}/share", status_code=201, openapi_extra=body_schema(ShareRequest))
async def share(request: Request, caller: Submitter, audit_id: str) -> Response:
    """A link that shows the report to whoever has it, until it expires."""
    services = services_of(request)
    asked = fit(ShareRequest, await read_json(request, default={}), "the share")
    await _report(services, audit_id, caller.tenant, None)
    expires_at = datetime.now(UTC) + timedelta(seconds=asked.expires_in_s)
    token = await services.store.audit_reports.share(audit_id, tenant=caller.tenant, expires_at=expires_at)
    place = f"{API}/shared/{token}"
    return Json({"url": place, "pdf": f"{place}/report.pdf", "expires_at": expires_at}, 201, {"Location": place})


@router.get("/shared/{token}")
async def shared_page(request: Request, token: str) -> Response:
    """The shared report as a page; no key is needed, the link is the key."""
    report = await _shared(services_of(request), token)
    headers = {"Content-Security-Policy": SHOWN, "X-Robots-Tag": "noindex"}
    return Response(report.html, headers=headers, media_type="text/html; charset=utf-8")


@router.get("/shared/{token}/report.pdf")
async def shared_pdf(request: Request, token: str) -> Response:
    """The shared report as PDF."""
    report = await _shared(services_of(request), token)
    return _file(report, report.pdf, "pdf", "application/pdf")


async def _shared(services: Services, token: str) -> AuditReport:
    found = await services.store.audit_reports.shared(token)
    report = None
    if found is not None:
        report = await services.store.audit_reports.get(found.job_id, tenant=found.tenant)
    if report is None:
        raise Problem("not-found", "this link is not one of ours, or it has expired; ask for another")
    return report


async def _report(services: Services, audit_id: str, tenant: str, revision: int | None) -> AuditReport:
    await audit_of(services, audit_id, tenant)
    report = await services.store.audit_reports.get(audit_id, tenant=tenant, revision=revision)
    if report is None:
        which = "no report so far" if revision is None else f"no revision {revision} of its report"
        raise Problem("not-found", f"audit {audit_id} has {which}; POST {API}/audits/{audit_id}/report writes one")
    return report


def _file(report: AuditReport, body: bytes, suffix: str, media_type: str) -> Response:
    name = quote(f"audit-{report.job_id}-{report.revision}.{suffix}", safe="")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Content-Security-Policy": SANDBOX}
    return Response(body, headers=headers, media_type=media_type)
