"""A PDF report -> its class, its statements, or the reasons why not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from consumers.filings import ocr
from consumers.filings.errors import DocumentError, DocumentReason
from consumers.filings.pdf import MAX_PAGES, PdfReader, is_garbled, lines_of, open_pdf
from consumers.filings.reading import Reading, Survey, read_statements, understood
from consumers.filings.table import PageLines

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from schemas.filings import Cell, Statement

_LETTERS: Final = re.compile(r"(?:[\W_]*[^\W_]){15}")
"""Fewer letters and digits than these are a page without text."""

_BLANK_SAMPLE: Final = 20
_BY_OCR: Final = "read from pictures of the pages by OCR; compare with the page before relying on it"


def read_pdf(data: bytes, max_pages: int = MAX_PAGES) -> Reading:
    """Read the three statements of a PDF, from its text or else from pictures of its pages.

    Raises:
        DocumentError: Nothing in it can be read; `reason` says why.
    """
    with open_pdf(data, max_pages) as reader:
        survey = _survey(reader)
        pages = reader.page_count

        def printed(page: int) -> PageLines:
            return PageLines(page, tuple(lines_of(reader.words(page))))

        if survey.looks:
            reading = read_statements(survey, printed, f"{pages} pages")
            if not reading.problems or not (survey.without_text or survey.garbled) or ocr.command() is None:
                statements = (_as_shown(statement, reader) for statement in reading.statements)
                return replace(reading, page_count=pages, statements=understood(statements))
        else:
            _refuse_unreadable(survey, reader)
        return replace(_from_pictures(survey, reader, printed), page_count=pages)


def _survey(reader: PdfReader) -> Survey:
    survey = Survey()
    for page in range(1, reader.page_count + 1):
        text = reader.text(page)
        if is_garbled(text):
            survey.garbled.append(page)
        elif not _has_letters(text):
            survey.without_text.append(page)
        else:
            survey.add(page, text)
    return survey


def _has_letters(text: str) -> bool:
    return _LETTERS.match(text) is not None


def _from_pictures(survey: Survey, reader: PdfReader, printed: Callable[[int], PageLines]) -> Reading:
    """Read the likely ones of the pages without text as pictures, and choose among all pages."""
    pictures = ocr.Pictures(reader, sorted([*survey.without_text, *survey.garbled]))
    pictured = set(pictures.likely())
    if not survey.head:
        pictured |= set(pictures.pages[:1])
    for page in sorted(pictured):
        text = pictures.text(page)
        if _has_letters(text):
            survey.add(page, text)
    if not survey.looks:
        reason: DocumentReason = "garbled_text" if survey.garbled else "image_only"
        detail = f"OCR found no text on the {len(pictured)} of {reader.page_count} pages that it looked at"
        raise DocumentError(reason, detail, reader.page_count)

    def lines(page: int) -> PageLines:
        return PageLines(page, tuple(pictures.lines(page))) if page in pictured else printed(page)

    survey.without_text, survey.garbled = [], []
    reading = read_statements(survey, lines, f"{reader.page_count} pages")
    statements = [
        statement.model_copy(update={"flags": (*statement.flags, _BY_OCR)})
        if pictured & set(statement.pages)
        else statement
        for statement in reading.statements
    ]
    shown = (_as_shown(statement, reader, pictured) for statement in statements)
    return replace(reading, statements=understood(shown, pictures.sure_of))


def _as_shown(statement: Statement, reader: PdfReader, pictured: Container[int] = ()) -> Statement:
    """The statement with the boxes of its cells on the pages as displayed; those of pictures are already."""

    def moved(cell: Cell | None) -> Cell | None:
        if cell is None or cell.box is None or cell.page in pictured:
            return cell
        return cell.model_copy(update={"box": reader.shown(cell.page, cell.box)})

    rows = tuple(row.model_copy(update={"cells": tuple(map(moved, row.cells))}) for row in statement.rows)
    return statement.model_copy(update={"rows": rows})


def _refuse_unreadable(survey: Survey, reader: PdfReader) -> None:
    """Refuse what has nothing to read; pages that are pictures are left to OCR when it is installed."""
    pages = reader.page_count
    if not any(reader.has_marks(page) for page in range(1, min(pages, _BLANK_SAMPLE) + 1)):
        raise DocumentError("empty", f"nothing is drawn on its {pages} pages", pages)
    if ocr.command() is not None:
        return
    cure = "OCR is needed: install tesseract-ocr and read it again"
    if survey.garbled:
        detail = f"the text of {len(survey.garbled)} of {pages} pages decodes to control characters; {cure}"
        raise DocumentError("garbled_text", detail, pages)
    raise DocumentError("image_only", f"none of its {pages} pages has text; {cure}", pages)
