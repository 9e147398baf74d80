"""Operations, read only: ``/streams /workers /stages /dlq``."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.auth import Caller, Reader
from api.fleet import stages, streams, workers
from api.json_response import Json, items
from api.keys import DEFAULT_TENANT
from api.problems import Problem
from api.results import letter_view
from api.services import Services, services_of
from consumers.store.pages import read_cursor, write_cursor
from streams.log import DeadLetter

router = APIRouter(tags=["operations"])


@router.get("/streams")
async def list_streams(request: Request, _: Reader) -> Response:
    """Each stage's streams: length, pending, lag and the oldest entry's age, in all and by partition."""
    return items(await streams(services_of(request)))


@router.get("/workers")
async def list_workers(request: Request, caller: Reader) -> Response:
    """The workers that are there, what they do and what they hold of the caller's tenant."""
    return items(await workers(services_of(request), caller.tenant))


@router.get("/stages")
async def list_stages(request: Request, _: Reader) -> Response:
    """The stages that the installed flows declare, with their policies."""
    return items(stages(services_of(request).flows))


@router.get("/dlq")
async def list_dead_letters(
    request: Request,
    caller: Reader,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The dead letters of the tenant's jobs, newest first."""
    services = services_of(request)
    shown: list[DeadLetter] = []
    at = cursor
    while True:
        letters, at = await _page(services, at, limit)
        shown += [letter for letter in letters if await _is_callers(services, letter, caller)]
        if at is None or len(shown) >= limit:
            break
    if len(shown) > limit:
        shown = shown[:limit]
        at = _cursor_after(shown[-1])
    return items([letter_view(letter) for letter in shown], at)


@router.get("/dlq/{dead_id}")
async def get_dead_letter(request: Request, caller: Reader, dead_id: str) -> Response:
    """A dead letter, whole: cause, traceback and payload."""
    services = services_of(request)
    letter = await services.log.dead_letter(dead_id)
    if letter is None or not await _is_callers(services, letter, caller):
        raise Problem(
            "not-found", f"there is no dead letter {dead_id[:100]!r}; GET /api/v1/dlq lists those that there are"
        )
    return Json(letter_view(letter, whole=True))


async def _page(services: Services, cursor: str | None, limit: int) -> tuple[list[DeadLetter], str | None]:
    """The newest dead letters behind a cursor, over all partitions."""
    at: tuple[int, int, int] | None = None
    if cursor is not None:
        ms, seq, partition = (int(str(part)) for part in read_cursor(cursor, int, int, int))
        at = ms, seq, partition
    found: list[DeadLetter] = []
    for keys in services.keys.all_partitions:
        before = "+"
        if at is not None:
            # Equal ids are in the order of their partitions, the highest first.
            before = f"{at[0]}-{at[1]}" if keys.partition < at[2] else f"({at[0]}-{at[1]}"
        found += await services.log.dead_letters(partition=keys.partition, before=before, limit=limit + 1)
    found.sort(key=_order, reverse=True)
    return found[:limit], _cursor_after(found[limit - 1]) if len(found) > limit else None


def _order(letter: DeadLetter) -> tuple[int, int, int]:
    partition, ms, seq = map(int, letter.dead_id.split("-"))
    return ms, seq, partition


def _cursor_after(letter: DeadLetter) -> str:
    return write_cursor(*_order(letter))


async def _is_callers(services: Services, letter: DeadLetter, caller: Caller) -> bool:
    """Whether a dead letter is of the caller's tenant; strays, of no job, are the operator's."""
    try:
        key = services.keys.of_job(letter.fields.get("job", "")).job(letter.fields["job"])
    except ValueError:
        tenant = None
    else:
        tenant = await services.client.hget(key, "tenant")
    if tenant is None:
        return caller.tenant == DEFAULT_TENANT and caller.may("operate")
    return bool(tenant.decode() == caller.tenant)
