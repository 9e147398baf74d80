"""A PDF report -> its class, its statements, or the reasons why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from consumers.filings.errors import DocumentError
from consumers.filings.pdf import MAX_PAGES, PdfReader, is_garbled, lines_of, open_pdf
from consumers.filings.reading import Reading, Survey, read_statements, understood
from consumers.filings.table import PageLines

_FEW_LETTERS: Final = 15
_BLANK_SAMPLE: Final = 20


def read_pdf(data: bytes, max_pages: int = MAX_PAGES) -> Reading:
    """Read the three statements of a PDF.

    Raises:
        DocumentError: Nothing in it can be read; `reason` says why.
    """
    with open_pdf(data, max_pages) as reader:
        survey = _survey(reader)
        _refuse_unreadable(survey, reader)

        def lines(page: int) -> PageLines:
            return PageLines(page, tuple(lines_of(reader.words(page))))

        reading = read_statements(survey, lines, f"{reader.page_count} pages")
        return replace(reading, page_count=reader.page_count, statements=understood(reading.statements))


def _survey(reader: PdfReader) -> Survey:
    survey = Survey()
    for page in range(1, reader.page_count + 1):
        text = reader.text(page)
        if is_garbled(text):
            survey.garbled += 1
        elif sum(char.isalnum() for char in text) < _FEW_LETTERS:
            survey.without_text += 1
        else:
            survey.add(page, text)
    return survey


def _refuse_unreadable(survey: Survey, reader: PdfReader) -> None:
    if survey.looks:
        return
    pages = reader.page_count
    if survey.garbled:
        detail = f"the text of {survey.garbled} of {pages} pages decodes to control characters; OCR is needed"
        raise DocumentError("garbled_text", detail, pages)
    if not any(reader.has_marks(page) for page in range(1, min(pages, _BLANK_SAMPLE) + 1)):
        raise DocumentError("empty", f"nothing is drawn on its {pages} pages", pages)
    raise DocumentError("image_only", f"none of its {pages} pages has text; OCR is needed", pages)
