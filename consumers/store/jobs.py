"""The history of jobs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import exists, func, literal_column, select, text, tuple_

from consumers.store.history import FINAL_STATUSES, Projected, project
from consumers.store.models import Job, TaskEvent
from consumers.store.models.jobs import JOB_WORDS
from consumers.store.pages import Page, checked_limit, read_cursor, write_cursor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement

    from consumers.store.database import Database


MOST_WORDS: Final = 10
_ID: Final = re.compile(r"(0|[1-9][0-9]{0,2})-[A-Za-z0-9_.-]{0,96}")
_APART: Final = re.compile(r"[\s!-/:-@\[-`{-~\x00-\x1f]+")
"""As `JOB_WORDS` takes texts apart."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ended jobs; what is None or empty does not matter.

    Attributes:
        statuses: Any of these.
        stage: That had work there.
        since, until: Created between these.
        job_ids: Any of these; they may be replays themselves, which are left out otherwise.
    """

    tenant: str
    flow: str | None = None
    statuses: tuple[str, ...] = ()
    stage: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    job_ids: tuple[str, ...] | None = None


def _fitting(wanted: Wanted) -> list[ColumnElement[bool]]:
    found = [Job.tenant == wanted.tenant, Job.status.in_(wanted.statuses or tuple(sorted(FINAL_STATUSES)))]
    if wanted.job_ids is None:
        found.append(Job.origin.is_(None))
    else:
        found.append(Job.job_id.in_(wanted.job_ids))
    if wanted.flow is not None:
        found.append(Job.flow == wanted.flow)
    if wanted.since is not None:
        found.append(Job.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(Job.created_at < wanted.until)
    if wanted.stage is not None:
        had_work = (TaskEvent.job_id == Job.job_id) & (TaskEvent.stage == wanted.stage)
        found.append(exists().where(had_work))
    return found


def words_of(text: str) -> list[str]:
    """A text taken apart as `JOB_WORDS` does; nothing that means something to a query is left in a word."""
    return [word for word in _APART.split(text.lower()) if word]


def is_id(text: str) -> bool:
    """Whether a text is the beginning of a job id, rather than words."""
    return _ID.fullmatch(text.strip()) is not None


def _with_words(text: str) -> ColumnElement[bool]:
    if is_id(text):
        return Job.job_id.startswith(text.strip(), autoescape=True)
    query = " & ".join(f"'{word}':*" for word in words_of(text)[:MOST_WORDS])
    return literal_column(JOB_WORDS).op("@@", is_comparison=True)(func.to_tsquery("simple", query))


@dataclass(frozen=True, slots=True)
class StageDurations:
    """How long a stage of a flow took, over the deliveries of some jobs.

    Attributes:
        runs: Deliveries.
        retries, deaths: Of those, that ended in another attempt, and in a dead letter.
        total_s, median_s, p95_s, max_s: Seconds from a delivery's start to its end.
    """

    flow: str
    stage: str
    runs: int
    retries: int
    deaths: int
    total_s: float
    median_s: float
    p95_s: float
    max_s: float


_DURATIONS: Final = text("""
    SELECT ran.flow, ran.stage, count(*), count(*) FILTER (WHERE ran.type = 'retried'),
           count(*) FILTER (WHERE ran.type = 'dead_lettered'), sum(ran.took_s),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY ran.took_s),
           percentile_cont(0.95) WITHIN GROUP (ORDER BY ran.took_s), max(ran.took_s)
    FROM (SELECT jobs.flow, ended.stage, ended.type,
                 greatest(0, extract(epoch FROM ended.at - ended.started_at))::float8 AS took_s
          FROM jobs JOIN task_events AS ended USING (job_id)
          WHERE jobs.tenant = :tenant AND jobs.created_at >= :since AND jobs.created_at < :until
                AND (CAST(:flow AS text) IS NULL OR jobs.flow = :flow)
                AND ended.started_at IS NOT NULL AND ended.stage IS NOT NULL
                AND ended.type IN ('completed', 'retried', 'dead_lettered')) AS ran
    GROUP BY ran.flow, ran.stage ORDER BY ran.flow, ran.stage
""")


class Jobs:
    """Jobs as lifecycle told them. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def project(self, partition: int, entries: Sequence[tuple[str, Mapping[str, str]]]) -> Projected:
        """Write a batch of lifecycle entries in a transaction; see `consumers.store.history.project`."""
        async with self._database.begin() as session:
            return await project(session, partition, entries)

    async def get(self, job_id: str, *, tenant: str) -> Job | None:
        """A job, None when this tenant has no such one."""
        async with self._database.begin() as session:
            found = await session.scalars(select(Job).where(Job.job_id == job_id, Job.tenant == tenant))
            return found.one_or_none()

    async def page(
        self,
        *,
        tenant: str,
        flow: str | None = None,
        but_flow: str | None = None,
        status: str | None = None,
        replay: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        worker: str | None = None,
        words: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Job]:
        """Jobs of a tenant, newest first.

        Args:
            tenant: Whose.
            flow: Only of this flow.
            but_flow: Of every flow but this.
            status: Only with this status.
            replay: Only those that this replay submitted.
            since, until: Only those created between these, `until` not included.
            worker: Only those that had work at this worker.
            words: Only those with an id that begins so, or with every one of these words, or beginnings of words, in
                their error or arguments.
            cursor: `next` of the page before.
            limit: Most items, 1 to 1,000.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        query = select(Job).where(Job.tenant == tenant).order_by(Job.created_at.desc(), Job.job_id.desc())
        if flow is not None:
            query = query.where(Job.flow == flow)
        if but_flow is not None:
            query = query.where(Job.flow != but_flow)
        if status is not None:
            query = query.where(Job.status == status)
        if replay is not None:
            query = query.where(Job.replay == replay)
        if since is not None:
            query = query.where(Job.created_at >= since)
        if until is not None:
            query = query.where(Job.created_at < until)
        if worker is not None:
            at_worker = select(TaskEvent.job_id).where(TaskEvent.tenant == tenant, TaskEvent.worker == worker)
            query = query.where(Job.job_id.in_(at_worker))
        if words is not None:
            query = query.where(_with_words(words))
        if cursor is not None:
            after = read_cursor(cursor, datetime, str)
            query = query.where(tuple_(Job.created_at, Job.job_id) < tuple_(*after))
        async with self._database.begin() as session:
            found = await session.scalars(query.limit(checked_limit(limit) + 1))
            jobs = list(found)
        more = len(jobs) > limit
        jobs = jobs[:limit]
        return Page(jobs, write_cursor(jobs[-1].created_at, jobs[-1].job_id) if more else None)

    async def count_ended(self, wanted: Wanted) -> int:
        """How many ended jobs fit."""
        async with self._database.begin() as session:
            return await session.scalar(select(func.count()).select_from(Job).where(*_fitting(wanted))) or 0

    async def ended(self, wanted: Wanted, *, after: tuple[datetime, str] | None = None, limit: int = 200) -> list[Job]:
        """The next ended jobs that fit, oldest first.

        Args:
            wanted: Which.
            after: Creation and id of the last one of the page before.
            limit: Most jobs.
        """
        query = select(Job).where(*_fitting(wanted)).order_by(Job.created_at, Job.job_id).limit(limit)
        if after is not None:
            query = query.where(tuple_(Job.created_at, Job.job_id) > tuple_(*after))
        async with self._database.begin() as session:
            return list(await session.scalars(query))

    async def durations(
        self, *, tenant: str, since: datetime, until: datetime, flow: str | None = None
    ) -> list[StageDurations]:
        """How long each stage of each flow took, over the jobs that were created in a time."""
        asked = {"tenant": tenant, "since": since, "until": until, "flow": flow}
        async with self._database.begin() as session:
            return [StageDurations(*row) for row in await session.execute(_DURATIONS, asked)]

    async def events(self, job_id: str, *, tenant: str, cursor: str | None = None, limit: int = 500) -> Page[TaskEvent]:
        """The moves of a job in the order in which they happened, `next` for those that follow.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        order = tuple_(TaskEvent.entry_ms, TaskEvent.entry_seq)
        query = (
            select(TaskEvent)
            .where(TaskEvent.job_id == job_id, TaskEvent.tenant == tenant)
            .order_by(TaskEvent.entry_ms, TaskEvent.entry_seq)
        )
        if cursor is not None:
            query = query.where(order > tuple_(*read_cursor(cursor, int, int)))
        async with self._database.begin() as session:
            found = await session.scalars(query.limit(checked_limit(limit) + 1))
            events = list(found)
        more = len(events) > limit
        events = events[:limit]
        return Page(events, write_cursor(events[-1].entry_ms, events[-1].entry_seq) if more else None)
