"""Websites that are audited, their logins, and what their owners decided not to fix."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from consumers.store.models import Website, WontFix
from consumers.store.pages import Page, checked_limit, read_cursor, write_cursor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.store.database import Database


def website_id_of(tenant: str, key: str) -> str:
    """The id of a website, the same each time: 24 hex digits of the digest of tenant and key."""
    return hashlib.sha256(f"{tenant}\n{key}".encode()).hexdigest()[:24]


class Websites:
    """Websites of tenants. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ensure(self, key: str, *, tenant: str, url: str) -> Website:
        """The website of an origin, made when it is not there.

        Args:
            key: Its host without ``www.``.
            tenant: Whose.
            url: Its start page, kept when it is made.
        """
        website_id = website_id_of(tenant, key)
        new = insert(Website).values(id=website_id, tenant=tenant, key=key, url=url, options={})
        async with self._database.begin() as session:
            await session.execute(new.on_conflict_do_nothing())
            return (await session.scalars(select(Website).where(Website.id == website_id))).one()

    async def change(self, website_id: str, *, tenant: str, **values: Any) -> Website | None:
        """Set ``url``, ``name``, ``options``, ``login``; None when this tenant has no such website."""
        async with self._database.begin() as session:
            if values:
                await session.execute(
                    update(Website).where(Website.id == website_id, Website.tenant == tenant).values(**values)
                )
            found = await session.scalars(select(Website).where(Website.id == website_id, Website.tenant == tenant))
            return found.one_or_none()

    async def get(self, website_id: str, *, tenant: str) -> Website | None:
        """A website, None when this tenant has no such one."""
        return await self.change(website_id, tenant=tenant)

    async def login(self, key: str, *, tenant: str) -> Mapping[str, str]:
        """The headers that open a site for us; empty when none are kept."""
        query = select(Website.login).where(Website.id == website_id_of(tenant, key), Website.tenant == tenant)
        async with self._database.begin() as session:
            return await session.scalar(query) or {}

    async def remove(self, website_id: str, *, tenant: str) -> bool:
        """Forget a website and its audits; False when this tenant has no such one."""
        statement = delete(Website).where(Website.id == website_id, Website.tenant == tenant).returning(Website.id)
        async with self._database.begin() as session:
            return await session.scalar(statement) is not None

    async def page(self, *, tenant: str, cursor: str | None = None, limit: int = 50) -> Page[Website]:
        """Websites of a tenant by id.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        query = select(Website).where(Website.tenant == tenant).order_by(Website.id)
        if cursor is not None:
            query = query.where(Website.id > read_cursor(cursor, str)[0])
        async with self._database.begin() as session:
            found = list(await session.scalars(query.limit(checked_limit(limit) + 1)))
        more = len(found) > limit
        found = found[:limit]
        return Page(found, write_cursor(found[-1].id) if more else None)

    async def wont_fix(self, website_id: str, *, tenant: str) -> list[WontFix]:
        """What is not to be fixed, by rule and page."""
        query = (
            select(WontFix)
            .where(WontFix.website_id == website_id, WontFix.tenant == tenant)
            .order_by(WontFix.rule, WontFix.url)
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query))

    async def put_wont_fix(self, website_id: str, rule: str, url: str, reason: str, *, tenant: str) -> None:
        """Live with a rule's findings on a page, or on all (`url` empty); the same again replaces the reason."""
        new = insert(WontFix).values(website_id=website_id, rule=rule, url=url, reason=reason, tenant=tenant)
        async with self._database.begin() as session:
            await session.execute(
                new.on_conflict_do_update(
                    index_elements=[WontFix.website_id, WontFix.rule, WontFix.url],
                    set_={"reason": new.excluded.reason},
                    where=WontFix.tenant == new.excluded.tenant,
                )
            )

    async def drop_wont_fix(self, website_id: str, rule: str, url: str, *, tenant: str) -> bool:
        """Take such a decision back; False when there was none."""
        statement = delete(WontFix).where(
            WontFix.website_id == website_id, WontFix.tenant == tenant, WontFix.rule == rule, WontFix.url == url
        )
        async with self._database.begin() as session:
            return await session.scalar(statement.returning(WontFix.rule)) is not None
