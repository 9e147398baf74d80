"""Notifications as records of their own: they never change a job's status."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from consumers.store.models import Delivery
from consumers.store.pages import Page, checked_limit, read_cursor, write_cursor

if TYPE_CHECKING:
    from consumers.store.database import Database

DeliveryStatus = Literal["pending", "sent", "failed", "unknown"]


class Deliveries:
    """Notifications and what became of them. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(
        self,
        idempotency_key: str,
        *,
        tenant: str,
        job_id: str,
        revision: int,
        channel: str,
        target: str,
        deadline_at: datetime | None = None,
        again: bool = False,
    ) -> Delivery:
        """Note that a delivery is about to be tried, and get its record.

        The record is made the first time; each time its `attempts` rises. One that is ``sent`` or ``failed`` stays
        as it is: the caller then leaves the addressee alone.

        Args:
            idempotency_key: One per job, revision, channel and addressee.
            tenant: Whose.
            job_id: Of the job.
            revision: Of the job.
            channel: ``mail``, ``webhook`` and so on.
            target: The addressee.
            deadline_at: When to give up.
            again: Begin one that ``failed`` once more.

        Returns:
            The record; ``unknown`` when an earlier try was begun and its end was not seen.
        """
        new = insert(Delivery).values(
            idempotency_key=idempotency_key,
            tenant=tenant,
            job_id=job_id,
            revision=revision,
            channel=channel,
            target=target,
            status="pending",
            attempts=0,
            deadline_at=deadline_at,
        )
        begun = (
            update(Delivery)
            .where(
                Delivery.idempotency_key == idempotency_key,
                Delivery.tenant == tenant,
                Delivery.status.in_(("pending", "unknown", "failed") if again else ("pending", "unknown")),
            )
            .values(attempts=Delivery.attempts + 1, status="unknown")
        )
        query = select(Delivery).where(Delivery.idempotency_key == idempotency_key, Delivery.tenant == tenant)
        async with self._database.begin() as session:
            await session.execute(new.on_conflict_do_nothing())
            delivery = (await session.scalars(query.with_for_update())).one()
            session.expunge(delivery)
            await session.execute(begun, execution_options={"synchronize_session": False})
        return delivery

    async def find(self, idempotency_key: str, *, tenant: str) -> Delivery | None:
        """A delivery's record as it is; None when it was never begun."""
        query = select(Delivery).where(Delivery.idempotency_key == idempotency_key, Delivery.tenant == tenant)
        async with self._database.begin() as session:
            return (await session.scalars(query)).one_or_none()

    async def end(self, idempotency_key: str, status: DeliveryStatus, *, tenant: str, error: str | None = None) -> None:
        """Note how a try ended; what is ``sent`` stays so.

        Args:
            idempotency_key: As given to `begin`.
            status: ``sent``, ``failed`` when given up, ``pending`` when it will be tried again.
            tenant: Whose.
            error: What went wrong, for people.
        """
        statement = (
            update(Delivery)
            .where(Delivery.idempotency_key == idempotency_key, Delivery.tenant == tenant, Delivery.status != "sent")
            .values(status=status, last_error=error, changed_at=func.now())
        )
        async with self._database.begin() as session:
            await session.execute(statement)

    async def of(self, job_id: str, *, tenant: str) -> list[Delivery]:
        """The deliveries of a job, in the order of their making."""
        query = (
            select(Delivery)
            .where(Delivery.job_id == job_id, Delivery.tenant == tenant)
            .order_by(Delivery.created_at, Delivery.idempotency_key)
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query))

    async def page(
        self,
        *,
        tenant: str,
        channel: str,
        statuses: tuple[DeliveryStatus, ...] = (),
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Delivery]:
        """A tenant's deliveries over a channel, newest first.

        Args:
            tenant: Whose.
            channel: ``mail`` or ``webhook``.
            statuses: Only those; empty for all.
            cursor: `next` of the page before.
            limit: Most items, 1 to 1,000.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        query = (
            select(Delivery)
            .where(Delivery.tenant == tenant, Delivery.channel == channel)
            .order_by(Delivery.created_at.desc(), Delivery.idempotency_key.desc())
        )
        if statuses:
            query = query.where(Delivery.status.in_(statuses))
        if cursor is not None:
            after = read_cursor(cursor, datetime, str)
            query = query.where(tuple_(Delivery.created_at, Delivery.idempotency_key) < tuple_(*after))
        async with self._database.begin() as session:
            found = list(await session.scalars(query.limit(checked_limit(limit) + 1)))
        more, found = len(found) > limit, found[:limit]
        return Page(found, write_cursor(found[-1].created_at, found[-1].idempotency_key) if more else None)
