"""An HTML or inline XBRL report -> its statements, read from its tables as printed.

A table is laid out on a grid, a column of the table a band of it, and read as a printed page is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from selectolax.lexbor import LexborHTMLParser

from consumers.filings.errors import DocumentError
from consumers.filings.facts import contexts_of, fact_of, facts_of, is_inline_xbrl, parse
from consumers.filings.numbers import read_amount
from consumers.filings.pdf import Line, Word
from consumers.filings.reading import Reading, Survey, read_statements, understood
from consumers.filings.table import PageLines
from consumers.filings.tagging import Marks, from_facts, tagged_tables, with_tags
from consumers.filings.vocabulary import TITLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from consumers.filings.facts import Context, Fact
    from schemas.filings import Cell, Statement

_BAND: Final = 60.0
_LABEL_BAND: Final = 2_000.0
_CHAR: Final = 2.0
_LINE_STEP: Final = 12.0
_LINE_HEIGHT: Final = 8.0
_LINES_BEFORE: Final = 6
_MAX_COLUMNS: Final = 60
_MAX_TABLES: Final = 5_000
_HEAD_LINES: Final = 150
_CHARSET: Final = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)
_YEAR: Final = re.compile(r"^(?:FY)?\s?(?:19|20)\d\d$")
_INDENT: Final = re.compile(r"(?:padding-left|margin-left|text-indent)\s*:\s*([\d.]+)\s*(?:pt|px|em)?")
_BLOCKS: Final = frozenset(
    [
        "address",
        "article",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "section",
        "td",
        "th",
        "tr",
        "ul",
    ]
)
_UNSEEN: Final = frozenset({"script", "style", "head", "noscript", "template", "ix:header"})


@dataclass(frozen=True, slots=True)
class _Piece:
    column: int
    span: int
    text: str
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class _HtmlTable:
    before: tuple[str, ...]
    rows: tuple[tuple[float, tuple[_Piece, ...]], ...]

    @property
    def facts(self) -> list[Fact]:
        """The facts in it that are not about a part only."""
        every = (fact for _, pieces in self.rows for piece in pieces for fact in piece.facts)
        return [fact for fact in every if not fact.has_dimensions]

    @property
    def text(self) -> str:
        """What is printed above and in it."""
        rows = [" ".join(piece.text for piece in pieces) for _, pieces in self.rows]
        return "\n".join([*self.before, *rows])


def read_html(data: bytes) -> Reading:
    """Read the three statements of an HTML report. It has no pages: `page_count` is 0 and every cell says page 1.

    Raises:
        DocumentError: `empty`, or `unsupported_type` when it has no markup.
    """
    if not data.strip():
        raise DocumentError("empty", "the document has no bytes; download it again")
    text = decode(data)
    if re.search(r"<\s*(?:html|body|table|div|p|a|h[1-6]|\?xml)\b", text[:100_000], re.IGNORECASE) is None:
        raise DocumentError("unsupported_type", "the document is neither a PDF nor HTML")
    root = parse(data) if is_inline_xbrl(data) else None
    contexts = contexts_of(root) if root is not None else {}
    facts = tuple(f for f in facts_of(root, contexts) if not f.has_dimensions) if root is not None else ()
    del root
    head, tables = _tables(text, contexts)
    if not head and not tables:
        raise DocumentError("empty", "the HTML page shows no text")
    survey = Survey(head=["\n".join(head)])
    for number, table in enumerate(tables, start=1):
        survey.add(number, table.text)
    survey.head = survey.head[:1]
    marks = Marks()
    known = tagged_tables([table.facts for table in tables], [_title_of(table) for table in tables]) if facts else {}

    def lines(number: int) -> PageLines:
        return _lines(number, tables[number - 1], marks)

    reading = read_statements(survey, lines, f"{len(tables)} tables", known)
    if not facts:
        statements = understood(_without_places(statement) for statement in reading.statements)
        return Reading(reading.head, 0, reading.year_end, statements, reading.problems)
    printed = [_without_places(with_tags(statement, marks)) for statement in reading.statements]
    have = {statement.kind for statement in printed}
    printed += [statement for statement in from_facts(facts) if statement.kind not in have]
    problems = tuple(p for p in reading.problems if p.statement not in {statement.kind for statement in printed})
    ends = [period.end for statement in printed for period in statement.periods]
    return Reading(reading.head, 0, max(ends, default=reading.year_end), understood(printed), problems, facts)


def _title_of(table: _HtmlTable) -> str:
    return next((line for line in reversed(table.before) if any(p.search(line) for p in TITLES.values())), "")


def decode(data: bytes) -> str:
    """HTML bytes to text by byte order mark, declared charset, UTF-8 or else Windows-1252."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    declared = _CHARSET.search(data[:2_048])
    for charset in (declared[1].decode("ascii") if declared else "utf-8", "utf-8"):
        try:
            return data.decode(charset)
        except (LookupError, UnicodeDecodeError):
            continue
    return data.decode("cp1252", errors="replace")


def _tables(html: str, contexts: Mapping[str, Context]) -> tuple[list[str], list[_HtmlTable]]:
    """The first lines of text, and the tables that hold no other, each with the lines before it."""
    root = LexborHTMLParser(html).body
    head: list[str] = []
    recent: list[str] = []
    line: list[str] = []
    tables: list[_HtmlTable] = []

    def flush() -> None:
        text = " ".join("".join(line).split())
        line.clear()
        if text:
            recent.append(text)
            del recent[:-_LINES_BEFORE]
            if len(head) < _HEAD_LINES:
                head.append(text)

    layout = _layout_tables(root)
    for node, opens in _walk(root, layout):
        if node.tag == "-text":
            line.append(node.text_content or "")
        elif node.tag == "table" and opens and node.mem_id not in layout:
            flush()
            table = _HtmlTable(tuple(recent), tuple(_rows(node, contexts)))
            if len(head) < _HEAD_LINES:
                head.extend(" ".join(p.text for p in pieces) for _, pieces in table.rows)
            if len(tables) < _MAX_TABLES:
                tables.append(table)
            recent.clear()
        elif node.tag in _BLOCKS:
            flush()
    flush()
    return head, tables


def _layout_tables(root: Any) -> set[int]:
    """The tables that hold tables: they only arrange the page."""
    layout: set[int] = set()
    stack: list[tuple[Any, int | None]] = [(root, None)] if root is not None else []
    while stack:
        node, within = stack.pop()
        if node.tag == "table":
            if within is not None:
                layout.add(within)
            within = node.mem_id
        stack.extend((child, within) for child in _children(node))
    return layout


def _children(node: Any) -> Iterator[Any]:
    child = node.child
    while child is not None:
        yield child
        child = child.next


def _walk(root: Any, layout: set[int]) -> Iterator[tuple[Any, bool]]:
    """Nodes in document order, blocks when they open and close; tables that hold no other as one node."""
    stack: list[tuple[Any, bool]] = [(root, True)] if root is not None else []
    while stack:
        node, opens = stack.pop()
        if node.tag in _UNSEEN:
            continue
        if opens and "display:none" in (node.attributes.get("style") or "").replace(" ", "").lower():
            continue
        yield node, opens
        if not opens or node.tag == "-text" or (node.tag == "table" and node.mem_id not in layout):
            continue
        if node.tag in _BLOCKS:
            stack.append((node, False))
        stack.extend(reversed([(child, True) for child in _children(node)]))


def _rows(table: Any, contexts: Mapping[str, Context]) -> Iterator[tuple[float, tuple[_Piece, ...]]]:
    for row in table.css("tr"):
        pieces: list[_Piece] = []
        column = 0
        indent = 0.0
        for cell in row.css("td, th"):
            text = " ".join(cell.text(separator="").split())
            try:
                span = min(max(int(cell.attributes.get("colspan") or 1), 1), _MAX_COLUMNS)
            except ValueError:
                span = 1
            if column == 0:
                indent = max((float(size) for size in _INDENT.findall((cell.html or "")[:600])), default=0.0)
            if text and column < _MAX_COLUMNS:
                _add(pieces, _Piece(column, span, text, _facts_in(cell, contexts)))
            column += span
        if pieces:
            yield indent, tuple(pieces)


def _facts_in(cell: Any, contexts: Mapping[str, Context]) -> tuple[Fact, ...]:
    if not contexts:
        return ()
    tags = (fact_of(tag.attributes, tag.text(), contexts) for tag in cell.css("[contextref][unitref]"))
    return tuple(fact for fact in tags if fact is not None)


def _add(pieces: list[_Piece], piece: _Piece) -> None:
    """Put a cell beside the last, joining what filers split: "(1,234" and ")", "$" and "1,234"."""
    last = pieces[-1] if pieces else None
    if last is not None and re.match(r"^[)%]+$", piece.text) and last.column > 0:
        pieces[-1] = _Piece(last.column, last.span, last.text + piece.text, last.facts + piece.facts)
    elif last is not None and last.text in ("$", "£", "€", "(", "($") and last.column > 0:
        pieces[-1] = _Piece(piece.column, piece.span, last.text + piece.text, last.facts + piece.facts)
    else:
        pieces.append(piece)


def _lines(number: int, table: _HtmlTable, marks: Marks) -> PageLines:
    """Lay a table out: labels from the left, amounts flush right in their bands, headers over the whole of theirs."""
    lines = []
    y = 0.0
    for before in table.before:
        y -= _LINE_STEP
        lines.append(Line(tuple(_left_words(before, 0.0, y))))
    for indent, pieces in table.rows:
        y -= _LINE_STEP
        words: list[Word] = []
        is_header = not any(_is_amount(piece) for piece in pieces if piece.column)
        for piece in pieces:
            left = _LABEL_BAND + _BAND * piece.column
            right = left + _BAND * piece.span
            if piece.facts:
                marks.add(number, y, left, right, piece.facts)
            if piece.column == 0:
                words += _left_words(piece.text, indent, y)
            elif is_header:
                words.append(Word(piece.text, left + 2 * _LINE_HEIGHT + 1, y, right, y + _LINE_HEIGHT))
            else:
                words += _right_words(piece.text, right, y)
        lines.append(Line(tuple(words)))
    return PageLines(number, tuple(lines))


def _left_words(text: str, x: float, y: float) -> Iterator[Word]:
    for part in text.split():
        yield Word(part, x, y, x + _CHAR * len(part), y + _LINE_HEIGHT)
        x += _CHAR * (len(part) + 3)


def _right_words(text: str, right: float, y: float) -> list[Word]:
    """The words of a cell, its last digit flush right."""
    parts = text.split()
    tail = len(text) - len(text.rstrip(")%*"))
    width = _CHAR * (len(text) + 2 * (len(parts) - 1))
    x = right + _CHAR * tail - width
    words = []
    for part in parts:
        words.append(Word(part, x, y, x + _CHAR * len(part), y + _LINE_HEIGHT))
        x += _CHAR * (len(part) + 3)
    return words


def _is_amount(piece: _Piece) -> bool:
    return read_amount(piece.text) is not None and _YEAR.match(piece.text) is None


def _without_places(statement: Statement) -> Statement:
    """Take back the places on the grid, which mean nothing outside of it."""

    def bare(cell: Cell | None) -> Cell | None:
        return None if cell is None else cell.model_copy(update={"page": 1, "box": None})

    rows = tuple(row.model_copy(update={"cells": tuple(bare(c) for c in row.cells)}) for row in statement.rows)
    return statement.model_copy(update={"rows": rows, "pages": (1,)})
