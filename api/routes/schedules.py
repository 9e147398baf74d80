"""``/schedules``: jobs that are submitted again and again."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from api import schedules
from api.auth import Operator, Reader
from api.bodies import body_schema, fit, read_json
from api.json_response import Json, items
from api.services import services_of
from api.views import API, links_of
from schemas.jobs import Asked, JobAccepted
from schemas.schedules import ScheduleChange, ScheduleRequest, ScheduleView

router = APIRouter(prefix="/schedules", tags=["schedules"])

EXAMPLE = {
    "name": "filings-nightly", "cron": "30 2 * * *", "time_zone": "Europe/Berlin",
    "job": {"flow": "filings", "spec": {"url": "https://example.com/investors"}},
}  # fmt: skip


class SchedulePauseRequest(Asked):
    """The body of a pause; may be left out."""

    reason: Annotated[str, Field(max_length=500)] = ""


@router.get("")
async def list_schedules(
    request: Request,
    caller: Reader,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The tenant's schedules, by name."""
    page = await schedules.page_of_schedules(services_of(request), caller.tenant, cursor=cursor, limit=limit)
    return items(page.items, page.next)


@router.post(
    "", status_code=201, response_model=ScheduleView, openapi_extra=body_schema(ScheduleRequest, EXAMPLE)
)  # fmt: skip
async def create_schedule(request: Request, caller: Operator) -> Response:
    """Make a schedule; its first tick is the next one behind now."""
    asked = fit(ScheduleRequest, await read_json(request), "the schedule")
    view = await schedules.add_schedule(services_of(request), caller.tenant, asked.name, _plan(asked))
    return Json(view, 201, {"Location": f"{API}/schedules/{asked.name}"})


@router.get("/{name}", response_model=ScheduleView)
async def get_schedule(request: Request, caller: Reader, name: str) -> Response:
    """A schedule, with its last tick and its next."""
    return Json(await schedules.one_schedule(services_of(request), caller.tenant, name))


@router.put("/{name}", response_model=ScheduleView, openapi_extra=body_schema(ScheduleChange))
async def put_schedule(request: Request, caller: Operator, name: str) -> Response:
    """Change a schedule; it stays paused when it is."""
    asked = fit(ScheduleChange, await read_json(request), "the schedule")
    return Json(await schedules.change_schedule(services_of(request), caller.tenant, name, asked))


@router.delete("/{name}", status_code=204)
async def delete_schedule(request: Request, caller: Operator, name: str) -> Response:
    """Forget a schedule; jobs that it has submitted run on."""
    await schedules.remove_schedule(services_of(request), caller.tenant, name)
    return Response(status_code=204)


@router.post("/{name}/pause", response_model=ScheduleView, openapi_extra=body_schema(SchedulePauseRequest))
async def pause_schedule(request: Request, caller: Operator, name: str) -> Response:
    """Stop a schedule; what would have ticked meanwhile is not made up for."""
    asked = fit(SchedulePauseRequest, await read_json(request, default={}), "the pause")
    services = services_of(request)
    return Json(
        await schedules.pause_schedule(services, caller.tenant, name, is_paused=True, reason=asked.reason)
    )  # fmt: skip


@router.post("/{name}/resume", response_model=ScheduleView)
async def resume_schedule(request: Request, caller: Operator, name: str) -> Response:
    """Let a paused schedule go on, from its next tick."""
    return Json(await schedules.pause_schedule(services_of(request), caller.tenant, name, is_paused=False))


@router.post("/{name}/run", status_code=202, response_model=JobAccepted)
async def run_schedule(request: Request, caller: Operator, name: str) -> Response:
    """Submit a schedule's job now; its ticks stay as they are."""
    services = services_of(request)
    done = await schedules.run_schedule(services, caller.tenant, name)
    flow = (await schedules.one_schedule(services, caller.tenant, name)).job.flow
    return Json(
        JobAccepted(
            job_id=done.job_id, flow=flow, status="queued", trace_id=done.trace_id, links=links_of(done.job_id)
        ),
        202,
    )


def _plan(asked: ScheduleRequest) -> ScheduleChange:
    return ScheduleChange.model_validate(asked.model_dump(exclude={"name"}))
