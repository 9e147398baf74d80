"""Removing what is old, some hundred jobs at a time, so that no transaction holds many rows for long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, delete, func, select

from consumers.store.models import (
    Contribution,
    Delivery,
    Job,
    JobArtifact,
    JobLog,
    JobLogTotal,
    MemoUse,
    Result,
    TaskEvent,
)

if TYPE_CHECKING:
    from datetime import datetime

    from consumers.store.database import Database

JOBS_AT_A_TIME: Final = 500
ROWS_AT_A_TIME: Final = 5_000

OF_JOBS: Final[tuple[Any, ...]] = (
    Contribution, JobArtifact, Result, Delivery, JobLog, JobLogTotal, MemoUse, TaskEvent, Job,
)  # fmt: skip
"""Tables with rows of a job, the job itself last: were its row gone first, a failure would leave the rest for ever."""


class Cleanup:
    """Removes for all tenants. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expired_results(self, now: datetime, *, dry_run: bool) -> int:
        """Remove results whose time is over, or count them."""
        is_over = Result.expires_at <= now
        if dry_run:
            async with self._database.begin() as session:
                return int(await session.scalar(select(func.count()).select_from(Result).where(is_over)) or 0)
        removed = 0
        while True:
            keys = select(Result.job_id).where(is_over).limit(ROWS_AT_A_TIME)
            async with self._database.begin() as session:
                done = await session.execute(delete(Result).where(is_over, Result.job_id.in_(keys)))
            count = int(getattr(done, "rowcount", 0))
            removed += count
            if not count:
                return removed

    async def jobs_ended_before(
        self, before: datetime, *, dry_run: bool, flow: str | None = None, but_flow: str | None = None
    ) -> dict[str, int]:
        """Remove every row of jobs that ended before an instant, or count them; rows by table.

        Args:
            before: Jobs that have not ended are never removed.
            dry_run: Count only.
            flow: Of this flow only.
            but_flow: Of every flow but this.
        """
        is_old = Job.finished_at < before
        if flow is not None:
            is_old &= Job.flow == flow
        if but_flow is not None:
            is_old &= Job.flow != but_flow
        if dry_run:
            return await self._counted(is_old)
        counts: dict[str, int] = {}
        while True:
            async with self._database.begin() as session:
                jobs = list(await session.scalars(select(Job.job_id).where(is_old).limit(JOBS_AT_A_TIME)))
                for table in OF_JOBS if jobs else ():
                    done = await session.execute(delete(table).where(table.job_id.in_(jobs)))
                    name = table.__tablename__
                    counts[name] = counts.get(name, 0) + int(getattr(done, "rowcount", 0))
            if not jobs:
                return counts

    async def _counted(self, is_old: ColumnElement[bool]) -> dict[str, int]:
        jobs = select(Job.job_id).where(is_old)
        async with self._database.begin() as session:
            return {
                table.__tablename__: int(
                    await session.scalar(select(func.count()).select_from(table).where(table.job_id.in_(jobs))) or 0
                )
                for table in OF_JOBS
            }
