"""``/dlq/incidents``: dead letters grouped by what they died of, and a whole group put back to work."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from api.auth import Operator, Reader
from api.bodies import body_schema, fit, read_json
from api.incidents import incident_view, incidents
from api.json_response import Json, items
from api.problems import Problem
from api.routes.dlq import Chosen, RetryRequest, filter_of, redrive
from api.services import services_of
from consumers.store.pages import read_cursor, write_cursor
from schemas.jobs import Asked
from schemas.names import StageName
from streams.incidents import Incident

router = APIRouter(prefix="/dlq/incidents", tags=["dead letters"])


class RetryIncident(Asked):
    """The body of ``POST /dlq/incidents/{id}/retry``; may be left out.

    Attributes:
        rate: Letters a second, kept by the timers after the answer; all at once when left out.
        limit: Letters in this request; `next` of the answer, sent as `cursor`, goes on.
        tenant: Another tenant's letters; for an admin of the installation.
    """

    rate: float | None = Field(default=None, gt=0, le=10_000)
    limit: int = Field(default=1_000, ge=1, le=10_000)
    cursor: str | None = None
    dry_run: bool = False
    tenant: str | None = None


@router.get("")
async def list_incidents(
    request: Request,
    caller: Reader,
    stage: StageName | None = None,
    flow: Annotated[str | None, Query(max_length=64)] = None,
    host: Annotated[str | None, Query(max_length=255)] = None,
    tenant: Annotated[str | None, Query(max_length=64)] = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The tenant's dead letters by error type, stage, flow and host, the incident with the newest letter first.

    `first_seen`, `last_seen`, `jobs` and `tenants` say how far it reaches. The newest 100,000 letters are grouped.
    """
    services = services_of(request)
    chosen = Chosen(stage=stage, flow=flow, host=host, tenant=tenant, since=since, until=until)
    found = (await incidents(services, filter_of(chosen, caller))).incidents
    if cursor is not None:
        last_ms, after = read_cursor(cursor, int, str)
        found = [one for one in found if (-one.last_ms, one.id) > (-int(str(last_ms)), str(after))]
    found.sort(key=lambda one: (-one.last_ms, one.id))
    shown, more = found[:limit], found[limit:]
    return items([incident_view(one) for one in shown], write_cursor(shown[-1].last_ms, shown[-1].id) if more else None)


@router.get("/{incident_id}")
async def get_incident(
    request: Request,
    caller: Reader,
    incident_id: str,
    tenant: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """An incident; `links.letters` lists what is in it."""
    services = services_of(request)
    chosen = filter_of(Chosen(incident=incident_id, tenant=tenant), caller)
    return Json(incident_view(_one((await incidents(services, chosen)).incidents, incident_id)))


@router.post("/{incident_id}/retry", status_code=202, openapi_extra=body_schema(RetryIncident, {"rate": 50}))
async def retry_incident(request: Request, caller: Operator, incident_id: str) -> Response:
    """Put all letters of an incident back to work, as ``POST /dlq/retry`` does; those in quarantine are left out."""
    services = services_of(request)
    asked = fit(RetryIncident, await read_json(request, default={}), "the redrive")
    if asked.cursor is None:
        chosen = filter_of(Chosen(incident=incident_id, tenant=asked.tenant), caller)
        _one((await incidents(services, chosen)).incidents, incident_id)
    whole = RetryRequest(incident=incident_id, **asked.model_dump())
    return await redrive(services, caller, whole)


def _one(found: list[Incident], incident_id: str) -> Incident:
    if not found:
        raise Problem(
            "not-found",
            f"there is no incident {incident_id[:40]!r} with letters of yours; GET /api/v1/dlq/incidents lists them",
        )
    return found[0]
