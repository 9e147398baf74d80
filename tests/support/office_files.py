"""Documents of every kind, made as the programs that people use make them; and some that nobody should send."""

from __future__ import annotations

import io
import zipfile
from email.message import EmailMessage

import docx
import openpyxl
import pptx
from docx.enum.text import WD_BREAK
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas


def docx_file() -> bytes:
    """Two pages with headings, a table with a merged cell, a header and a footer."""
    document = docx.Document()
    document.core_properties.title = "Lease of the mill"
    document.sections[0].header.paragraphs[0].text = "Confidential draft"
    document.sections[0].footer.paragraphs[0].text = "Millers' Guild"
    document.add_heading("Lease", 1)
    document.add_paragraph("The tenant keeps the water wheel in repair.")
    document.add_heading("Rent", 2)
    table = document.add_table(rows=2, cols=3)
    for cell, text in zip(table.rows[0].cells, ("Year", "Rent", "Note"), strict=True):
        cell.text = text
    table.cell(1, 0).text = "1871"
    merged = table.cell(1, 1).merge(table.cell(1, 2))
    merged.text = "forty sacks of flour"
    document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
    document.add_heading("Notice", 2)
    document.add_paragraph("Either party may end the lease at Michaelmas.")
    return _saved(document.save)


def pptx_file() -> bytes:
    """Two slides: a title with bullets and notes; a table within."""
    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "Harvest"
    first.placeholders[1].text = "Barley came early"
    first.notes_slide.notes_text_frame.text = "Thank the reapers"
    second = deck.slides.add_slide(deck.slide_layouts[5])
    second.shapes.title.text = "Yield"
    table = second.shapes.add_table(2, 2, 0, 0, 4_000_000, 1_000_000).table
    for row, texts in enumerate((("Field", "Sacks"), ("North", "212"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    return _saved(deck.save)


def xlsx_file(rows: int = 2) -> bytes:
    """A sheet of so many rows, and an empty one."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Stock"
    sheet.append(["Grain", "Sacks"])
    for number in range(rows):
        sheet.append([f"grain {number}", number + 0.0])
    book.create_sheet("Empty")
    return _saved(book.save)


def pdf_file(pages: list[str], *, bookmarks: bool = False, password: str | None = None) -> bytes:
    """A PDF with a page for each text; "" is a page without text."""
    file = io.BytesIO()
    paper = canvas.Canvas(file, pagesize=A4, encrypt=password)
    paper.setTitle("Annals of the mill")
    for number, text in enumerate(pages, 1):
        if bookmarks:
            paper.bookmarkPage(f"p{number}")
            paper.addOutlineEntry(f"Chapter {number}", f"p{number}", level=0)
        for row, line in enumerate(text.splitlines()):
            paper.drawString(72, 770 - 14 * row, line)
        paper.showPage()
    paper.save()
    return file.getvalue()


def eml_file() -> bytes:
    """A mail with a plain and an HTML body and an attachment."""
    message = EmailMessage()
    message["From"] = "Ada Miller <ada@example.com>"
    message["To"] = "guild@example.com"
    message["Date"] = "Mon, 02 Nov 2026 09:00:00 +0000"
    message["Subject"] = "Grüße from the weir"
    message.set_content("The weir holds.\n\nThe sluice does not.")
    message.add_alternative("<p>The weir <b>holds</b>.</p>", subtype="html")
    message.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="plan.pdf")
    return message.as_bytes()


def zip_of(files: dict[str, bytes]) -> bytes:
    """A ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return file.getvalue()


def with_parts(office: bytes, parts: dict[str, bytes]) -> bytes:
    """An Office file with some of its parts replaced or added."""
    with zipfile.ZipFile(io.BytesIO(office)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return zip_of(files | parts)


def _saved(save: object) -> bytes:
    assert callable(save)
    file = io.BytesIO()
    save(file)
    return file.getvalue()
