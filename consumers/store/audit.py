"""The audit log: every change that an operator made, by whom, to what, and when."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from consumers.store.models import AuditEntry
from consumers.store.pages import checked_limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.store.database import Database


class Audit:
    """Rows that are written and read, never changed. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(
        self,
        actor: str,
        action: str,
        target: str,
        detail: Mapping[str, Any] | None = None,
        *,
        tenant: str = "default",
        at: datetime | None = None,
    ) -> None:
        """Write down what was done.

        Args:
            actor: Who: ``key:<id>``, ``cli:<user>@<host>``, ``schedule:<name>``.
            action: What, as ``<thing>.<verb>``: ``job.cancel``, ``dlq.retry``.
            target: To what: an id, a filter, ``stage:extract``.
            detail: What else matters; JSON, without secrets.
            tenant: Who may read it.
            at: When; now when None.
        """
        row = {"actor": actor, "action": action, "target": target, "detail": dict(detail or {}), "tenant": tenant}
        async with self._database.begin() as session:
            await session.execute(insert(AuditEntry).values(**row, **({"at": at} if at is not None else {})))

    async def page(
        self,
        *,
        tenant: str | None,
        actor: str = "",
        action: str = "",
        target: str = "",
        since: datetime | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[AuditEntry]:
        """What was done, newest first; empty filters do not matter.

        Args:
            tenant: Whose; None for all, which is the operator's of the installation.
            action: Of this name, or of these things: ``dlq`` for ``dlq.retry`` and the like.
            before: The id of an entry: only older ones.
        """
        query = select(AuditEntry).order_by(AuditEntry.id.desc())
        if tenant is not None:
            query = query.where(AuditEntry.tenant == tenant)
        if actor:
            query = query.where(AuditEntry.actor == actor)
        if action:
            query = query.where(
                (AuditEntry.action == action) | AuditEntry.action.startswith(f"{action}.", autoescape=True)
            )
        if target:
            query = query.where(AuditEntry.target == target)
        if since is not None:
            query = query.where(AuditEntry.at >= since)
        if before is not None:
            query = query.where(AuditEntry.id < before)
        async with self._database.begin() as session:
            return list(await session.scalars(query.limit(checked_limit(limit))))
