"""Where a passage stands on its page, and pages that are pictures."""

import io
import textwrap

import pypdfium2 as pdfium
import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from consumers.documents import scans
from consumers.documents.marks import boxes_of, spans_of
from consumers.documents.work import read_and_cut
from tests.support.office_files import pdf_file

PAGE = "The wheel turns eastward since the year 1871\nBarley was dear and the miller com-\nplained of it to everybody"


@pytest.mark.parametrize(
    ("passage", "marked"),
    [
        ("barley was  dear and the miller complained", ["Barley was dear and the miller com-\nplained"]),
        ("On another page. The wheel turns eastward since the year", ["The wheel turns eastward since the year"]),
        ("the wheel", ["The wheel"]),
        ("Nothing of this is on the page, whatever it says", []),
        ("", []),
    ],
)
def test_what_a_page_has_of_a_passage(passage: str, marked: list[str]) -> None:
    assert [PAGE[start:end] for start, end in spans_of(list(PAGE), passage)] == marked


def test_a_box_frames_each_line() -> None:
    boxes = boxes_of(pdf_file(["other", PAGE]), 2, "Barley was dear and the miller complained of it to everybody")
    assert len(boxes) == 2
    for (left, bottom, _, top), line in zip(boxes, (756, 742), strict=True):
        assert left == pytest.approx(72, abs=2)
        assert bottom < line + 4 < top
    assert boxes_of(pdf_file(["other", PAGE]), 9, PAGE) == []


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_boxes_follow_a_page_that_is_turned_and_cropped(turn: int) -> None:
    document = pdfium.PdfDocument(pdf_file([PAGE]))
    document[0].set_cropbox(50, 600, 500, 800)
    document[0].set_rotation(turn)
    out = io.BytesIO()
    document.save(out)
    document.close()
    (box,) = boxes_of(out.getvalue(), 1, "The wheel turns eastward since the year 1871")
    with pdfium.PdfDocument(out.getvalue()) as opened:
        image = opened[0].render(scale=2).to_pil().convert("L")
        height = opened[0].get_height()
    left, bottom, right, top = (round(2 * edge) for edge in (box[0], height - box[1], box[2], height - box[3]))
    ink = sum(image.histogram()[:100])
    within = sum(image.crop((left, top, right, bottom)).histogram()[:100])
    assert 0.2 < within / ink < 0.6, "the first of three lines is in the box"


def scan_file(text: str) -> bytes:
    """A PDF of one page that is a picture of a text."""
    image = Image.new("L", (1_240, 1_754), 255)
    font = ImageFont.load_default(36)
    ImageDraw.Draw(image).multiline_text((120, 150), textwrap.fill(text, 50), fill=0, font=font, spacing=16)
    file = io.BytesIO()
    paper = canvas.Canvas(file, pagesize=A4)
    paper.drawImage(ImageReader(image), 0, 0, *A4)
    paper.showPage()
    paper.showPage()
    paper.save()
    return file.getvalue()


SCANNED = "The tenant keeps the water wheel in good repair and pays the rent at Michaelmas of each year."


@pytest.mark.skipif(not scans.is_installed(), reason="tesseract is not installed")
def test_a_scan_is_recognised() -> None:
    read = read_and_cut(scan_file(SCANNED), "lease.pdf", 4_000, 400, 100)
    assert " ".join(read.text.split()) == SCANNED
    assert (read.chunks[0].first_page, read.empty_pages) == (1, [2])
    assert read.cut == ["1 pages have no text of their own and none was recognised on them"]


def test_without_tesseract_the_result_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.filings.ocr.shutil.which", lambda _: None)
    from consumers.filings.ocr import command  # noqa: PLC0415 - its answer is remembered

    command.cache_clear()
    try:
        read = read_and_cut(scan_file(SCANNED), "lease.pdf", 4_000, 400, 100)
    finally:
        command.cache_clear()
    assert read.chunks == []
    assert "tesseract is not installed" in read.cut[0]
