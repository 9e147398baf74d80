"""PDF bytes -> pages of text, and words with their boxes. One page is in memory at a time."""

from __future__ import annotations

import io
import math
import re
import statistics
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from consumers.filings.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

MAX_PAGES: Final = 3_000
"""Longest document read; the longest annual reports have about 1,000 pages."""

MAX_CHARS_PER_PAGE: Final = 60_000
"""Characters of a page that are looked at; a dense page of a report has about 8,000."""

_ANGLES: Final = 60
_MOST_PIXELS: Final = 6_000
_STRANGE: Final = re.compile(
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\ud800-\\uf8ff\\ufff0-\\uffff\\U000f0000-\\U0010ffff]"
)
_TRAILER_WINDOW: Final = 4_096
_HEADER_WINDOW: Final = 1_024
_ERROR_PASSWORD: Final = 4
_GARBLED_SHARE: Final = 0.2
_FEW_CHARS: Final = 20
_WORD_GAP: Final = 0.25
_SIDE_TAB: Final = 6
_GIANT: Final = 2.5
_CURRENCY: Final = frozenset("$£€¥₹")


Box = tuple[float, float, float, float]
"""Left, bottom, right and top in points."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its box in points from the page's lower left corner."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def height(self) -> float:
        """Height of the box."""
        return self.y1 - self.y0

    @property
    def middle(self) -> float:
        """Vertical centre."""
        return (self.y0 + self.y1) / 2


@dataclass(frozen=True, slots=True)
class Line:
    """Words of one printed line, left to right."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The words with single spaces."""
        return " ".join(word.text for word in self.words)

    @property
    def middle(self) -> float:
        """Vertical centre."""
        return statistics.fmean(word.middle for word in self.words)


def pdfium() -> ModuleType:
    """The pypdfium2 module.

    Raises:
        ModuleNotFoundError: It is not installed; the text names the extra to install.
    """
    try:
        import pypdfium2  # noqa: PLC0415 - the base install goes without it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "reading PDF reports needs pypdfium2: pip install 'millrace[filings]'", name=error.name
        ) from error
    return pypdfium2  # type: ignore[no-any-return]


class PdfReader:
    """An open PDF. Pages are numbered from 1."""

    def __init__(self, document: Any, page_count: int) -> None:
        self._document = document
        self._turns: dict[int, int] = {}
        self._frames: dict[int, tuple[Box, int]] = {}
        self.page_count = page_count

    def text(self, page: int) -> str:
        """The text layer of a page in reading order as the file gives it; "" for a page that cannot be loaded."""
        try:
            with self._textpage(page) as textpage:
                return str(textpage.get_text_range(0, min(textpage.count_chars(), MAX_CHARS_PER_PAGE)))
        except pdfium().PdfiumError:
            return ""

    def has_marks(self, page: int) -> bool:
        """Whether anything is drawn on a page: text, pictures or lines."""
        try:
            loaded = self._document[page - 1]
        except pdfium().PdfiumError:
            return False
        try:
            return bool(pdfium().raw.FPDFPage_CountObjects(loaded) > 0)
        finally:
            loaded.close()

    def words(self, page: int) -> list[Word]:
        """The words of a page with their boxes; none for a page that cannot be loaded."""
        try:
            with self._textpage(page) as textpage:
                turned = self._turns[page] = _turned(textpage)
                return _words(list(_chars(textpage, turned)))
        except pdfium().PdfiumError:
            return []

    def shown(self, page: int, box: Box) -> Box:
        """Where a box of a page's words is on the page as it is displayed, in points from its lower left corner.

        Words are laid upright for reading; a page may be cropped and turned for display.
        """
        char = _upright(_Char("", *box), -self._turns.get(page, 0) % 4)
        if page not in self._frames:
            loaded = self._document[page - 1]
            try:
                self._frames[page] = (loaded.get_cropbox(), loaded.get_rotation() // 90)
            finally:
                loaded.close()
        (left, bottom, right, top), turns = self._frames[page]
        moved = _upright(_Char("", char.x0 - left, char.y0 - bottom, char.x1 - left, char.y1 - bottom), turns)
        width, height = right - left, top - bottom
        across, up = ((0.0, 0.0), (0.0, width), (width, height), (height, 0.0))[turns]
        x0, y0, x1, y1 = moved.x0 + across, moved.y0 + up, moved.x1 + across, moved.y1 + up
        return round(x0, 1), round(y0, 1), round(x1, 1), round(y1, 1)

    def picture(self, page: int, dpi: int, share: float = 1.0) -> tuple[bytes, float] | None:
        """A page drawn in greys, from the top down to a share of its height.

        Returns:
            The PNG, and the height of the whole page in points; None for a page that cannot be drawn.
        """
        try:
            loaded = self._document[page - 1]
        except pdfium().PdfiumError:
            return None
        try:
            width, height = loaded.get_size()
            dpi = min(dpi, int(_MOST_PIXELS * 72 / max(width, height, 1.0)))
            bitmap = loaded.render(scale=dpi / 72, grayscale=True, crop=(0, height * (1 - share), 0, 0))
            out = io.BytesIO()
            bitmap.to_pil().save(out, "PNG", compress_level=1)
            bitmap.close()
            return out.getvalue(), float(height)
        except pdfium().PdfiumError:
            return None
        finally:
            loaded.close()

    @contextmanager
    def _textpage(self, number: int) -> Iterator[Any]:
        page = self._document[number - 1]
        try:
            textpage = page.get_textpage()
            try:
                yield textpage
            finally:
                textpage.close()
        finally:
            page.close()

    def close(self) -> None:
        """Free the document."""
        self._document.close()


@contextmanager
def open_pdf(data: bytes, max_pages: int = MAX_PAGES) -> Iterator[PdfReader]:
    """Open a PDF and close it again.

    Raises:
        DocumentError: `empty`, `unsupported_type`, `truncated`, `encrypted`, `damaged` or `too_many_pages`.
    """
    if not data.strip():
        raise DocumentError("empty", "the document has no bytes; download it again")
    if b"%PDF-" not in data[:_HEADER_WINDOW]:
        raise DocumentError("unsupported_type", "the document does not begin with %PDF-")
    library = pdfium()
    complete = b"%%EOF" in data[-_TRAILER_WINDOW:]
    try:
        document = library.PdfDocument(data)
        page_count = len(document)
    except library.PdfiumError as error:
        if getattr(error, "err_code", None) == _ERROR_PASSWORD:
            raise DocumentError("encrypted", "the PDF needs a password; supply a copy without one") from error
        if not complete:
            raise _truncated(data) from error
        raise DocumentError("damaged", f"no PDF reader can open it: {error}") from error
    reader = PdfReader(document, page_count)
    try:
        if not complete:
            raise _truncated(data)
        if page_count == 0:
            raise DocumentError("empty", "the PDF has no pages")
        if page_count > max_pages:
            detail = f"the PDF has {page_count:,} pages, more than the {max_pages:,} that are read; split it"
            raise DocumentError("too_many_pages", detail, page_count)
        yield reader
    finally:
        reader.close()


def _truncated(data: bytes) -> DocumentError:
    detail = f"the PDF ends after {len(data):,} bytes without its %%EOF mark; download it again"
    return DocumentError("truncated", detail)


def is_garbled(text: str) -> bool:
    """Whether a text layer decodes to control, private-use or replacement characters."""
    if _STRANGE.search(text) is None:
        return False
    letters = [char for char in text if not char.isspace()]
    if len(letters) < _FEW_CHARS:
        return False
    strange = sum(unicodedata.category(char) in ("Cc", "Co", "Cn", "Cs") or char == "\ufffd" for char in letters)
    return strange / len(letters) > _GARBLED_SHARE


@dataclass(frozen=True, slots=True)
class _Char:
    text: str
    x0: float
    y0: float
    x1: float
    y1: float


def _chars(textpage: Any, turned: int = 0) -> Iterator[_Char | None]:
    """Characters with their loose boxes (advance width by font height); None for a space.

    Args:
        turned: Quarter turns clockwise that put the text upright.

    Tight boxes are no use for words: the "1" and the "," are so narrow that numbers fall apart.
    """
    raw = pdfium().raw
    box = raw.FS_RECTF()
    for index in range(min(textpage.count_chars(), MAX_CHARS_PER_PAGE)):
        code = raw.FPDFText_GetUnicode(textpage, index)
        char = chr(code) if code not in (0, 0xFFFE, 0xFFFF) else ""
        if char == "\x02":
            char = "-"
        if not char.strip() or not raw.FPDFText_GetLooseCharBox(textpage, index, box):
            yield None
        elif unicodedata.category(char) not in ("Cc", "Cf"):
            yield _upright(_Char(char, box.left, box.bottom, box.right, box.top), turned)


def _turned(textpage: Any) -> int:
    """Quarter turns clockwise that put the text of a page upright: tables are set sideways on upright pages."""
    angle_of = pdfium().raw.FPDFText_GetCharAngle
    count = min(textpage.count_chars(), MAX_CHARS_PER_PAGE)
    sample = range(0, count, max(count // _ANGLES, 1))
    angles = [-round(angle_of(textpage, index) / (math.pi / 2)) % 4 for index in sample]
    return statistics.mode(angles) if angles else 0


def _upright(char: _Char, turned: int) -> _Char:
    """A box as it stands when the page is turned; coordinates may become negative, which matters to nobody."""
    if turned == 1:
        return _Char(char.text, char.y0, -char.x1, char.y1, -char.x0)
    if turned == 2:  # noqa: PLR2004 - upside down
        return _Char(char.text, -char.x1, -char.y1, -char.x0, -char.y0)
    if turned == 3:  # noqa: PLR2004 - the other way round
        return _Char(char.text, -char.y1, char.x0, -char.y0, char.x1)
    return char


def _words(chars: list[_Char | None]) -> list[Word]:
    heights = [char.y1 - char.y0 for char in chars if char]
    if not heights:
        return []
    usual = statistics.median(heights)
    words: list[Word] = []
    run: list[_Char] = []
    for char in [*chars, None]:
        clamped = _clamp(char, usual) if char else None
        if run and (clamped is None or not _joins(run[-1], clamped)):
            words.append(_word(run))
            run = []
        if clamped is not None:
            run.append(clamped)
    return words


def _clamp(char: _Char, usual: float) -> _Char:
    """Some fonts declare boxes many lines high; cut these around their middle."""
    if char.y1 - char.y0 <= _GIANT * usual:
        return char
    middle = (char.y0 + char.y1) / 2
    return _Char(char.text, char.x0, middle - usual / 2, char.x1, middle + usual / 2)


def _joins(left: _Char, right: _Char) -> bool:
    if right.text in _CURRENCY and (left.text.isdigit() or left.text == ")"):
        return False
    height = max(left.y1 - left.y0, right.y1 - right.y0, 1.0)
    same_line = abs((left.y0 + left.y1) - (right.y0 + right.y1)) / 2 < 0.5 * height
    return same_line and -height < right.x0 - left.x1 < _WORD_GAP * height


def _word(run: list[_Char]) -> Word:
    text = unicodedata.normalize("NFKC", "".join(char.text for char in run))
    return Word(text, min(c.x0 for c in run), min(c.y0 for c in run), max(c.x1 for c in run), max(c.y1 for c in run))


def lines_of(words: list[Word]) -> list[Line]:
    """Group words into printed lines, top to bottom."""
    rows: list[list[Word]] = []
    for word in sorted(_without_side_tabs(words), key=lambda w: -w.middle):
        if rows and abs(rows[-1][0].middle - word.middle) < 0.4 * max(min(word.height, rows[-1][0].height), 1.0):
            rows[-1].append(word)
        else:
            rows.append([word])
    return [Line(tuple(sorted(row, key=lambda w: w.x0))) for row in rows]


def _without_side_tabs(words: list[Word]) -> list[Word]:
    """Leave out text set letter under letter along a margin, which would join every line it passes."""
    stacks: dict[int, list[Word]] = {}
    for word in words:
        if len(word.text) == 1 and word.text.isalpha():
            stacks.setdefault(round(word.x0 / 3), []).append(word)
    tabs = {id(w) for stack in stacks.values() if len(stack) >= _SIDE_TAB for w in stack}
    return [word for word in words if id(word) not in tabs]
