"""What a job's page shows."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from api.look import entries_of, find
from api.problems import Problem
from api.services import services_of
from api.waterfall import SpanKind, capped, lives, trace_of
from consumers.worker.presence import presence
from schemas.names import STAGES
from streams.errors import MillraceError
from streams.keys import StreamName
from streams.pauses import Paused, Pauses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from api.dashboard.visit import Visit
    from api.live import LiveEntry
    from api.look import Found
    from api.services import Services
    from api.waterfall import JobTrace, TraceSpan
    from streams.pauses import Pause
    from streams.record import JobRecord, TaskPlace

TRACED: Final = 5_000
"""Lifecycle entries that a page is made of at most; ``/trace`` has all."""
ROWS: Final = 150
EVENTS: Final = 60
LETTERS: Final = 10
WIDTH: Final = 1_000
"""Of the waterfall, in units of its own."""
LEAST: Final = 3


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a task's life on the job's time."""

    x: int
    width: int
    kind: SpanKind
    about: str


@dataclass(frozen=True, slots=True)
class Row:
    """A task in the tree of a job.

    Attributes:
        runs: Its deliveries: when, by whom, how they ended.
        lasted_s: From its coming to its end.
    """

    task: int
    stage: str
    depth: int
    bars: tuple[Bar, ...]
    runs: tuple[TraceSpan, ...]
    outcome: str
    reason: str
    lasted_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Where tasks of a job are now, and why they do not go on."""

    tasks: int
    where: str
    why: str
    since_ms: int = 0
    due_ms: int = 0


async def job_facts(visit: Visit, job_id: str) -> dict[str, Any]:
    """Everything that the page of a job shows.

    Raises:
        Problem: ``not-found``.
    """
    services = services_of(visit.request)
    found = await find(services, job_id, visit.who.tenant)
    entries = [one async for one in _first(services, found)]
    trace = capped(trace_of((one.entry_id, one.fields) for one in entries), TRACED)
    rows = tree(trace, int(time.time() * 1_000))
    ended = found.has_ended
    leads = _or_problem(visit, "leads", job_id=job_id, limit=100) if found.view.flow == "leads" else _nothing()
    result, artifacts, logs, letters, waiting = await asyncio.gather(
        _or_problem(visit, f"jobs/{job_id}/result") if ended else _nothing(),
        _or_problem(visit, f"jobs/{job_id}/artifacts"), _or_problem(visit, f"jobs/{job_id}/logs", limit=500),
        _letters(visit, found), _waits(services, found),
    )  # fmt: skip
    listed, memo = await asyncio.gather(leads, _or_problem(visit, f"jobs/{job_id}/memo"))
    spec = found.record.spec if found.record is not None else found.past.spec if found.past is not None else None
    return {
        "job": found.view.model_dump(mode="json"), "is_live": not ended, "spec": spec or {}, "rows": rows[:ROWS],
        "rows_left": max(0, len(rows) - ROWS), "trace": trace,
        "events": [_event(one) for one in entries[-EVENTS:]][::-1], "result": result, "artifacts": artifacts,
        "logs": logs, "memo": memo, "letters": letters, "waits": waiting, "width": WIDTH,
        "leads": (listed or {}).get("items", []), "api": f"/api/v1/jobs/{quote(job_id)}",
    }  # fmt: skip


async def as_it_was(visit: Visit, job_id: str, at: str) -> dict[str, Any] | None:
    """The job at an instant, or why that is not known; None when no instant is asked."""
    return await _or_problem(visit, f"jobs/{job_id}", at=at) if at else None


def tree(trace: JobTrace, now_ms: int) -> list[Row]:
    """The tasks of a job, each below the one that emitted it, with their lives as bars."""
    until_ms = now_ms if any(span.end_ms is None for span in trace.spans) else trace.end_ms
    until_ms = max(until_ms, trace.start_ms + 1, *(span.end_ms or 0 for span in trace.spans), 0)
    scale = WIDTH / (until_ms - trace.start_ms)
    return [_row(depth, life, trace.start_ms, until_ms, scale) for depth, life in lives(trace.spans)]


def _row(depth: int, life: Sequence[TraceSpan], start_ms: int, until_ms: int, scale: float) -> Row:
    bars = []
    for span in life:
        end_ms = until_ms if span.end_ms is None else span.end_ms
        x = min(int((span.start_ms - start_ms) * scale), WIDTH - LEAST)
        width = max(LEAST, int((end_ms - span.start_ms) * scale))
        told = f"{span.kind.replace('_', ' ')} {(end_ms - span.start_ms) / 1_000:.2f} s"
        bars.append(Bar(max(0, x), min(width, WIDTH - max(0, x)), span.kind, told))
    first, last = life[0], life[-1]
    end_ms = until_ms if last.end_ms is None else last.end_ms
    reason = next((span.reason for span in reversed(life) if span.reason), "")
    runs = tuple(span for span in life if span.kind in {"run", "crash_gap"})
    lasted_s = (end_ms - first.start_ms) / 1_000
    return Row(first.task, first.stage, depth, tuple(bars), runs, last.outcome, reason, lasted_s)


def waits(record: JobRecord, pauses: Paused, pools: set[str], now_ms: int) -> list[Wait]:
    """Where the open tasks of a job are, those that wait with a reason; pure.

    Args:
        record: Of the job.
        pauses: What is paused now.
        pools: Those that some worker serves.
        now_ms: The time.
    """
    found: dict[tuple[str, str], list[TaskPlace]] = {}
    for place in record.tasks.values():
        if place.kind == "dead":
            continue
        where, why = _place(place, record, pauses, pools, now_ms)
        found.setdefault((where, why), []).append(place)
    shown = [
        Wait(
            len(places), where, why, min((one.since_ms for one in places if one.since_ms), default=0),
            min((one.due_ms for one in places if one.due_ms), default=0),
        )
        for (where, why), places in found.items()
    ]  # fmt: skip
    listed = {stage: sum(place.stage == stage for place in record.tasks.values()) for stage in STAGES}
    for stage in STAGES:
        dead = sum(place.kind == "dead" and place.stage == stage for place in record.tasks.values())
        parked = record.open(stage) - (listed[stage] - dead)
        if parked > 0:
            shown.append(Wait(parked, f"parked before {stage}", "a job has only so many entries in a stream at a time"))
    return shown


def _place(place: TaskPlace, record: JobRecord, pauses: Paused, pools: set[str], now_ms: int) -> tuple[str, str]:
    if place.kind == "running":
        return f"runs at {place.worker}", f"{place.stage}, delivery {place.delivery}"
    if place.kind == "delayed":
        is_due = place.due_ms <= now_ms
        why = "is due" if is_due else "waits for its time: a retry, a limit, or a site that asked for it"
        return f"in the timers for {place.stage}", why
    pause: Pause | None = pauses.over(stage=place.stage, flow=record.flow, tenant=record.tenant)
    where, pool = f"in the stream {place.stream}", StreamName.parse(place.stream).pool
    if pause is not None:
        return where, f"{pause.kind} {pause.name} is paused: {pause.reason or 'no reason given'}"
    return where, "waits for a free worker" if pool in pools else f"no worker serves the pool {pool}"


async def _waits(services: Services, found: Found) -> list[Wait]:
    if found.record is None or found.has_ended:
        return []
    paused = Paused.of(await Pauses(services.client, services.keys).list())
    pools = {pool for worker in await presence(services.client, services.keys) for pool in worker["pools"]}
    return waits(found.record, paused, pools, int(time.time() * 1_000))


async def _first(services: Services, found: Found) -> AsyncIterator[LiveEntry]:
    count = 0
    async for entry in entries_of(services, found):
        yield entry
        count += 1
        if count == TRACED:
            return


async def _letters(visit: Visit, found: Found) -> list[dict[str, Any]]:
    """The first of a job's dead letters, whole: an error without its traceback explains little."""
    if found.record is None:
        return []
    keys = services_of(visit.request).keys.of_job(found.job_id)
    dead = [place.entry_id for _, place in sorted(found.record.tasks.items()) if place.kind == "dead"][:LETTERS]
    asked = [visit.api.get(f"dlq/{keys.partition}-{entry_id}") for entry_id in dead]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    return [one for one in answers if isinstance(one, dict)]


async def _or_problem(visit: Visit, path: str, **query: Any) -> dict[str, Any]:
    """What a route answers, or why it does not: a page shows the rest all the same."""
    try:
        answer: dict[str, Any] = await visit.api.get(path, **query)
    except (Problem, MillraceError) as problem:
        return {"problem": getattr(problem, "detail", str(problem)), "items": []}
    return answer


async def _nothing() -> None:
    return None


def _event(entry: LiveEntry) -> dict[str, Any]:
    names = ("type", "stage", "task", "worker", "reason", "status", "step")
    told = {name: entry.fields.get(name, "") for name in names}
    return {"at": entry.place[0], "id": entry.entry_id, **told}
