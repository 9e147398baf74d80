"""What a language model says of a statement: its shape, its check against the page, and how it is reconciled. Pure.

Nothing is believed that is not printed on the page. What the deterministic reader read stands; the model adds
statements that it did not find, and casts doubt where the two differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, Field

from consumers.filings.match_rows import normalised
from consumers.filings.numbers import is_dash, read_amount, strip_currency, uses_decimal_comma
from schemas.filings import Cell, Period, Row, Statement, StatementKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.filings.excerpts import PageText

READ_BY_MODEL: Final = "read by a language model; each of its values is printed on the page"

INSTRUCTIONS: Final = """\
You copy one financial statement from the pages of a company's report: the consolidated {kind}.
Copy every line in printed order, with its label as printed and one value for each column, exactly as printed: with
its separators, parentheses, minus signs and dashes, without currency signs. A blank cell is null. Leave out columns of
notes, of percentages and of changes. Give for each column the last day of its period and, but for a balance sheet, its
length in months. Give the currency as ISO 4217 and the unit (1000000 for "in millions"). Invent nothing, compute
nothing. If the statement is not on these pages answer with no rows."""

_NUMBER: Final = re.compile(r"\d[\d.,'\u2019\u00a0\u202f ]*")
_SEPARATORS: Final = re.compile(r"[.,'\u2019\u00a0\u202f\s]")
_ROWS: Final = 400
_COLUMNS: Final = 12
_LEAST_ROWS: Final = 4
_WRAPPED: Final = 2
"""Lines below a label on which its values may stand."""
_STEM: Final = 8
_MOST_FLAGS: Final = 20


class ModelColumn(BaseModel):
    """A column."""

    period_end: date
    months: int | None = Field(default=None, ge=1, le=24)


class ModelRow(BaseModel):
    """A line; `values` stand under the columns, as printed."""

    label: str = Field(max_length=300)
    values: list[str | None] = Field(max_length=_COLUMNS)


class ModelStatement(BaseModel):
    """The answer."""

    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$")
    unit_multiplier: int = Field(default=1, ge=1, le=1_000_000_000)
    columns: list[ModelColumn] = Field(default_factory=list, max_length=_COLUMNS)
    rows: list[ModelRow] = Field(default_factory=list, max_length=_ROWS)


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer's values that are printed.

    Attributes:
        statement: None when too little is left.
        rejected: Values that are not printed, as said, with their lines.
    """

    statement: Statement | None
    rejected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Printed:
    """A page's lines and the digits of all its numbers."""

    page: int
    lines: tuple[tuple[str, frozenset[str]], ...]

    @classmethod
    def of(cls, page: PageText) -> _Printed:
        lines = [line for line in page.text.splitlines() if line.strip()]
        return cls(page.page, tuple((normalised(line), _digits_in(line)) for line in lines))


def checked(kind: StatementKind, said: ModelStatement, pages: Sequence[PageText]) -> Checked:
    """Keep what the pages print.

    A value must stand on the line of its label, or on one of the two that follow, since labels wrap; a line whose label
    is not there is rejected as a whole.
    """
    printed = [_Printed.of(page) for page in pages]
    comma = uses_decimal_comma("\n".join(page.text for page in pages))
    rows, rejected = [], []
    for row in said.rows:
        values = [*row.values, *([None] * len(said.columns))][: len(said.columns)]
        cells = []
        for value in values:
            cell = _cell(row.label, value, printed, decimal_comma=comma) if value is not None else None
            if value is not None and value.strip() and cell is None:
                rejected.append(f"{row.label}: {value}"[:120])
            cells.append(cell)
        if any(cell is not None for cell in cells):
            rows.append(Row(label=" ".join(row.label.split())[:300], cells=tuple(cells)))
    ends = [column.period_end for column in said.columns]
    if len(rows) < _LEAST_ROWS or len(set(ends)) != len(ends):
        return Checked(None, tuple(rejected))
    statement = Statement(
        kind=kind,
        currency=said.currency,
        unit_multiplier=said.unit_multiplier,
        pages=tuple(sorted({cell.page for row in rows for cell in row.cells if cell is not None})),
        periods=tuple(
            Period(end=column.period_end, months=None if kind == "balance_sheet" else column.months)
            for column in said.columns
        ),
        rows=tuple(rows),
        flags=(READ_BY_MODEL,),
    )
    return Checked(statement, tuple(rejected))


def _cell(label: str, value: str, pages: Sequence[_Printed], *, decimal_comma: bool) -> Cell | None:
    amount = read_amount(value, decimal_comma=decimal_comma)
    if amount is None:
        return None
    digits = _SEPARATORS.sub("", strip_currency(value).strip("()-+\u2212 *\u2020\u2021"))
    wanted, words = normalised(label), ""
    if not wanted:
        return None
    for page in pages:
        for at, (words, numbers) in enumerate(page.lines):
            if not _same_label(wanted, words):
                continue
            near = numbers.union(*(numbers_of for _, numbers_of in page.lines[at + 1 : at + 1 + _WRAPPED]))
            if is_dash(value) or digits in near:
                return Cell(value=amount, text=value.strip()[:60], page=page.page)
    return None


def _same_label(wanted: str, line: str) -> bool:
    """Whether a line begins with a label, or is the beginning of one that wraps."""
    words = re.sub(r"[\d\s]+$", "", line).strip()
    return bool(words) and (f"{line} ".startswith(f"{wanted} ") or (len(words) >= _STEM and wanted.startswith(words)))


def _digits_in(line: str) -> frozenset[str]:
    """The digits of a line's numbers, without separators; of numbers that a space joins, each for itself too."""
    found: set[str] = set()
    for match in _NUMBER.finditer(line):
        whole = match[0].strip()
        found.add(_SEPARATORS.sub("", whole))
        parts = whole.split()
        for first in range(len(parts)):
            for last in range(first + 1, min(len(parts), first + 5) + 1):
                found.add(_SEPARATORS.sub("", "".join(parts[first:last])))
    return frozenset(found)


def reconciled(read: Sequence[Statement], added: Sequence[Statement]) -> tuple[Statement, ...]:
    """What was read, and what the model adds to it.

    A statement that was not read is taken over, and says so. Of one that was, the values stand as they were read;
    where the model reads another printed value for the same line and period, a flag says so.
    """
    have = {statement.kind for statement in read}
    asked = {statement.kind: statement for statement in added}
    kept = [_doubted(one, asked[one.kind]) if one.kind in asked else one for one in read]
    return (*kept, *(statement for statement in added if statement.kind not in have))


def _doubted(read: Statement, said: Statement) -> Statement:
    if read.unit_multiplier != said.unit_multiplier:
        unit = f"a language model reads its unit as {said.unit_multiplier:,}, not {read.unit_multiplier:,}"
        return read.model_copy(update={"flags": (*read.flags, unit)})
    told: dict[tuple[str, date], set[str]] = {}
    for row in said.rows:
        for period, cell in zip(said.periods, row.cells, strict=True):
            if cell is not None:
                told.setdefault((normalised(row.label), period.end), set()).add(f"{cell.value:,}")
    flags = []
    for row in read.rows:
        for period, cell in zip(read.periods, row.cells, strict=True):
            other = told.get((normalised(row.label), period.end))
            if cell is not None and other is not None and f"{cell.value:,}" not in other:
                said_so = " or ".join(sorted(other))
                flags.append(f"{row.label}, {period.end}: read as {cell.value:,}, by a language model as {said_so}")
    return read.model_copy(update={"flags": (*read.flags, *flags[:_MOST_FLAGS])})
