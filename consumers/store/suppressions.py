"""Addresses that get no mail: they bounced, or an operator says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from consumers.store.models import Suppression
from consumers.store.pages import Page, checked_limit, read_cursor, write_cursor

if TYPE_CHECKING:
    from consumers.store.database import Database


def normal(address: str) -> str:
    """An address as it is kept: mail servers that tell capitals apart are hardly found."""
    return address.strip().lower()


class Suppressions:
    """Suppressed addresses of tenants. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, address: str, *, tenant: str) -> Suppression | None:
        """An address's record, None when it may have mails."""
        query = select(Suppression).where(Suppression.tenant == tenant, Suppression.address == normal(address))
        async with self._database.begin() as session:
            return (await session.scalars(query)).one_or_none()

    async def add(self, address: str, *, tenant: str, reason: str, detail: str = "") -> bool:
        """Suppress an address; False when it was, which stays as it is."""
        new = insert(Suppression).values(tenant=tenant, address=normal(address), reason=reason, detail=detail)
        statement = new.on_conflict_do_nothing().returning(Suppression.address)
        async with self._database.begin() as session:
            return await session.scalar(statement) is not None

    async def remove(self, address: str, *, tenant: str) -> bool:
        """Let an address have mails again; False when it might."""
        statement = (
            delete(Suppression)
            .where(Suppression.tenant == tenant, Suppression.address == normal(address))
            .returning(Suppression.address)
        )
        async with self._database.begin() as session:
            return await session.scalar(statement) is not None

    async def page(self, *, tenant: str, cursor: str | None = None, limit: int = 50) -> Page[Suppression]:
        """A tenant's suppressed addresses, by address.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        query = select(Suppression).where(Suppression.tenant == tenant).order_by(Suppression.address)
        if cursor is not None:
            query = query.where(Suppression.address > str(read_cursor(cursor, str)[0]))
        async with self._database.begin() as session:
            found = list(await session.scalars(query.limit(checked_limit(limit) + 1)))
        more, found = len(found) > limit, found[:limit]
        return Page(found, write_cursor(found[-1].address) if more else None)
