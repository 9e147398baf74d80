"""Stop and go: ``/pauses``, ``/purge``, a worker's drain, and the log of who did what."""

from typing import Annotated, Self

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, Field, model_validator
from starlette.responses import Response

from api import audit
from api.auth import Caller, Operator, Reader, of_the_house, tenant_asked
from api.bodies import body_schema, fit, read_json
from api.control import pause_view, pools_of, purged_view
from api.json_response import Json, items
from api.keys import DEFAULT_TENANT
from api.problems import Problem
from api.services import services_of
from schemas.jobs import Asked
from schemas.names import StageName
from streams.drain import drain_worker
from streams.pauses import PauseKind, Pauses
from streams.purge import Purge, PurgeFilter

router = APIRouter(tags=["stop and go"])


class PauseScope(Asked):
    """One of the four."""

    stage: StageName | None = None
    flow: str | None = None
    host: str | None = None
    tenant: str | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        named = [name for name in ("stage", "flow", "host", "tenant") if getattr(self, name)]
        if len(named) != 1:
            raise ValueError("name one of stage, flow, host or tenant")
        return self

    @property
    def scope(self) -> tuple[PauseKind, str]:
        """Kind and name."""
        kinds: tuple[PauseKind, ...] = ("stage", "flow", "host", "tenant")
        return next((kind, str(getattr(self, kind))) for kind in kinds if getattr(self, kind))


class PauseRequest(PauseScope):
    """The body of ``POST /pauses``."""

    reason: str = Field(default="", max_length=1_000)


class PurgeRequest(Asked):
    """The body of ``POST /purge``: what is named must all fit.

    Attributes:
        force: Kill what runs instead of telling it to stop.
    """

    stage: StageName | None = None
    flow: str | None = None
    tenant: str | None = None
    force: bool = False
    dry_run: bool = False


class DrainRequest(Asked):
    """The body of ``POST /workers/{name}/drain``; may be left out.

    Attributes:
        replace: Let its supervisor start another in its place.
    """

    replace: bool = False


@router.get("/pauses")
async def list_pauses(request: Request, caller: Reader) -> Response:
    """What is paused: why, by whom, since when. Other tenants' pauses are not shown."""
    services = services_of(request)
    pauses = await Pauses(services.client, services.keys).list()
    is_all = caller.tenant == DEFAULT_TENANT and caller.may("operate")
    return items([pause_view(one) for one in pauses if is_all or one.kind != "tenant" or one.name == caller.tenant])


@router.post("/pauses", status_code=201, openapi_extra=body_schema(PauseRequest, {"stage": "extract", "reason": "…"}))
async def pause(request: Request, caller: Operator) -> Response:
    """Pause a stage, a flow, a host or a tenant: nothing of it is started from now on, what runs runs on."""
    services = services_of(request)
    asked = fit(PauseRequest, await read_json(request), "the pause")
    kind, name = _scope(asked, caller)
    made = await Pauses(services.client, services.keys).add(kind, name, reason=asked.reason, by=caller.actor)
    await audit.record(services, caller.actor, "pause.add", made.scope, {"reason": made.reason}, tenant=caller.tenant)
    return Json(pause_view(made), 201)


@router.delete("/pauses")
async def resume(
    request: Request,
    caller: Operator,
    stage: StageName | None = None,
    flow: Annotated[str | None, Query(max_length=64)] = None,
    host: Annotated[str | None, Query(max_length=255)] = None,
    tenant: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Resume what ``?stage=``, ``?flow=``, ``?host=`` or ``?tenant=`` names, and wake what was held."""
    services = services_of(request)
    given = {"stage": stage, "flow": flow, "host": host, "tenant": tenant}
    kind, name = _scope(fit(PauseScope, {key: value for key, value in given.items() if value}, "the pause"), caller)
    ended = await Pauses(services.client, services.keys).remove(kind, name)
    if ended is None:
        raise Problem("not-found", f"{kind} {name[:100]} is not paused; GET /api/v1/pauses lists what is")
    await audit.record(services, caller.actor, "pause.remove", ended.scope, pause_view(ended), tenant=caller.tenant)
    return Json({**pause_view(ended), "resumed": True})


@router.post("/purge", status_code=202, openapi_extra=body_schema(PurgeRequest, {"stage": "crawl", "dry_run": True}))
async def purge(request: Request, caller: Operator) -> Response:
    """Cancel every job that has something open at a stage, of a flow or of a tenant. `dry_run` counts them."""
    services = services_of(request)
    asked = fit(PurgeRequest, await read_json(request), "the purge")
    if not (asked.stage or asked.flow or asked.tenant):
        raise Problem("invalid-request", "say what to purge: stage, flow or tenant")
    # Without a tenant it concerns everyone's jobs; other tenants' keys purge their own.
    tenant = asked.tenant
    if tenant is not None or caller.tenant != DEFAULT_TENANT:
        tenant = tenant_asked(caller, tenant)
    chosen = PurgeFilter(asked.stage or "", asked.flow or "", tenant or "")
    work = Purge(services.log, pools_of(services.flows))
    if asked.dry_run:
        return Json({"dry_run": True, **purged_view(await work.count(chosen))})
    done = await work.run(chosen, reason=f"purged by {caller.actor}", kill=asked.force)
    detail = {**purged_view(done), "force": asked.force}
    await audit.record(services, caller.actor, "purge", str(chosen), detail, tenant=caller.tenant)
    return Json(purged_view(done), 202)


@router.post("/workers/{name}/drain", status_code=202, openapi_extra=body_schema(DrainRequest))
async def drain(request: Request, caller: Operator, name: str) -> Response:
    """Let a worker finish what it has and end; what does not finish in its grace runs elsewhere."""
    services = services_of(request)
    of_the_house(caller, "workers are what")
    asked = fit(DrainRequest, await read_json(request, default={}), "the drain")
    if not await drain_worker(services.client, services.keys, name, by=caller.actor, replace=asked.replace):
        raise Problem("not-found", f"there is no worker {name[:100]!r}; GET /api/v1/workers lists those that there are")
    await audit.record(services, caller.actor, "worker.drain", name, {"replace": asked.replace}, tenant=caller.tenant)
    return Json({"worker": name, "draining": True, "replace": asked.replace}, 202)


@router.get("/audit_log")
async def audit_log(
    request: Request,
    caller: Operator,
    actor: Annotated[str, Query(max_length=200)] = "",
    action: Annotated[str, Query(max_length=100)] = "",
    target: Annotated[str, Query(max_length=300)] = "",
    tenant: Annotated[str | None, Query(max_length=64)] = None,
    since: AwareDatetime | None = None,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Every change that an operator made by API or command line, newest first: who, what, to what, when."""
    found = await audit.page(
        services_of(request), tenant=tenant_asked(caller, tenant), actor=actor, action=action, target=target,
        since=since, cursor=cursor, limit=limit,
    )  # fmt: skip
    return items(found.items, found.next)


def _scope(asked: PauseScope, caller: Caller) -> tuple[PauseKind, str]:
    """What is meant, if the caller may: one's own tenant, or anything for those who run the installation."""
    kind, name = asked.scope
    if kind != "tenant" or name != caller.tenant:
        of_the_house(caller, f"{kind}s are what")
    return kind, name
