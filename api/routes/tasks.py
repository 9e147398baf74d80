"""``/tasks/{task_id}``: any job, as clients of the task queue before Millrace know it."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.auth import Reader
from api.json_response import Json
from api.look import find
from api.results import dead_letters_of, latest_payload, missing_of
from api.services import services_of
from api.views import ENDED_WELL, old_view

router = APIRouter(prefix="/tasks", tags=["jobs"])


@router.get("/{task_id}")
async def get_task(request: Request, caller: Reader, task_id: str) -> Response:
    """A job's state by its old name, its result and its progress; an id that is not known is a 404, never PENDING."""
    services = services_of(request)
    found = await find(services, task_id, caller.tenant)
    job = found.view
    payload = await latest_payload(services, found) if job.status in ENDED_WELL and services.database else None
    letters = await dead_letters_of(services, found) if job.status == "partial" else []
    missing = missing_of(payload, letters) if job.status == "partial" else []
    return Json(old_view(job, payload, missing))
