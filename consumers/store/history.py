"""The projection of lifecycle entries into `jobs` and `task_events`: exactly once in effect, in any order.

An event's key is its job and entry id, so an entry projected again is the same row. A job's row is a fold in which
order does not matter: the status is that of the latest entry of the highest revision, the rest are minima, maxima and
first values. So a batch may come twice, overlap another, or be overtaken by a later one, and the end of a revision
that a redrive overtook does not end the job.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
from sqlalchemy import text

from consumers.store.cleaning import clean_text, dump_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

log = logging.getLogger(__name__)

FINAL_STATUSES: Final = frozenset({"succeeded", "partial", "failed", "cancelled", "expired"})

_UNRECORDED: Final = frozenset({"progressed"})
"""Live only: too many, and of no use later."""

_BORN: Final = frozenset({"submitted", "adopted"})
_FIRST_STATUS: Final = "queued"
_REOPENED_STATUS: Final = "running"
_TRACEPARENT_PARTS: Final = 4
_MAX_COUNT: Final = 2**53
_MAX_LOGGED: Final = 3

_EVENTS = text("""
    INSERT INTO task_events (job_id, entry_ms, entry_seq, tenant, type, started_at, revision, task, stage, attempt,
                             delivery, worker, status, reason, opened)
    SELECT * FROM unnest(
        CAST(:job_id AS text[]), CAST(:entry_ms AS bigint[]), CAST(:entry_seq AS bigint[]), CAST(:tenant AS text[]),
        CAST(:type AS text[]), CAST(:started_at AS timestamptz[]), CAST(:revision AS bigint[]),
        CAST(:task AS bigint[]), CAST(:stage AS text[]), CAST(:attempt AS bigint[]), CAST(:delivery AS bigint[]),
        CAST(:worker AS text[]), CAST(:status AS text[]), CAST(:reason AS text[]),
        CAST(CAST(:opened AS text[]) AS jsonb[]))
    ON CONFLICT DO NOTHING
""")

_JOBS = text("""
    INSERT INTO jobs AS old (job_id, tenant, flow, status, revision, lane, spec, created_at, started_at, finished_at,
                             trace_id, error, attempts, missing, parent, origin, replay, changed_revision, changed_ms,
                             changed_seq)
    SELECT * FROM unnest(
        CAST(:job_id AS text[]), CAST(:tenant AS text[]), CAST(:flow AS text[]), CAST(:status AS text[]),
        CAST(:revision AS bigint[]), CAST(:lane AS text[]), CAST(CAST(:spec AS text[]) AS jsonb[]),
        CAST(:created_at AS timestamptz[]), CAST(:started_at AS timestamptz[]), CAST(:finished_at AS timestamptz[]),
        CAST(:trace_id AS text[]), CAST(:error AS text[]), CAST(:attempts AS bigint[]),
        CAST(CAST(:missing AS text[]) AS jsonb[]), CAST(:parent AS text[]), CAST(:origin AS text[]),
        CAST(:replay AS text[]), CAST(:changed_revision AS bigint[]), CAST(:changed_ms AS bigint[]),
        CAST(:changed_seq AS bigint[]))
    ON CONFLICT (job_id) DO UPDATE SET
        flow = coalesce(nullif(old.flow, ''), excluded.flow),
        revision = greatest(old.revision, excluded.revision),
        lane = coalesce(old.lane, excluded.lane),
        spec = coalesce(old.spec, excluded.spec),
        created_at = least(old.created_at, excluded.created_at),
        started_at = least(old.started_at, excluded.started_at),
        trace_id = coalesce(old.trace_id, excluded.trace_id),
        attempts = greatest(old.attempts, excluded.attempts),
        parent = coalesce(old.parent, excluded.parent),
        origin = coalesce(old.origin, excluded.origin),
        replay = coalesce(old.replay, excluded.replay),
        (status, finished_at, error, missing, changed_revision, changed_ms, changed_seq) = (
            SELECT * FROM (VALUES
                (old.status, old.finished_at, old.error, old.missing,
                 old.changed_revision, old.changed_ms, old.changed_seq),
                (excluded.status, excluded.finished_at, excluded.error, excluded.missing,
                 excluded.changed_revision, excluded.changed_ms, excluded.changed_seq)
            ) AS told (status, finished_at, error, missing, changed_revision, changed_ms, changed_seq)
            ORDER BY changed_revision DESC, changed_ms DESC, changed_seq DESC LIMIT 1)
    WHERE old.tenant = excluded.tenant AND (
        (excluded.changed_revision, excluded.changed_ms, excluded.changed_seq)
            > (old.changed_revision, old.changed_ms, old.changed_seq)
        OR excluded.created_at < old.created_at
        OR coalesce(excluded.started_at < old.started_at, old.started_at IS NULL AND excluded.started_at IS NOT NULL)
        OR excluded.attempts > old.attempts
        OR excluded.revision > old.revision
        OR (old.spec IS NULL AND excluded.spec IS NOT NULL)
        OR (old.trace_id IS NULL AND excluded.trace_id IS NOT NULL)
        OR (old.lane IS NULL AND excluded.lane IS NOT NULL)
        OR (old.parent IS NULL AND excluded.parent IS NOT NULL)
        OR (old.origin IS NULL AND excluded.origin IS NOT NULL)
        OR (old.flow = '' AND excluded.flow <> ''))
""")


@dataclass(frozen=True, slots=True)
class Projected:
    """What a batch came to.

    Attributes:
        events: New rows in `task_events`; an entry projected before counts 0.
        refused: Entries that are not lifecycle entries, as text for the log; they never come to pass.
    """

    events: int
    refused: tuple[str, ...]


async def project(session: AsyncSession, partition: int, entries: Sequence[tuple[str, Mapping[str, str]]]) -> Projected:
    """Write a batch of lifecycle entries in the session's transaction.

    Acknowledge the entries when the transaction is committed. Strays, which have no tenant, are passed over. An entry
    without a job, or with a number that is none, is refused and logged: nothing behind it waits.

    Args:
        session: In a transaction.
        partition: Whose lifecycle stream; named in the log.
        entries: (entry id, fields) in any order, repeats allowed.

    Raises:
        sqlalchemy.exc.DBAPIError: As the database says; `Jobs.project` turns it into `TransientError`.
    """
    moves: list[_Move] = []
    refused: list[str] = []
    for entry_id, fields in entries:
        if fields.get("tenant") == "":
            continue  # A stray that was never of a job; the dead-letter stream has it.
        try:
            moves.append(_move(entry_id, fields))
        except (KeyError, ValueError, OverflowError) as error:
            refused.append(f"{entry_id}: {type(error).__name__} {error}")
    if refused:
        log.warning(
            "%d entries of lifecycle %d were not lifecycle entries and are not in the history, the first: %s",
            len(refused), partition, "; ".join(refused[:_MAX_LOGGED]),
        )  # fmt: skip
    recorded = [move for move in moves if move.type not in _UNRECORDED]
    events = 0
    if recorded:
        # One order for all writers, so that two batches with the same entries cannot wait for each other.
        rows = sorted((move.row() for move in recorded), key=lambda row: row[:3])
        columns = zip(*rows, strict=True)
        written = await session.execute(_EVENTS, dict(zip(_EVENT_COLUMNS, map(list, columns), strict=True)))
        events = written.rowcount  # type: ignore[attr-defined]
    folds: dict[str, _Fold] = {}
    for move in moves:
        folds.setdefault(move.job_id, _Fold(move)).take(move)
    if folds:
        folded = (folds[job_id].row() for job_id in sorted(folds))
        columns = zip(*folded, strict=True)
        await session.execute(_JOBS, dict(zip(_JOB_COLUMNS, map(list, columns), strict=True)))
    return Projected(events, tuple(refused))


_EVENT_COLUMNS: Final = (
    "job_id", "entry_ms", "entry_seq", "tenant", "type", "started_at", "revision", "task", "stage", "attempt",
    "delivery", "worker", "status", "reason", "opened",
)  # fmt: skip
_JOB_COLUMNS: Final = (
    "job_id", "tenant", "flow", "status", "revision", "lane", "spec", "created_at", "started_at", "finished_at",
    "trace_id", "error", "attempts", "missing", "parent", "origin", "replay", "changed_revision", "changed_ms",
    "changed_seq",
)  # fmt: skip


@dataclass(slots=True)
class _Move:
    """A lifecycle entry, parsed."""

    job_id: str
    entry_ms: int
    entry_seq: int
    tenant: str
    type: str
    at: datetime
    started_at: datetime | None
    revision: int | None
    task: int | None
    attempt: int | None
    delivery: int | None
    fields: Mapping[str, str]

    def text(self, name: str) -> str | None:
        value = self.fields.get(name)
        return clean_text(value) if value else None

    def row(self) -> tuple[Any, ...]:
        return (
            self.job_id, self.entry_ms, self.entry_seq, self.tenant, self.type, self.started_at, self.revision,
            self.task, self.text("stage"), self.attempt, self.delivery, self.text("worker"), self.text("status"),
            self.text("reason"), _opened(self.fields.get("emitted")),
        )  # fmt: skip


def _move(entry_id: str, fields: Mapping[str, str]) -> _Move:
    ms, _, seq = entry_id.partition("-")
    entry_ms = int(ms)
    started_ms = _count(fields, "started_at")
    if not fields["job"]:
        raise ValueError("no job")
    return _Move(
        job_id=clean_text(fields["job"]),
        entry_ms=entry_ms,
        entry_seq=int(seq),
        tenant=clean_text(fields["tenant"]),
        type=clean_text(fields["type"]),
        at=_instant(entry_ms),
        started_at=None if started_ms is None else _instant(started_ms),
        revision=_count(fields, "revision"),
        task=_count(fields, "task"),
        attempt=_count(fields, "attempt"),
        delivery=_count(fields, "delivery"),
        fields=fields,
    )


def _count(fields: Mapping[str, str], name: str) -> int | None:
    value = fields.get(name)
    if not value:
        return None
    number = int(value)
    if not 0 <= number <= _MAX_COUNT:
        raise ValueError(f"{name} is {number}")
    return number


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


class _Fold:
    """What a batch says about one job."""

    def __init__(self, first: _Move) -> None:
        self.job_id = first.job_id
        self.tenant = first.tenant
        self.flow = ""
        self.status = ""
        self.changed = (-1, 0, 0)
        self.revision = 0
        self.attempts = 0
        self.created_at = first.at
        self.started_at: datetime | None = None
        self.finished_at: datetime | None = None
        self.error: str | None = None
        self.missing: str | None = None
        self.lane: str | None = None
        self.parent: str | None = None
        self.origin: str | None = None
        self.replay: str | None = None
        self.trace_id: str | None = None
        self.spec: str | None = None

    def take(self, move: _Move) -> None:
        self.flow = self.flow or move.text("flow") or ""
        self.revision = max(self.revision, move.revision or 0)
        self.attempts = max(self.attempts, move.attempt or 0)
        self.created_at = min(self.created_at, move.at)
        started_at = move.at if move.type == "started" else move.started_at
        # A job that ended before it began is not begun by telling so.
        tells_only = move.fields.get("stage") == "notify" and move.task != 1
        if started_at is not None and not tells_only:
            self.started_at = min(self.started_at or started_at, started_at)
        self.trace_id = self.trace_id or _trace_id(move.fields.get("traceparent"))
        if move.type in _BORN:
            self.lane = move.text("lane")
            self.parent = move.text("parent")
        if move.type == "submitted":
            self.origin, self.replay = move.text("origin"), move.text("replay")
            self.spec = _json(move.fields.get("spec") or move.fields.get("data"), dict)
        # A move without a status tells that its revision has begun, no more.
        status = move.text("status")
        revision = move.revision or 0
        told = (revision, move.entry_ms, move.entry_seq) if status else (revision, 0, 0)
        if told > self.changed:
            self.changed = told
            self.status = status or (_FIRST_STATUS if revision <= 1 else _REOPENED_STATUS)
            final = status in FINAL_STATUSES
            self.finished_at = move.at if final else None
            told_error = move.text("error") or move.text("reason")
            self.error = told_error if final and status != "succeeded" else None
            missing = _count(move.fields, "missing") if final else None
            self.missing = None if missing is None else str(missing)

    def row(self) -> tuple[Any, ...]:
        return (
            self.job_id, self.tenant, self.flow, self.status, self.revision, self.lane, self.spec, self.created_at,
            self.started_at, self.finished_at, self.trace_id, self.error, self.attempts, self.missing, self.parent,
            self.origin, self.replay, *self.changed,
        )  # fmt: skip


def _trace_id(traceparent: str | None) -> str | None:
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) >= _TRACEPARENT_PARTS else None


def _opened(emitted: str | None) -> str | None:
    """Number and stage of the tasks that a move opened, without their payloads, which the archive has."""
    if not emitted:
        return None
    try:
        return dump_json([[int(one["task"]), str(one["stage"])] for one in orjson.loads(emitted)])
    except (ValueError, KeyError, TypeError):  # not an entry of ours: what else it tells is kept
        return None


def _json(written: str | None, kind: type) -> str | None:
    """A field's JSON in a form that ``jsonb`` takes; None when it is none or of another kind."""
    if not written:
        return None
    try:
        value = orjson.loads(written)
    except orjson.JSONDecodeError:
        return None
    return dump_json(value) if isinstance(value, kind) else None
