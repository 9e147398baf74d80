"""The pages of a report that a language model is shown: those that a statement stands on, or may. Pure."""

from __future__ import annotations

import re
from typing import Final

from pydantic import BaseModel
from selectolax.lexbor import LexborHTMLParser

from consumers.filings.errors import DocumentError
from consumers.filings.pdf import open_pdf
from consumers.filings.read_html import decode
from consumers.filings.vocabulary import ANCHORS, TITLES
from schemas.filings import StatementKind

MOST_PAGES: Final = 3
"""For one statement."""

MOST_CHARS: Final = 16_000
"""Of one page; statements are rarely longer."""

_AMOUNT: Final = re.compile(r"\d{1,3}(?:[.,'\u2019\u00a0\u202f ]\d{3})+|\d+[.,]\d+|\(\d+\)")
_LEAST_AMOUNTS: Final = 12
_LEAST_LINES: Final = 3
_TITLED: Final = 3


class PageText(BaseModel):
    """A page as the model sees it; 1-based."""

    page: int
    text: str


class Excerpt(BaseModel):
    """What a statement is looked for in."""

    kind: StatementKind
    pages: tuple[PageText, ...]


def excerpts(data: bytes, wanted: dict[StatementKind, tuple[int, ...]]) -> list[Excerpt]:
    """The pages for each statement; runs in a subprocess.

    Args:
        data: A PDF or an HTML report.
        wanted: The statements, with the pages where they were found; none for one that was not found: then those that
            carry most of its usual lines. Statements without any such page are left out.
    """
    pages = _of_pdf(data) if b"%PDF-" in data[:1_024] else _of_html(data)
    found = []
    for kind, known in wanted.items():
        chosen = [page for page in known if page in pages] or _likely(kind, pages)
        if chosen:
            texts = tuple(PageText(page=page, text=pages[page][:MOST_CHARS]) for page in chosen[:MOST_PAGES])
            found.append(Excerpt(kind=kind, pages=texts))
    return found


def _likely(kind: StatementKind, pages: dict[int, str]) -> list[int]:
    scored = []
    for page, text in pages.items():
        if len(_AMOUNT.findall(text)) < _LEAST_AMOUNTS:
            continue
        lines = sum(anchor.search(text) is not None for anchor in ANCHORS[kind])
        if lines >= _LEAST_LINES:
            scored.append((lines + _TITLED * (TITLES[kind].search(text[:800]) is not None), page))
    best = [page for _, page in sorted(scored, key=lambda one: (-one[0], one[1]))[: MOST_PAGES - 1]]
    if best and best[0] + 1 in pages and best[0] + 1 not in best:
        best.append(best[0] + 1)  # it may carry on there
    return sorted(best)


def _of_pdf(data: bytes) -> dict[int, str]:
    try:
        with open_pdf(data) as reader:
            return {page: reader.text(page) for page in range(1, reader.page_count + 1)}
    except DocumentError:
        return {}


def _of_html(data: bytes) -> dict[int, str]:
    """An HTML report is one page; what is shown of it begins at a table."""
    tree = LexborHTMLParser(decode(data))
    tree.strip_tags(["script", "style"])
    tables = []
    for table in tree.css("table"):
        rows = [" | ".join(" ".join(cell.text().split()) for cell in row.css("td, th")) for row in table.css("tr")]
        text = "\n".join(row for row in rows if row.strip(" |"))
        if len(_AMOUNT.findall(text)) >= _LEAST_AMOUNTS:
            tables.append(text)
    return {1: "\n\n".join(tables)} if tables else {}
