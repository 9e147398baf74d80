"""``/dlq``: dead letters found, shown, put back to work, edited, given up."""

import time
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from api import audit
from api.auth import Caller, Operator, Reader, tenant_asked
from api.bodies import body_schema, fit, read_json
from api.json_response import Json, items
from api.keys import DEFAULT_TENANT
from api.problems import Problem
from api.results import letter_view
from api.services import Services, services_of
from consumers.edit import edited
from consumers.store.pages import read_cursor, write_cursor
from schemas.jobs import Asked
from schemas.names import StageName
from streams.dlq import Counted, DeadLetters, LetterFilter, Place, Worked, refusal
from streams.log import DeadLetter
from streams.scripts import Code

router = APIRouter(prefix="/dlq", tags=["dead letters"])

WITHIN_S = 20.0
"""What one request may take; the answer's `next` goes on."""


class Chosen(Asked):
    """Which letters: by ids, by filters (all of which must fit), or all."""

    ids: tuple[str, ...] = Field(default=(), max_length=1_000)
    all: bool = False
    stage: StageName | None = None
    flow: str | None = None
    reason: str | None = None
    tenant: str | None = None
    host: str | None = None
    job: str | None = None
    incident: str | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class DropRequest(Chosen):
    """The body of ``POST /dlq/drop``.

    Attributes:
        limit: Letters in this request; `next` of the answer, sent as `cursor`, goes on.
    """

    limit: int = Field(default=1_000, ge=1, le=10_000)
    cursor: str | None = None
    dry_run: bool = False


class RetryRequest(DropRequest):
    """The body of ``POST /dlq/retry``.

    Attributes:
        rate: Letters a second, kept by the timers after the answer; all at once when left out.
        force: Also what is in quarantine; only for letters that are named by `ids`.
    """

    rate: float | None = Field(default=None, gt=0, le=10_000)
    force: bool = False


class ForceRequest(Asked):
    """The body of ``POST /dlq/{id}/retry``; may be left out."""

    force: bool = False


class EditRequest(Asked):
    """The body of ``POST /dlq/{id}/edit``: a JSON merge patch (RFC 7396), or a whole payload."""

    merge: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    force: bool = False
    dry_run: bool = False


@router.get("")
async def list_dead_letters(
    request: Request,
    caller: Reader,
    stage: StageName | None = None,
    flow: Annotated[str | None, Query(max_length=64)] = None,
    reason: Annotated[str | None, Query(max_length=200)] = None,
    tenant: Annotated[str | None, Query(max_length=64)] = None,
    host: Annotated[str | None, Query(max_length=255)] = None,
    job: Annotated[str | None, Query(max_length=128)] = None,
    incident: Annotated[str | None, Query(max_length=12)] = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    quarantined: bool | None = None,  # noqa: FBT001 - a query parameter
    cursor: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """The dead letters of the tenant's jobs, newest first: what happened, to what, since when, what to do.

    With filters a page may be short before the end: follow `next` until it is null.
    """
    services = services_of(request)
    chosen = Chosen(
        stage=stage, flow=flow, reason=reason, tenant=tenant, host=host, job=job, incident=incident, since=since,
        until=until,
    )  # fmt: skip
    meant = replace(filter_of(chosen, caller), quarantined=quarantined)
    after = _place(*read_cursor(cursor, int, int, int)) if cursor is not None else None
    letters, following = await DeadLetters(services.log).find(meant, after=after, limit=limit)
    most = services.settings.max_redrives
    return items([letter_view(one, most) for one in letters], write_cursor(*following) if following else None)


@router.post("/retry", status_code=202, openapi_extra=body_schema(RetryRequest, {"reason": "http_503", "rate": 50}))
async def retry_dead_letters(request: Request, caller: Operator) -> Response:
    """Put many dead letters back to work, oldest first and paced; what was redriven too often is left out.

    `dry_run` counts them. A request takes at most `limit` letters and 20 s: send its `next` as `cursor` to go on.
    """
    return await redrive(services_of(request), caller, fit(RetryRequest, await read_json(request), "the redrive"))


async def redrive(services: Services, caller: Caller, asked: RetryRequest) -> Response:
    """Carry a redrive out.

    Raises:
        Problem: ``invalid-request``: it names no letters.
    """
    if asked.force and not asked.ids:
        raise Problem("invalid-request", "force is for letters that are named by `ids`: quarantine guards the others")
    letters = DeadLetters(services.log)
    if asked.ids:
        found = await _named(services, caller, asked.ids)
        if asked.dry_run:
            return Json(_counted(_count(found, services.settings.max_redrives)))
        worked = Worked()
        worked.take(await services.log.redrive_letters(found, is_forced=asked.force))
        return await _done(services, caller, "dlq.retry", asked, worked, 0)
    meant, after, due_ms = await _meant(services, caller, asked)
    if asked.dry_run:
        return Json(_counted(await letters.count(meant)))
    # Where the request before left off: what it put in the timers comes first.
    from_s = max(0.0, due_ms / 1_000 - time.time())
    worked = await letters.redrive(
        meant, per_s=asked.rate, from_s=from_s, after=after, most=asked.limit, within_s=WITHIN_S
    )
    due_ms = int((time.time() + worked.spread_s) * 1_000) if asked.rate else 0
    return await _done(services, caller, "dlq.retry", asked, worked, meant.until_ms, due_ms)


@router.post("/drop", status_code=202, openapi_extra=body_schema(DropRequest, {"reason": "http_404", "dry_run": True}))
async def drop_dead_letters(request: Request, caller: Operator) -> Response:
    """Give many dead letters up: each is closed for good and counts as missing. `dry_run` counts them."""
    services = services_of(request)
    asked = fit(DropRequest, await read_json(request), "the drop")
    letters = DeadLetters(services.log)
    reason = f"dropped by {caller.actor}"
    if asked.ids:
        found = await _named(services, caller, asked.ids)
        if asked.dry_run:
            return Json(_counted(_count(found, services.settings.max_redrives)))
        worked = Worked()
        worked.take(await letters.drop_letters(found, reason=reason))
        return await _done(services, caller, "dlq.drop", asked, worked, 0)
    meant, after, _ = await _meant(services, caller, asked)
    if asked.dry_run:
        return Json(_counted(await letters.count(meant)))
    worked = await letters.drop(meant, reason=reason, after=after, most=asked.limit, within_s=WITHIN_S)
    return await _done(services, caller, "dlq.drop", asked, worked, meant.until_ms)


@router.get("/{dead_id}")
async def get_dead_letter(request: Request, caller: Reader, dead_id: str) -> Response:
    """A dead letter, whole: cause, traceback and payload."""
    services = services_of(request)
    (letter,) = await _named(services, caller, (dead_id,))
    return Json(letter_view(letter, services.settings.max_redrives, whole=True))


@router.post("/{dead_id}/retry", status_code=202, openapi_extra=body_schema(ForceRequest))
async def retry_dead_letter(request: Request, caller: Operator, dead_id: str) -> Response:
    """Put one dead letter back to work; one in quarantine only with `force`."""
    services = services_of(request)
    asked = fit(ForceRequest, await read_json(request, default={}), "the redrive")
    (letter,) = await _named(services, caller, (dead_id,))
    await _redrive(services, letter, is_forced=asked.force)
    await _record(services, caller, "dlq.retry", dead_id, {"job": letter.fields["job"], "force": asked.force})
    return Json({"dead_id": dead_id, "job_id": letter.fields["job"], "redriven": 1}, 202)


@router.post(
    "/{dead_id}/edit", status_code=202, openapi_extra=body_schema(EditRequest, {"merge": {"url": "https://…"}})
)
async def edit_dead_letter(request: Request, caller: Operator, dead_id: str) -> Response:
    """Put a dead letter back to work with another payload, which is checked by its stage's schema before.

    `dry_run` only checks, and shows the payload before and after.
    """
    services = services_of(request)
    asked = fit(EditRequest, await read_json(request), "the edit")
    (letter,) = await _named(services, caller, (dead_id,))
    tenant = await DeadLetters(services.log).tenant_of(letter)
    made = await edited(letter, services.flows, services.blobs, tenant, merge=asked.merge, data=asked.data)
    shown = {"dead_id": dead_id, "job_id": letter.fields["job"], "before": made.before, "after": made.after}
    if asked.dry_run:
        return Json({"dry_run": True, **shown})
    await _redrive(services, letter, overlay=made.data, is_forced=asked.force)
    detail = {"job": letter.fields["job"], "merge": asked.merge, "is_whole": asked.data is not None}
    await _record(services, caller, "dlq.edit", dead_id, detail)
    return Json({**shown, "redriven": 1}, 202)


@router.delete("/{dead_id}", status_code=202)
async def drop_dead_letter(request: Request, caller: Operator, dead_id: str) -> Response:
    """Give one dead letter up: it is closed for good and counts as missing in its job."""
    services = services_of(request)
    (letter,) = await _named(services, caller, (dead_id,))
    (code,) = await DeadLetters(services.log).drop_letters([letter], reason=f"dropped by {caller.actor}")
    if code != Code.OK:
        raise refusal(dead_id, code, services.settings.max_redrives)
    detail = {"job": letter.fields.get("job", ""), "reason": letter.fields.get("reason", "")}
    await _record(services, caller, "dlq.drop", dead_id, detail)
    return Json({"dead_id": dead_id, "job_id": letter.fields.get("job", ""), "dropped": 1}, 202)


async def _named(services: Services, caller: Caller, dead_ids: tuple[str, ...]) -> list[DeadLetter]:
    """Letters by id, of the caller's tenant; strays, of no job, are the operator's.

    Raises:
        Problem: ``not-found``, which other tenants' are too.
    """
    found = []
    for dead_id in dead_ids:
        letter = await services.log.dead_letter(dead_id)
        tenant = await DeadLetters(services.log).tenant_of(letter) if letter is not None else None
        is_stray_of_callers = tenant == "" and caller.tenant == DEFAULT_TENANT and caller.may("operate")
        if letter is None or not (tenant == caller.tenant or is_stray_of_callers):
            raise Problem(
                "not-found", f"there is no dead letter {dead_id[:100]!r}; GET /api/v1/dlq lists those that there are"
            )
        found.append(letter)
    return found


def filter_of(chosen: Chosen, caller: Caller) -> LetterFilter:
    """The letters that a caller means.

    Raises:
        Problem: ``forbidden``: it names another tenant.
    """
    tenant = tenant_asked(caller, chosen.tenant)
    is_operators = tenant == DEFAULT_TENANT and caller.may("operate")
    return LetterFilter(
        stage=chosen.stage or "", flow=chosen.flow or "", reason=chosen.reason or "", tenant=tenant,
        host=chosen.host or "", job=chosen.job or "", incident=chosen.incident or "", since_ms=_ms(chosen.since),
        until_ms=_ms(chosen.until), with_strays=is_operators and chosen.tenant is None,
    )  # fmt: skip


async def _meant(services: Services, caller: Caller, asked: DropRequest) -> tuple[LetterFilter, Place | None, int]:
    """The filter of a request for many, bounded by what is dead now, where it goes on, and when the pace does, in ms.

    Raises:
        Problem: Neither filters nor `all` were given.
    """
    names = ("stage", "flow", "reason", "tenant", "host", "job", "incident", "since", "until")
    if not asked.all and all(getattr(asked, name) is None for name in names):
        raise Problem("invalid-request", f'say which letters: ids, {", ".join(names)}, or "all": true')
    chosen = filter_of(asked, caller)
    if asked.cursor is not None:
        parts = read_cursor(asked.cursor, int, int, int, int, int)
        ms, seq, partition, until_ms, due_ms = (int(str(part)) for part in parts)
        return replace(chosen, until_ms=until_ms), (ms, seq, partition), due_ms
    newest_ms = await DeadLetters(services.log).newest_ms()
    return replace(chosen, until_ms=min(chosen.until_ms or newest_ms, newest_ms) or 1), None, 0


async def _redrive(services: Services, letter: DeadLetter, *, overlay: bytes | None = None, is_forced: bool) -> None:
    overlays = {letter.dead_id: overlay} if overlay is not None else None
    (code,) = await services.log.redrive_letters([letter], overlay=overlays, is_forced=is_forced)
    if code != Code.OK:
        raise refusal(letter.dead_id, code, services.settings.max_redrives)


async def _done(
    services: Services, caller: Caller, action: str, asked: DropRequest, worked: Worked, until_ms: int, due_ms: int = 0
) -> Response:
    answer: dict[str, Any] = {
        "redriven" if action == "dlq.retry" else "dropped": worked.done, "quarantined": worked.quarantined,
        "refused": dict(worked.refused), "next": write_cursor(*worked.next, until_ms, due_ms) if worked.next else None,
    }  # fmt: skip
    if due_ms:
        answer["runs_within_s"] = round(worked.spread_s, 1)
    told = asked.model_dump(mode="json", exclude_defaults=True, exclude={"cursor"})
    target = " ".join(f"{name}={value}" for name, value in told.items() if name not in {"ids", "limit", "rate"})
    await _record(services, caller, action, target or f"{len(asked.ids)} letters", {**told, **answer})
    return Json(answer, 202)


async def _record(services: Services, caller: Caller, action: str, target: str, detail: dict[str, Any]) -> None:
    await audit.record(services, caller.actor, action, target, detail, tenant=caller.tenant)


def _count(letters: list[DeadLetter], max_redrives: int) -> Counted:
    counted = Counted(len(letters), sum(one.redriven >= max_redrives for one in letters))
    for letter in letters:
        row = letter.fields
        counted.by_cause[row.get("flow", ""), row.get("stage", ""), row.get("reason", "")] += 1
    return counted


def _counted(counted: Counted) -> dict[str, Any]:
    causes = [
        {"flow": flow, "stage": stage, "reason": reason, "letters": letters}
        for (flow, stage, reason), letters in counted.by_cause.most_common()
    ]
    return {"dry_run": True, "letters": counted.letters, "quarantined": counted.quarantined, "by_cause": causes}


def _place(ms: Any, seq: Any, partition: Any) -> Place:
    return int(ms), int(seq), int(partition)


def _ms(instant: datetime | None) -> int:
    return max(1, int(instant.timestamp() * 1_000)) if instant is not None else 0
