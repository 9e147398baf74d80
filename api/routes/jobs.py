"""``/jobs``: submit, list, look, cancel, retry."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from api import audit
from api.auth import Ender, Reader, Submitter
from api.bodies import body_schema, fit, read_json
from api.job_list import page_of_jobs
from api.json_response import Json, items
from api.look import find, wait_for_end
from api.problems import Problem
from api.services import services_of
from api.submission import accept, dry_run, end
from api.views import links_of
from schemas.jobs import Asked, JobAccepted, JobRequest, JobStatusName, JobView

router = APIRouter(prefix="/jobs", tags=["jobs"])

MAX_WAIT_S = 120.0


class CancelRequest(Asked):
    """The body of a cancellation; may be left out.

    Attributes:
        force: Kill handlers that run at once, instead of letting them clean up until their soft limit.
    """

    force: bool = False


class Retried(BaseModel):
    """The answer to a retry: how many dead letters went back to work, and under which revision."""

    job_id: str
    status: JobStatusName
    revision: int
    redriven: int
    links: dict[str, str]


@router.post(
    "",
    status_code=202,
    response_model=JobAccepted,
    openapi_extra=body_schema(JobRequest, {"flow": "filings", "spec": {"url": "https://example.com/investors"}}),
)
async def submit_job(
    request: Request,
    caller: Submitter,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    traceparent: Annotated[str | None, Header(max_length=512)] = None,
    dry_run_: Annotated[bool, Query(alias="dry_run")] = False,  # noqa: FBT002 - a query parameter
) -> Response:
    """Submit a job. The same `Idempotency-Key` and body within a day is the same job.

    `dry_run=true` submits nothing: it checks, and says what jobs alike needed.
    """
    services = services_of(request)
    asked = fit(JobRequest, await read_json(request), "the job")
    if dry_run_:
        return Json(await dry_run(services, asked, caller))
    identity = f"key {caller.tenant} {caller.key_id} {idempotency_key}" if idempotency_key else ""
    accepted = await accept(services, asked, caller, identity=identity, traceparent=traceparent)
    headers = {"Location": accepted.links["self"], "X-Trace-Id": accepted.trace_id}
    return Json(accepted, 202, headers)


@router.get("")
async def list_jobs(
    request: Request,
    caller: Reader,
    flow: Annotated[str | None, Query(max_length=64)] = None,
    status: JobStatusName | None = None,
    replay: Annotated[str | None, Query(max_length=64)] = None,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The tenant's jobs, newest first: history, with the live state of those that Redis still has."""
    page = await page_of_jobs(
        services_of(request), caller.tenant, flow=flow, status=status, replay=replay, cursor=cursor, limit=limit
    )
    return items(page.items, page.next)


@router.get("/{job_id}", response_model=JobView)
async def get_job(
    request: Request,
    caller: Reader,
    job_id: str,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = 0,
) -> Response:
    """A job; with `wait`, answered when it has ended, or after so many seconds."""
    services = services_of(request)
    found = await find(services, job_id, caller.tenant)
    if wait and not found.has_ended:
        found = await wait_for_end(services, job_id, caller.tenant, wait)
    return Json(found.view)


@router.post("/{job_id}/cancel", status_code=202, response_model=JobView, openapi_extra=body_schema(CancelRequest))
async def cancel_job(request: Request, caller: Ender, job_id: str) -> Response:
    """End a job: what waits is dropped, what runs is told to stop, or killed with `force` (also later)."""
    services = services_of(request)
    asked = fit(CancelRequest, await read_json(request, default={}), "the cancellation")
    found = await find(services, job_id, caller.tenant)
    await end(services, found, kill=asked.force)
    await audit.record(services, caller.actor, "job.cancel", job_id, {"force": asked.force}, tenant=caller.tenant)
    return Json((await find(services, job_id, caller.tenant)).view, 202)


@router.post("/{job_id}/retry", status_code=202, response_model=Retried)
async def retry_job(request: Request, caller: Ender, job_id: str) -> Response:
    """Put all of a job's dead letters back to work, as its next revision."""
    services = services_of(request)
    found = await find(services, job_id, caller.tenant)
    if found.record is None:
        raise Problem("nothing-to-retry", f"job {job_id} has no dead letters to retry (it is {found.view.status})")
    redriven = await services.log.retry(job_id)
    await audit.record(services, caller.actor, "job.retry", job_id, {"redriven": redriven}, tenant=caller.tenant)
    view = (await find(services, job_id, caller.tenant)).view
    return Json(
        Retried(job_id=job_id, status=view.status, revision=view.revision, redriven=redriven, links=links_of(job_id)),
        202,
    )
