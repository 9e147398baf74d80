"""The demo site over real HTTP on loopback, and its PDFs through a real reader."""

import asyncio
import re
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import pypdfium2
import pytest

from api.demo import typeset
from api.demo.annual_report import annual_report
from api.demo.build import ensure_site
from api.demo.company import REPORT_YEARS, RESTATED_IN
from api.demo.other_documents import presentation, press_release, quarterly_report
from api.demo.site import DemoSite, PortInUseError
from api.demo.statements import printed, scale_of, statements_of
from api.demo.typeset import MissingReportlabError, Sheet, Theme
from api.demo.web_pages import BROKEN_LINK, DISALLOWED, annual_report_path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_site(tmp_path_factory.mktemp("home"))


@pytest.fixture
async def site(folder: Path) -> AsyncIterator[DemoSite]:
    async with DemoSite.serve(folder) as running:
        yield running


@pytest.fixture
async def browser(site: DemoSite) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.url) as session:
        yield session


def pages_of(pdf: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(pdf)
    texts = []
    for page in document:
        text = page.get_textpage()
        texts.append(str(text.get_text_bounded()))
        text.close()
        page.close()
    document.close()
    return texts


async def test_every_document_is_reachable_from_the_home_page(site: DemoSite, browser: aiohttp.ClientSession) -> None:
    waiting, found = ["/"], {"/"}
    while waiting:
        path = waiting.pop()
        async with browser.get(path) as answer:
            if answer.status != 200 or answer.content_type != "text/html":
                continue
            text = await answer.text()
        links = {urljoin(path, link) for link in re.findall(r"href=['\"]?([^'\" >]+)", text)}
        waiting += links - found
        found |= links
    assert {annual_report_path(year) for year in REPORT_YEARS} <= found
    assert sum(path.endswith(".pdf") for path in found) == len(REPORT_YEARS) + 3
    missing = {path for path, status in site.answered if status == 404}
    assert missing == {BROKEN_LINK}


async def test_pdfs_are_revalidated_by_etag_and_by_date(browser: aiohttp.ClientSession) -> None:
    path = annual_report_path(2024)
    async with browser.get(path) as first:
        assert first.status == 200
        assert first.content_type == "application/pdf"
        assert (await first.read()).startswith(b"%PDF-")
        etag, modified = first.headers["ETag"], first.headers["Last-Modified"]
    assert modified == "Sat, 28 Sep 2024 07:00:00 GMT"
    for headers in ({"If-None-Match": etag}, {"If-Modified-Since": modified}):
        async with browser.get(path, headers=headers) as again:
            assert again.status == 304
            assert await again.read() == b""
    async with browser.get(path, headers={"If-None-Match": '"other"'}) as changed:
        assert changed.status == 200
        await changed.read()


async def test_robots_and_sitemap_name_the_address_in_use(site: DemoSite, browser: aiohttp.ClientSession) -> None:
    async with browser.get("/robots.txt") as answer:
        assert answer.content_type == "text/plain"
        robots = await answer.text()
    assert f"Disallow: {DISALLOWED}\n" in robots
    assert f"Sitemap: {site.url}sitemap.xml\n" in robots
    async with browser.get("/sitemap.xml") as answer:
        sitemap = await answer.text()
    assert f"<loc>{site.url}investors/archive-2019.html</loc>" in sitemap
    assert DISALLOWED not in sitemap


async def test_a_refused_report_answers_403_only_when_asked_for(folder: Path, browser: aiohttp.ClientSession) -> None:
    path = annual_report_path(2020)
    async with browser.get(path) as answer:
        assert answer.status == 200
        await answer.read()
    async with (
        DemoSite.serve(folder, refused={path}) as strict,
        aiohttp.ClientSession(strict.url) as session,
        session.get(path) as answer,
    ):
        assert answer.status == 403


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/investors", "/%00"]
)
async def test_nothing_outside_the_folder_is_served(site: DemoSite, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.split(b" ", 2)[1] in {b"404", b"400"}


async def test_a_busy_port_is_said_plainly(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"127\.0\.0\.1:{port}"):
            async with DemoSite.serve(folder, port):
                pass


@pytest.mark.parametrize("report_year", REPORT_YEARS)
def test_a_report_prints_every_figure_of_its_statements(folder: Path, report_year: int) -> None:
    pages = pages_of((folder / annual_report_path(report_year).lstrip("/")).read_bytes())
    assert str(report_year) in pages[0]
    for statement in statements_of(report_year):
        text = "\n".join(page for page in pages if page.count(statement.title) > 1)  # running head and heading
        for row in statement.rows:
            assert row.label in text
            for value in row.values:
                figure = str(value) if row.kind == "per_share" else printed(value, scale_of(report_year))
                assert figure in text, (row.label, figure)


def test_statements_run_over_several_pages_in_some_reports(folder: Path) -> None:
    def pages_with(report_year: int, title: str) -> int:
        pages = pages_of((folder / annual_report_path(report_year).lstrip("/")).read_bytes())
        return sum(page.count(title) > 1 for page in pages)

    assert pages_with(2022, "Consolidated statement of financial position") == 2
    assert pages_with(2023, "Consolidated statement of cash flows") == 3
    assert pages_with(2021, "Consolidated balance sheet") == 1


def test_the_restating_report_says_so(folder: Path) -> None:
    text = "\n".join(pages_of((folder / annual_report_path(RESTATED_IN).lstrip("/")).read_bytes()))
    assert "2021 (restated)" in text
    assert "Restatement of prior year" in text
    assert "118,133" in text


def test_the_same_bytes_come_out_each_time(folder: Path) -> None:
    assert annual_report(2023) == (folder / annual_report_path(2023).lstrip("/")).read_bytes()
    assert quarterly_report() == quarterly_report()
    assert presentation() == presentation()
    assert press_release() == press_release()


def test_slides_are_wider_than_high(folder: Path) -> None:
    document = pypdfium2.PdfDocument(presentation())
    page = document[0]
    width, height = page.get_size()
    page.close()
    document.close()
    assert width > height


def test_a_built_site_is_kept_and_a_second_builder_finds_it(folder: Path) -> None:
    home = folder.parent.parent
    stamp = (folder / "index.html").stat().st_ino
    assert ensure_site(home) == folder
    assert (folder / "index.html").stat().st_ino == stamp
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_without_reportlab_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    typeset._reportlab.cache_clear()
    monkeypatch.setitem(sys.modules, "reportlab.lib.colors", None)
    with pytest.raises(MissingReportlabError, match=r"millrace\[demo\]"):
        Sheet("Report", "Company", Theme("#000000", "#000000", "#ffffff"))
    typeset._reportlab.cache_clear()
