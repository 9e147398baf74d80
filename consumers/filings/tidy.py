"""A result as one tidy table: a line a value, with where it is printed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumers.filings.standard import signed
from schemas.filings import Box, Frequency, RowUnit, StatementKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from decimal import Decimal

    from schemas.filings_result import FilingsResult


@dataclass(frozen=True, slots=True)
class TidyValue:
    """One value.

    Attributes:
        value: What holds, in units of `unit_multiplier`, which is 1 for what is no amount.
        printed_value: What the document prints, when a person corrected it; else as `value`.
        printed_label: How the line is called in the document that holds.
        document: Its address.
        corrected_by, correction: Who corrected it, and why; "" when nobody did.
        concept: The standard concept that the line is closest to; "" when it matches none.
        standard_value: The value with the sign of the published convention.
    """

    company: str
    statement: StatementKind
    frequency: Frequency
    section: str
    label: str
    key: str
    level: int
    period_end: date
    value: Decimal
    unit: RowUnit
    currency: str
    unit_multiplier: int
    restated: bool
    document: str
    page: int
    sha256: str
    printed_label: str
    box: Box | None
    printed_value: Decimal | None
    corrected_by: str
    correction: str
    concept: str
    standard_value: Decimal


def tidy(result: FilingsResult) -> Iterator[TidyValue]:
    """Every value of a result, statement by statement and line by line, newest period first."""
    urls = {document.sha256: document.url for document in result.documents}
    whose = result.company.name or result.company.ticker or ""
    for statement in result.statements:
        for row in statement.rows:
            for end, cell in zip(statement.period_ends, row.cells, strict=True):
                if cell is None:
                    continue
                said = cell.correction
                yield TidyValue(
                    company=statement.company or whose, statement=statement.kind, frequency=statement.frequency,
                    section=row.section, label=row.label, key=row.key, level=row.level, period_end=end,
                    value=cell.value, unit=row.unit, currency=statement.currency or "",
                    unit_multiplier=statement.unit_multiplier if row.unit == "amount" else 1,
                    restated=cell.restated, document=urls.get(cell.sha256, ""), page=cell.page, sha256=cell.sha256,
                    printed_label=cell.label, box=cell.box, printed_value=said.printed if said else cell.value,
                    corrected_by=said.by if said else "", correction=said.reason if said else "",
                    concept=row.concepts[0] if row.concepts else "", standard_value=signed(cell, row),
                )  # fmt: skip
