import pytest

from consumers.filings.links import document_format, find_links, same_site

PAGE = """<!doctype html><html><body>
<nav><a href="/careers">Careers</a>
<a href="/investors/archive?page=2">Older reports</a>
<a href="/about">About us</a></nav>
<h2>Annual reports</h2>
<ul>
  <li>2023 <a href="/files/ar-2023.pdf">Download</a> (2 MB)</li>
  <li><a href="ar%202022.pdf#page=3">Annual report 2022</a></li>
  <li><a href="/files/ar-2023.pdf">Download</a></li>
</ul>
<table><tr><td>10-K 2024</td><td>
<a href="https://cdn.example.net/static-files/5c8b852a"><img src="pdf.png">10-K (PDF)</a></td></tr></table>
<a href="https://docs.example.com/arden_2024_10K.html">Form 10-K 2024</a>
<a href="https://elsewhere.org/investors">Elsewhere</a>
<a href="javascript:void(0)">x</a> <a href="mailto:ir@example.com">ir@example.com</a> <a href="#top">Top</a>
<a href="http://[broken">b</a> <a href="/logo.png">Logo</a> <a href="/data.xlsx">Data</a>
</body></html>"""


def test_documents_and_pages_are_told_apart() -> None:
    found = find_links(PAGE, "https://www.example.com/investors/")
    assert [document.url for document in found.documents] == [
        "https://www.example.com/files/ar-2023.pdf",
        "https://www.example.com/investors/ar%202022.pdf",
        "https://cdn.example.net/static-files/5c8b852a",
        "https://docs.example.com/arden_2024_10K.html",
    ]
    first, second, third, fourth = found.documents
    assert first.link_text == "Download"
    assert "Annual reports" in first.context
    assert "2023" in first.context
    assert (second.format, third.format, fourth.format) == ("pdf", "unknown", "html")
    assert first.source_url == "https://www.example.com/investors/"
    assert [(page.url.removeprefix("https://www.example.com"), page.priority) for page in found.pages] == [
        ("/investors/archive?page=2", 2),
        ("/about", 1),
        ("/careers", 0),
    ]


@pytest.mark.parametrize(
    ("url", "text", "form"),
    [
        ("https://e.com/a.pdf", "", "pdf"),
        ("https://e.com/A.PDF?x=1", "", "pdf"),
        ("https://e.com/get?file=a.pdf", "", "pdf"),
        ("https://e.com/report", "Annual report 2023 (PDF, 3 MB)", "pdf"),
        ("https://e.com/report.xhtml", "", "html"),
        ("https://e.com/annual-report-2023.html", "Annual report 2023", None),
        ("https://e.com/annual-report-2023.html", "Annual report 2023 (HTML)", "html"),
        ("https://www.sec.gov/Archives/edgar/data/1/2/d.htm", "", "html"),
        ("https://e.com/investors", "Investors", None),
        ("https://e.com/a.zip", "Annual report", None),
    ],
)
def test_what_an_address_leads_to(url: str, text: str, form: str | None) -> None:
    assert document_format(url, text) == form


@pytest.mark.parametrize(
    ("url", "site", "same"),
    [
        ("https://www.example.com/a", "https://example.com/", True),
        ("https://ir.example.com/a", "https://www.example.com/", True),
        ("https://example.com.evil.org/", "https://example.com/", False),
        ("https://notexample.com/", "https://example.com/", False),
        ("http://127.0.0.1:8001/", "http://127.0.0.1:8001/x", True),
        ("http://127.0.0.1:8002/", "http://127.0.0.1:8001/", False),
        ("http://1.127.0.0.1/", "http://127.0.0.1/", False),
        ("http://evil.localhost/", "http://localhost/", False),
    ],
)
def test_the_same_site(url: str, site: str, same: bool) -> None:  # noqa: FBT001 - a case of the test
    assert same_site(url, site) is same


def test_a_base_element_and_bytes_in_another_charset() -> None:
    html = '<meta charset="iso-8859-1"><base href="https://e.com/de/"><a href="gb.pdf">Geschäftsbericht</a>'.encode(
        "latin-1"
    )
    (document,) = find_links(html, "https://e.com/").documents
    assert (document.url, document.link_text) == ("https://e.com/de/gb.pdf", "Geschäftsbericht")


def test_a_page_of_very_many_links_is_cut_and_says_so() -> None:
    found = find_links("".join(f'<a href="/p{n}">p</a>' for n in range(6_000)), "https://e.com/")
    assert found.truncated
    assert len(found.pages) == 5_000
