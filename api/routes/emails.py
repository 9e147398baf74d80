"""``/emails``: mail as a job of its own, what became of it, and addresses that get none."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from api.auth import Operator, Reader, Submitter
from api.bodies import body_schema, fit, read_json
from api.emails import Shown, page_of_emails, page_of_suppressions
from api.json_response import Json, items
from api.problems import Problem
from api.services import services_of
from api.submission import accept
from schemas.emails import EmailSpec, SuppressionRequest
from schemas.jobs import JobAccepted, JobRequest

router = APIRouter(prefix="/emails", tags=["emails"])

Cursor = Annotated[str | None, Query(max_length=300)]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.post(
    "",
    status_code=202,
    response_model=JobAccepted,
    openapi_extra=body_schema(EmailSpec, {"to": ["ann@example.com"], "subject": "Hello", "text": "Good morning."}),
)
async def send_email(
    request: Request,
    caller: Submitter,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    traceparent: Annotated[str | None, Header(max_length=512)] = None,
) -> Response:
    """Send a mail, as a job of the flow `email`; the same `Idempotency-Key` and body within a day is the same mail."""
    spec = fit(EmailSpec, await read_json(request), "the mail")
    asked = JobRequest(flow="email", spec=spec.model_dump(mode="json", exclude_none=True))
    identity = f"key {caller.tenant} {caller.key_id} {idempotency_key}" if idempotency_key else ""
    accepted = await accept(services_of(request), asked, caller, identity=identity, traceparent=traceparent)
    return Json(accepted, 202, {"Location": accepted.links["self"], "X-Trace-Id": accepted.trace_id})


@router.get("")
async def list_emails(
    request: Request, caller: Reader, status: Shown | None = None, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """The tenant's mails to each addressee, newest first: those of jobs' ends too."""
    page = await page_of_emails(services_of(request), caller.tenant, status=status, cursor=cursor, limit=limit)
    return items(page.items, page.next)


@router.get("/suppressions")
async def list_suppressions(request: Request, caller: Reader, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """The addresses that get no mail of this tenant: they bounced, or somebody said so."""
    page = await page_of_suppressions(services_of(request), caller.tenant, cursor=cursor, limit=limit)
    return items(page.items, page.next)


@router.post(
    "/suppressions",
    status_code=201,
    openapi_extra=body_schema(SuppressionRequest, {"address": "ann@example.com", "reason": "asked for it"}),
)
async def add_suppression(request: Request, caller: Operator) -> Response:
    """Send an address no more mail; one that is suppressed stays as it is."""
    asked = fit(SuppressionRequest, await read_json(request), "the suppression")
    store = services_of(request).store.suppressions
    is_new = await store.add(asked.address, tenant=caller.tenant, reason=asked.reason)
    return Json({"address": asked.address.lower(), "added": is_new}, 201 if is_new else 200)


@router.delete("/suppressions/{address}", status_code=204)
async def remove_suppression(request: Request, caller: Operator, address: str) -> Response:
    """Let an address have mail again."""
    if not await services_of(request).store.suppressions.remove(address, tenant=caller.tenant):
        raise Problem("not-found", f"{address[:320]!r} is not suppressed; GET /api/v1/emails/suppressions lists those")
    return Response(status_code=204)
