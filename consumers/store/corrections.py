"""What people said about cells of compiled statements."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from consumers.store.models import CellCorrection

if TYPE_CHECKING:
    from decimal import Decimal

    from consumers.filings.corrections import CellPlace
    from consumers.store.database import Database


class Corrections:
    """Corrections of companies. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, company_id: str, place: CellPlace, value: Decimal, *, printed: Decimal | None, reason: str, made_by: str,
        tenant: str,
    ) -> CellCorrection:  # fmt: skip
        """Correct a cell; what corrected it before is withdrawn."""
        made = CellCorrection(
            id=uuid.uuid4().hex[:24], company_id=company_id, tenant=tenant, company=place.company,
            frequency=place.frequency, kind=place.kind, currency=place.currency, row_key=place.row_key,
            period_end=place.period_end, value=value, printed=printed, reason=reason, made_by=made_by,
        )  # fmt: skip
        before = update(CellCorrection).where(
            CellCorrection.company_id == company_id,
            CellCorrection.tenant == tenant,
            CellCorrection.company == place.company,
            CellCorrection.frequency == place.frequency,
            CellCorrection.kind == place.kind,
            CellCorrection.currency == place.currency,
            CellCorrection.row_key == place.row_key,
            CellCorrection.period_end == place.period_end,
            CellCorrection.withdrawn_at.is_(None),
        )
        async with self._database.begin() as session:
            await session.execute(before.values(withdrawn_at=func.now(), withdrawn_by=made_by))
            session.add(made)
            await session.flush()
            await session.refresh(made)
        return made

    async def withdraw(self, company_id: str, correction_id: str, *, withdrawn_by: str, tenant: str) -> bool:
        """Let what is printed hold again. False when there is no such correction, or it was withdrawn before."""
        statement = (
            update(CellCorrection)
            .where(
                CellCorrection.id == correction_id,
                CellCorrection.company_id == company_id,
                CellCorrection.tenant == tenant,
                CellCorrection.withdrawn_at.is_(None),
            )
            .values(withdrawn_at=func.now(), withdrawn_by=withdrawn_by)
            .returning(CellCorrection.id)
        )
        async with self._database.begin() as session:
            return await session.scalar(statement) is not None

    async def of(self, company_id: str, *, tenant: str, withdrawn: bool = False) -> list[CellCorrection]:
        """A company's corrections, oldest first; with the withdrawn ones when asked."""
        query = (
            select(CellCorrection)
            .where(CellCorrection.company_id == company_id, CellCorrection.tenant == tenant)
            .order_by(CellCorrection.made_at, CellCorrection.id)
        )
        if not withdrawn:
            query = query.where(CellCorrection.withdrawn_at.is_(None))
        async with self._database.begin() as session:
            return list(await session.scalars(query))
