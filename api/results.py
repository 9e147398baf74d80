"""A job's result, with what is missing from it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select
from starlette.responses import Response

from api.problems import Problem
from api.views import ENDED_WELL
from consumers.filings.files import FORMATS
from consumers.store.models import Result
from schemas.filings_result import FilingsResult
from schemas.jobs import ENDED
from streams.advice import advice
from streams.codec import host_of
from streams.log import DeadLetter

if TYPE_CHECKING:
    from api.look import Found
    from api.services import Services

MAX_LETTERS: Final = 100

FILE_S: Final = 60.0
FILE_MB: Final = 2_048
"""Time and memory that writing one file may take."""


async def result_of(services: Services, found: Found, revision: int | None = None) -> dict[str, Any]:
    """The result of a job, the latest when no revision is named.

    Raises:
        Problem: ``no-result`` or ``result-expired``.
    """
    view = found.view
    row = await _row(services, found, revision)
    if row is not None and row.expires_at is not None and row.expires_at <= datetime.now(UTC):
        until = f"{row.expires_at:%Y-%m-%d %H:%M} UTC"
        raise Problem("result-expired", f"the result of job {found.job_id} was kept until {until}; submit it again")
    letters = await dead_letters_of(services, found)
    if row is None and (revision is not None or view.status not in ENDED_WELL):
        hint = "it ended without one" if view.status in ENDED else "wait for its end"
        which = f"job {found.job_id}" if revision is None else f"revision {revision} of job {found.job_id}"
        raise Problem(
            "no-result", f"{which} has no result: the job is {view.status}; {hint}", extra={"dead_letters": letters}
        )
    payload = row.payload if row is not None else await _summary(services, found)
    return {
        "job_id": found.job_id, "flow": view.flow, "status": view.status,
        "revision": row.revision if row is not None else view.revision, "result": payload,
        "missing": missing_of(payload, letters), "dead_letters": letters, "origin": view.origin,
        "created_at": row.created_at if row is not None else None,
        "expires_at": row.expires_at if row is not None else None,
    }  # fmt: skip


async def statements_file(services: Services, result: dict[str, Any], form: str) -> Response:
    """The statements of a result of `filings` as a file.

    Raises:
        Problem: ``invalid-request``: it has no statements.
    """
    payload = result["result"]
    if result["flow"] != "filings" or not isinstance(payload, dict) or "statements" not in payload:
        detail = f"the result of job {result['job_id']} has no statements; only JSON is there"
        raise Problem("invalid-request", detail, errors=[{"field": "format", "detail": detail}])
    content_type, write = FORMATS[form]
    statements = FilingsResult.model_validate(payload)
    data = await services.cpu.run(write, statements, timeout_s=FILE_S, memory_mb=FILE_MB)
    name = f"statements-{result['job_id']}.{form}"
    return Response(data, media_type=content_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


async def latest_payload(services: Services, found: Found) -> Any:
    """The latest result's payload for those who take none for an answer; None when there is none or it expired."""
    row = await _row(services, found, None)
    if row is None:
        return await _summary(services, found)
    if row.expires_at is not None and row.expires_at <= datetime.now(UTC):
        return None
    return row.payload


def missing_of(payload: Any, letters: list[dict[str, Any]]) -> list[Any]:
    """What a result lacks: as the flow says, and what was dead-lettered."""
    said = payload.get("missing") if isinstance(payload, dict) else None
    dead = [
        {"what": f"{one['stage']} task {one['task']}", "reason": one["reason"], "detail": one["error"]}
        for one in letters
    ]
    return [*(said if isinstance(said, list) else []), *dead]


async def dead_letters_of(services: Services, found: Found) -> list[dict[str, Any]]:
    """The first hundred of a job's dead letters; they outlive neither their redrive nor the record."""
    if found.record is None:
        return []
    keys = services.keys.of_job(found.job_id)
    ids = [place.entry_id for _, place in sorted(found.record.tasks.items()) if place.kind == "dead"][:MAX_LETTERS]
    pipe = services.client.pipeline(transaction=False)
    for entry_id in ids:
        pipe.xrange(keys.dlq, entry_id, entry_id)
    letters = []
    for rows in await pipe.execute() if ids else ():
        for entry_id, raw in rows:
            fields = {name.decode(): value.decode("utf-8", "replace") for name, value in raw.items()}
            letter = DeadLetter(f"{keys.partition}-{entry_id.decode()}", fields)
            letters.append(letter_view(letter, services.settings.max_redrives))
    return letters


def letter_view(letter: DeadLetter, max_redrives: int, *, whole: bool = False) -> dict[str, Any]:
    """A dead letter as it is shown: what happened, to what, since when, what to do; `whole` with traceback and payload.

    Args:
        max_redrives: Redrives after which it is in quarantine.
    """
    fields = letter.fields
    names = ("job", "task", "flow", "stage", "stream", "entry", "attempt", "deliveries", "worker", "reason", "error")
    view: dict[str, Any] = {"dead_id": letter.dead_id, **{name: fields.get(name, "") for name in names}}
    view["at"] = datetime.fromtimestamp(letter.place[0] / 1_000, UTC)
    view |= {
        "tenant": fields.get("tenant", ""), "host": host_of(fields.get("data", "").encode()),
        "redriven": letter.redriven, "quarantined": letter.redriven >= max_redrives,
        "advice": advice(fields.get("reason", ""), letter.redriven, max_redrives),
    }  # fmt: skip
    if whole:
        view |= {name: fields.get(name, "") for name in ("traceback", "traceparent", "data", "fields")}
    return view


async def _summary(services: Services, found: Found) -> Any:
    """What a job that ended before compile has to show; None when its flow says nothing of it."""
    flow = services.flows.by_name.get(found.view.flow)
    if flow is None or flow.summary is None or found.view.status not in ENDED_WELL:
        return None
    collected = [one async for one in services.store.contributions.of(found.job_id, tenant=found.tenant)]
    return flow.summary(collected).model_dump(mode="json")


async def _row(services: Services, found: Found, revision: int | None) -> Result | None:
    """A result's row, also an expired one, which `Results.get` does not tell from none."""
    query = select(Result).where(Result.job_id == found.job_id, Result.tenant == found.tenant)
    if revision is not None:
        query = query.where(Result.revision == revision)
    async with services.store.database.begin() as session:
        rows = await session.scalars(query.order_by(Result.revision.desc()).limit(1))
        return rows.one_or_none()
