"""What happened in a span of time, over all tenants: for the operators' digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from consumers.store.models import Delivery, Job

if TYPE_CHECKING:
    from datetime import datetime

    from consumers.store.database import Database

BAD: Final = ("failed", "expired")


@dataclass(frozen=True, slots=True)
class Ended:
    """How many jobs of a flow ended with a status."""

    flow: str
    status: str
    jobs: int


class Happenings:
    """Reads over all tenants. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ended(self, since: datetime, until: datetime, *, but_flow: str) -> list[Ended]:
        """Jobs that ended in [since, until), by flow and status."""
        query = (
            select(Job.flow, Job.status, func.count())
            .where(Job.finished_at >= since, Job.finished_at < until, Job.flow != but_flow)
            .group_by(Job.flow, Job.status)
            .order_by(Job.flow, Job.status)
        )
        async with self._database.begin() as session:
            return [Ended(flow, status, int(jobs)) for flow, status, jobs in (await session.execute(query)).all()]

    async def failures(self, since: datetime, until: datetime, *, limit: int) -> list[Job]:
        """The last jobs that failed or expired in [since, until)."""
        query = (
            select(Job)
            .where(Job.finished_at >= since, Job.finished_at < until, Job.status.in_(BAD))
            .order_by(Job.finished_at.desc())
            .limit(limit)
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query))

    async def maybe_sent(self, since: datetime, until: datetime, *, limit: int) -> list[Delivery]:
        """Mails begun in [since, until) whose end nobody saw."""
        query = (
            select(Delivery)
            .where(
                Delivery.channel == "mail",
                Delivery.status == "unknown",
                Delivery.changed_at >= since,
                Delivery.changed_at < until,
            )
            .order_by(Delivery.changed_at)
            .limit(limit)
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query))
