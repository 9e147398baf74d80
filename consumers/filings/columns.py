"""The columns of a printed table: where its amounts end, and which period end stands above each."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from consumers.filings.numbers import CURRENCY_SIGNS, is_dash, read_amount
from consumers.filings.pdf import Line, Word
from consumers.filings.periods import Mention, mentions, months_in, to_date
from schemas.filings import Period

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from decimal import Decimal

_EDGE_GAP: Final = 6.0
_MIN_MEMBERS: Final = 3
_HEADER_SLACK: Final = 22.0
_CELL_SLACK: Final = 14.0
_JOIN_GAP: Final = 0.6
_CHUNK_GAP: Final = 1.2
_MARK: Final = re.compile(
    r"^(?:[$£€¥₹%*†‡)|p]|%\)|" + "|".join(map(re.escape, CURRENCY_SIGNS)) + r"|pts?|bps?|n/?[ma]|nm)$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Amount:
    """A printed amount; `edge` is where its last digit ends."""

    value: Decimal
    text: str
    x0: float
    x1: float
    y0: float
    y1: float
    edge: float
    is_dash: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column of amounts, and its period when the header names one."""

    edge: float
    x0: float
    x1: float
    period: Period | None = None

    def distance(self, amount: Amount) -> float:
        """How far an amount is from standing in this column, in points."""
        if amount.is_dash:
            return max(self.x0 - amount.x1, amount.x0 - self.x1, 0.0)
        return abs(amount.edge - self.edge)


@dataclass(frozen=True, slots=True)
class Header:
    """The columns that have a period, left to right, and the lines of the header: those before `body`."""

    columns: tuple[Column, ...]
    unnamed: tuple[Column, ...]
    body: int
    flags: tuple[str, ...]


def amounts_at_end(line: Line, *, decimal_comma: bool) -> tuple[tuple[Word, ...], tuple[Amount, ...]]:
    """Split a line into its label words and the run of amounts at its end.

    A number with words after it belongs to the label.
    """
    words = _join_parts(line.words)
    amounts: list[Amount] = []
    cut = len(words)
    for index in range(len(words) - 1, -1, -1):
        word = words[index]
        value = read_amount(word.text, decimal_comma=decimal_comma)
        if value is not None:
            amounts.append(_amount(word, value))
        elif not _MARK.match(word.text) and not re.match(r"^[(+-]{0,2}[\d.,]+\)?%\)?$", word.text):
            break
        if value is not None or not word.text.isalpha():
            cut = index
    return tuple(words[:cut]), tuple(reversed(amounts))


def _amount(word: Word, value: Decimal) -> Amount:
    tail = len(word.text) - len(re.sub(r"[^\d]+$", "", word.text))
    dash = is_dash(word.text)
    edge = word.x1 if dash else word.x1 - tail * (word.x1 - word.x0) / len(word.text)
    return Amount(value, word.text, word.x0, word.x1, word.y0, word.y1, edge, dash)


def _join_parts(words: Sequence[Word]) -> list[Word]:
    """Put together what stands close: "(" and "1,234", "1,234" and ")", "1" and "234" of "1 234"."""
    joined: list[Word] = []
    for word in words:
        last = joined[-1] if joined else None
        if (
            last is not None
            and word.x0 - last.x1 < _JOIN_GAP * max(word.height, 1.0)
            and _belongs(last.text, word.text)
        ):
            spaced = word.text[0].isdigit() and last.text[-1].isdigit()
            text = f"{last.text}\u00a0{word.text}" if spaced else last.text + word.text
            joined[-1] = Word(text, last.x0, min(last.y0, word.y0), word.x1, max(last.y1, word.y1))
        else:
            joined.append(word)
    return joined


def _belongs(left: str, right: str) -> bool:
    if left in ("(", "-", "($", "(£", "(€") and re.match(r"^[$£€]?\d", right):
        return True
    if right in (")", ")%") and re.match(r"^\([\d.,$£€\u00a0]+$", left):
        return True
    return bool(
        re.match(r"^[(\-\u2013\u2212+]{0,2}[1-9]\d{0,2}(?:\u00a0\d{3})*$", left)
        and re.match(r"^\d{3}(?:[.,]\d{1,2})?\)?$", right)
    )


def find_columns(rows: Sequence[Sequence[Amount]]) -> list[Column]:
    """Cluster amounts by where their digits end; a column has at least 3 of them."""
    amounts = sorted((a for row in rows for a in row if not a.is_dash), key=lambda a: a.edge)
    groups: list[list[Amount]] = []
    for amount in amounts:
        if groups and amount.edge - groups[-1][-1].edge <= _EDGE_GAP:
            groups[-1].append(amount)
        else:
            groups.append([amount])
    return [
        Column(statistics.median(a.edge for a in group), min(a.x0 for a in group), max(a.x1 for a in group))
        for group in groups
        if len(group) >= _MIN_MEMBERS
    ]


@dataclass(frozen=True, slots=True)
class _Placed:
    mention: Mention
    x0: float
    x1: float
    text: str

    def gap(self, column: Column) -> float:
        return max(column.x0 - self.x1, self.x0 - column.x1, 0.0)


def _placed(line: Line) -> list[_Placed]:
    """The dates of a line with their places; a date does not reach over the gap between two columns."""
    found = []
    for words in _chunks(line):
        text = " ".join(word.text for word in words)
        for mention in mentions(text):
            start = 0
            within = []
            for word in words:
                end = start + len(word.text)
                if start < mention.end and mention.start < end:
                    within.append(word)
                start = end + 1
            found.append(_Placed(mention, within[0].x0, within[-1].x1, text[mention.start : mention.end]))
    return found


def _chunks(line: Line) -> list[list[Word]]:
    chunks: list[list[Word]] = []
    for word in line.words:
        if chunks and word.x0 - chunks[-1][-1].x1 < _CHUNK_GAP * max(word.height, 1.0):
            chunks[-1].append(word)
        else:
            chunks.append([word])
    return chunks


def find_header(lines: Sequence[Line], columns: Sequence[Column], year_end: date | None) -> Header | None:
    """Put a period above each column, from the line of years that fits the columns best.

    Args:
        lines: From the title of the statement down.
        columns: Every column of amounts, notes and changes included.
        year_end: What the cover says, for headers that print years alone.

    Returns:
        None when no line of years stands above the columns.
    """
    best: tuple[float, int, dict[int, _Placed]] | None = None
    for index, line in enumerate(lines):
        placed = [p for p in _placed(line) if p.mention.year is not None]
        over = _assign(placed, columns)
        if over:
            offset = statistics.fmean(abs((p.x0 + p.x1) / 2 - _centre(columns[c])) for c, p in over.items())
            score = 100.0 * len(over) - offset - 10.0 * (len(placed) - len(over)) - index
            if best is None or score > best[0]:
                best = (score, index, over)
    if best is None:
        return None
    _, index, over = best
    return _header(lines, index, over, columns, year_end)


def _centre(column: Column) -> float:
    return (column.x0 + column.x1) / 2


def _assign(placed: Sequence[_Placed], columns: Sequence[Column]) -> dict[int, _Placed]:
    """Each date to the nearest column; a column takes the nearest date."""
    pairs = sorted(
        (mention.gap(column) + abs((mention.x0 + mention.x1) / 2 - _centre(column)) / 100, c, m)
        for m, mention in enumerate(placed)
        for c, column in enumerate(columns)
        if mention.gap(column) <= _HEADER_SLACK
    )
    taken: dict[int, _Placed] = {}
    used: set[int] = set()
    for _, c, m in pairs:
        if c not in taken and m not in used:
            taken[c] = placed[m]
            used.add(m)
    return taken


def _header(
    lines: Sequence[Line], index: int, over: dict[int, _Placed], columns: Sequence[Column], year_end: date | None
) -> Header:
    around = [p for line in lines[: index + 2] for p in _placed(line) if p.mention.month is not None]
    spoken = " ".join(line.text for line in lines[: index + 1])
    durations = _durations(lines[max(0, index - 5) : index + 1])
    named: list[Column] = []
    flags: list[str] = []
    ends: set[tuple[date, int | None]] = set()
    for order, c in enumerate(sorted(over)):
        column = columns[c]
        end, guessed = _end_of(over[c], column, around, year_end)
        if guessed:
            flags.append(f"the day of {over[c].text!r} is not printed above its column; taken from {guessed}")
        label = " ".join(_above(lines[max(0, index - 4) : index + 1], column))
        months = _months_over(column, durations, order, len(over)) or months_in(label) or months_in(spoken)
        period = Period(end=end, months=months, label=label or over[c].text)
        if (end, period.months) in ends:
            flags.append(f"a second column for {end} is left out: {label!r}")
            continue
        ends.add((end, period.months))
        named.append(Column(column.edge, column.x0, column.x1, period))
    unnamed = tuple(column for c, column in enumerate(columns) if c not in over)
    return Header(tuple(named), unnamed, index + 1, tuple(flags))


def _durations(lines: Sequence[Line]) -> list[tuple[float, int]]:
    """Where a header speaks of lengths of time, when it speaks of several beside each other: middle and months."""
    for line in reversed(lines):
        placed = [
            ((words[0].x0 + words[-1].x1) / 2, months)
            for words in _chunks(line)
            if (months := months_in(" ".join(word.text for word in words))) is not None
        ]
        if len({months for _, months in placed}) > 1:
            return placed
    return []


def _months_over(column: Column, durations: Sequence[tuple[float, int]], order: int, count: int) -> int | None:
    """The length of time above a column: each over as many columns as the next, else the one that stands nearest."""
    if not durations:
        return None
    if count % len(durations) == 0:
        return durations[order * len(durations) // count][1]
    return min(durations, key=lambda place: abs(place[0] - _centre(column)))[1]


def _end_of(year: _Placed, column: Column, around: Sequence[_Placed], year_end: date | None) -> tuple[date, str]:
    """The period end of a column: its own day, else the nearest day in the header, else the cover's."""
    own = year.mention
    assert own.year is not None  # noqa: S101 - the caller passes dates with a year
    if own.month is not None:
        return to_date(own.year, own.month, own.day), ""
    days = [p for p in around if p.mention.month is not None]
    same_year = [p for p in days if p.mention.year == own.year and p.mention.day is not None]
    if len({(p.mention.month, p.mention.day) for p in days if p.mention.is_full}) > 1 and same_year:
        days = same_year
    if days:
        near = min(days, key=lambda p: (p.gap(column), p.mention.is_full))
        assert near.mention.month is not None  # noqa: S101 - filtered above
        return to_date(own.year, near.mention.month, near.mention.day), ""
    if year_end is not None:
        return to_date(own.year, year_end.month, year_end.day), "the cover"
    return to_date(own.year, 12, 31), "the calendar year"


def _above(lines: Sequence[Line], column: Column) -> list[str]:
    """The header words that stand over a column."""
    return [word.text for line in lines for word in line.words if word.x0 < column.x1 + 4 and word.x1 > column.x0 - 4]


def place(amounts: Sequence[Amount], columns: Sequence[Column]) -> dict[int, Amount]:
    """Amounts by the index of the column they stand in; what stands in none is left out."""
    pairs = sorted(
        (column.distance(amount), c, a)
        for a, amount in enumerate(amounts)
        for c, column in enumerate(columns)
        if column.distance(amount) <= _CELL_SLACK
    )
    cells: dict[int, Amount] = {}
    used: set[int] = set()
    for _, c, a in pairs:
        if c not in cells and a not in used:
            cells[c] = amounts[a]
            used.add(a)
    return cells
