"""``/audits``: submit, list, look; pages, issues and measured parts; and what is done with a finished audit."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from api.audits import (
    ISSUE_COLUMNS,
    PAGE_COLUMNS,
    AuditRequest,
    audit_of,
    audit_row,
    audit_view,
    issue_rows,
    issue_view,
    page_rows,
    page_view,
    submit_audit,
)
from api.auth import Caller, Ender, Reader, Submitter
from api.bodies import body_schema, fit, read_json
from api.json_response import Json, items
from api.look import find, no_such_job
from api.problems import Problem
from api.services import Services, services_of
from api.submission import accept, end
from consumers.audit.export import CSV, XLSX, csv_pieces, xlsx_bytes
from schemas.audit import PARTS, PartKind, Words
from schemas.audit_parts import ArticleKind
from schemas.audit_result import SEVERITIES
from schemas.jobs import Asked, JobAccepted, JobRequest

router = APIRouter(prefix="/audits", tags=["audits"])

Cursor = Annotated[str | None, Query(max_length=300)]
Limit = Annotated[int, Query(ge=1, le=500)]
Format = Literal["json", "csv", "xlsx"]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


class RefreshRequest(Asked):
    """The body of ``POST …/report``, ``…/pagespeed`` and ``…/geo``; may be left out.

    Attributes:
        parts: Of ``geo`` only: which of rankings, backlinks, visibility, competitors; all when none are named.
        refresh: Of ``report`` only: measure again what is measured already; else only what is missing.
    """

    parts: tuple[PartKind, ...] = ()
    refresh: bool = False


class ArticlesRequest(Asked):
    """The body of ``POST …/articles``; may be left out.

    Attributes:
        keywords: One article each; the audit's keyword gaps when none are named.
        count: How many of those.
        kind: An outline, or a whole draft.
    """

    keywords: tuple[Words, ...] = Field(default=(), max_length=20)
    count: Annotated[int, Field(ge=1, le=20)] = 3
    kind: ArticleKind = "draft"


@router.post(
    "",
    status_code=202,
    response_model=JobAccepted,
    openapi_extra=body_schema(AuditRequest, {"url": "https://example.com/", "max_pages": 50}),
)
async def post_audit(
    request: Request,
    caller: Submitter,
    key: Key = None,
    traceparent: Annotated[str | None, Header(max_length=512)] = None,
) -> Response:
    """Submit an audit; its id is the job's. `login_with` is kept with the website and never part of the job."""
    services = services_of(request)
    asked = fit(AuditRequest, await read_json(request), "the audit")
    accepted = await submit_audit(services, asked, caller, identity=_identity(caller, key), traceparent=traceparent)
    return _accepted(accepted)


@router.get("")
async def list_audits(
    request: Request,
    caller: Reader,
    website: Annotated[str | None, Query(max_length=64)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """The tenant's audits, newest first; those that are queued are among the jobs."""
    page = await services_of(request).store.audits.page(
        tenant=caller.tenant, website_id=website, cursor=cursor, limit=limit
    )
    return items([audit_row(one) for one in page.items], page.next)


@router.get("/{audit_id}")
async def get_audit(request: Request, caller: Reader, audit_id: str) -> Response:
    """An audit: its state, how far it is, and its result when it has one."""
    services = services_of(request)
    audit = await services.store.audits.get(audit_id, tenant=caller.tenant)
    try:
        found = await find(services, audit_id, caller.tenant)
    except Problem:
        if audit is None:
            raise
        found = None
    if found is not None and found.view.flow != "audit":
        raise no_such_job(audit_id)
    return Json(audit_view(found, audit, audit_id))


@router.get("/{audit_id}/pages")
async def get_pages(
    request: Request,
    caller: Reader,
    audit_id: str,
    status: Annotated[int | None, Query(ge=0, le=999)] = None,
    type_: Annotated[str | None, Query(alias="type", max_length=40)] = None,
    url: Annotated[str | None, Query(max_length=2_000)] = None,
    format_: Annotated[Format, Query(alias="format")] = "json",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """The pages, in the order in which they were read; one with all its signals by `url`; all as CSV or XLSX."""
    services = services_of(request)
    await audit_of(services, audit_id, caller.tenant)
    store = services.store.audits
    if format_ != "json":
        rows = page_rows(store.every_page(audit_id, tenant=caller.tenant))
        return await _file(f"pages-{audit_id}", "Pages", PAGE_COLUMNS, rows, format_)
    if url is not None:
        one = await store.known_page(audit_id, url, tenant=caller.tenant)
        return items([page_view(one, whole=True)] if one is not None else [])
    page = await store.pages(audit_id, tenant=caller.tenant, status=status, page_type=type_, cursor=cursor, limit=limit)
    return items([page_view(one) for one in page.items], page.next)


@router.get("/{audit_id}/issues")
async def get_issues(
    request: Request,
    caller: Reader,
    audit_id: str,
    rule: Annotated[str | None, Query(max_length=100)] = None,
    severity: Annotated[str | None, Query(pattern="^(" + "|".join(SEVERITIES) + ")$")] = None,
    category: Annotated[str | None, Query(max_length=40)] = None,
    state: Annotated[Literal["first", "new", "persisting", "fixed"] | None, Query()] = None,
    url: Annotated[str | None, Query(max_length=2_000)] = None,
    format_: Annotated[Format, Query(alias="format")] = "json",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """The findings, the worst first; `state=fixed` gives those of the last audit that are gone; CSV and XLSX too."""
    services = services_of(request)
    await audit_of(services, audit_id, caller.tenant)
    store = services.store.audits
    if format_ != "json":
        rows = issue_rows(store.every_issue(audit_id, tenant=caller.tenant))
        return await _file(f"issues-{audit_id}", "Issues", ISSUE_COLUMNS, rows, format_)
    if state == "fixed":
        gone = await store.fixed(audit_id, tenant=caller.tenant, limit=limit)
        return items([issue_view(one) | {"state": "fixed"} for one in gone])
    page = await store.issues(
        audit_id, tenant=caller.tenant, rule=rule, severity=severity, category=category, state=state, url=url,
        cursor=cursor, limit=limit,
    )  # fmt: skip
    return items([issue_view(one) for one in page.items], page.next)


@router.get("/{audit_id}/fix_plan")
async def get_fix_plan(request: Request, caller: Reader, audit_id: str) -> Response:
    """What to do, the most effect for the least effort first."""
    audit = await audit_of(services_of(request), audit_id, caller.tenant)
    return items((audit.payload or {}).get("fix_plan", []))


async def _part(request: Request, caller: Caller, audit_id: str, kind: PartKind) -> Response:
    services = services_of(request)
    audit = await audit_of(services, audit_id, caller.tenant)
    part = (await services.store.audits.parts(audit_id, tenant=caller.tenant)).get(kind)
    history = await services.store.audits.part_history(audit.website_id, kind, tenant=caller.tenant)
    shown: dict[str, Any] = {"audit_id": audit_id, "kind": kind}
    if part is None:
        shown |= {"status": "not_measured", "reason": "not_asked: the audit left it out; POST …/geo or …/pagespeed"}
    else:
        shown |= {"version": part.version, "measured_at": part.measured_at, **part.payload}
    shown["history"] = [
        {"audit_id": one.job_id, "version": one.version, "measured_at": one.measured_at, **_headline(kind, one.payload)}
        for one in history
    ]
    return Json(shown)


def _headline(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The figures of a part that are followed over time."""
    if kind == "pagespeed":
        runs = {name: payload[name] for name in ("mobile", "desktop") if isinstance(payload.get(name), dict)}
        return {name: run["scores"] for name, run in runs.items()}
    if kind == "rankings":
        return {"positions": {one["keyword"]: one["position"] for one in payload.get("keywords", [])}}
    names = ("status", "referring_domains", "rate", "mentions", "answers")
    return {name: payload[name] for name in names if name in payload}


@router.get("/{audit_id}/pagespeed")
async def get_pagespeed(request: Request, caller: Reader, audit_id: str) -> Response:
    """How fast the start page is, mobile and desktop."""
    return await _part(request, caller, audit_id, "pagespeed")


@router.get("/{audit_id}/keywords")
async def get_keywords(request: Request, caller: Reader, audit_id: str) -> Response:
    """What the site is about, by the terms of its pages."""
    return await _part(request, caller, audit_id, "keywords")


@router.get("/{audit_id}/rankings")
async def get_rankings(request: Request, caller: Reader, audit_id: str) -> Response:
    """Where the site stands in search results, over time."""
    return await _part(request, caller, audit_id, "rankings")


@router.get("/{audit_id}/backlinks")
async def get_backlinks(request: Request, caller: Reader, audit_id: str) -> Response:
    """Which domains link to the site."""
    return await _part(request, caller, audit_id, "backlinks")


@router.get("/{audit_id}/visibility")
async def get_visibility(request: Request, caller: Reader, audit_id: str) -> Response:
    """How often language models name the brand."""
    return await _part(request, caller, audit_id, "visibility")


@router.get("/{audit_id}/competitors")
async def get_competitors(request: Request, caller: Reader, audit_id: str) -> Response:
    """The competitors' start pages beside the site's."""
    return await _part(request, caller, audit_id, "competitors")


@router.post("/{audit_id}/report", status_code=202, openapi_extra=body_schema(RefreshRequest))
async def post_report(request: Request, caller: Submitter, audit_id: str, key: Key = None) -> Response:
    """Write the report anew; what is missing of PageSpeed and the GEO tools is measured first."""
    asked = fit(RefreshRequest, await read_json(request, default={}), "the request")
    services = services_of(request)
    await audit_of(services, audit_id, caller.tenant)
    measured = await services.store.audits.parts(audit_id, tenant=caller.tenant)
    parts = [kind for kind in PARTS if kind != "keywords" and (asked.refresh or kind not in measured)]
    return await _refresh(services, caller, audit_id, parts, key)


@router.post("/{audit_id}/pagespeed", status_code=202, openapi_extra=body_schema(RefreshRequest))
async def post_pagespeed(request: Request, caller: Submitter, audit_id: str, key: Key = None) -> Response:
    """Measure the start page again."""
    services = services_of(request)
    await audit_of(services, audit_id, caller.tenant)
    return await _refresh(services, caller, audit_id, ["pagespeed"], key)


@router.post("/{audit_id}/geo", status_code=202, openapi_extra=body_schema(RefreshRequest))
async def post_geo(request: Request, caller: Submitter, audit_id: str, key: Key = None) -> Response:
    """Run the GEO tools again, or those that are named."""
    asked = fit(RefreshRequest, await read_json(request, default={}), "the request")
    services = services_of(request)
    await audit_of(services, audit_id, caller.tenant)
    parts = list(asked.parts) or ["rankings", "backlinks", "visibility", "competitors"]
    return await _refresh(services, caller, audit_id, parts, key)


@router.post("/{audit_id}/articles", status_code=202, openapi_extra=body_schema(ArticlesRequest))
async def post_articles(request: Request, caller: Submitter, audit_id: str, key: Key = None) -> Response:
    """Write articles from the audit's keyword gaps; each is an entry of its own in the job."""
    asked = fit(ArticlesRequest, await read_json(request, default={}), "the articles")
    services = services_of(request)
    await audit_of(services, audit_id, caller.tenant)
    spec = {"audit_id": audit_id, **asked.model_dump(mode="json")}
    request_ = JobRequest(flow="articles", spec=spec)
    return _accepted(await accept(services, request_, caller, identity=_identity(caller, key)))


@router.post("/{audit_id}/cancel", status_code=202)
async def cancel_audit(request: Request, caller: Ender, audit_id: str) -> Response:
    """End an audit that runs."""
    services = services_of(request)
    await end(services, await find(services, audit_id, caller.tenant), kill=False)
    return Json(audit_view(await find(services, audit_id, caller.tenant), None, audit_id), 202)


async def _refresh(services: Services, caller: Caller, audit_id: str, parts: list[Any], key: str | None) -> Response:
    request = JobRequest(flow="audit_parts", spec={"audit_id": audit_id, "parts": parts})
    return _accepted(await accept(services, request, caller, identity=_identity(caller, key)))


def _accepted(accepted: JobAccepted) -> Response:
    links = {**accepted.links, **({"audit": f"/api/v1/audits/{accepted.job_id}"} if accepted.flow == "audit" else {})}
    shown = accepted.model_copy(update={"links": links})
    return Json(shown, 202, {"Location": links.get("audit", links["self"]), "X-Trace-Id": accepted.trace_id})


def _identity(caller: Caller, key: str | None) -> str:
    return f"key {caller.tenant} {caller.key_id} {key}" if key else ""


async def _file(name: str, title: str, head: Any, rows: Any, format_: Format) -> Response:
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}.{format_}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    if format_ == "csv":
        return StreamingResponse(csv_pieces(head, rows), headers=headers, media_type=CSV)
    return Response(await xlsx_bytes(title, head, rows), headers=headers, media_type=XLSX)
