"""Companies and their compiled statements."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from consumers.store.models import Company, CompiledStatements, CompiledValue
from consumers.store.pages import Page, checked_limit, read_cursor, write_cursor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.store.database import Database


def company_id_of(tenant: str, key: str) -> str:
    """The id of a company, the same each time: 24 hex digits of the digest of tenant and key."""
    return hashlib.sha256(f"{tenant}\n{key}".encode()).hexdigest()[:24]


class Companies:
    """Companies of tenants. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, key: str, *, tenant: str, name: str | None = None, ticker: str | None = None, url: str | None = None
    ) -> str:
        """Make a company known or add what is known of it; what is given replaces what was.

        Args:
            key: What identifies it within the tenant, as its site's host.
            tenant: Whose.
            name: As on its reports.
            ticker: At its exchange.
            url: Of its investor-relations site.

        Returns:
            Its id.
        """
        company_id = company_id_of(tenant, key)
        new = insert(Company).values(id=company_id, tenant=tenant, key=key, name=name, ticker=ticker, url=url)
        statement = new.on_conflict_do_update(
            index_elements=[Company.id],
            set_={
                column: func.coalesce(new.excluded[column], Company.__table__.c[column])
                for column in ("name", "ticker", "url")
            },
        )
        async with self._database.begin() as session:
            await session.execute(statement)
        return company_id

    async def get(self, company_id: str, *, tenant: str) -> Company | None:
        """A company, None when this tenant has no such one."""
        async with self._database.begin() as session:
            found = await session.scalars(select(Company).where(Company.id == company_id, Company.tenant == tenant))
            return found.one_or_none()

    async def create(
        self, key: str, *, tenant: str, name: str | None, ticker: str | None, url: str | None
    ) -> tuple[str, bool]:
        """Make a company known; one that is known stays as it is.

        Returns:
            Its id, and whether it is new.
        """
        company_id = company_id_of(tenant, key)
        new = insert(Company).values(id=company_id, tenant=tenant, key=key, name=name, ticker=ticker, url=url)
        statement = new.on_conflict_do_nothing(index_elements=[Company.id]).returning(Company.id)
        async with self._database.begin() as session:
            return company_id, await session.scalar(statement) is not None

    async def change(self, company_id: str, values: Mapping[str, str | None], *, tenant: str) -> bool:
        """Replace what is known of a company: `name`, `ticker`, `url`. Its id stays. False when there is none."""
        statement = (
            update(Company)
            .where(Company.id == company_id, Company.tenant == tenant)
            .values({name: values[name] for name in ("name", "ticker", "url") if name in values})
            .returning(Company.id)
        )
        async with self._database.begin() as session:
            return await session.scalar(statement) is not None

    async def remove(self, company_id: str, *, tenant: str) -> bool:
        """Forget a company with its documents, statements and corrections. False when there is none."""
        statement = delete(Company).where(Company.id == company_id, Company.tenant == tenant).returning(Company.id)
        async with self._database.begin() as session:
            return await session.scalar(statement) is not None

    async def claim(self, company_id: str, job_id: str, *, tenant: str, instead_of: str | None) -> str:
        """Be the job that reads a company's site, in the place of nobody or of a job that is over.

        Args:
            company_id: Of the company.
            job_id: That wants to be it.
            tenant: Whose.
            instead_of: The job that is seen there and is over; None when nobody is.

        Returns:
            The job that holds it now: `job_id`, unless another was faster.
        """
        free = or_(Company.running_job.is_(None), Company.running_job == job_id)
        if instead_of is not None:
            free = or_(free, Company.running_job == instead_of)
        mine = update(Company).where(Company.id == company_id, Company.tenant == tenant, free)
        seen = select(Company.running_job).where(Company.id == company_id, Company.tenant == tenant)
        async with self._database.begin() as session:
            await session.execute(mine.values(running_job=job_id))
            return await session.scalar(seen) or job_id

    async def page(self, *, tenant: str, cursor: str | None = None, limit: int = 50) -> Page[Company]:
        """Companies of a tenant by id.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        query = select(Company).where(Company.tenant == tenant).order_by(Company.id)
        if cursor is not None:
            query = query.where(Company.id > read_cursor(cursor, str)[0])
        async with self._database.begin() as session:
            companies = list(await session.scalars(query.limit(checked_limit(limit) + 1)))
        more = len(companies) > limit
        companies = companies[:limit]
        return Page(companies, write_cursor(companies[-1].id) if more else None)

    async def compiled(self, company_id: str, *, tenant: str, revision: int | None = None) -> CompiledStatements | None:
        """The compiled statements, the latest when no revision is named; None when there are none."""
        query = select(CompiledStatements).where(
            CompiledStatements.company_id == company_id, CompiledStatements.tenant == tenant
        )
        if revision is not None:
            query = query.where(CompiledStatements.revision == revision)
        async with self._database.begin() as session:
            found = await session.scalars(query.order_by(CompiledStatements.revision.desc()).limit(1))
            return found.one_or_none()

    async def values(self, company_id: str, *, tenant: str, kind: str | None = None) -> list[CompiledValue]:
        """The latest compiled values as printed: by statement and line, newest period first."""
        query = (
            select(CompiledValue)
            .where(CompiledValue.company_id == company_id, CompiledValue.tenant == tenant)
            .order_by(
                CompiledValue.company,
                CompiledValue.frequency,
                CompiledValue.kind,
                CompiledValue.currency,
                CompiledValue.ordinal,
                CompiledValue.period_end.desc(),
            )
        )
        if kind is not None:
            query = query.where(CompiledValue.kind == kind)
        async with self._database.begin() as session:
            return list(await session.scalars(query))
