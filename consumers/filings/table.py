"""A statement's pages -> its rows under their periods."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from consumers.filings.columns import Amount, Column, Header, amounts_at_end, find_columns, find_header, place
from consumers.filings.pdf import Line, Word
from consumers.filings.vocabulary import CONTINUED, OTHER_TITLES, TITLES
from schemas.filings import Cell, Period, Row, RowUnit, StatementKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

_NOTE_WORD: Final = re.compile(r"^(?:notes?|anm(?:erkung(?:en)?|\.)?|anhang|notas?|ref\.?)$", re.IGNORECASE)
_NOTE_REF: Final = re.compile(r"^(?:\(?[A-F]?\d{1,2}(?:\.\d{1,2})?\)?[a-z]?[,;&/]?|[,;&/]|and|und|et|y|\([a-z]\))+$")
_OPEN_END: Final = re.compile(
    r"(?:[,\-\u2013/(]|\b(?:and|or|of|to|in|on|at|for|by|from|the|with|und|der|die|von|et|de|des|y|del))$",
    re.IGNORECASE,
)
_CLOSING: Final = re.compile(
    r"^\W*(?:the |see )?(?:accompanying|notes? to|see notes)|integral part of|were (?:approved|authorised)",
    re.IGNORECASE,
)
_PER_SHARE: Final = re.compile(
    r"\bper\s+(?:[\w-]+\s+){0,2}(?:share|unit|ads)\b|\beps\b|je aktie|par action|por acci[óo]n|\(pence\)", re.IGNORECASE
)
_SHARES: Final = re.compile(
    r"(?:average|number of|weighted).*(?:shares|units)|shares (?:outstanding|in issue)",
    re.IGNORECASE,
)
_SHARE_PART: Final = re.compile(
    r"^(?:un)?(?:basic|diluted|verwässert|unverwässert|de base|dilué|básico|diluido)", re.IGNORECASE
)
"""Headings within the earnings per share, which stand under a heading that says so."""
_TOTAL: Final = re.compile(r"^(?:total|summe|net cash)\b", re.IGNORECASE)
_TITLE_LENGTH: Final = 130
_CAPITAL_SHARE: Final = 0.7
_YEAR: Final = re.compile(r"^(?:19|20)\d\d$")
_LEVEL_STEP: Final = 3.0
_BIG_GAP: Final = 2.2
_FOLIO_DIGITS: Final = 3
_SHORTEST_STATEMENT: Final = 8


@dataclass(frozen=True, slots=True)
class PageLines:
    """The lines of one page, top to bottom."""

    page: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under periods; `head` is everything printed above the first row."""

    periods: tuple[Period, ...]
    rows: tuple[Row, ...]
    head: str
    flags: tuple[str, ...]


@dataclass(slots=True)
class _Reading:
    rows: list[Row] = field(default_factory=list)
    x0s: list[float] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    pending_x0: float = 0.0
    section: str = ""
    outer: str = ""
    outers: list[str] = field(default_factory=list)
    last_middle: float | None = None
    closed: bool = False


def read_table(
    pages: Sequence[PageLines], kind: StatementKind, year_end: date | None, *, decimal_comma: bool
) -> Table | None:
    """Read a statement from its pages.

    Returns:
        None when no period can be put above the columns of the first page. Of several statements with one title on
        the first page, as over three and over twelve months, the one over the longest period.
    """
    parts = _repeated(pages[0], kind)
    if len(parts) == 1:
        return _read_table(pages, kind, year_end, decimal_comma=decimal_comma)
    read = [
        _read_table([part, *(pages[1:] if part is parts[-1] else ())], kind, year_end, decimal_comma=decimal_comma)
        for part in parts
    ]
    found = [table for table in read if table is not None]
    return max(found, key=lambda table: max(p.months or 0 for p in table.periods), default=None)


def _repeated(page: PageLines, kind: StatementKind) -> list[PageLines]:
    """A page cut before each repetition of its title, when it prints the same statement more than once."""
    texts = [" ".join(line.text.casefold().split()) for line in page.lines]
    title = next((text for text, line in zip(texts, page.lines, strict=True) if titled_as(kind, line.text)), None)
    starts = [i for i, text in enumerate(texts) if text == title and CONTINUED.search(text) is None]
    starts = [start for n, start in enumerate(starts) if n == 0 or start - starts[n - 1] > _SHORTEST_STATEMENT]
    if len(starts) < 2:  # noqa: PLR2004 - nothing is repeated
        return [page]
    return [
        PageLines(page.page, page.lines[start:end])
        for start, end in zip(starts, [*starts[1:], len(page.lines)], strict=True)
    ]


def _read_table(
    pages: Sequence[PageLines], kind: StatementKind, year_end: date | None, *, decimal_comma: bool
) -> Table | None:
    reading = _Reading()
    first: Header | None = None
    head: list[str] = []
    flags: list[str] = []
    for page in pages:
        lines = _segment(page.lines, kind)
        split = [amounts_at_end(line, decimal_comma=decimal_comma) for line in lines]
        columns = find_columns([amounts for _, amounts in split])
        header = find_header(lines, columns, year_end)
        if first is None:
            if header is None:
                return None
            first = header
            flags += header.flags
            head = [line.text for line in page.lines[: page.lines.index(lines[0])]]
            head += [line.text for line in lines[: header.body + 1]]
        elif header is None or len(header.columns) != len(first.columns):
            header = _carried(first, columns)
            if header is None:
                flags.append(f"page {page.page}: its columns do not match those of page {pages[0].page}; left out")
                continue
        _read_rows(reading, page.page, lines, split, header)
        reading.last_middle = None
        reading.closed = False
    if first is None or not reading.rows:
        return None
    periods = tuple(c.period for c in first.columns if c.period is not None)
    return Table(periods, _finished(reading, kind), "\n".join(head), tuple(flags))


def _carried(first: Header, columns: Sequence[Column]) -> Header | None:
    """The periods of the first page over the columns of one that repeats no header."""
    count = len(first.columns)
    if len(columns) < count:
        return None
    named = tuple(
        replace(column, period=origin.period) for column, origin in zip(columns[-count:], first.columns, strict=True)
    )
    return Header(named, tuple(columns[:-count]), 0, ())


def _segment(lines: Sequence[Line], kind: StatementKind) -> list[Line]:
    """The lines from the statement's title to the next title of another statement."""
    texts = [line.text for line in lines]
    start = next((i for i, text in enumerate(texts) if titled_as(kind, text)), 0)
    others = [pattern for other, pattern in TITLES.items() if other != kind]
    end = len(lines)
    for index in range(start + 4, len(lines)):
        text = texts[index]
        if len(text) <= _TITLE_LENGTH and any(_is_title(text, pattern) for pattern in [*others, OTHER_TITLES]):
            end = index
            break
    return list(lines[start:end])


def titled_as(kind: StatementKind, text: str) -> bool:
    """Whether a line titles a statement."""
    return len(text) <= _TITLE_LENGTH and TITLES[kind].search(text) is not None


def _is_title(text: str, pattern: re.Pattern[str]) -> bool:
    """Titles say little else, or are capitalised; "see notes to the financial statements" is not one."""
    match = pattern.search(text)
    if match is None or text[-1].isdigit() or _CLOSING.search(text):
        return False
    if text[0].isupper() and len(match[0]) >= len(text) / 2:
        return True
    words = [word for word in re.findall(r"[^\W\d_]{4,}", text) if word.lower() not in ("from", "with", "this")]
    return bool(words) and sum(word[0].isupper() for word in words) >= _CAPITAL_SHARE * len(words)


def _read_rows(
    reading: _Reading,
    page: int,
    lines: Sequence[Line],
    split: Sequence[tuple[tuple[Word, ...], tuple[Amount, ...]]],
    header: Header,
) -> None:
    notes = _note_band(lines[: header.body + 1], header)
    for index in range(header.body, len(lines)):
        words, amounts = split[index]
        line = lines[index]
        cells = place(amounts, header.columns)
        words = (*words, *_before(amounts, cells, header.columns[0].x0)) if cells else line.words
        words = tuple(w for w in words if not (cells and _is_note(w, notes)))
        label = " ".join(w.text for w in words).strip(" .\u2026$£€")
        x0 = words[0].x0 if words else header.columns[0].x0
        if _CLOSING.search(label) and all(amount.is_dash for amount in cells.values()):
            reading.pending.clear()
            reading.closed = True
        elif not cells:
            _take_text(reading, label, x0, header)
        elif _repeats_header(label, cells):
            continue
        elif not _is_folio(reading, line, cells, label, last=index == len(lines) - 1):
            _take_row(reading, page, label, x0, cells, len(header.columns))
            reading.last_middle = line.middle


def _note_band(header_lines: Sequence[Line], header: Header) -> tuple[float, float] | None:
    """Where the column of note numbers stands, left of the amounts."""
    limit = header.columns[0].x0
    heads = [w for line in header_lines for w in line.words if _NOTE_WORD.match(w.text) and w.x1 < limit + 6]
    if heads:
        return heads[-1].x0 - 16, heads[-1].x1 + 16
    left = [column for column in header.unnamed if column.edge < limit]
    return (left[-1].x0 - 4, left[-1].x1 + 4) if left else None


def _before(amounts: Sequence[Amount], cells: dict[int, Amount], limit: float) -> list[Word]:
    """Numbers that end the label, as the year in "Notes due 2025"."""
    placed = {id(amount) for amount in cells.values()}
    left = [a for a in amounts if id(a) not in placed and a.x1 < limit and not a.is_dash]
    return [Word(a.text, a.x0, a.y0, a.x1, a.y1) for a in left]


def _is_note(word: Word, notes: tuple[float, float] | None) -> bool:
    return notes is not None and notes[0] <= word.x0 and word.x1 <= notes[1] and _NOTE_REF.match(word.text) is not None


def _repeats_header(label: str, cells: dict[int, Amount]) -> bool:
    """Years alone, as over the second part of a table."""
    bare = not label or _NOTE_WORD.match(label) is not None
    return bare and all(_YEAR.match(amount.text) for amount in cells.values())


def _is_folio(reading: _Reading, line: Line, cells: dict[int, Amount], label: str, *, last: bool) -> bool:
    """A page number that happens to stand under a column."""
    if len(cells) != 1 or reading.last_middle is None or not reading.rows:
        return False
    amount = next(iter(cells.values()))
    plain = amount.text.isdigit() and len(amount.text) <= _FOLIO_DIGITS
    far = reading.last_middle - line.middle > _BIG_GAP * max(line.words[0].height, 6.0)
    report = re.search(r"\b(?:form|report|page|bericht|exhibit)\b", label, re.IGNORECASE) is not None
    return plain and (report or (far and (last or not label)))


def _take_text(reading: _Reading, label: str, x0: float, header: Header) -> None:
    if reading.closed or not re.search(r"[^\W\d_]", label) or x0 > header.columns[0].x0:
        return
    starts_low = label[0].islower()
    if starts_low and not reading.pending and reading.rows and reading.rows[-1].label:
        last = reading.rows[-1]
        reading.rows[-1] = last.model_copy(update={"label": f"{last.label} {label}"})
        return
    if reading.pending and not starts_low and not _OPEN_END.search(reading.pending[-1]):
        reading.outer = reading.section = " ".join(reading.pending).rstrip(":")
        reading.pending.clear()
    if not reading.pending:
        reading.pending_x0 = x0
    reading.pending.append(label)


def _take_row(reading: _Reading, page: int, label: str, x0: float, cells: dict[int, Amount], width: int) -> None:
    if reading.pending:
        before = " ".join(reading.pending)
        if label and (label[0].islower() or _OPEN_END.search(before)):
            label = f"{before} {label}"
            x0 = reading.pending_x0
        else:
            reading.section = before.rstrip(":")
        reading.pending.clear()
    made = tuple(_cell(cells[c], page) if c in cells else None for c in range(width))
    reading.rows.append(Row(label=label, section=reading.section, cells=made))
    reading.x0s.append(x0)
    reading.outers.append(reading.outer)
    if _TOTAL.match(label):
        reading.section = ""


def _cell(amount: Amount, page: int) -> Cell:
    box = (round(amount.x0, 1), round(amount.y0, 1), round(amount.x1, 1), round(amount.y1, 1))
    return Cell(value=amount.value, text=amount.text, page=page, box=box)


def unit_of(kind: StatementKind, label: str, section: str) -> RowUnit:
    """Whether a row counts money in the statement's unit, money a share, or shares."""
    if kind == "balance_sheet":
        return "amount"
    for text in (label, section):
        if _SHARES.search(text) and not re.search(r"per\s+(?:[\w-]+\s+){0,2}share", text, re.IGNORECASE):
            return "shares"
        if _PER_SHARE.search(text) and not re.search(r"par value|stated value", text, re.IGNORECASE):
            return "per_share"
    return "amount"


def _finished(reading: _Reading, kind: StatementKind) -> tuple[Row, ...]:
    """Give rows their unit, and their level by indent: one more for each step to the right."""
    steps: list[float] = []
    for x0 in sorted(x0 for row, x0 in zip(reading.rows, reading.x0s, strict=True) if row.label):
        if not steps or x0 - steps[-1] > _LEVEL_STEP:
            steps.append(x0)
    done = []
    for row, x0, outer in zip(reading.rows, reading.x0s, reading.outers, strict=True):
        level = bisect.bisect_right(steps, x0) - 1 if row.label else 0
        unit = unit_of(kind, row.label, f"{outer} {row.section}" if _SHARE_PART.match(row.section) else row.section)
        done.append(row.model_copy(update={"level": max(level, 0), "unit": unit}))
    return tuple(done)
