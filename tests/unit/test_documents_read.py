"""Every kind of file as text with its places, and files that are refused or cut."""

import zipfile

import pytest

from consumers.documents.errors import DocumentRefused
from consumers.documents.kinds import kind_of
from consumers.documents.limits import ReadLimits
from consumers.documents.read import read_document
from consumers.documents.text import DocumentText
from tests.support.msg_file import msg_file
from tests.support.office_files import (
    docx_file,
    eml_file,
    pdf_file,
    pptx_file,
    with_parts,
    xlsx_file,
    zip_of,
)

PAGE = """<!doctype html><html lang="de-AT"><head><title>Die Mühle</title></head><body>
<nav><a href="/">Start</a><a href="/kontakt">Kontakt</a></nav><main><h1>Das Mühlrad</h1>
<p>Das Mühlrad dreht sich seit dem Jahr 1871, und der Bach hat es nie im Stich gelassen, auch nicht im Sommer.</p>
<h2>Das Wehr</h2><p>Das Wehr wurde zweimal erneuert, zuletzt nach dem großen Hochwasser im Herbst.</p>
<table><tr><th>Jahr</th><th>Säcke</th></tr><tr><td>1901</td><td>212</td></tr></table></main>
<script>track()</script></body></html>"""


def read(data: bytes, name: str = "", **limits: int) -> DocumentText:
    return read_document(data, name, ReadLimits(**limits))[1]


def page_at(document: DocumentText, words: str) -> int | None:
    start = document.text.index(words)
    pages = document.pages_of(start, start + len(words))
    return pages[0] if pages else None


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (pdf_file(["text of a page"]), "report.doc", "pdf"),
        (docx_file(), "report.pdf", "docx"),
        (pptx_file(), "", "pptx"),
        (xlsx_file(), "", "xlsx"),
        (PAGE.encode(), "notes.txt", "html"),
        (b"<!-- made by hand -->\n<p>Hello", "", "html"),
        (eml_file(), "mail.txt", "eml"),
        (msg_file(), "mail.pdf", "msg"),
        (b"How a file begins: %PDF-1.7 stands first.\n", "", "text"),
        (b"junk of a mail gateway\n" + pdf_file(["text of a page"]), "", "pdf"),
        (b"a,b,c\n1,2,3\n4,5,6\n", "", "csv"),
        (b"a;b\n1;2\n", "numbers.csv", "csv"),
        (b"To: whom it may concern, hello, all\n", "letter.txt", "text"),
        (b"# Title\n\ntext", "notes.md", "markdown"),
        ("Grüße aus der Mühle".encode("utf-16"), "", "text"),
        (b"just some words, and a comma\n", "", "text"),
    ],
)
def test_a_kind_is_told_by_content(data: bytes, name: str, kind: str) -> None:
    assert kind_of(data, name) == kind


def test_word_keeps_order_headings_tables_headers_and_pages() -> None:
    document = read(docx_file())
    assert document.title == "Lease of the mill"
    for earlier, later in (("water wheel", "1871 | forty sacks of flour"), ("1871", "Michaelmas")):
        assert document.text.index(earlier) < document.text.index(later)
    assert document.text.count("forty sacks of flour") == 1
    assert "Confidential draft" in document.text
    assert "Millers' Guild" in document.text
    assert document.section_of(document.text.index("Michaelmas")) == "Lease > Notice"
    assert document.section_of(document.text.index("1871")) == "Lease > Rent"
    assert (page_at(document, "water wheel"), page_at(document, "Michaelmas")) == (1, 2)


def test_slides_have_titles_tables_and_notes() -> None:
    document = read(pptx_file())
    assert (page_at(document, "Thank the reapers"), page_at(document, "North | 212")) == (1, 2)
    assert document.section_of(document.text.index("Barley")) == "Harvest"
    assert document.page_count == 2


def test_sheets_are_tables_and_long_ones_are_cut() -> None:
    document = read(xlsx_file())
    assert "Grain | Sacks\ngrain 0 | 0\ngrain 1 | 1" in document.text
    assert document.section_of(document.text.index("grain 1")) == "Stock"
    cut = read(xlsx_file(500), max_rows=100)
    assert "grain 98" in cut.text
    assert "grain 99" not in cut.text
    assert cut.cut == ("only the first 100 rows of sheet 'Stock' were read",)
    few = read(xlsx_file(500), max_cells=60)
    assert few.cut == ("only the first 60 cells were read",)


def test_a_sheet_that_claims_a_million_rows_is_cut_where_it_is_told() -> None:
    sheet = (
        b'<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        b'<dimension ref="A1:XFD1048576"/><sheetData><row r="1"><c r="A1"><v>1</v></c></row>'
        b'<row r="1048576"><c r="XFD1048576"><v>2</v></c></row></sheetData></worksheet>'
    )
    document = read(with_parts(xlsx_file(), {"xl/worksheets/sheet1.xml": sheet}), max_rows=1_000)
    assert document.cut == ("only the first 1,000 rows of sheet 'Stock' were read",)


def test_a_pdf_has_pages_sections_and_empty_pages() -> None:
    pages = ["The wheel turns\nand the mill-\nstone grinds", "", "The miller sleeps at noon"]
    document = read(pdf_file(pages, bookmarks=True))
    assert (document.page_count, document.empty_pages, document.title) == (3, (2,), "Annals of the mill")
    assert "the millstone grinds" in document.text
    assert page_at(document, "sleeps") == 3
    assert document.section_of(document.text.index("sleeps")) == "Chapter 3"
    cut = read(pdf_file(pages), max_pages=1)
    assert cut.cut == ("only the first 1 of 3 pages were read",)
    assert "sleeps" not in cut.text


def test_pages_without_text_are_recognised() -> None:
    read_pages = []

    def recognise(page: object) -> str:
        read_pages.append(page)
        return "words on a photograph"

    _, document = read_document(pdf_file(["The wheel turns", ""]), recognise=recognise)
    assert document.empty_pages == ()
    assert page_at(document, "photograph") == 2
    assert len(read_pages) == 1


def test_a_web_page_is_its_main_text() -> None:
    document = read(PAGE.encode("iso-8859-1").replace(b"<title>", b'<meta charset="iso-8859-1"><title>'))
    assert (document.title, document.language) == ("Die Mühle", "de")
    assert "Kontakt" not in document.text
    assert "track" not in document.text
    assert "1901 | 212" in document.text
    assert document.section_of(document.text.index("Hochwasser")) == "Das Mühlrad > Das Wehr"


def test_a_mail_has_head_body_and_names_what_is_attached() -> None:
    document = read(eml_file())
    assert document.title == "Grüße from the weir"
    assert "From: Ada Miller <ada@example.com>" in document.text
    assert "The sluice does not." in document.text
    assert document.text.count("The weir") == 1
    assert "plan.pdf" in document.text
    assert document.cut == ("1 attached files were not read; upload them by themselves",)


@pytest.mark.parametrize(
    ("body", "html"),
    [("The sluice stays shut until Monday.", None), (None, b"<p>The sluice stays <b>shut</b> until Monday.</p>")],
)
def test_a_mail_of_outlook_has_head_body_and_names_what_is_attached(body: str | None, html: bytes | None) -> None:
    document = read(msg_file(body=body, html=html))
    assert document.title == "Grüße from the weir"
    for said in (
        'From: "Ada Miller" <ada@example.com>', "To: bo@example.com, cy@example.com", "Date: 2024-03-09",
        "The sluice stays shut until Monday.", "Attached: plan.pdf",
    ):  # fmt: skip
        assert said in document.text
    assert document.cut == ("1 attached files were not read; upload them by themselves",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
def test_text_of_any_encoding(encoding: str) -> None:
    text = "Der Müller läßt die Räder über Nacht stehen.\r\n\r\nFrüh am Morgen öffnet er das Wehr für die Fische."
    assert read(text.encode(encoding)).text == text.replace("\r\n", "\n")


def test_markdown_headings_are_sections() -> None:
    document = read(b"Mill\n====\nwords\n\n## Wheel\nmore\n\n```\n# no heading\n```\n", "readme.md")
    assert document.section_of(document.text.index("no heading")) == "Mill > Wheel"


def test_csv_is_a_table() -> None:
    assert read(b'name;sacks\n"Miller; Ada";12\n', "stock.csv").text == "name | sacks\nMiller; Ada | 12"


def test_a_long_text_is_cut_and_says_so() -> None:
    document = read(b"word " * 1_000, max_chars=99)
    assert len(document.text) == 99
    assert document.cut == ("only the first 99 characters were kept",)


def encrypted_zip() -> bytes:
    body = bytearray(zip_of({"[Content_Types].xml": b"<Types/>"}))
    body[6] |= 1
    body[body.index(b"PK\x01\x02") + 8] |= 1
    return bytes(body)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \x00\n", "empty"),
        (b"\x89PNG\r\n\x1a\n....", "unsupported_type"),
        (b"\x7fELF\x02\x01\x01\x00", "unsupported_type"),
        (b"\x1f\x8b\x08\x00", "archive"),
        (zip_of({"inner.zip": zip_of({"a.txt": b"a"})}), "archive"),
        (zip_of({"[Content_Types].xml": b"<Types>vnd.oasis</Types>"}), "unsupported_type"),
        (with_parts(docx_file(), {"word/vbaProject.bin": b"\xd0\xcf"}), "macros"),
        (with_parts(docx_file(), {"word/media/bomb.bin": bytes(20_000_000)}), "zip_bomb"),
        (with_parts(docx_file(), {"word/document.xml": b'<!DOCTYPE x [<!ENTITY a "a">]><x>&a;</x>'}), "xml_entities"),
        (with_parts(docx_file(), {"word/document.xml": b"<not closed"}), "corrupt"),
        (docx_file()[:-100], "corrupt"),
        (pdf_file(["secret"], password="hunter2"), "encrypted"),
        (pdf_file(["words"])[:200], "corrupt"),
        (encrypted_zip(), "encrypted"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument".encode("utf-16-le"), "unsupported_type"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "__properties_version1.0".encode("utf-16-le"), "corrupt"),
        (msg_file()[:-700], "corrupt"),
    ],
)
def test_what_should_not_be_read_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentRefused) as caught:
        read_document(data)
    assert caught.value.reason == reason


def test_too_many_files_within_are_refused() -> None:
    with pytest.raises(DocumentRefused) as caught:
        read_document(docx_file(), limits=ReadLimits(max_entries=3))
    assert caught.value.reason == "too_many_entries"


def test_a_size_that_is_a_lie_unpacks_to_no_more() -> None:
    bomb = with_parts(docx_file(), {"word/document.xml": b"<x>" + bytes(5_000_000)})
    at = bomb.rindex(b"word/document.xml") - 46
    lie = bomb[: at + 24] + (100).to_bytes(4, "little") + bomb[at + 28 :]
    with pytest.raises((DocumentRefused, zipfile.BadZipFile)) as caught:
        read_document(lie)
    assert getattr(caught.value, "reason", "corrupt") == "corrupt"
