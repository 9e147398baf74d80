"""A person's corrections for routes and commands: made on a cell that is there, withdrawn, and compiled in at once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import Field

from api.problems import Problem
from api.statements import correction_view, result_as_of
from consumers.filings.corrections import CellPlace, cell_at
from consumers.filings.match_rows import normalised
from schemas.filings import Frequency, StatementKind
from schemas.jobs import Asked

if TYPE_CHECKING:
    from api.services import Services
    from schemas.filings_result import CompiledStatement, FilingsResult


class CorrectionBody(Asked):
    """A correction of one cell.

    Attributes:
        statement, frequency, currency, company: Which statement; the last two only where they tell two apart.
        key: Of the line, as the statements show it; its label will do when it is the only one.
        value: What should hold, in the statement's unit.
        reason: Why; shown wherever the value is.
    """

    statement: StatementKind
    key: str = Field(min_length=1, max_length=500)
    period_end: date
    value: Decimal = Field(max_digits=30, decimal_places=6)
    reason: str = Field(min_length=3, max_length=1_000)
    frequency: Frequency = "annual"
    currency: str | None = Field(default=None, max_length=10)
    company: str | None = Field(default=None, max_length=200)


async def correct(services: Services, company_id: str, tenant: str, asked: CorrectionBody, by: str) -> dict[str, Any]:
    """Keep a correction; one that was made of the same cell before is withdrawn.

    Raises:
        Problem: ``no-result``: nothing is compiled; ``invalid-request``: there is no such cell, or several.
    """
    result = await result_as_of(services, company_id, tenant, None)
    place = _place(result, asked)
    found = cell_at(result, place)
    cell = found[1] if found is not None else None
    printed = cell.value if cell is not None else None
    if cell is not None and cell.correction is not None:
        printed = cell.correction.printed
    made = await services.store.corrections.put(
        company_id, place, asked.value, printed=printed, reason=asked.reason, made_by=by, tenant=tenant
    )
    return correction_view(made)


async def withdraw(services: Services, company_id: str, tenant: str, correction_id: str, by: str) -> None:
    """Let what is printed hold again.

    Raises:
        Problem: ``not-found``.
    """
    if not await services.store.corrections.withdraw(company_id, correction_id, withdrawn_by=by, tenant=tenant):
        raise Problem(
            "not-found",
            f"company {company_id} has no correction {correction_id[:60]!r} that holds; GET "
            f"/api/v1/companies/{company_id}/corrections lists them",
        )


def _place(result: FilingsResult, asked: CorrectionBody) -> CellPlace:
    statements = [
        one
        for one in result.statements
        if (one.kind, one.frequency) == (asked.statement, asked.frequency)
        and asked.currency in {None, one.currency}
        and asked.company in {None, one.company}
        and asked.period_end in one.period_ends
    ]
    found = [(one, key) for one in statements for key in _keys(one, asked.key)]
    if not found:
        raise _wrong(
            "key" if statements else "period_end",
            f"no {asked.frequency} {asked.statement} has the line {asked.key!r} and the period {asked.period_end}",
        )
    if len(found) > 1:
        told = ", ".join(f"{key!r} ({one.currency or 'no currency'}, {one.company or 'company'})" for one, key in found)
        raise _wrong("key", f"several lines fit: {told}; say which by key, currency and company")
    statement, key = found[0]
    return CellPlace(
        statement.kind, key, asked.period_end, statement.frequency, statement.currency or "", statement.company or ""
    )


def _keys(statement: CompiledStatement, told: str) -> list[str]:
    exact = [row.key for row in statement.rows if row.key == told]
    return exact or [row.key for row in statement.rows if normalised(row.label) == normalised(told) != ""]


def _wrong(field: str, detail: str) -> Problem:
    return Problem(
        "invalid-request", f"the correction does not fit: {detail}",
        errors=[{"field": field, "pointer": f"#/{field}", "detail": detail}],
    )  # fmt: skip
