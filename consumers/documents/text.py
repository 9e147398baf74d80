"""The text of a document, and where each part of it stands."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

BlockKind = Literal["heading", "paragraph", "table", "note", "header", "footer"]

SEPARATOR: Final = "\n\n"
_UNWANTED: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_BLANKS: Final = re.compile(r"[ \t\u00a0]+")
_MANY_LINES: Final = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document as its reader found it.

    Attributes:
        page: Page, slide or sheet it stands on, from 1; None where the format has none.
        level: Of a heading, from 1.
    """

    text: str
    kind: BlockKind = "paragraph"
    page: int | None = None
    level: int = 1


@dataclass(frozen=True, slots=True)
class Section:
    """From `start` on, in characters, the text stands under this heading."""

    start: int
    title: str
    level: int


@dataclass(frozen=True, slots=True)
class DocumentText:
    """All that a document says.

    Attributes:
        text: Blocks joined by `SEPARATOR`.
        page_starts: Offset of the first character of each page that has text: ``(offset, page)`` in order.
        sections: Headings in order.
        page_count: Pages of the document, None where the format has none.
        cut: What was left out and why, for people.
        empty_pages: Pages without usable text, which may be images.
        title: As the document's own properties say.
        language: ISO 639-1, when the document says.
    """

    text: str
    page_starts: tuple[tuple[int, int], ...] = ()
    sections: tuple[Section, ...] = ()
    page_count: int | None = None
    cut: tuple[str, ...] = ()
    empty_pages: tuple[int, ...] = ()
    title: str | None = None
    language: str | None = None

    def pages_of(self, start: int, end: int) -> tuple[int, int] | None:
        """First and last page of a span of characters; None where there are no pages."""
        if not self.page_starts:
            return None
        offsets = [offset for offset, _ in self.page_starts]
        first = max(0, bisect.bisect_right(offsets, start) - 1)
        last = max(first, bisect.bisect_left(offsets, end) - 1)
        return self.page_starts[first][1], self.page_starts[last][1]

    def section_of(self, start: int) -> str | None:
        """The headings that a place stands under, outermost first, joined by `` > ``."""
        path: list[Section] = []
        for section in self.sections:
            if section.start > start:
                break
            path = [one for one in path if one.level < section.level] + [section]
        return " > ".join(one.title for one in path) or None


@dataclass(slots=True)
class TextBuilder:
    """Joins blocks into a `DocumentText`, up to a number of characters."""

    max_chars: int
    _parts: list[str] = field(default_factory=list)
    _length: int = 0
    _pages: list[tuple[int, int]] = field(default_factory=list)
    _sections: list[Section] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    def add(self, block: Block) -> bool:
        """Append a block; False when the text is as long as it may be."""
        text = clean(block.text)
        if not text:
            return True
        start = self._length + (len(SEPARATOR) if self._parts else 0)
        room = self.max_chars - start
        if room <= 0:
            self._full()
            return False
        is_cut, text = len(text) > room, text[:room]
        if block.page is not None and (not self._pages or self._pages[-1][1] != block.page):
            self._pages.append((start, block.page))
        if block.kind == "heading":
            self._sections.append(Section(start, " ".join(text.split())[:200], block.level))
        self._parts.append(text)
        self._length = start + len(text)
        if is_cut:
            self._full()
        return not is_cut

    def add_all(self, blocks: Iterable[Block]) -> None:
        """Append blocks until there is no room."""
        for block in blocks:
            if not self.add(block):
                return

    def done(
        self, *, page_count: int | None = None, empty_pages: Iterable[int] = (), title: str | None = None,
        language: str | None = None, sections: Iterable[Section] = (),
    ) -> DocumentText:  # fmt: skip
        """The document."""
        return DocumentText(
            SEPARATOR.join(self._parts), tuple(self._pages), tuple(sections) or tuple(self._sections), page_count,
            tuple(dict.fromkeys(self.cut)), tuple(empty_pages), clean(title or "") or None, language,
        )  # fmt: skip

    def page_offset(self, page: int) -> int | None:
        """Where a page begins, when it has text."""
        return next((offset for offset, number in self._pages if number == page), None)

    def _full(self) -> None:
        self.cut.append(f"only the first {self.max_chars:,} characters were kept")


def clean(text: str) -> str:
    """Text without control characters, runs of blanks and empty lines."""
    text = _UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u00ad", ""))
    lines = (_BLANKS.sub(" ", line).strip() for line in text.split("\n"))
    return _MANY_LINES.sub("\n\n", "\n".join(lines)).strip()


def table_text(rows: Iterable[Iterable[str]]) -> str:
    """A table as text: a line a row, cells set apart by `` | ``; empty rows and columns' tails are left out."""
    lines = []
    for row in rows:
        cells = [" ".join(cell.split()) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if any(cells):
            lines.append(" | ".join(cells))
    return "\n".join(lines)
