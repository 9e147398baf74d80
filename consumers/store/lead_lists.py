"""The blacklists of tenants: who is left out of the jobs to come, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from consumers.store.models import LeadBlock
from consumers.store.pages import Page, checked_limit, read_cursor, write_cursor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.store.database import Database


class LeadLists:
    """The blacklists of tenants. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def block(self, kind: str, value: str, reason: str, *, tenant: str) -> None:
        """Leave a phone number, a domain or a name out of the jobs to come."""
        new = insert(LeadBlock).values(tenant=tenant, kind=kind, value=value, reason=reason)
        async with self._database.begin() as session:
            await session.execute(
                new.on_conflict_do_update(
                    index_elements=[LeadBlock.tenant, LeadBlock.kind, LeadBlock.value], set_={"reason": reason}
                )
            )

    async def unblock(self, kind: str, value: str, *, tenant: str) -> bool:
        """Let it in again; False when it was not out."""
        statement = (
            delete(LeadBlock)
            .where(LeadBlock.tenant == tenant, LeadBlock.kind == kind, LeadBlock.value == value)
            .returning(LeadBlock.value)
        )
        async with self._database.begin() as session:
            return await session.scalar(statement) is not None

    async def blocked_of(self, keys: Iterable[tuple[str, str]], *, tenant: str) -> frozenset[tuple[str, str]]:
        """Those of these (kind, value) that are blacklisted."""
        query = select(LeadBlock.kind, LeadBlock.value).where(
            LeadBlock.tenant == tenant, tuple_(LeadBlock.kind, LeadBlock.value).in_(list(keys))
        )
        async with self._database.begin() as session:
            return frozenset((row[0], row[1]) for row in await session.execute(query))

    async def page(self, *, tenant: str, cursor: str | None = None, limit: int = 50) -> Page[LeadBlock]:
        """A tenant's blacklist, by kind and value."""
        query = select(LeadBlock).where(LeadBlock.tenant == tenant).order_by(LeadBlock.kind, LeadBlock.value)
        if cursor is not None:
            query = query.where(tuple_(LeadBlock.kind, LeadBlock.value) > tuple_(*read_cursor(cursor, str, str)))
        async with self._database.begin() as session:
            rows = list(await session.scalars(query.limit(checked_limit(limit) + 1)))
        more, rows = len(rows) > limit, rows[:limit]
        return Page(rows, write_cursor(rows[-1].kind, rows[-1].value) if more else None)
