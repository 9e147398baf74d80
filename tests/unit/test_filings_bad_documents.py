"""Each kind of bad document is told apart, and none of them crashes or hangs."""

import io
import pickle
import time
import zlib

import pytest
from reportlab.pdfgen.canvas import Canvas

from consumers.filings import ocr, pdf
from consumers.filings.pdf import is_garbled
from consumers.filings.report import read_report
from tests.support.report_pdf import BALANCE, CASH, COLUMNS, COVER, INCOME, typeset

GOOD = typeset([COVER, INCOME, BALANCE, CASH], COLUMNS)


def reason_of(data: bytes, content_type: str = "application/pdf") -> str:
    report = read_report(data, content_type)
    assert report.statements == ()
    (problem,) = report.problems
    assert problem.detail
    return problem.reason


def pages(count: int) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out)
    for number in range(count):
        canvas.drawString(100, 100, f"page {number}")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def pictures_only() -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out)
    canvas.rect(100, 100, 300, 400, fill=1)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def blank() -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def with_control_characters() -> bytes:
    """A page whose font has no way back to Unicode, so that its text decodes to control characters."""
    codes = "".join(f"<{code:02x}>" for code in range(1, 30))
    content = f"BT /F1 12 Tf 50 700 Td [{codes * 3}] TJ ET".encode()
    to_unicode = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def "
        b"1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfrange <00> <1f> <E000> endbfrange "
        b"endcmap end end"
    )
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources <</Font <</F1 5 0 R>>>>>>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(to_unicode), to_unicode),
    ]
    body = b"%PDF-1.4\n"
    places = []
    for number, content_of in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content_of)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return body + trailer % (len(objects) + 1, table, len(objects) + 1, len(body))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_pdf_cut_off_anywhere_is_truncated(share: float) -> None:
    assert reason_of(GOOD[: int(len(GOOD) * share)]) == "truncated"


def test_a_pdf_that_needs_a_password_is_encrypted() -> None:
    assert reason_of(typeset([COVER], password="secret")) == "encrypted"


@pytest.mark.parametrize("data", [b"", b" \n\t", blank()], ids=["no bytes", "blanks", "a page with nothing on it"])
def test_nothing_is_empty(data: bytes) -> None:
    assert reason_of(data) == "empty"


@pytest.fixture
def no_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "command", lambda: None)


@pytest.mark.usefixtures("no_ocr")
def test_pages_without_text_need_ocr() -> None:
    assert reason_of(pictures_only()) == "image_only"
    assert "tesseract" in read_report(pictures_only()).problems[0].detail


def test_pictures_in_which_ocr_finds_no_text_say_so() -> None:
    assert reason_of(pictures_only()) == "image_only"


@pytest.mark.usefixtures("no_ocr")
def test_a_text_layer_that_does_not_decode_needs_ocr() -> None:
    assert reason_of(with_control_characters()) == "garbled_text"
    assert is_garbled("\x01\x02\x03\x04\x05" * 10)
    assert not is_garbled("Umsatzerlöse 1.234 (5) — £")


def test_5000_pages_are_refused_quickly() -> None:
    data = pages(5_000)
    began = time.perf_counter()
    report = read_report(data, "application/pdf")
    assert time.perf_counter() - began < 5
    assert report.page_count == 5_000
    assert report.problems[0].reason == "too_many_pages"
    assert f"{pdf.MAX_PAGES:,}" in report.problems[0].detail


def test_the_cap_on_pages_can_be_set() -> None:
    assert read_report(pages(3), max_pages=2).problems[0].reason == "too_many_pages"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7\n" + b"\x00\xff garbage " * 400 + b"\n%%EOF", "damaged"),
        (b"PK\x03\x04 a zip", "unsupported_type"),
        (zlib.compress(b"x" * 1000), "unsupported_type"),
    ],
)
def test_garbage_is_damaged_or_of_another_type(data: bytes, reason: str) -> None:
    assert reason_of(data, "application/octet-stream") == reason


def test_html_served_as_pdf_is_read_as_html() -> None:
    report = read_report(b"<!doctype html><html><body><p>Please log in</p></body></html>", "application/pdf")
    assert {problem.reason for problem in report.problems} == {"statement_not_found"}


def test_bytes_flipped_at_random_places_never_crash() -> None:
    for place in range(200, len(GOOD) - 60, max(len(GOOD) // 40, 1)):
        broken = GOOD[:place] + bytes([GOOD[place] ^ 0x5A]) + GOOD[place + 1 :]
        report = read_report(broken, "application/pdf")
        assert report.statements or report.problems


def test_a_report_without_statements_says_which_are_missing() -> None:
    report = read_report(typeset([COVER, INCOME], COLUMNS))
    assert [statement.kind for statement in report.statements] == ["income_statement"]
    assert {(p.reason, p.statement) for p in report.problems} == {
        ("statement_not_found", "balance_sheet"),
        ("statement_not_found", "cash_flow"),
    }


def test_a_statement_without_dates_is_not_guessed() -> None:
    undated = [line for line in BALANCE if "2024" not in line]
    report = read_report(typeset([COVER, undated], COLUMNS))
    assert ("columns_not_understood", "balance_sheet") in {(p.reason, p.statement) for p in report.problems}


def test_the_entry_point_can_go_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(read_report)) is read_report  # noqa: S301 - our own bytes
    report = read_report(GOOD)
    assert pickle.loads(pickle.dumps(report)) == report  # noqa: S301 - our own bytes
