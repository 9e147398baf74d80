"""The history of jobs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select, tuple_

from consumers.store.history import Projected, project
from consumers.store.models import Job, TaskEvent
from consumers.store.pages import Page, checked_limit, read_cursor, write_cursor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consumers.store.database import Database


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
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Job]:
        """Jobs of a tenant, newest first.

        Args:
            tenant: Whose.
            flow: Only of this flow.
            but_flow: Of every flow but this.
            status: Only with this status.
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
        if cursor is not None:
            after = read_cursor(cursor, datetime, str)
            query = query.where(tuple_(Job.created_at, Job.job_id) < tuple_(*after))
        async with self._database.begin() as session:
            found = await session.scalars(query.limit(checked_limit(limit) + 1))
            jobs = list(found)
        more = len(jobs) > limit
        jobs = jobs[:limit]
        return Page(jobs, write_cursor(jobs[-1].created_at, jobs[-1].job_id) if more else None)

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
