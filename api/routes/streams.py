"""``/streams/{name}``: the entries of a stage stream, looked at, taken from their worker, closed unhandled."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from api import audit
from api.auth import Caller, Operator, Reader
from api.bodies import body_schema, fit, read_json
from api.json_response import Json, items
from api.keys import DEFAULT_TENANT
from api.problems import Problem
from api.services import Services, services_of
from consumers.store.pages import read_cursor, write_cursor
from schemas.jobs import Asked
from streams.keys import PartitionKeys, StreamName
from streams.peek import Entries, Peeked
from streams.scripts import Code

router = APIRouter(prefix="/streams/{name}", tags=["operations"])

SHOWN_CHARS = 2_000
"""Of a payload; the job and the dead letter have all of it."""

EntryId = Annotated[str, Field(pattern=r"^[0-9]{1,20}-[0-9]{1,20}$")]


class EntriesRequest(Asked):
    """Which entries of a stream; `partition` is where they are."""

    ids: tuple[EntryId, ...] = Field(min_length=1, max_length=200)
    partition: int = Field(default=0, ge=0)


@router.get("/entries")
async def list_entries(
    request: Request,
    caller: Reader,
    name: str,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The entries of the tenant's jobs, oldest first, each with who holds it; a page may be short before the end."""
    services = services_of(request)
    entries = _entries(services, name)
    partition, after = 0, ""
    if cursor is not None:
        place = read_cursor(cursor, int, str)
        partition, after = int(str(place[0])), str(place[1])
    if partition >= services.settings.partitions:
        return items([])
    keys = services.keys.partition(partition)
    found = await entries.page(keys, after=after, limit=limit)
    tenants = await entries.tenants(found)
    shown = [_view(one, partition) for one in found if _is_for(caller, tenants.get(one.entry.job))]
    if len(found) == limit:
        return items(shown, write_cursor(partition, found[-1].entry.entry_id))
    has_more = partition + 1 < services.settings.partitions
    return items(shown, write_cursor(partition + 1, "") if has_more else None)


@router.post("/claim", status_code=202, openapi_extra=body_schema(EntriesRequest, {"ids": ["1700000000000-0"]}))
async def claim_entries(request: Request, caller: Operator, name: str) -> Response:
    """Take entries from the workers that hold them: whoever has room runs them at once.

    The worker that had one is refused when it completes it. It counts as a crash of the task.
    """
    services = services_of(request)
    entries, keys, found = await _meant(services, caller, name, await read_json(request))
    answer = _answer("claimed", found, await entries.claim(keys, found))
    await _record(services, caller, "stream.claim", name, answer)
    return Json(answer, 202)


@router.post("/ack", status_code=202, openapi_extra=body_schema(EntriesRequest, {"ids": ["1700000000000-0"]}))
async def acknowledge_entries(request: Request, caller: Operator, name: str) -> Response:
    """Close entries for good without working on them: each counts as missing in its job."""
    services = services_of(request)
    entries, keys, found = await _meant(services, caller, name, await read_json(request))
    answer = _answer("acknowledged", found, await entries.acknowledge(keys, found, by=caller.actor))
    await _record(services, caller, "stream.ack", name, answer)
    return Json(answer, 202)


async def _meant(
    services: Services, caller: Caller, name: str, body: Any
) -> tuple[Entries, PartitionKeys, list[Peeked]]:
    asked = fit(EntriesRequest, body, "the entries")
    entries = _entries(services, name)
    if asked.partition >= services.settings.partitions:
        raise Problem("not-found", f"there is no partition {asked.partition}")
    keys = services.keys.partition(asked.partition)
    found = await entries.named(keys, asked.ids)
    tenants = await entries.tenants(found)
    known = {one.entry.entry_id for one in found if _is_for(caller, tenants.get(one.entry.job))}
    gone = [entry_id for entry_id in asked.ids if entry_id not in known]
    if gone:
        raise Problem("not-found", f"{gone[0]} is not in {name[:100]} any more; GET its /entries lists what is")
    return entries, keys, found


def _entries(services: Services, name: str) -> Entries:
    try:
        return Entries(services.log, StreamName.parse(name), services.flows)
    except ValueError:
        raise Problem("not-found", f"there is no stream {name[:100]!r}; GET /api/v1/streams lists them") from None


def _is_for(caller: Caller, tenant: str | None) -> bool:
    """Whether an entry is one of the caller's; those of no job are the operators' of the installation."""
    if tenant is None:
        return caller.tenant == DEFAULT_TENANT and caller.may("operate")
    return tenant == caller.tenant


def _view(one: Peeked, partition: int) -> dict[str, Any]:
    entry = one.entry
    return {
        "id": entry.entry_id, "partition": partition, "job": entry.job, "task": entry.task, "flow": entry.flow,
        "attempt": entry.attempt, "age_s": max(0.0, round(time.time() - one.at_ms / 1_000, 3)),
        "held_by": one.held_by, "is_held": one.is_held, "delivery": one.delivery, "idle_ms": one.idle_ms,
        "size_bytes": len(entry.data), "data": entry.data[:SHOWN_CHARS].decode("utf-8", "replace"),
    }  # fmt: skip


def _answer(what: str, found: Sequence[Peeked], codes: Sequence[Code]) -> dict[str, Any]:
    refused = {one.entry.entry_id: code.name.lower() for one, code in zip(found, codes, strict=True) if code != Code.OK}
    done = [one.entry.entry_id for one in found if one.entry.entry_id not in refused]
    return {what: len(done), "ids": done, "refused": refused}


async def _record(services: Services, caller: Caller, action: str, name: str, answer: dict[str, Any]) -> None:
    await audit.record(services, caller.actor, action, name, answer, tenant=caller.tenant)
