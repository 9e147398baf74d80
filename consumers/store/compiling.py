"""The compile of a company: under a lock, from all its committed documents, again when they changed meanwhile."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from consumers.filings.corrections import CellPlace
from consumers.store.memory import MemoryStore
from consumers.store.models import CellCorrection, CompiledStatements, CompiledValue, Document, DocumentStatement
from schemas.filings import ExtractedDocument
from schemas.filings_result import Correction, FilingsResult
from streams.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from consumers.store.store import Store

    CompileFn = Callable[[Sequence[ExtractedDocument], Mapping[CellPlace, Correction]], Awaitable[FilingsResult]]

MAX_ROUNDS: Final = 20


async def compile_company(store: Store, company_id: str, compile_fn: CompileFn, *, tenant: str) -> FilingsResult:
    """Compile a company's statements from all its committed documents, and keep them.

    One compile of a company runs at a time, over all processes. No transaction is open while `compile_fn` works; if
    a document or a correction came, changed or went meanwhile it is called again with the new set. The result is
    written on the connection that holds the lock, so a compile that lost it cannot write.

    Args:
        store: Where the documents are.
        company_id: Of the company.
        compile_fn: Makes the result of the documents, which come by address, and the corrections.
        tenant: Whose.

    Raises:
        TransientError: The database is down, or the documents changed in each of 20 rounds.
    """
    if isinstance(store, MemoryStore):
        return await store.compile_company(company_id, compile_fn, tenant=tenant)
    async with store.database.locked(f"millrace:company:{company_id}") as begin:
        for _ in range(MAX_ROUNDS):
            async with begin() as session:
                digest = await _digest(session, company_id, tenant)
                documents = await committed_documents(session, company_id, tenant)
                corrections = await standing_corrections(session, company_id, tenant)
            result = await compile_fn(documents, corrections)
            async with begin() as session:
                if await _digest(session, company_id, tenant) == digest:
                    await _keep(session, company_id, tenant, digest, result)
                    return result
    raise TransientError(
        f"the documents of company {company_id} changed in each of {MAX_ROUNDS} rounds of its compile; try again when "
        "its other jobs have finished",
        reason="documents_keep_changing",
    )


async def _digest(session: AsyncSession, company_id: str, tenant: str) -> str:
    rows = await session.execute(
        select(Document.id, Document.sha256, Document.extracted_digest)
        .where(Document.company_id == company_id, Document.tenant == tenant, Document.status == "extracted")
        .order_by(Document.id)
    )
    said = await session.scalars(
        select(CellCorrection.id)
        .where(CellCorrection.company_id == company_id, CellCorrection.tenant == tenant)
        .where(CellCorrection.withdrawn_at.is_(None))
        .order_by(CellCorrection.id)
    )
    parts = [f"{id_} {sha256} {read}" for id_, sha256, read in rows] + [f"correction {id_}" for id_ in said]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


async def standing_corrections(session: AsyncSession, company_id: str, tenant: str) -> dict[CellPlace, Correction]:
    """A company's corrections that were not withdrawn, the oldest first."""
    rows = await session.scalars(
        select(CellCorrection)
        .where(CellCorrection.company_id == company_id, CellCorrection.tenant == tenant)
        .where(CellCorrection.withdrawn_at.is_(None))
        .order_by(CellCorrection.made_at, CellCorrection.id)
    )
    return {place_of(row): correction_of(row) for row in rows}


def place_of(row: CellCorrection) -> CellPlace:
    """The cell that a kept correction is of."""
    kind: Any = row.kind
    frequency: Any = row.frequency
    return CellPlace(kind, row.row_key, row.period_end, frequency, row.currency, row.company)


def correction_of(row: CellCorrection) -> Correction:
    """A kept correction as it is shown on its cell."""
    return Correction(
        id=row.id, value=row.value, printed=row.printed, reason=row.reason, by=row.made_by, at=row.made_at
    )


async def committed_documents(session: AsyncSession, company_id: str, tenant: str) -> list[ExtractedDocument]:
    """What was read from a company's documents, by address: what compile compiles."""
    committed = (Document.company_id == company_id) & (Document.tenant == tenant) & (Document.status == "extracted")
    statements: dict[str, list[dict[str, Any]]] = {}
    rows = await session.execute(
        select(DocumentStatement.document_id, DocumentStatement.payload)
        .join(Document, Document.id == DocumentStatement.document_id)
        .where(committed)
        .order_by(DocumentStatement.document_id, DocumentStatement.ordinal)
    )
    for document_id, payload in rows:
        statements.setdefault(document_id, []).append(payload)
    found = await session.execute(select(Document.id, Document.extracted).where(committed).order_by(Document.url))
    return [
        ExtractedDocument.model_validate({**(rest or {}), "statements": statements.get(document_id, [])})
        for document_id, rest in found
    ]


async def _keep(session: AsyncSession, company_id: str, tenant: str, digest: str, result: FilingsResult) -> None:
    latest = (
        await session.execute(
            select(CompiledStatements.revision, CompiledStatements.digest)
            .where(CompiledStatements.company_id == company_id, CompiledStatements.tenant == tenant)
            .order_by(CompiledStatements.revision.desc())
            .limit(1)
        )
    ).one_or_none()
    revision = 1 if latest is None else latest.revision + (latest.digest != digest)
    new = insert(CompiledStatements).values(
        company_id=company_id,
        revision=revision,
        tenant=tenant,
        digest=digest,
        payload=result.model_dump(mode="json"),
    )
    await session.execute(
        new.on_conflict_do_update(
            index_elements=[CompiledStatements.company_id, CompiledStatements.revision],
            set_={"payload": new.excluded.payload, "compiled_at": func.now()},
        )
    )
    await session.execute(delete(CompiledValue).where(CompiledValue.company_id == company_id))
    if values := _values(company_id, tenant, result):
        await session.execute(insert(CompiledValue).on_conflict_do_nothing(), values)


def _values(company_id: str, tenant: str, result: FilingsResult) -> list[dict[str, Any]]:
    return [
        {
            "company_id": company_id,
            "company": statement.company or "",
            "frequency": statement.frequency,
            "kind": statement.kind,
            "currency": statement.currency or "",
            "row_key": row.key,
            "period_end": period_end,
            "tenant": tenant,
            "ordinal": ordinal,
            "label": row.label,
            "unit": row.unit,
            "unit_multiplier": statement.unit_multiplier,
            "value": cell.value,
            "sha256": cell.sha256,
            "page": cell.page,
            "restated": cell.restated,
            "is_corrected": cell.correction is not None,
        }
        for statement in result.statements
        for ordinal, row in enumerate(statement.rows)
        for period_end, cell in zip(statement.period_ends, row.cells, strict=True)
        if cell is not None
    ]
