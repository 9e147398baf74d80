"""A passage on the image of its page; made for a CPU subprocess."""

from __future__ import annotations

import ctypes
import re
from typing import TYPE_CHECKING, Any, Final

from consumers.filings.page_image import draw_page

if TYPE_CHECKING:
    from schemas.filings import Box

GRAM: Final = 24
"""So many letters and digits in a row, the same on the page and in the passage, are taken for the same text."""

MOST_BOXES: Final = 1_000
_FINE: Final = 1_000_000
"""Steps across a page when its places are turned into those of its image."""
_ASIDE: Final = re.compile(r"[\W_]+")


def draw_passage(data: bytes, page: int, passage: str) -> bytes:
    """A page of a PDF as PNG with what it has of a passage framed, a box a line.

    A page that was recognised has no places of letters; it is drawn without boxes.

    Raises:
        PermanentError: As `draw_page`.
    """
    return draw_page(data, page, boxes_of(data, page, passage))


def boxes_of(data: bytes, page: int, passage: str) -> list[Box]:
    """Where a passage stands on a page: left, bottom, right, top in points from the image's lower left corner.

    Args:
        data: The PDF.
        page: 1-based; nothing is found on one that cannot be opened.
        passage: As it was read: case, blanks, hyphens and line breaks may differ.
    """
    import pypdfium2 as pdfium  # noqa: PLC0415 - an extra

    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError:
        return []
    try:
        if not 1 <= page <= len(document):
            return []
        sheet = document[page - 1]
        layer = sheet.get_textpage()
        printed = [chr(pdfium.raw.FPDFText_GetUnicode(layer, at)) for at in range(layer.count_chars())]
        return [
            _on_sheet(sheet, layer.get_rect(at))
            for start, end in spans_of(printed, passage)
            for at in range(layer.count_rects(start, end - start))
        ][:MOST_BOXES]
    except pdfium.PdfiumError:
        return []
    finally:
        document.close()


def spans_of(printed: list[str], passage: str) -> list[tuple[int, int]]:
    """Which characters of a page belong to a passage: ``[start, end)``, in order.

    Args:
        printed: The page's characters.
        passage: Any part of it may stand on other pages.
    """
    letters = [(at, char.lower()) for at, char in enumerate(printed) if char.isalnum()]
    said = _ASIDE.sub("", passage).lower()
    shown = "".join(char[:1] for _, char in letters)
    size = min(GRAM, len(said), len(shown))
    if not size:
        return []
    grams = {said[at : at + size] for at in range(len(said) - size + 1)}
    spans: list[tuple[int, int]] = []
    begin, end = 0, -1
    for at in range(len(shown) - size + 1):
        if shown[at : at + size] not in grams:
            continue
        if at > end:
            if end > 0:
                spans.append((letters[begin][0], letters[end - 1][0] + 1))
            begin = at
        end = at + size
    if end > 0:
        spans.append((letters[begin][0], letters[end - 1][0] + 1))
    return spans


def _on_sheet(sheet: Any, box: tuple[float, float, float, float]) -> Box:
    """A box of the page's own coordinates on its image, which may be turned and cropped."""
    import pypdfium2 as pdfium  # noqa: PLC0415 - an extra

    width, height = sheet.get_size()
    corners = []
    for x, y in (box[:2], box[2:]):
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium.raw.FPDF_PageToDevice(sheet, 0, 0, _FINE, _FINE, 0, x, y, across, down)
        corners.append((across.value * width / _FINE, height - down.value * height / _FINE))
    (x0, y0), (x1, y1) = corners
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
