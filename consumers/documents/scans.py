"""Pages that are pictures -> their text, by the tesseract command where it is installed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from consumers.filings.ocr import command, language_of, tesseract
from consumers.filings.ocr import trait as ocr_trait

if TYPE_CHECKING:
    import pypdfium2 as pdfium

DPI: Final = 300
LONGEST_PX: Final = 5_000
"""Of the longer side of a page; a poster is drawn smaller."""

MOST_PAGES: Final = 200
"""Pages of one document that are recognised: each takes seconds."""


def is_installed() -> bool:
    """Whether there is anybody to read pictures."""
    return command() is not None


def trait() -> str:
    """What decides what is read from scans: the languages that there are models for."""
    return ocr_trait()


@dataclass(slots=True)
class Scans:
    """Recognises the pages of one document; `consumers.documents.readers.pdf.Recognise`.

    Attributes:
        languages: Of the pages so far, as tesseract names them; English is tried first.
        left: Pages that may still be recognised.
    """

    languages: str = "eng"
    left: int = MOST_PAGES

    def __call__(self, page: pdfium.PdfPage) -> str:
        """The text of a page; "" when it is empty or beyond the last that may be recognised."""
        if self.left == 0 or not any(True for _ in page.get_objects(max_depth=2)):
            return ""
        self.left -= 1
        width, height = page.get_size()
        dpi = round(min(DPI, 72 * LONGEST_PX / max(width, height, 1.0)))
        bitmap = page.render(scale=dpi / 72, grayscale=True)
        out = io.BytesIO()
        bitmap.to_pil().save(out, "PNG", compress_level=1)
        bitmap.close()
        text = tesseract(out.getvalue(), self.languages, dpi, is_table=False)
        languages = language_of(text)
        if languages not in {"eng", self.languages}:
            self.languages = languages
            text = tesseract(out.getvalue(), languages, dpi, is_table=False)
        return text.replace("\f", "")
