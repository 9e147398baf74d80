"""Notifications as records of their own: they never change a job's status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from consumers.store.models import Delivery

if TYPE_CHECKING:
    from datetime import datetime

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
                Delivery.status.in_(("pending", "unknown")),
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
