"""``/leads``: the lead book; and ``POST /jobs/browser``. Both are at the root too, for the clients before Millrace."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from api.auth import Caller, Operator, Reader, Submitter
from api.bodies import body_schema, fit, read_json
from api.json_response import Json, items
from api.lead_erasure import erase_by
from api.lead_erasure import erase_lead as erase
from api.leads import block_value, erasure_key, exported, lead_at, lead_view, no_such
from api.problems import Problem
from api.services import services_of
from api.submission import accept
from consumers.audit.export import CSV, XLSX
from consumers.store.leads import LeadFilter
from schemas.jobs import JobAccepted, JobRequest
from schemas.leads import BlockKind, BlockRequest, ErasureRequest, LeadChange, LeadsSpec, LeadStatus, SpeedRequest

router = APIRouter(tags=["leads"])

Cursor = Annotated[str | None, Query(max_length=2_000)]
Limit = Annotated[int, Query(ge=1, le=200)]


def _filter(
    status: LeadStatus | None = None,
    owner: Annotated[str | None, Query(max_length=200)] = None,
    source: Literal["browser", "places", "osm", "csv"] | None = None,
    job_id: Annotated[str | None, Query(max_length=200)] = None,
    min_score: Annotated[int | None, Query(ge=0, le=100)] = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    follow_up_until: date | None = None,
    *,
    new: bool = False,
) -> LeadFilter:
    return LeadFilter(
        status=status, owner=owner, source=source, job_id=job_id, min_score=min_score, text=q,
        follow_up_until=follow_up_until, new=new,
    )  # fmt: skip


Chosen = Annotated[LeadFilter, Depends(_filter)]


@router.post(
    "/jobs/browser", status_code=202, response_model=JobAccepted,
    openapi_extra=body_schema(LeadsSpec, {"url": "https://directory.example/coffee"}),
)  # fmt: skip
async def submit_browser_job(request: Request, caller: Submitter) -> Response:
    """Read a listing in a browser: a `leads` job of high priority whose spec is the body."""
    body = await read_json(request)
    spec = {"source": "browser", **body} if isinstance(body, dict) else body
    asked = fit(LeadsSpec, spec, "the job")
    job = JobRequest(flow="leads", spec=asked.model_dump(mode="json", exclude_unset=True), priority="high")
    return await _submitted(request, caller, job)


@router.post(
    "/leads/pagespeed/bulk", status_code=202, response_model=JobAccepted,
    openapi_extra=body_schema(SpeedRequest, {"limit": 50, "min_score": 60}),
)  # fmt: skip
async def measure_leads(request: Request, caller: Submitter) -> Response:
    """Measure the websites of leads: those named, else the best that have one and were not measured."""
    services = services_of(request)
    asked = fit(SpeedRequest, await read_json(request, default={}), "the request")
    chosen = LeadFilter(status=asked.status, min_score=asked.min_score)
    for lead_id in asked.lead_ids:
        await lead_at(services, lead_id, caller.tenant)
    leads = asked.lead_ids or await services.store.leads.unmeasured(chosen, tenant=caller.tenant, limit=asked.limit)
    if not leads:
        raise Problem("not-found", "no such lead has a website that was not measured; name leads in lead_ids")
    return await _submitted(request, caller, JobRequest(flow="leads_pagespeed", spec={"leads": list(leads)}))


@router.post("/leads/{lead_id}/pagespeed", status_code=202, response_model=JobAccepted)
async def measure_lead(request: Request, caller: Submitter, lead_id: str) -> Response:
    """Measure a lead's website (again): a job, whose findings stay with the lead."""
    await lead_at(services_of(request), lead_id, caller.tenant)
    return await _submitted(request, caller, JobRequest(flow="leads_pagespeed", spec={"leads": [lead_id]}))


@router.get("/leads")
async def list_leads(
    request: Request,
    caller: Reader,
    chosen: Chosen,
    sort: Literal["score", "created_at", "name", "rating", "reviews"] = "score",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Leads. `new` shows what the last run found first, `job_id` what that one did; `follow_up_until` whom to call."""
    leads = services_of(request).store.leads
    page = await leads.page(chosen, tenant=caller.tenant, sort=sort, cursor=cursor, limit=limit)
    return items([lead_view(one) for one in page.items], page.next)


@router.get("/leads/statistics")
async def lead_statistics(request: Request, caller: Reader) -> Response:
    """How many, by status, source, score and day; and the share of those touched that was converted."""
    return Json(await services_of(request).store.leads.statistics(tenant=caller.tenant))


@router.get("/leads/export")
async def export_leads(
    request: Request,
    caller: Reader,
    chosen: Chosen,
    kind: Annotated[Literal["csv", "xlsx"], Query(alias="format")] = "csv",
) -> Response:
    """The leads as a file; no text in it is a formula."""
    body = await exported(services_of(request), chosen, caller.tenant, kind)
    name = {"Content-Disposition": f'attachment; filename="leads.{kind}"'}
    return Response(body, media_type=XLSX if kind == "xlsx" else CSV, headers=name)


@router.get("/leads/blacklist")
async def list_blacklist(request: Request, caller: Reader, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """What is left out of the jobs to come."""
    page = await services_of(request).store.lead_lists.page(tenant=caller.tenant, cursor=cursor, limit=limit)
    found = [
        {"kind": one.kind, "value": one.value, "reason": one.reason, "created_at": one.created_at} for one in page.items
    ]
    return items(found, page.next)


@router.post(
    "/leads/blacklist",
    status_code=201,
    openapi_extra=body_schema(BlockRequest, {"kind": "domain", "value": "a.example"}),
)
async def add_to_blacklist(request: Request, caller: Submitter) -> Response:
    """Leave a phone number, a domain or a name out of the jobs to come."""
    asked = fit(BlockRequest, await read_json(request), "the line")
    value = _block_value(asked.kind, asked.value)
    await services_of(request).store.lead_lists.block(asked.kind, value, asked.reason, tenant=caller.tenant)
    return Json({"kind": asked.kind, "value": value, "reason": asked.reason}, 201)


@router.delete("/leads/blacklist", status_code=204)
async def drop_from_blacklist(
    request: Request, caller: Submitter, kind: BlockKind, value: Annotated[str, Query(max_length=300)]
) -> Response:
    """Let it in again."""
    if not await services_of(request).store.lead_lists.unblock(kind, _block_value(kind, value), tenant=caller.tenant):
        raise Problem("not-found", f"the blacklist has no {kind} {value[:100]!r}; GET /api/v1/leads/blacklist lists it")
    return Response(status_code=204)


@router.post("/leads/erasures", openapi_extra=body_schema(ErasureRequest, {"email": "somebody@a.example"}))
async def erase_somebody(request: Request, caller: Operator) -> Response:
    """Erase every lead that has this address, number or domain; the next crawl does not bring it back."""
    asked = fit(ErasureRequest, await read_json(request), "the request")
    field, value = next((name, one) for name, one in asked.model_dump().items() if one is not None)
    key = _needed(erasure_key(field, value), field)
    told = await erase_by(services_of(request), key, caller.tenant, caller.actor)
    return Json({"erased": told.leads, "erasure_id": told.erasure_id or None})


@router.get("/leads/{lead_id}")
async def get_lead(request: Request, caller: Reader, lead_id: str) -> Response:
    """One lead, with where each part of it was found and why it has its score."""
    return Json(lead_view(await lead_at(services_of(request), lead_id, caller.tenant)))


@router.patch("/leads/{lead_id}", openapi_extra=body_schema(LeadChange, {"status": "called", "note": "call again"}))
async def change_lead(request: Request, caller: Submitter, lead_id: str) -> Response:
    """Change status, owner or follow-up date, or add a note; each is a line of the timeline."""
    asked = fit(LeadChange, await read_json(request), "the change")
    leads = services_of(request).store.leads
    lead = await leads.change(lead_id, asked, tenant=caller.tenant, actor=caller.actor)
    if lead is None:
        raise no_such(lead_id)
    return Json(lead_view(lead))


@router.get("/leads/{lead_id}/timeline")
async def lead_timeline(
    request: Request, caller: Reader, lead_id: str, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """What people did with a lead, newest first."""
    services = services_of(request)
    await lead_at(services, lead_id, caller.tenant)
    page = await services.store.leads.timeline(lead_id, tenant=caller.tenant, cursor=cursor, limit=limit)
    return items(
        [{"kind": one.kind, "actor": one.actor, "text": one.text, "at": one.at} for one in page.items], page.next
    )


@router.delete("/leads/{lead_id}", status_code=204)
async def erase_lead(request: Request, caller: Operator, lead_id: str) -> Response:
    """Erase a lead; the next crawl does not bring it back."""
    await erase(services_of(request), lead_id, caller.tenant, caller.actor)
    return Response(status_code=204)


def _block_value(kind: BlockKind, value: str) -> str:
    return _needed(block_value(kind, value), "value")


def _needed(value: str | None, field: str) -> str:
    if value is None:
        told = {"field": field, "pointer": f"#/{field}", "detail": "is none; write phone numbers with a country code"}
        raise Problem(
            "invalid-request", f"{field}: this is none; write phone numbers with a country code", errors=[told]
        )
    return value


async def _submitted(request: Request, caller: Caller, job: JobRequest) -> Response:
    key = request.headers.get("Idempotency-Key")
    identity = f"key {caller.tenant} {caller.key_id} {key}" if key else ""
    accepted = await accept(
        services_of(request), job, caller, identity=identity, traceparent=request.headers.get("traceparent")
    )
    return Json(accepted, 202, {"Location": f"/api/v1/jobs/{accepted.job_id}", "X-Trace-Id": accepted.trace_id})
