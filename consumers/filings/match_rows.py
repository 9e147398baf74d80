"""Which rows of successive filings are the same line.

By normalised label; where a filing prints a label twice, by section and label. A label that changed between two
filings is followed when it is the same standard concept, or when the values of the years both print are the same, and
flagged. Nothing is guessed beyond.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from schemas.filings import ExtractedDocument, Row, Statement
from schemas.filings_result import Reported

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

_NOTE: Final = re.compile(r"\((?:see )?notes? [^)]*\)|\bnotes? \d+\b", re.IGNORECASE)
_BRACKETS: Final = re.compile(r"\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Filed:
    """A statement and the document that prints it."""

    document: ExtractedDocument
    statement: Statement


@dataclass(frozen=True, slots=True)
class Told:
    """A value as one filing prints it, and the size of its last printed digit in the compiled unit."""

    reported: Reported
    precision: Decimal

    def differs(self, other: Told) -> bool:
        """Whether the two are not the same amount, rounded differently."""
        gap = abs(self.reported.value - other.reported.value)
        return gap > max(self.precision, other.precision) / 2


@dataclass(slots=True)
class Line:
    """One line over the filings. `row` is its latest print; `values` are oldest filing first."""

    key: str
    row: Row
    values: dict[date, list[Told]] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)


def normalised(label: str) -> str:
    """A label without case, accents, notes, brackets and punctuation: "Net income (loss)" -> "net income"."""
    text = unicodedata.normalize("NFKD", _NOTE.sub(" ", label)).casefold()
    text = "".join(char for char in text if not unicodedata.combining(char)).replace("&", " and ").replace("/", " ")
    bare = _BRACKETS.sub(" ", text)
    words = re.findall(r"[^\W_]+", bare.replace("'", "").replace("\u2019", "")) or re.findall(r"[^\W_]+", text)
    return " ".join(words)


def lines_over_filings(filed: Sequence[Filed], unit_multiplier: int) -> list[Line]:
    """Match the rows of filings given oldest first, in the order the latest one prints them.

    Args:
        filed: The statement as each filing prints it, oldest first.
        unit_multiplier: What amounts are expressed in; filings in other units are converted.
    """
    twice = _labels_printed_twice(filed)
    lines: dict[str, Line] = {}
    order: list[str] = []
    for each in filed:
        keyed = _keyed(each.statement, twice)
        renamed = _renamed(lines, keyed, each, unit_multiplier)
        printed: list[str] = []
        for key, row, doubtful in keyed:
            same = renamed.get(key, key)
            line = lines.get(same)
            if line is None:
                line = lines[same] = Line(same, row)
            elif same != key:
                line.flags.append(f"earlier printed as {line.row.label!r}, matched by its values or concept")
            line.row = row
            if doubtful:
                line.flags.append(doubtful)
            _add(line, each, row, unit_multiplier)
            printed.append(same)
        order = _merged(order, printed)
    return [lines[key] for key in order]


def _labels_printed_twice(filed: Sequence[Filed]) -> set[str]:
    twice: set[str] = set()
    for each in filed:
        counts = Counter(normalised(row.label) for row in each.statement.rows)
        twice |= {label for label, count in counts.items() if count > 1 or not label}
    return twice


def _keyed(statement: Statement, twice: set[str]) -> list[tuple[str, Row, str]]:
    """Each row with its key, and why the key is doubtful, "" when it is not."""
    counts: Counter[str] = Counter()
    keyed = []
    for row in statement.rows:
        key = normalised(row.label)
        if key in twice:
            key = f"{normalised(row.section)} / {key or 'subtotal'}".removeprefix(" / ")
        counts[key] += 1
        doubtful = ""
        if counts[key] > 1:
            doubtful = (
                f"{row.label or 'an unlabelled subtotal'!r} is printed {counts[key]} times here; told apart by order"
            )
            key = f"{key} #{counts[key]}"
        keyed.append((key, row, doubtful))
    return keyed


def _renamed(
    lines: dict[str, Line], keyed: Sequence[tuple[str, Row, str]], each: Filed, unit_multiplier: int
) -> dict[str, str]:
    """New labels that stand for a line already known: the values both filings print agree, and only once."""
    present = {key for key, _, _ in keyed}
    orphans = {key: line for key, line in lines.items() if key not in present}
    renamed: dict[str, str] = {}
    for key, row, _ in keyed:
        if key in lines:
            continue
        values = _values(each.statement, row, unit_multiplier)
        by_concept = _of_concept(row, keyed, orphans)
        if by_concept is not None:
            renamed[key] = by_concept
            del orphans[by_concept]
            continue
        same = [old for old, line in orphans.items() if _agree(line, values) and line.row.unit == row.unit]
        alike = [k for k, r, _ in keyed if k not in lines and _values(each.statement, r, unit_multiplier) == values]
        if len(same) == 1 and len(alike) == 1:
            renamed[key] = same[0]
            del orphans[same[0]]
    return renamed


def _of_concept(row: Row, keyed: Sequence[tuple[str, Row, str]], orphans: dict[str, Line]) -> str | None:
    """The known line that is the same standard concept, when each filing prints it once."""
    if not row.concepts:
        return None
    same = [key for key, line in orphans.items() if line.row.concepts[:1] == row.concepts[:1]]
    printed = [other for _, other, _ in keyed if other.concepts[:1] == row.concepts[:1]]
    return same[0] if len(same) == 1 and len(printed) == 1 else None


def _agree(line: Line, values: dict[date, Decimal]) -> bool:
    both = [(told[-1].reported.value, values[end]) for end, told in line.values.items() if end in values]
    return any(old for old, _ in both) and all(old == new for old, new in both)


def _values(statement: Statement, row: Row, unit_multiplier: int) -> dict[date, Decimal]:
    factor = _factor(statement, row, unit_multiplier)
    return {
        period.end: _scaled(cell.value, factor)
        for period, cell in zip(statement.periods, row.cells, strict=True)
        if cell is not None
    }


def _factor(statement: Statement, row: Row, unit_multiplier: int) -> Decimal:
    if row.unit != "amount":
        return Decimal(1)
    return Decimal(statement.unit_multiplier) / Decimal(unit_multiplier)


def _scaled(value: Decimal, factor: Decimal) -> Decimal:
    product = value * factor
    return product.quantize(Decimal(1)) if product == product.to_integral_value() else product


def _add(line: Line, each: Filed, row: Row, unit_multiplier: int) -> None:
    factor = _factor(each.statement, row, unit_multiplier)
    for period, cell in zip(each.statement.periods, row.cells, strict=True):
        if cell is None:
            continue
        reported = Reported(
            value=_scaled(cell.value, factor),
            sha256=each.document.sha256,
            page=cell.page,
            label=row.label,
            box=cell.box,
            fiscal_year=each.document.classification.fiscal_year,
        )
        line.values.setdefault(period.end, []).append(Told(reported, _precision(cell.value) * factor))


def _precision(value: Decimal) -> Decimal:
    """The size of the last digit; 0 for a zero, which a dash prints exactly."""
    exponent = value.as_tuple().exponent
    return Decimal(1).scaleb(min(exponent, 0)) if value and isinstance(exponent, int) else Decimal(0)


def _merged(order: list[str], printed: list[str]) -> list[str]:
    """The newer print's order, with lines that only older filings have after the line they followed."""
    merged = list(printed)
    have = set(printed)
    for index, key in enumerate(order):
        if key in have:
            continue
        before = next((k for k in reversed(order[:index]) if k in have), None)
        merged.insert(merged.index(before) + 1 if before is not None else 0, key)
        have.add(key)
    return merged
