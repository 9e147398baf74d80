"""A page of a report as an image, with boxes drawn: so that a person sees where a value is printed."""

from __future__ import annotations

import io
import math
from typing import Final

from consumers.filings.errors import DocumentError
from schemas.filings import Box
from streams.errors import PermanentError

DPI: Final = 144
LONGEST_PX: Final = 4_000
"""Of the longer side; a poster is drawn smaller."""

MARGIN_PT: Final = 2.0
_LINE: Final = (214, 40, 40)
_FILL: Final = (255, 214, 0, 70)


def page_png(data: bytes, page: int, boxes: list[Box]) -> bytes:
    """Draw a page of a PDF; runs in a subprocess.

    Args:
        data: The PDF.
        page: 1-based.
        boxes: (left, bottom, right, top) in points from the page's lower left corner; each is framed.

    Raises:
        DocumentError: It is no PDF that can be opened (`unsupported_type`, `encrypted`, `damaged`), or has no such page
            (`empty`).
        ModuleNotFoundError: The extra that reads PDFs is not installed.
    """
    try:
        import pypdfium2 as pdfium  # noqa: PLC0415 - the base install goes without it
        from PIL import Image, ImageDraw  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "drawing pages needs pypdfium2 and pillow: pip install 'millrace[filings]'", name=error.name
        ) from error
    if b"%PDF-" not in data[:1_024]:
        raise DocumentError("unsupported_type", "only pages of PDFs can be drawn; this document is none")
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        raise DocumentError("damaged", f"the PDF cannot be opened ({error}); download it again") from error
    try:
        count = len(document)
        if not 1 <= page <= count:
            raise DocumentError("empty", f"there is no page {page}; the document has {count}", count)
        sheet = document[page - 1]
        width, height = sheet.get_size()
        scale = min(DPI / 72, LONGEST_PX / max(width, height, 1.0))
        image = sheet.render(scale=scale).to_pil().convert("RGB")
    finally:
        document.close()
    if boxes:
        layer = Image.new("RGBA", image.size)
        draw = ImageDraw.Draw(layer)
        for box in boxes:
            draw.rectangle(
                _on_image(box, height, scale, image.size), fill=_FILL, outline=_LINE, width=max(2, round(scale))
            )
        image = Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _on_image(box: Box, height: float, scale: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A box in pixels from the upper left corner, a little wider than it is, within the image."""
    left, bottom, right, top = box
    x0, x1 = sorted((left - MARGIN_PT, right + MARGIN_PT))
    y0, y1 = sorted((height - top - MARGIN_PT, height - bottom + MARGIN_PT))
    edges = (math.floor(x0 * scale), math.floor(y0 * scale), math.ceil(x1 * scale), math.ceil(y1 * scale))
    most = (size[0] - 1, size[1] - 1) * 2
    clamped = [max(0, min(edge, limit)) for edge, limit in zip(edges, most, strict=True)]
    return clamped[0], clamped[1], clamped[2], clamped[3]


def draw_page(data: bytes, page: int, boxes: list[Box]) -> bytes:
    """`page_png` for another process.

    Raises:
        PermanentError: ``page_not_drawn``, or ``missing_extra``.
    """
    try:
        return page_png(data, page, boxes)
    except DocumentError as error:
        raise PermanentError(error.detail, reason="page_not_drawn") from error
    except ModuleNotFoundError as error:
        raise PermanentError(str(error), reason="missing_extra") from error
