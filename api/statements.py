"""A company's compiled statements as they are shown: which view, which frequency, as of which day."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from api.companies import company_at, company_view
from api.problems import Problem
from api.views import API
from consumers.filings.published import known_on
from consumers.filings.standard import standardised
from consumers.filings.whole import compile_documents
from consumers.store.compiling import committed_documents, correction_of, place_of, standing_corrections
from consumers.store.documents import document_id_of
from schemas.filings import Company as CompanyName
from schemas.filings import Frequency, StatementKind
from schemas.filings_result import FilingsResult, Reported

if TYPE_CHECKING:
    from datetime import date

    from api.services import Services
    from consumers.store.models import CellCorrection
    from schemas.filings_result import CompiledCell, CompiledStatement, DocumentSummary, Restatement

View = Literal["as_reported", "standardised"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which statements.

    Attributes:
        as_of: What was known on that day: reports that came later are left out, and so are corrections.
        frequency, kind: None for all.
    """

    view: View = "as_reported"
    frequency: Frequency | None = None
    kind: StatementKind | None = None
    as_of: date | None = None


async def result_as_of(services: Services, company_id: str, tenant: str, as_of: date | None) -> FilingsResult:
    """The compiled result that holds, or the one that held on a day.

    A correction holds in the past too, where the value that it corrects was printed already.

    Raises:
        Problem: ``no-result``: nothing was compiled so far.
    """
    company = await company_at(services, company_id, tenant)
    if as_of is None:
        kept = await services.store.companies.compiled(company_id, tenant=tenant)
        if kept is None:
            raise _nothing(company_id)
        return FilingsResult.model_validate(kept.payload)
    async with services.store.database.begin() as session:
        documents = await committed_documents(session, company_id, tenant)
        corrections = await standing_corrections(session, company_id, tenant)
    known = [document for document in documents if known_on(document) <= as_of]
    said = {place: one for place, one in corrections.items() if place.period_end <= as_of}
    name = CompanyName(id=company_id, name=company.name or None, ticker=company.ticker or None)
    told = name if name.name or name.ticker else None
    result = await asyncio.to_thread(compile_documents, known, told, None, [], said)
    return result.model_copy(update={"company_id": company_id})


def _nothing(company_id: str) -> Problem:
    return Problem(
        "no-result",
        f"nothing is compiled for company {company_id}; POST /api/v1/tasks/companies/{company_id}/extract reads its "
        "reports",
    )


async def statements_view(services: Services, company_id: str, tenant: str, wanted: Wanted) -> dict[str, Any]:
    """A company's statements with where each value is printed, what was restated, corrected, and is missing."""
    company = await company_at(services, company_id, tenant)
    result = await result_as_of(services, company_id, tenant, wanted.as_of)
    known = {one.sha256: one for one in result.documents}
    shown = _Shown(company_id, known)
    statements = [one for one in result.statements if _is_wanted(one.frequency, one.kind, wanted)]
    restated = [one for one in result.restatements if _is_wanted(one.frequency, one.statement, wanted)]
    corrections = await services.store.corrections.of(company_id, tenant=tenant)
    return {
        "company": company_view(company), "view": wanted.view, "as_of": wanted.as_of,
        "statements": [shown.statement(one, wanted.view) for one in statements],
        "restatements": [shown.restatement(one) for one in restated],
        "corrections": [correction_view(one) for one in corrections],
        "documents": [shown.document(one) for one in result.documents],
        "gaps": [one.model_dump(mode="json") for one in result.missing],
    }  # fmt: skip


def correction_view(row: CellCorrection) -> dict[str, Any]:
    """A correction with its cell, who made it and why."""
    place, said = place_of(row), correction_of(row)
    return {
        "id": said.id, "statement": place.kind, "frequency": place.frequency, "key": place.row_key,
        "period_end": place.period_end, "currency": place.currency or None, "company": place.company or None,
        "value": _number(said.value), "printed": _number(said.printed), "reason": said.reason, "by": said.by,
        "at": said.at, "withdrawn_by": row.withdrawn_by, "withdrawn_at": row.withdrawn_at,
    }  # fmt: skip


def page_link(document_id: str, page: int, box: tuple[float, ...] | None) -> str:
    """Where the image of a page is, with a cell's box drawn."""
    link = f"{API}/documents/{document_id}/pages/{page}.png"
    return f"{link}?box={quote(','.join(f'{edge:g}' for edge in box), safe=',')}" if box else link


@dataclass(frozen=True, slots=True)
class _Shown:
    company_id: str
    known: dict[str, DocumentSummary]

    def document(self, one: DocumentSummary) -> dict[str, Any]:
        kind = one.confirmed or one.provisional
        return {
            "document_id": document_id_of(self.company_id, one.url), "url": one.url, "sha256": one.sha256,
            "company": one.company, "document_type": kind.document_type, "confidence": kind.confidence,
            "fiscal_year": kind.fiscal_year, "period_end": one.period_end, "published_on": one.published_on,
            "page_count": one.page_count, "statements_read": one.statements_read,
            "problems": [problem.model_dump(mode="json") for problem in one.problems],
        }  # fmt: skip

    def statement(self, one: CompiledStatement, view: View) -> dict[str, Any]:
        head = {
            "kind": one.kind, "frequency": one.frequency, "company": one.company, "currency": one.currency,
            "unit_multiplier": one.unit_multiplier, "period_ends": one.period_ends,
            "checks": [check.model_dump(mode="json") for check in one.checks],
        }  # fmt: skip
        if view == "standardised":
            rows: list[dict[str, Any]] = [
                {"concept": row.concept, "label": row.label, "from": row.from_keys, "cells": self._cells(row.cells)}
                for row in standardised(one)
            ]
        else:
            rows = [
                {
                    "key": row.key, "label": row.label, "level": row.level, "section": row.section, "unit": row.unit,
                    "concepts": row.concepts, "flags": row.flags, "cells": self._cells(row.cells),
                }
                for row in one.rows
            ]  # fmt: skip
        return {**head, "rows": rows}

    def restatement(self, one: Restatement) -> dict[str, Any]:
        return {
            "statement": one.statement, "frequency": one.frequency, "company": one.company, "key": one.key,
            "label": one.label, "period_end": one.period_end, "first_reported": self._reported(one.first),
            "changes": [self._reported(change) for change in one.changes],
        }  # fmt: skip

    def _reported(self, one: Reported) -> dict[str, Any]:
        return {
            "value": _number(one.value), "label": one.label, "fiscal_year": one.fiscal_year,
            **self._place(one.sha256, one.page, one.box),
        }  # fmt: skip

    def _cells(self, cells: tuple[CompiledCell | None, ...]) -> list[dict[str, Any] | None]:
        return [self._cell(cell) if cell is not None else None for cell in cells]

    def _cell(self, cell: CompiledCell) -> dict[str, Any]:
        said = cell.correction
        shown: dict[str, Any] = {
            "value": _number(cell.value), "label": cell.label, "restated": cell.restated,
            "corrected": said is not None, **self._place(cell.sha256, cell.page, cell.box),
        }  # fmt: skip
        if said is not None:
            shown["correction"] = {**said.model_dump(mode="json"), "value": _number(said.value)}
        return shown

    def _place(self, sha256: str, page: int, box: tuple[float, float, float, float] | None) -> dict[str, Any]:
        document = self.known.get(sha256)
        document_id = document_id_of(self.company_id, document.url) if document is not None else None
        return {
            "document_id": document_id, "url": document.url if document is not None else None, "sha256": sha256,
            "page": page, "box": box, "image": page_link(document_id, page, box) if document_id and box else None,
        }  # fmt: skip


def _is_wanted(frequency: Frequency, kind: StatementKind, wanted: Wanted) -> bool:
    return wanted.frequency in {None, frequency} and wanted.kind in {None, kind}


def only(result: FilingsResult, wanted: Wanted) -> FilingsResult:
    """A result with the wanted statements and their restatements, for a file."""
    return result.model_copy(
        update={
            "statements": tuple(one for one in result.statements if _is_wanted(one.frequency, one.kind, wanted)),
            "restatements": tuple(
                one for one in result.restatements if _is_wanted(one.frequency, one.statement, wanted)
            ),
        }
    )


def _number(value: Any) -> int | float | None:
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)
