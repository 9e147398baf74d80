"""The pages, each of what the API answers to whoever looks."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from api.auth import Caller, Follower
from api.dashboard.board import Board
from api.dashboard.job import as_it_was, job_facts
from api.dashboard.reference import sections_of
from api.dashboard.render import page, problem_page
from api.dashboard.visit import Visit, visit_of
from api.fleet import stages
from api.keys import DEFAULT_TENANT
from api.problems import Problem, problem_of
from api.routes.live import RETRY_MS, EventStream
from api.services import services_of
from schemas.jobs import JobStatusName

router = APIRouter(include_in_schema=False)

HEARTBEAT_S: Final = 15.0
LETTERS: Final = 50
Show = Callable[[Visit], Awaitable[Response]]


async def shown(request: Request, show: Show) -> Response:
    """A page for somebody who is signed in; a problem is shown as a page too."""
    visit = await visit_of(request)
    if visit.caller is None:
        goto = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return visit.keep(RedirectResponse(f"/sign-in?goto={quote(goto, safe='')}", 303))
    try:
        return await show(visit)
    except Exception as error:
        problem = problem_of(error)
        if problem is None:
            raise
        return problem_page(visit, problem)


@router.get("/")
async def overview(request: Request) -> Response:
    """Everything at a glance."""

    async def show(visit: Visit) -> Response:
        board = _board(request)
        return page(visit, "overview.html", board=for_eyes_of(visit.who, await board.now()))

    return await shown(request, show)


@router.get("/live")
async def live(request: Request, caller: Follower) -> Response:
    """The overview as it changes, about once a second; the newest state only, however slow the reader is."""
    return EventStream(_pulse(_board(request), caller), services_of(request).hub)


@router.get("/jobs")
async def jobs(
    request: Request,
    q: Annotated[str, Query(max_length=300)] = "",
    flow: Annotated[str, Query(max_length=64)] = "",
    status: Annotated[JobStatusName | str, Query(max_length=20)] = "",
    since: Annotated[str, Query(max_length=40)] = "",
    until: Annotated[str, Query(max_length=40)] = "",
    worker: Annotated[str, Query(max_length=200)] = "",
    cursor: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """Finding jobs."""
    given = {"q": q, "flow": flow, "status": status, "since": since, "until": until, "worker": worker}

    async def show(visit: Visit) -> Response:
        asked = given | {name: _instant(given[name]) for name in ("since", "until")}
        found = await visit.api.get("jobs", **asked, cursor=cursor, limit=50)
        flows = sorted(services_of(request).flows.by_name)
        return page(
            visit, "jobs.html", jobs=found["items"], flows=flows, given=given,
            more=older("/jobs", given, found["next"]), is_first=cursor is None,
        )  # fmt: skip

    return await shown(request, show)


@router.get("/jobs/{job_id}")
async def job(request: Request, job_id: str, at: Annotated[str, Query(max_length=40)] = "") -> Response:
    """Everything about a job; with `at`, also how it was at that instant."""

    async def show(visit: Visit) -> Response:
        facts = await job_facts(visit, job_id)
        return page(visit, "job.html", **facts, at=at, then=await as_it_was(visit, job_id, _instant(at)))

    return await shown(request, show)


@router.get("/workers")
async def workers(request: Request) -> Response:
    """Who works, and on what."""

    async def show(visit: Visit) -> Response:
        found = await visit.api.get("workers")
        return page(visit, "workers.html", workers=found["items"], now=datetime.now(UTC).timestamp())

    return await shown(request, show)


@router.get("/streams")
async def streams(request: Request, stage: Annotated[str, Query(max_length=20)] = "") -> Response:
    """What waits where."""

    async def show(visit: Visit) -> Response:
        found, groups, board = await asyncio.gather(
            visit.api.get("streams"), visit.api.get("groups"), _board(request).now()
        )
        rows = [row for row in found["items"] if not stage or row["stage"] == stage]
        rates = {one["stage"]: one for one in board["stages"]}
        policies = stages(services_of(request).flows)
        return page(
            visit, "streams.html", streams=rows, stage=stage, rates=rates, policies=policies, groups=groups["items"]
        )  # fmt: skip

    return await shown(request, show)


@router.get("/streams/{name}")
async def stream(request: Request, name: str, cursor: Annotated[str | None, Query(max_length=300)] = None) -> Response:
    """The entries of a stream, and who holds them."""

    async def show(visit: Visit) -> Response:
        entries = await visit.api.get(f"streams/{name}/entries", cursor=cursor, limit=100)
        return page(
            visit, "stream.html", name=name, entries=entries["items"],
            more=older(f"/streams/{quote(name)}", {}, entries["next"]),
        )  # fmt: skip

    return await shown(request, show)


@router.get("/dlq")
async def dead_letters(
    request: Request,
    stage: Annotated[str, Query(max_length=20)] = "",
    flow: Annotated[str, Query(max_length=64)] = "",
    reason: Annotated[str, Query(max_length=200)] = "",
    host: Annotated[str, Query(max_length=255)] = "",
    job: Annotated[str, Query(max_length=128)] = "",
    cursor: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """What could not be done."""
    given = {"stage": stage, "flow": flow, "reason": reason, "host": host, "job": job}

    async def show(visit: Visit) -> Response:
        found = await visit.api.get("dlq", **given, cursor=cursor, limit=LETTERS)
        flows = sorted(services_of(request).flows.by_name)
        return page(
            visit, "dlq.html", letters=found["items"], given=given, flows=flows,
            more=older("/dlq", given, found["next"]),
        )  # fmt: skip

    return await shown(request, show)


@router.get("/dlq/{dead_id}")
async def dead_letter(request: Request, dead_id: str) -> Response:
    """A dead letter, whole."""

    async def show(visit: Visit) -> Response:
        return page(visit, "letter.html", letter=await visit.api.get(f"dlq/{dead_id}"))

    return await shown(request, show)


@router.get("/schedules")
async def schedules(request: Request, cursor: Annotated[str | None, Query(max_length=300)] = None) -> Response:
    """What is submitted again and again."""

    async def show(visit: Visit) -> Response:
        found = await visit.api.get("schedules", cursor=cursor, limit=100)
        return page(
            visit, "schedules.html", schedules=found["items"], more=older("/schedules", {}, found["next"])
        )  # fmt: skip

    return await shown(request, show)


@router.get("/limits")
async def limits(request: Request) -> Response:
    """What holds work back: limits, and what is paused."""

    async def show(visit: Visit) -> Response:
        found, pauses = await asyncio.gather(visit.api.get("limits"), visit.api.get("pauses"))
        return page(visit, "limits.html", limits=found["items"], pauses=pauses["items"])

    return await shown(request, show)


@router.get("/replays")
async def replays(request: Request, cursor: Annotated[str | None, Query(max_length=300)] = None) -> Response:
    """What ran again."""

    async def show(visit: Visit) -> Response:
        found = await visit.api.get("replays", cursor=cursor)
        return page(visit, "replays.html", replays=found["items"], more=older("/replays", {}, found["next"]))

    return await shown(request, show)


@router.get("/replays/{replay_id}")
async def replay(
    request: Request, replay_id: str, cursor: Annotated[str | None, Query(max_length=300)] = None
) -> Response:
    """How far a replay is, and its jobs."""

    async def show(visit: Visit) -> Response:
        told = await visit.api.get(f"replays/{replay_id}")
        found = await visit.api.get("jobs", replay=replay_id, cursor=cursor)
        return page(
            visit, "replay.html", replay=told, jobs=found["items"],
            more=older(f"/replays/{quote(replay_id)}", {}, found["next"]),
        )  # fmt: skip

    return await shown(request, show)


@router.get("/audit-log")
async def audit_log(
    request: Request,
    actor: Annotated[str, Query(max_length=200)] = "",
    action: Annotated[str, Query(max_length=100)] = "",
    target: Annotated[str, Query(max_length=300)] = "",
    cursor: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """Who changed what, by whichever way."""
    given = {"actor": actor, "action": action, "target": target}

    async def show(visit: Visit) -> Response:
        found = await visit.api.get("audit_log", **given, cursor=cursor)
        return page(
            visit, "audit-log.html", entries=found["items"], given=given,
            more=older("/audit-log", given, found["next"]),
        )  # fmt: skip

    return await shown(request, show)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """What the API has."""

    async def show(visit: Visit) -> Response:
        return page(visit, "docs.html", info=request.app.openapi()["info"], sections=sections_of(request.app.openapi()))

    return await shown(request, show)


def for_eyes_of(caller: Caller, board: dict[str, Any]) -> dict[str, Any]:
    """A snapshot without what concerns the operators of the installation, or another tenant."""
    is_ours = caller.tenant == DEFAULT_TENANT and caller.may("operate")
    if is_ours:
        return board
    pauses = [one for one in board["pauses"] if one["kind"] != "tenant" or one["name"] == caller.tenant]
    return board | {"findings": [], "pauses": pauses}


async def _pulse(board: Board, caller: Caller) -> AsyncGenerator[bytes]:
    hub = board.hub
    yield b"retry: %d\n\n" % RETRY_MS
    async with board.watch():
        while hub.closed is None:
            snapshot = await board.next(HEARTBEAT_S)
            if snapshot is None:
                yield b": still here\n\n"
            else:
                yield b"data: %b\n\n" % orjson.dumps(for_eyes_of(caller, snapshot))
    yield b"event: disconnect\ndata: {}\n\n"


def _board(request: Request) -> Board:
    board: Board = request.app.state.board
    return board


def older(path: str, given: dict[str, str], cursor: str | None) -> str:
    """The address of the page behind this one; empty at the end."""
    if cursor is None:
        return ""
    return f"{path}?{urlencode({name: value for name, value in given.items() if value} | {'cursor': cursor})}"


def _instant(text: str) -> str:
    """What a browser's date and time field gives, in UTC.

    Raises:
        Problem: It is no instant.
    """
    if not text.strip():
        return ""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Problem("invalid-request", f"{text[:60]!r} is no time such as 2026-01-31T12:00") from None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).isoformat()
