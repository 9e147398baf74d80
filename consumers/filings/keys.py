"""The key values of a document: what its statements say by standard concept."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from consumers.filings.concepts import concepts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from consumers.filings.facts import Fact
    from schemas.filings import Statement, StatementKind

_YEAR_DAYS = range(350, 381)


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A value by concept.

    Attributes:
        printed: With the sign as printed, in units of `unit_multiplier`.
        standard: The same with the sign of the published convention.
        start: First day of the period; None for a balance or when the length is not known.
        page: Where it is printed; None for a fact that no statement prints.
    """

    statement: StatementKind
    concept: str
    label: str
    end: date
    start: date | None
    printed: Decimal
    standard: Decimal
    unit_multiplier: int
    page: int | None
    confidence: float | None

    @property
    def duration(self) -> str:
        """The period as "start/end", the end alone for a balance."""
        return f"{self.start.isoformat()}/{self.end.isoformat()}" if self.start else self.end.isoformat()


def keys_of(statements: Iterable[Statement], facts: Iterable[Fact] = ()) -> list[KeyValue]:
    """The key values that a document's statements print, and those its tags add for other years.

    Args:
        facts: The document's facts without dimensions.
    """
    statements = tuple(statements)
    keys = [key for statement in statements for key in _printed(statement)]
    return [*keys, *_tagged(statements, facts, {(key.statement, key.concept, key.duration) for key in keys})]


def _printed(statement: Statement) -> Iterator[KeyValue]:
    for row in statement.rows:
        multiplier = statement.unit_multiplier if row.unit == "amount" else 1
        for period, cell in zip(statement.periods, row.cells, strict=True):
            if cell is None:
                continue
            start = (
                first_day(period.end, period.months) if period.months and statement.kind != "balance_sheet" else None
            )
            for concept in row.concepts:
                yield KeyValue(
                    statement.kind, concept, row.label, period.end, start, cell.value, cell.value * row.standard_sign,
                    multiplier, cell.page, cell.confidence,
                )  # fmt: skip


def first_day(end: date, months: int) -> date:
    """The first day of a period of whole months that ends on a day."""
    month = end.month - months
    year, month = end.year + (month - 1) // 12, (month - 1) % 12 + 1
    last = calendar.monthrange(year, month)[1]
    ends_month = end.day == calendar.monthrange(end.year, end.month)[1]
    return date(year, month, last if ends_month else min(end.day, last)) + timedelta(days=1)


def _tagged(
    statements: Iterable[Statement], facts: Iterable[Fact], known: set[tuple[StatementKind, str, str]]
) -> Iterator[KeyValue]:
    """What only the tags tell: other periods of what a statement prints, and concepts that only the notes print."""
    meanings = _meanings(statements, {concept for _, concept, _ in known})
    known_ends = {(kind, concept, date.fromisoformat(when[-10:])) for kind, concept, when in known}
    for fact in facts:
        if fact.start is not None and (fact.end - fact.start).days + 1 not in _YEAR_DAYS:
            continue
        for kind, concept, label in (*meanings.get(fact.name, ()), *meanings.get(fact.local, ())):
            if (kind, concept, fact.end) not in known_ends:
                yield KeyValue(kind, concept, label, fact.end, fact.start, fact.value, fact.value, 1, None, None)


def _meanings(statements: Iterable[Statement], printed: set[str]) -> dict[str, list[tuple[StatementKind, str, str]]]:
    """Elements with the concept and the label they stand for: as printed, else the surest element of a concept."""
    meanings: dict[str, list[tuple[StatementKind, str, str]]] = {}
    for statement in statements:
        for row in statement.rows:
            tags = {cell.tag for cell in row.cells if cell is not None and cell.tag is not None}
            for tag in tags:
                for concept in row.concepts:
                    meanings.setdefault(tag, []).append((statement.kind, concept, row.label))
    for line in concepts():
        if line.id not in printed and line.template == "general" and line.xbrl:
            meanings.setdefault(line.xbrl[0], []).append((line.statement, line.id, line.xbrl[0]))
    return meanings
