"""``/replays``: run jobs again, look how far that is, stop it."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from api.auth import Operator, Reader
from api.bodies import body_schema, fit, read_json
from api.json_response import Json, items
from api.problems import Problem
from api.services import Services, services_of
from consumers.replays.record import NoSuchReplay, ReplayIsOver, Replays
from consumers.replays.run import Means, plan
from consumers.store.pages import read_cursor, write_cursor
from schemas.replays import ReplayPlan, ReplayRequest, ReplayView

router = APIRouter(prefix="/replays", tags=["operations"])

PLANNED_WITHIN_S = 20.0
"""A dry run answers by then with what it has looked at."""

EXAMPLE = {"select": {"flow": "filings", "since": "2026-01-01T00:00:00Z"}, "from_stage": "extract"}


@router.post(
    "", status_code=202, response_model=ReplayView | ReplayPlan, openapi_extra=body_schema(ReplayRequest, EXAMPLE)
)
async def start_replay(
    request: Request,
    caller: Operator,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    dry_run: Annotated[bool, Query()] = False,  # noqa: FBT002 - a query parameter
) -> Response:
    """Run jobs again as new jobs that name their origin; `dry_run=true` only says what would run.

    The same `Idempotency-Key` is the same replay.
    """
    services = services_of(request)
    asked = fit(ReplayRequest, await read_json(request), "the replay")
    if dry_run:
        return Json(await plan(means_of(services), asked, tenant=caller.tenant, within_s=PLANNED_WITHIN_S))
    means_of(services)  # what a worker will need, named here when it is missing
    record = await replays_of(services).create(
        asked, tenant=caller.tenant, created_by=caller.key_id, identity=idempotency_key or ""
    )
    if record.request != asked:
        raise Problem(
            "submission-conflict",
            f"this idempotency key stands for replay {record.replay_id}, which is another one; use another key",
        )
    return Json(record.view, 202, {"Location": record.view.links["self"]})


@router.get("")
async def list_replays(
    request: Request,
    caller: Reader,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The tenant's replays, newest first."""
    before: tuple[int, str] | None = None
    if cursor is not None:
        at, replay_id = read_cursor(cursor, int, str)
        before = int(str(at)), str(replay_id)
    found = await replays_of(services_of(request)).page(tenant=caller.tenant, before=before, limit=limit + 1)
    shown = found[:limit]
    following = write_cursor(shown[-1].created_ms, shown[-1].replay_id) if len(found) > limit else None
    return items([record.view.model_dump(mode="json") for record in shown], following)


@router.get("/{replay_id}", response_model=ReplayView)
async def get_replay(request: Request, caller: Reader, replay_id: str) -> Response:
    """How far a replay is, and what could not be replayed."""
    try:
        return Json(await replay_view(services_of(request), replay_id, caller.tenant))
    except NoSuchReplay as error:
        raise Problem("not-found", str(error)) from None


@router.post("/{replay_id}/cancel", status_code=202, response_model=ReplayView)
async def cancel_replay(request: Request, caller: Operator, replay_id: str) -> Response:
    """Submit no further job; those that were submitted go on."""
    try:
        record = await replays_of(services_of(request)).cancel(replay_id, tenant=caller.tenant)
    except NoSuchReplay as error:
        raise Problem("not-found", str(error)) from None
    except ReplayIsOver as error:
        raise Problem("replay-is-over", str(error)) from None
    return Json(record.view, 202)


async def replay_view(services: Services, replay_id: str, tenant: str) -> ReplayView:
    """A replay, with what its jobs had from memo.

    Raises:
        NoSuchReplay: There is none.
    """
    view = (await replays_of(services).get(replay_id, tenant=tenant)).view
    if services.database is None:
        return view
    return view.model_copy(update={"memo": await services.database.memos.of_replay(replay_id, tenant=tenant)})


def replays_of(services: Services) -> Replays:
    """The replays of the API's namespace."""
    return Replays(services.client, services.keys)


def means_of(services: Services) -> Means:
    """What replaying needs.

    Raises:
        PermanentError: ``no_database``.
    """
    return Means(services.log, services.flows, services.store, services.blobs)
