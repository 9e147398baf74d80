"""Pages as they were read last, for conditional GETs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from consumers.store.models import CrawledPage

if TYPE_CHECKING:
    from consumers.store.database import Database


class CrawledPages:
    """Pages of companies' sites. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def at(self, company_id: str, url: str, *, tenant: str, version: int) -> CrawledPage | None:
        """A page as it was read last; None when it was not, or by another version of what finds links."""
        query = select(CrawledPage).where(
            CrawledPage.company_id == company_id,
            CrawledPage.url == url,
            CrawledPage.tenant == tenant,
            CrawledPage.version == version,
        )
        async with self._database.begin() as session:
            found = await session.scalars(query)
            return found.one_or_none()

    async def put(
        self, company_id: str, url: str, *, tenant: str, etag: str | None, last_modified: str | None, version: int,
        leads: Any,
    ) -> None:  # fmt: skip
        """Keep what a page led to, with the validators of its answer."""
        new = insert(CrawledPage).values(
            company_id=company_id, url=url, tenant=tenant, etag=etag, last_modified=last_modified, version=version,
            leads=leads,
        )  # fmt: skip
        statement = new.on_conflict_do_update(
            index_elements=[CrawledPage.company_id, CrawledPage.url],
            set_={name: new.excluded[name] for name in ("etag", "last_modified", "version", "leads")},
            where=CrawledPage.tenant == new.excluded.tenant,
        )
        async with self._database.begin() as session:
            await session.execute(statement)
