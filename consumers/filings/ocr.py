"""Pages that are pictures -> words with boxes, by the tesseract command where it is installed.

A full reading takes seconds a page, so of a long document only the top of each page is read, coarsely, and in full only
those pages whose top is titled as a statement, with the page after each.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from consumers.filings.pdf import Line, Word, lines_of
from consumers.filings.vocabulary import TITLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.filings.pdf import PdfReader
    from schemas.filings import Statement

DPI: Final = 300
"""Of a page that is read in full."""

COARSE_DPI: Final = 130
"""Of the top of a page that is looked at for a title."""

TOP_SHARE: Final = 0.35
MOST_LOOKED_AT: Final = 400
MOST_READ: Final = 16
FEW_PAGES: Final = 6
"""So few pages are all read in full at once."""

PAGE_TIMEOUT_S: Final = 90.0
_NARROW: Final = 0.4
_WORD_LEVEL: Final = "5"
_POINTS: Final = 72.0
_LANGUAGES: Final = {
    "deu": r"\b(?:und|der|die|aus|bilanz|konzern)\b",
    "fra": r"\b(?:et|des|les|du|bilan|consolidé)\b",
    "spa": r"\b(?:y|del|los|las|ejercicio|consolidado)\b",
}
_CONFUSED: Final = str.maketrans({"O": "0", "o": "0", "l": "1", "I": "1", "|": "1", "S": "5", "B": "8"})
_NUMBER_LIKE: Final = re.compile(r"^[(\-\u2013\u2014$£€]*[\dOolI|SB][\dOolI|SB.,]*[)\-]*$")
_THOUSANDS_POINT: Final = re.compile(r"(?<![\d.,])([1-9]\d{0,2})\.(\d{3})(?![\d.,])")
_DASH: Final = re.compile(r"^[_=~\u2014\u2013-]{1,3}$")


@cache
def command() -> str | None:
    """Where tesseract is, None when it is not installed."""
    return shutil.which("tesseract")


@cache
def _installed() -> frozenset[str]:
    path = command()
    if path is None:
        return frozenset()
    told = subprocess.run([path, "--list-langs"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    return frozenset(told.stdout.split()) | frozenset(told.stderr.split())


def trait() -> str:
    """What decides what is read from pictures: whether tesseract is there, and which languages it has."""
    return " ".join(sorted(_installed()))


@dataclass(slots=True)
class Pictures:
    """The pages of a document that have no text of their own, read as pictures when asked for."""

    reader: PdfReader
    pages: Sequence[int]
    languages: str = "eng"
    _words: dict[int, list[tuple[Word, float]]] = field(default_factory=dict)

    def likely(self) -> list[int]:
        """The pages worth reading in full: those titled as a statement, and what follows them."""
        if len(self.pages) <= FEW_PAGES:
            return list(self.pages)
        known = set(self.pages)
        titled: list[int] = []
        tops: list[str] = []
        for page in self.pages[:MOST_LOOKED_AT]:
            top = " \n".join(_lines_of_text(self._read(page, COARSE_DPI, TOP_SHARE)))
            tops.append(top)
            if any(_is_titled(top, pattern) for pattern in TITLES.values()):
                titled.append(page)
        self.languages = language_of(" ".join(tops))
        wanted = dict.fromkeys(p for page in titled for p in (page, page + 1) if p in known)
        return list(wanted)[:MOST_READ]

    def words(self, page: int) -> list[tuple[Word, float]]:
        """The words of a page in full, each with how sure the reader of characters is, 0..1."""
        if page not in self._words:
            self._words[page] = self._read(page, DPI, 1.0)
        return self._words[page]

    def lines(self, page: int) -> list[Line]:
        """The printed lines of a page."""
        return lines_of([word for word, _ in self.words(page)])

    def text(self, page: int) -> str:
        """The text of a page, a line a printed line."""
        return "\n".join(line.text for line in self.lines(page))

    def sure_of(self, statement: Statement) -> list[list[float | None]]:
        """How sure the reader was of each cell of a statement; None for cells of pages with text."""
        return [[self._sure(cell.page, cell.box) if cell else None for cell in row.cells] for row in statement.rows]

    def _sure(self, page: int, box: tuple[float, float, float, float] | None) -> float | None:
        if page not in self._words or box is None:
            return None
        within = [
            sure
            for word, sure in self._words[page]
            if word.x0 < box[2] and word.x1 > box[0] and word.y0 < box[3] and word.y1 > box[1]
        ]
        return min(within, default=0.6)

    def _read(self, page: int, dpi: int, share: float) -> list[tuple[Word, float]]:
        picture = self.reader.picture(page, dpi, share)
        if picture is None:
            return []
        png, height = picture
        return _words_in(tesseract(png, self.languages, dpi), dpi, height)


def tesseract(png: bytes, languages: str, dpi: int, *, is_table: bool = True) -> str:
    """The words of a picture; "" when tesseract is not there, fails or takes too long.

    Args:
        png: The picture.
        languages: As tesseract names its models, joined by ``+``.
        dpi: Of the picture.
        is_table: Words with their boxes, one a row, of a page taken as one block; else its plain text, of a page
            whose columns are told apart.
    """
    path = command()
    if path is None:
        return ""
    layout, form = ("6", "tsv") if is_table else ("3", "txt")
    arguments = [path, "stdin", "stdout", "-l", languages, "--psm", layout, "--dpi", str(dpi), form]
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - no shell, no argument from the document
            arguments, input=png, capture_output=True, timeout=PAGE_TIMEOUT_S, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.decode("utf-8", errors="replace")


def _words_in(table: str, dpi: int, page_height: float) -> list[tuple[Word, float]]:
    """Words with boxes in points from the page's lower left corner."""
    found: list[tuple[Word, float]] = []
    rows: list[tuple[str, tuple[int, int, int, int], float]] = []
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        text = (row.get("text") or "").strip()
        if row.get("level") == _WORD_LEVEL and text:
            place = (int(row["left"]), int(row["top"]), int(row["width"]), int(row["height"]))
            rows.append((text, place, float(row["conf"])))
    heights = sorted(place[3] for _, place, _ in rows)
    usual = heights[len(heights) // 2] if heights else 0
    factor = _POINTS / dpi
    for text, (left, top, width, height), sure in rows:
        middle = page_height - (top + height / 2) * factor
        half = max(min(height, 2 * usual), usual) * factor / 2
        x0, x1 = left * factor, (left + width) * factor
        # Boxes are tight around the ink, and a "1" has little of it: give it back the width of a digit.
        x0 -= _NARROW * half if text[0] == "1" else 0.0
        x1 += _NARROW * half if text[-1] == "1" else 0.0
        word = Word(_mended(text), x0, middle - half, x1, middle + half)
        found.append((word, max(sure, 0.0) / 100))
    return found


def _mended(text: str) -> str:
    """Characters that readers of pictures confuse, put right where the rest of the word is a number."""
    if _DASH.match(text):
        return "\u2014"
    if text in ("§", "S", "s"):
        return "$"
    text = re.sub(r"^[§S](?=[\d(])", "$", text)
    text = re.sub(r"^(\(?\d+):(\d\d\)?)$", r"\1.\2", text)
    if _NUMBER_LIKE.match(text) and sum(char.isdigit() for char in text) * 2 > sum(char.isalnum() for char in text):
        text = text.translate(_CONFUSED)
        text = re.sub(r"[.,]+$", "", text)
        return _THOUSANDS_POINT.sub(r"\1,\2", text) if "," in text or text.count(".") > 1 else text
    return text


def _lines_of_text(words: list[tuple[Word, float]]) -> list[str]:
    return [line.text for line in lines_of([word for word, _ in words])]


def _is_titled(top: str, pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(line) and len(line) < 130 for line in top.splitlines())  # noqa: PLR2004 - a title is short


def language_of(text: str) -> str:
    """Tesseract's name of the models for a text: English, with the other language it is in when that is installed."""
    counts = {name: len(re.findall(words, text, re.IGNORECASE)) for name, words in _LANGUAGES.items()}
    best = max(counts, key=lambda name: counts[name])
    many = counts[best] > 2 * len(re.findall(r"\b(?:and|of|the|for)\b", text, re.IGNORECASE)) + 2
    return f"{best}+eng" if many and best in _installed() else "eng"
