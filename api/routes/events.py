"""``POST /events``: CloudEvents 1.0 over HTTP, structured, batched or binary."""

from typing import Any, Final
from urllib.parse import unquote

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import audit
from api.auth import Caller, Submitter
from api.bodies import read_json
from api.json_response import Json
from api.keys import DEFAULT_TENANT
from api.look import find
from api.problems import Problem, problem_of, unforeseen
from api.services import Services, services_of
from api.submission import accept, end
from schemas.events import BadEvent, CancelData, CloudEvent, command_of, event_of

router = APIRouter(tags=["jobs"])

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
MAX_BATCH: Final = 1_000
REQUIRED: Final = ("specversion", "id", "source", "type")
_NOT_FITTING: Final = frozenset({"invalid_job", "no_data", "unknown_event_type"})


@router.post("/events", status_code=202)
async def take_events(request: Request, caller: Submitter) -> Response:
    """Submit or cancel by event; the same `source` and `id` within a day is the same job.

    A batch is answered event by event: 202 when all were taken, else 207 with a status and a problem for each.
    """
    services = services_of(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    value = await read_json(request)
    trace = request.headers.get("traceparent")
    if media_type == BATCH or (media_type != STRUCTURED and isinstance(value, list)):
        return await _take_batch(services, caller, value, trace)
    if media_type != STRUCTURED and "ce-type" in request.headers:
        value = _of_headers(request, value)
    done = await _take(services, caller, value, trace)
    headers = {"Location": done["links"]["self"]}
    if trace_id := done.get("trace_id"):
        headers["X-Trace-Id"] = trace_id
    return Json(done, 202, headers)


async def _take_batch(services: Services, caller: Caller, value: Any, trace: str | None) -> Response:
    if not isinstance(value, list):
        raise Problem("bad-event", f"a batch is a JSON array of events, not a {type(value).__name__}")
    if len(value) > MAX_BATCH:
        raise Problem("bad-event", f"the batch has {len(value):,} events; send at most {MAX_BATCH:,} at a time")
    answers = []
    for one in value:
        named = one if isinstance(one, dict) else {}
        answer: dict[str, Any] = {"id": named.get("id"), "source": named.get("source")}
        try:
            answer |= {"status": 202, "job": await _take(services, caller, one, trace)}
        except Exception as error:  # noqa: BLE001 - each event has an answer of its own
            problem = problem_of(error) or unforeseen(error)
            answer |= {"status": problem.status, "problem": problem.body()}
        answers.append(answer)
    all_taken = all(answer["status"] == 202 for answer in answers)  # noqa: PLR2004 - accepted
    return Json({"items": answers, "next": None}, 202 if all_taken else 207)


async def _take(services: Services, caller: Caller, value: Any, trace: str | None) -> dict[str, Any]:
    event = _event_of(value)
    try:
        command = command_of(event)
    except BadEvent as error:
        raise _problem(error) from None
    if isinstance(command, CancelData):
        found = await find(services, command.job_id, caller.tenant)
        await end(services, found, kill=command.force, reason="cancelled by event")
        detail = {"force": command.force, "event": event.id}
        await audit.record(services, caller.actor, "job.cancel", command.job_id, detail, tenant=caller.tenant)
        view = (await find(services, command.job_id, caller.tenant)).view
        return {"job_id": view.job_id, "flow": view.flow, "status": view.status, "links": view.links}
    # The default tenant shares its identities with `XADD` to the events stream.
    tenant = "" if caller.tenant == DEFAULT_TENANT else f"tenant {caller.tenant} "
    accepted = await accept(
        services, command, caller, identity=f"{tenant}{event.identity}", traceparent=event.traceparent or trace
    )
    return accepted.model_dump()


def _event_of(value: Any) -> CloudEvent:
    if isinstance(value, dict):
        absent = [name for name in REQUIRED if not isinstance(value.get(name), str) or not value[name]]
        if absent:
            raise Problem(
                "bad-event",
                f"the event has no {', '.join(absent)}: a CloudEvent 1.0 needs {', '.join(REQUIRED)} as texts",
                errors=[{"field": name, "pointer": f"#/{name}", "detail": "a text is required"} for name in absent],
            )
    try:
        return event_of(value)
    except BadEvent as error:
        raise _problem(error) from None
    except ValueError as error:  # base64 with letters beyond ASCII
        raise _problem(BadEvent(f"data_base64 is no base64: {error}")) from None


def _of_headers(request: Request, data: Any) -> dict[str, Any]:
    """A binary event: attributes in ``ce-`` headers, percent-encoded; the body is its data."""
    attributes = {
        name.removeprefix("ce-"): unquote(value) for name, value in request.headers.items() if name.startswith("ce-")
    }
    return {**attributes, "data": data}


def _problem(error: BadEvent) -> Problem:
    name = "invalid-request" if error.reason in _NOT_FITTING else "bad-event"
    field = {"unknown_event_type": "type"}.get(error.reason, "data" if error.reason in _NOT_FITTING else "event")
    return Problem(name, str(error), errors=[{"field": field, "detail": str(error)}], extra={"reason": error.reason})
