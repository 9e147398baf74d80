"""PDF, page by page, with the bookmarks as sections."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from consumers.documents.errors import DocumentRefused
from consumers.documents.limits import ReadLimits
from consumers.documents.text import Block, DocumentText, Section, TextBuilder

if TYPE_CHECKING:
    import pypdfium2 as pdfium

USABLE_CHARS: Final = 8
"""A page with fewer letters and digits may be an image."""

MAX_STRANGE: Final = 0.3
"""Share of characters that stand for nothing above which a text layer is not believed."""

MAX_BOOKMARKS: Final = 5_000

Recognise = Callable[["pdfium.PdfPage"], str]
"""Reads a page that has no usable text; "" when it finds none."""

_HYPHENATED: Final = re.compile(r"(?<=[^\W\d_])[-\u2010\ufffe]\n(?=[a-z\u00df-\u00ff])")
_STRANGE: Final = re.compile(r"[\x00-\x08\x0e-\x1f\ufffd\ue000-\uf8ff]")


def read_pdf(data: bytes, limits: ReadLimits, recognise: Recognise | None = None) -> DocumentText:
    """The text of a PDF.

    Args:
        data: The file.
        limits: Pages beyond `ReadLimits.max_pages` are left out, and said so.
        recognise: For pages without usable text; None leaves them in `DocumentText.empty_pages`.

    Raises:
        DocumentRefused: ``encrypted`` or ``corrupt``.
    """
    document = _opened(data)
    try:
        builder = TextBuilder(limits.max_chars)
        count = len(document)
        if count > limits.max_pages:
            builder.cut.append(f"only the first {limits.max_pages:,} of {count:,} pages were read")
        empty: list[int] = []
        for number in range(1, min(count, limits.max_pages) + 1):
            text, is_usable = _page_text(document, number, recognise)
            if not is_usable:
                empty.append(number)
            elif not builder.add(Block(text, page=number)):
                break
        title = document.get_metadata_dict().get("Title") if count else None
        return builder.done(page_count=count, empty_pages=empty, title=title, sections=_sections(document, builder))
    finally:
        document.close()


def _opened(data: bytes) -> Any:
    import pypdfium2 as pdfium  # noqa: PLC0415 - an extra

    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise DocumentRefused(
                "the PDF is protected by a password; save it without one and upload it again", reason="encrypted"
            ) from None
        raise DocumentRefused(
            "the PDF is damaged or cut short; open and save it again, then upload it", reason="corrupt"
        ) from None


def _page_text(document: Any, number: int, recognise: Recognise | None) -> tuple[str, bool]:
    import pypdfium2 as pdfium  # noqa: PLC0415 - an extra

    try:
        page = document[number - 1]
    except pdfium.PdfiumError:
        return "", False
    try:
        layer = page.get_textpage()
        try:
            text = layer.get_text_bounded()
        finally:
            layer.close()
        if not is_usable(text) and recognise is not None:
            text = recognise(page)
    except pdfium.PdfiumError:
        return "", False
    finally:
        page.close()
    return _HYPHENATED.sub("", text.replace("\r\n", "\n")), is_usable(text)


def is_usable(text: str) -> bool:
    """Whether a text layer says something, and not only control characters or private code points."""
    letters = sum(char.isalnum() for char in text)
    return letters >= USABLE_CHARS and len(_STRANGE.findall(text)) <= MAX_STRANGE * len(text)


def _sections(document: Any, builder: TextBuilder) -> list[Section]:
    import pypdfium2 as pdfium  # noqa: PLC0415 - an extra

    found: list[Section] = []
    try:
        for bookmark in document.get_toc(max_depth=4):
            if len(found) == MAX_BOOKMARKS:
                break
            place = bookmark.get_dest()
            index = place.get_index() if place is not None else None
            start = builder.page_offset(index + 1) if index is not None else None
            title = " ".join(bookmark.get_title().split())[:200]
            if start is not None and title:
                found.append(Section(start, title, bookmark.level + 1))
    except pdfium.PdfiumError:
        return []
    return sorted(found, key=lambda section: section.start)
