"""DOCX, PPTX and XLSX: what a reader sees, in order, tables as text; nothing in them is run or fetched."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from consumers.documents.errors import DocumentRefused
from consumers.documents.kinds import open_container
from consumers.documents.limits import ReadLimits
from consumers.documents.text import Block, DocumentText, TextBuilder, table_text

ROWS_A_BLOCK: Final = 50
"""Rows of a sheet that stand together in one block."""

_HEADING: Final = re.compile(r"(?:heading|überschrift|titre|título)\s*(\d)", re.IGNORECASE)
_XML: Final = (".xml", ".rels")
_HEAD_BYTES: Final = 4_096


def read_docx(data: bytes, limits: ReadLimits) -> DocumentText:
    """Paragraphs and tables in order, then headers, footers and comments' text.

    Pages are those of the program that saved the file, where it noted them; else there are none.

    Raises:
        DocumentRefused: Of `consumers.documents.kinds.open_container`; ``xml_entities``, ``corrupt``.
    """
    import docx  # noqa: PLC0415 - an extra

    _check(data, limits)
    document: Any = _opened(docx.Document, data, "Word")
    builder = TextBuilder(limits.max_chars)
    builder.add_all(_docx_blocks(document))
    properties = document.core_properties
    return builder.done(title=properties.title, language=(properties.language or "")[:2].lower() or None)


def read_pptx(data: bytes, limits: ReadLimits) -> DocumentText:
    """Slides in order: title, texts and tables, then the notes.

    Raises:
        DocumentRefused: As `read_docx`.
    """
    import pptx  # noqa: PLC0415 - an extra

    _check(data, limits)
    deck: Any = _opened(pptx.Presentation, data, "PowerPoint")
    builder = TextBuilder(limits.max_chars)
    slides = deck.slides
    for number, slide in enumerate(slides, 1):
        if number > limits.max_pages:
            builder.cut.append(f"only the first {limits.max_pages:,} of {len(slides):,} slides were read")
            break
        builder.add_all(_slide_blocks(slide, number))
    return builder.done(page_count=len(slides), title=deck.core_properties.title)


def read_xlsx(data: bytes, limits: ReadLimits) -> DocumentText:
    """Sheets in order, the values that the program last saw; formulas are not worked out. A sheet counts as a page.

    Raises:
        DocumentRefused: As `read_docx`.
    """
    import openpyxl  # noqa: PLC0415 - an extra

    _check(data, limits)
    book: Any = _opened(lambda file: openpyxl.load_workbook(file, read_only=True, data_only=True), data, "Excel")
    builder = TextBuilder(limits.max_chars)
    left = limits.max_cells
    try:
        for number, sheet in enumerate(book.worksheets, 1):
            builder.add(Block(sheet.title, kind="heading", page=number))
            left = _read_sheet(sheet, number, builder, limits, left)
            if left <= 0:
                builder.cut.append(f"only the first {limits.max_cells:,} cells were read")
                break
        return builder.done(page_count=len(book.worksheets), title=book.properties.title)
    finally:
        book.close()


def _check(data: bytes, limits: ReadLimits) -> None:
    """Refuse what an honest Office file never has: a document type, where entities would be defined."""
    with open_container(data, limits) as container:
        for entry in container.infolist():
            if entry.filename.lower().endswith(_XML):
                with container.open(entry) as part:
                    head = part.read(_HEAD_BYTES)
                if b"<!DOCTYPE" in head or b"<!ENTITY" in head or "<!DOCTYPE".encode("utf-16-le") in head:
                    raise DocumentRefused(
                        "the file defines XML entities, as no Office program does; it is not opened",
                        reason="xml_entities",
                    )


def _opened(load: Any, data: bytes, program: str) -> Any:
    try:
        return load(io.BytesIO(data))
    except DocumentRefused:
        raise
    except Exception as error:
        # The three libraries raise whatever their XML and ZIP readers do.
        raise DocumentRefused(
            f"the file is damaged ({type(error).__name__}); open it in {program}, save it and upload it again",
            reason="corrupt",
        ) from error


def _docx_blocks(document: Any) -> Iterator[Block]:
    from docx.table import Table  # noqa: PLC0415 - an extra

    breaks = document.element.body.xpath(".//w:lastRenderedPageBreak | .//w:br[@w:type='page']")
    page: int | None = 1 if breaks else None
    for part in document.iter_inner_content():
        if isinstance(part, Table):
            yield Block(table_text(_docx_rows(part)), "table", page)
            passed = len(part._tbl.xpath(".//w:lastRenderedPageBreak"))  # noqa: SLF001 - no public way to it
        else:
            level = _heading_level(part)
            passed = len(part._p.xpath(".//w:lastRenderedPageBreak | .//w:br[@w:type='page']"))  # noqa: SLF001
            is_before = passed and page is not None and part.paragraph_format.page_break_before
            page = page + passed if is_before and page is not None else page
            yield Block(part.text, "heading" if level else "paragraph", page, level or 1)
            passed = 0 if is_before else passed
        page = page + passed if page is not None else None
    seen: set[str] = set()
    for section in document.sections:
        for kind, parts in (("header", section.header), ("footer", section.footer)):
            text = "\n".join(_docx_texts(parts))
            if text.strip() and text not in seen:
                seen.add(text)
                yield Block(text, "header" if kind == "header" else "footer", page)


def _docx_texts(container: Any) -> Iterator[str]:
    for part in container.iter_inner_content():
        yield part.text if hasattr(part, "text") else table_text(_docx_rows(part))


def _docx_rows(table: Any) -> Iterator[list[str]]:
    for row in table.rows:
        cells: list[str] = []
        before = None
        for cell in row.cells:
            # A merged cell is handed out once for each column that it covers.
            if cell._tc is not before:  # noqa: SLF001 - its identity is not public
                cells.append(cell.text)
            before = cell._tc  # noqa: SLF001 - as above
        yield cells


def _heading_level(paragraph: Any) -> int | None:
    name = (paragraph.style.name or "") if paragraph.style is not None else ""
    if name.lower() == "title":
        return 1
    found = _HEADING.match(name)
    return int(found[1]) if found else None


def _slide_blocks(slide: Any, number: int) -> Iterator[Block]:
    title = slide.shapes.title
    if title is not None and title.has_text_frame:
        yield Block(title.text_frame.text, "heading", number)
    for shape in _shapes(slide.shapes):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if shape.has_text_frame:
            yield Block(shape.text_frame.text, page=number)
        elif getattr(shape, "has_table", False) and shape.has_table:
            yield Block(table_text([cell.text for cell in row.cells] for row in shape.table.rows), "table", number)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        yield Block(slide.notes_slide.notes_text_frame.text, "note", number)


def _shapes(shapes: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    for shape in shapes:
        if hasattr(shape, "shapes") and depth < 10:  # noqa: PLR2004 - a group within a group, and no endless one
            yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _read_sheet(sheet: Any, number: int, builder: TextBuilder, limits: ReadLimits, left: int) -> int:
    sheet.reset_dimensions()
    rows: list[list[str]] = []
    for count, row in enumerate(sheet.iter_rows(values_only=True), 1):
        left -= max(1, len(row))
        if count > limits.max_rows:
            builder.cut.append(f"only the first {limits.max_rows:,} rows of sheet {sheet.title!r} were read")
            break
        cells = [_shown(value) for value in row]
        if any(cells):
            rows.append(cells)
        if len(rows) == ROWS_A_BLOCK:
            if not builder.add(Block(table_text(rows), "table", number)):
                return 0
            rows = []
        if left <= 0:
            break
    builder.add(Block(table_text(rows), "table", number))
    return left


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
