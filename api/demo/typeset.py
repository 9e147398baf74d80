"""A small typesetter over reportlab's canvas: a page with a cursor, text, tables and charts.

Measures are points (1/72 inch) from the top left corner. The bytes are the same each time:
reportlab's invariant mode leaves out clock and random ids. reportlab is imported when a
document is begun.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

BODY = "Times-Roman"
BODY_BOLD = "Times-Bold"
BODY_ITALIC = "Times-Italic"
SANS = "Helvetica"
SANS_BOLD = "Helvetica-Bold"
INK = "#1c2126"
GREY = "#66707a"
PALE = "#d6dbe0"

A4 = (595.28, 841.89)
SLIDE = (842.0, 474.0)


class MissingReportlabError(ModuleNotFoundError):
    """The demo cannot typeset its reports: the ``demo`` extra is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "The demo typesets its reports with reportlab, which is not installed here. "
            "Install the extra: pip install 'millrace[demo]'",
            name="reportlab",
        )


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one document.

    Attributes:
        main: Cover, headings, first chart series.
        accent: Rules, labels, second chart series.
        tint: Behind the current year's column and boxed figures.
    """

    main: str
    accent: str
    tint: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One table line: label, then right-aligned texts.

    Attributes:
        weight: ``bold`` for totals and headings.
        over: Rule above the figures; ``double`` adds one below as well.
    """

    label: str
    figures: tuple[str, ...] = ()
    bold: bool = False
    over: bool = False
    double: bool = False
    indent: float = 0


@cache
def _reportlab() -> tuple[Any, Any, Any]:
    try:
        from reportlab.lib.colors import HexColor  # noqa: PLC0415  an extra, imported when used
        from reportlab.pdfbase.pdfmetrics import stringWidth  # noqa: PLC0415
        from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingReportlabError from error
    return Canvas, HexColor, stringWidth


class Sheet:
    """A document in the making; ``y`` is how far down the current page the cursor is.

    Args:
        title: Document title, in the PDF's properties and the running head.
        author: Company.
        size: Page width and height in points.
        margin: Left and right margin in points.
    """

    def __init__(
        self, title: str, author: str, theme: Theme, *, size: tuple[float, float] = A4, margin: float = 62
    ) -> None:
        canvas, self._hex, self._measure = _reportlab()
        self._bytes = io.BytesIO()
        self._pdf = canvas(self._bytes, pagesize=size, invariant=1, pageCompression=1)
        self._pdf.setTitle(title)
        self._pdf.setAuthor(author)
        self.title, self.theme, self.author = title, theme, author
        self.width, self.height = size
        self.left, self.right = margin, size[0] - margin
        self.bottom = size[1] - 64
        self.top = 84.0
        self.y = self.top
        self.page = 0
        self.section = ""

    def finish(self) -> bytes:
        """Close the last page and give the PDF."""
        self._pdf.showPage()
        self._pdf.save()
        return self._bytes.getvalue()

    # --- pages

    def new_page(self, *, plain: bool = False) -> None:
        """Begin a page, with running head and page number unless ``plain``."""
        if self.page:
            self._pdf.showPage()
        self.page += 1
        self.y = self.top
        if plain:
            return
        self.text(self.left, 46, self.author, SANS_BOLD, 7.5, self.theme.main)
        self.text(self.right, 46, self.section, SANS, 7.5, GREY, align="right")
        self.line(self.left, 53, self.right, 53, PALE, 0.5)
        self.text(self.left, self.height - 34, self.title, SANS, 7.5, GREY)
        self.text(self.right, self.height - 34, str(self.page), SANS_BOLD, 8, self.theme.main, align="right")

    def begin_section(self, name: str) -> None:
        """Begin a page with a bookmark of its own; ``name`` goes into the running head."""
        self.section = name
        self.new_page()
        key = f"s{self.page}"
        self._pdf.bookmarkPage(key)
        self._pdf.addOutlineEntry(name, key, 0)

    def link_to(self, page: int, left: float, top: float, right: float, bottom: float) -> None:
        """Make an area a link to the section that begins on ``page``."""
        box = (left, self.height - bottom, right, self.height - top)
        self._pdf.linkRect("", f"s{page}", box, Border="[0 0 0]")

    def need(self, points: float) -> None:
        """Go on to a new page when less than ``points`` are left on this one."""
        if self.y + points > self.bottom:
            self.new_page()

    # --- marks

    def text(
        self, x: float, y: float, words: str, font: str = BODY, size: float = 10, colour: str = INK, *,
        align: str = "left",
    ) -> None:  # fmt: skip
        """Set one line with its baseline at ``y``."""
        self._pdf.setFont(font, size)
        self._pdf.setFillColor(self._hex(colour))
        draw = {"left": self._pdf.drawString, "right": self._pdf.drawRightString, "centre": self._pdf.drawCentredString}
        draw[align](x, self.height - y, words)

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = INK, weight: float = 0.6) -> None:
        """Draw a straight rule."""
        self._pdf.setStrokeColor(self._hex(colour))
        self._pdf.setLineWidth(weight)
        self._pdf.line(x1, self.height - y1, x2, self.height - y2)

    def box(self, x: float, y: float, width: float, height: float, colour: str, *, radius: float = 0) -> None:
        """Fill a rectangle whose top left corner is (x, y)."""
        self._pdf.setFillColor(self._hex(colour))
        if radius:
            self._pdf.roundRect(x, self.height - y - height, width, height, radius, stroke=0, fill=1)
        else:
            self._pdf.rect(x, self.height - y - height, width, height, stroke=0, fill=1)

    def circle(self, x: float, y: float, radius: float, colour: str, weight: float) -> None:
        """Draw a ring."""
        self._pdf.setStrokeColor(self._hex(colour))
        self._pdf.setLineWidth(weight)
        self._pdf.circle(x, self.height - y, radius, stroke=1, fill=0)

    @contextmanager
    def clipped(self, x: float, y: float, width: float, height: float) -> Iterator[None]:
        """Marks made inside show only within the rectangle."""
        self._pdf.saveState()
        path = self._pdf.beginPath()
        path.rect(x, self.height - y - height, width, height)
        self._pdf.clipPath(path, stroke=0, fill=0)
        yield
        self._pdf.restoreState()

    # --- running text

    def lines_of(self, words: str, font: str, size: float, width: float) -> list[str]:
        """Break text into lines no wider than ``width``."""
        lines, line = [], ""
        for word in words.split():
            longer = f"{line} {word}" if line else word
            if line and self._measure(longer, font, size) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        return [*lines, line] if line else lines

    def heading(self, words: str, *, size: float = 24) -> None:
        """Set a page or section title."""
        for line in self.lines_of(words, SANS_BOLD, size, self.right - self.left):
            self.y += size
            self.text(self.left, self.y, line, SANS_BOLD, size, self.theme.main)
            self.y += size * 0.2
        self.y += 14

    def subheading(self, words: str) -> None:
        """Set a heading inside a section, kept with the text that follows."""
        self.need(60)
        self.y += 18
        self.text(self.left, self.y, words, SANS_BOLD, 11, self.theme.accent)
        self.y += 5

    def paragraph(
        self, words: str, *, font: str = BODY, size: float = 10, colour: str = INK, leading: float = 1.38
    ) -> None:
        """Set a paragraph over the full measure, over pages when it must."""
        for line in self.lines_of(words, font, size, self.right - self.left):
            self.need(size * leading)
            self.y += size * leading
            self.text(self.left, self.y, line, font, size, colour)
        self.y += size * 0.6

    def columns(self, paragraphs: Sequence[str], *, size: float = 9.6) -> None:
        """Set text in two balanced columns; a paragraph that starts with ``# `` is a heading."""
        gap, leading = 20.0, size * 1.4
        width = (self.right - self.left - gap) / 2
        flow: list[tuple[str, bool]] = []
        for words in paragraphs:
            if words.startswith("# "):
                flow.append((words[2:], True))
                continue
            flow.extend((line, False) for line in self.lines_of(words, BODY, size, width))
            flow.append(("", False))
        while flow:
            if self.y + 6 * leading > self.bottom:
                self.new_page()
            room = int((self.bottom - self.y) // leading)
            depth = min(room, -(-len(flow) // 2))
            taken = flow[: depth * 2]
            flow = flow[depth * 2 :]
            for side in range(2):
                part = taken[side * depth : (side + 1) * depth]
                x = self.left + side * (width + gap)
                for row, (line, is_heading) in enumerate(part):
                    font, colour = (SANS_BOLD, self.theme.accent) if is_heading else (BODY, INK)
                    self.text(x, self.y + (row + 1) * leading, line, font, size, colour)
            self.y += (depth + 1) * leading

    # --- figures

    def table(
        self,
        heads: Sequence[str],
        cells: Sequence[Cell],
        *,
        edges: Sequence[float],
        size: float = 9,
        leading: float = 15,
        tinted: int | None = None,
        first_head: str = "",
        rules_from: int = 0,
    ) -> None:
        """Set a table that fits on what is left of the page.

        Args:
            heads: Head of each figure column.
            cells: Lines from top to bottom.
            edges: Right edge of each figure column, in points from the left margin.
            size: Of the type, in points.
            leading: From line to line, in points.
            tinted: Index of the column to shade.
            first_head: Head of the label column.
            rules_from: First figure column that carries the rules of totals.
        """
        self.need(leading * (len(cells) + 2))
        rights = [self.left + edge for edge in edges]
        if tinted is not None:
            before = rights[tinted - 1] + 8 if tinted else rights[0] - 70
            self.box(before, self.y, rights[tinted] + 5 - before, leading * (len(cells) + 1) + 6, self.theme.tint)
        self.y += leading
        self.text(self.left, self.y, first_head, SANS_BOLD, size - 1, self.theme.main)
        for head, right in zip(heads, rights, strict=True):
            self.text(right, self.y, head, SANS_BOLD, size - 1, self.theme.main, align="right")
        self.line(self.left, self.y + 4, rights[-1] + 4, self.y + 4, self.theme.main, 0.9)
        self.y += 3
        for cell in cells:
            self.y += leading
            font = SANS_BOLD if cell.bold else SANS
            self.text(self.left + cell.indent, self.y, cell.label, font, size)
            for column, (figure, right) in enumerate(zip(cell.figures, rights, strict=bool(cell.figures))):
                self.text(right, self.y, figure, font, size, align="right")
                if not figure or column < rules_from:
                    continue
                if cell.over:
                    self.line(right - 52, self.y - size - 1, right, self.y - size - 1, INK, 0.5)
                if cell.double:
                    self.line(right - 52, self.y + 3, right, self.y + 3, INK, 0.5)
                    self.line(right - 52, self.y + 5, right, self.y + 5, INK, 0.5)
        self.y += 12

    def figure_boxes(self, figures: Sequence[tuple[str, str, str]], *, per_row: int = 3, height: float = 84) -> None:
        """Set boxed figures: label, big figure, small print."""
        gap = 12.0
        width = (self.right - self.left - gap * (per_row - 1)) / per_row
        for start in range(0, len(figures), per_row):
            self.need(height + gap)
            for column, (label, big, small) in enumerate(figures[start : start + per_row]):
                x = self.left + column * (width + gap)
                self.box(x, self.y, width, height, self.theme.tint, radius=3)
                self.box(x, self.y, 3, height, self.theme.accent)
                self.text(x + 14, self.y + 20, label, SANS, 8.5, GREY)
                self.text(x + 14, self.y + 50, big, SANS_BOLD, 22, self.theme.main)
                self.text(x + 14, self.y + 69, small, SANS, 8, GREY)
            self.y += height + gap

    def bar_chart(
        self, title: str, bars: Sequence[tuple[str, float, str]], *, x: float, width: float, height: float = 120
    ) -> None:
        """Draw a bar per (label, size, printed figure) at the cursor, the last one in the main colour.

        The cursor stays: two charts go side by side.
        """
        base = self.y + height + 24
        self.text(x, self.y + 10, title, SANS_BOLD, 9.5, self.theme.main)
        step = width / len(bars)
        tallest = max(size for _, size, _ in bars)
        for index, (label, size, figure) in enumerate(bars):
            bar = size / tallest * (height - 20)
            colour = self.theme.main if index == len(bars) - 1 else self.theme.accent
            left = x + index * step
            self.box(left + step * 0.16, base - bar, step * 0.68, bar, colour)
            self.text(left + step / 2, base - bar - 4, figure, SANS_BOLD, 8, INK, align="centre")
            self.text(left + step / 2, base + 12, label, SANS, 8, GREY, align="centre")
        self.line(x, base, x + width, base, GREY, 0.5)
