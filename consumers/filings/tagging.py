"""Printed statements and the tags on them: each proves the other."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from consumers.filings.concepts import by_element
from consumers.filings.find_pages import Candidate
from schemas.filings import STATEMENT_KINDS, Cell, Period, Row, Statement, StatementKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from consumers.filings.facts import Fact

_OPENS: Final[dict[StatementKind, frozenset[str]]] = {
    "balance_sheet": frozenset({"Assets"}),
    "income_statement": frozenset({"ProfitLoss", "NetIncomeLoss", "NetIncomeLossAvailableToCommonStockholdersBasic"}),
    "cash_flow": frozenset(
        {
            "NetCashProvidedByUsedInOperatingActivities",
            "CashFlowsFromUsedInOperatingActivities",
            "NetCashProvidedByUsedInOperatingActivitiesContinuingOperations",
        }
    ),
}
_CLOSES: Final[dict[StatementKind, frozenset[str]]] = {
    "balance_sheet": frozenset({"LiabilitiesAndStockholdersEquity", "EquityAndLiabilities"}),
    "income_statement": frozenset(
        {"IncomeTaxExpenseBenefit", "IncomeTaxExpenseContinuingOperations", "EarningsPerShareBasic"}
    ),
    "cash_flow": frozenset(
        {
            "NetCashProvidedByUsedInFinancingActivities",
            "CashFlowsFromUsedInFinancingActivities",
            "NetCashProvidedByUsedInFinancingActivitiesContinuingOperations",
        }
    ),
}
_MOST_TABLES: Final = 4
_FEWEST_FACTS: Final = 10
_MONTH_DAYS: Final = 30.44
_SURE: Final = 100.0


@dataclass(slots=True)
class Marks:
    """The facts of each laid-out cell: by table and line, with the left and right edge of the cell."""

    cells: dict[tuple[int, float], list[tuple[float, float, tuple[Fact, ...]]]] = field(default_factory=dict)

    def add(self, table: int, y: float, left: float, right: float, facts: tuple[Fact, ...]) -> None:
        """Remember the facts of a cell."""
        self.cells.setdefault((table, round(y, 1)), []).append((left, right, facts))

    def at(self, cell: Cell) -> tuple[Fact, ...]:
        """The facts that a cell prints."""
        if cell.box is None:
            return ()
        near = self.cells.get((cell.page, round(cell.box[1], 1)), [])
        over = [
            (abs(right - cell.box[2]), facts) for left, right, facts in near if left - 1 <= cell.box[2] <= right + 40
        ]
        return min(over, key=lambda each: each[0])[1] if over else ()


def tagged_tables(tables: Sequence[Sequence[Fact]], titles: Sequence[str]) -> dict[StatementKind, Candidate]:
    """The tables that carry each statement, by the elements that only this statement has.

    Args:
        tables: The facts without dimensions of each table.
        titles: What stands above each.

    Returns:
        Candidates with table numbers, from 1, as pages.
    """
    chosen: dict[StatementKind, Candidate] = {}
    names = [{fact.local for fact in facts} for facts in tables]
    for kind in STATEMENT_KINDS:
        best: tuple[int, tuple[int, ...]] | None = None
        for start, found in enumerate(names):
            if not _OPENS[kind] & found:
                continue
            run = _run(kind, names, start)
            count = sum(len(tables[index]) for index in run)
            if run and count >= _FEWEST_FACTS and (best is None or count > best[0]):
                best = (count, run)
        if best is not None:
            pages = tuple(index + 1 for index in best[1])
            chosen[kind] = Candidate(kind, pages, _SURE, titles[best[1][0]])
    return chosen


def _run(kind: StatementKind, names: Sequence[set[str]], start: int) -> tuple[int, ...]:
    for end in range(start, min(start + _MOST_TABLES, len(names))):
        if _CLOSES[kind] & names[end]:
            return tuple(index for index in range(start, end + 1) if names[index])
    return ()


def with_tags(statement: Statement, marks: Marks) -> Statement:
    """Put the tags on the cells they belong to, and take the periods from them.

    A cell whose tag says another amount than is printed is flagged.
    """
    facts = [[marks.at(cell) if cell is not None else () for cell in row.cells] for row in statement.rows]
    rows = tuple(
        row.model_copy(
            update={"cells": tuple(_tagged(c, f, row, statement) for c, f in zip(row.cells, each, strict=True))}
        )
        for row, each in zip(statement.rows, facts, strict=True)
    )
    periods = tuple(
        _period(period, [f for each in facts for f in each[column] if not f.has_dimensions], statement.kind)
        for column, period in enumerate(statement.periods)
    )
    return statement.model_copy(update={"rows": rows, "periods": periods})


def _tagged(cell: Cell | None, facts: tuple[Fact, ...], row: Row, statement: Statement) -> Cell | None:
    whole = [fact for fact in facts if not fact.has_dimensions]
    if cell is None or not whole:
        return cell
    known = by_element()[statement.kind]
    fact = next((each for each in whole if each.local in known), whole[0])
    printed = cell.value * (statement.unit_multiplier if row.unit == "amount" else 1)
    flags = cell.flags
    if not _same_digits(printed, fact.value):
        flags = (*flags, f"its tag {fact.name} says {fact.value:,f}, {cell.text!r} is printed")
    return cell.model_copy(update={"tag": fact.name, "flags": flags, "tag_value": fact.value})


def _same_digits(printed: Decimal, tagged: Decimal) -> bool:
    """Whether two amounts are the same but for their sign and for the thousands that a column is counted in."""
    one, other = abs(printed), abs(tagged)
    return one == other or (bool(one) and bool(other) and _bare(one) == _bare(other))


def _bare(value: Decimal) -> tuple[int, ...]:
    return value.normalize().as_tuple().digits


def _period(period: Period, facts: Iterable[Fact], kind: StatementKind) -> Period:
    spans = Counter((fact.start, fact.end) for fact in facts if kind == "balance_sheet" or fact.start is not None)
    if not spans:
        return period
    (start, end), _ = spans.most_common(1)[0]
    months = round(((end - start).days + 1) / _MONTH_DAYS) if start is not None else None
    return period.model_copy(update={"end": end, "months": months if kind != "balance_sheet" else None})


def from_facts(facts: Sequence[Fact]) -> tuple[Statement, ...]:
    """Statements from the tags alone, for a report that is laid out without tables: the lines that are concepts."""
    return tuple(statement for kind in STATEMENT_KINDS if (statement := _of_facts(kind, facts)) is not None)


def _of_facts(kind: StatementKind, facts: Sequence[Fact]) -> Statement | None:
    known = by_element()[kind]
    lines: dict[str, dict[tuple[date | None, date], Decimal]] = {}
    for fact in facts:
        if fact.local in known and (fact.start is None) == (kind == "balance_sheet"):
            lines.setdefault(fact.name, {}).setdefault((fact.start, fact.end), fact.value)
    spans = Counter(span for line in lines.values() for span in line)
    most = max(spans.values(), default=0)
    columns = sorted((s for s, n in spans.items() if n * 2 > most), key=lambda s: s[1], reverse=True)
    if not any(name.rpartition(":")[2] in _OPENS[kind] for name in lines) or not columns:
        return None
    periods = tuple(
        Period(end=end, months=round(((end - start).days + 1) / _MONTH_DAYS) if start else None)
        for start, end in columns
    )
    rows = tuple(
        Row(
            label=re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.rpartition(":")[2]),
            unit="per_share" if "PerShare" in name else "shares" if "NumberOf" in name else "amount",
            cells=tuple(_cell(name, values.get(span)) for span in columns),
        )
        for name, values in lines.items()
        if any(span in values for span in columns)
    )
    flag = "laid out without tables: read from its tags alone, one line a standard concept"
    return Statement(kind=kind, title=kind.replace("_", " "), pages=(1,), periods=periods, rows=rows, flags=(flag,))


def _cell(name: str, value: Decimal | None) -> Cell | None:
    if value is None:
        return None
    return Cell(value=value, text=f"{value:,f}", page=1, tag=name, tag_value=value)


def currency_of(units: Mapping[str, str]) -> str | None:
    """The ISO 4217 code that most money units name."""
    codes = Counter(measure.rpartition(":")[2] for measure in units.values() if "iso4217" in measure.lower())
    return codes.most_common(1)[0][0] if codes else None
