"""Finding reports over whole sites: archives in pages, year filters, sitemaps, links of plain scripts, a browser."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from consumers.crawl.filings import MAX_DEPTH
from consumers.filings.flow import flow
from consumers.net.browser import chromium
from consumers.net.politeness import Politeness, PolitenessPolicy
from consumers.testing import InlineRun, run_inline, serve, settings_for
from schemas.filings_handled import Handled
from streams.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    # The site is ours: it needs no pauses between two requests.
    monkeypatch.setattr("consumers.resources.Politeness", lambda: Politeness(PolitenessPolicy(delay_s=0.0)))


async def found_on(pages: Mapping[str, str | bytes | int], **spec: object) -> tuple[InlineRun, set[str]]:
    """A run over a site as far as its documents are known, and the paths of those."""
    async with serve(pages) as url:
        run = await run_inline(
            flow, {"url": url, **spec}, settings=settings_for(url, chromium=None), until_stage="classify"
        )
    return run, {one.url.removeprefix(url) for one in run.payloads("classify")}


def report(year: int) -> str:
    return f"<li><a href='/files/annual-report-{year}.pdf'>Annual report {year}</a></li>"


async def test_an_archive_of_many_pages_is_read_to_its_end() -> None:
    last = MAX_DEPTH + 2
    pages: dict[str, str | bytes | int] = {
        f"/reports?page={n}": report(2000 + n) + (f"<a href='/reports?page={n + 1}'>Next</a>" if n < last else "")
        for n in range(1, last + 1)
    }
    _, found = await found_on({"/": "<a href='/reports?page=1'>Annual reports</a>", **pages})
    assert found == {f"files/annual-report-{2000 + n}.pdf" for n in range(1, last + 1)}


@pytest.mark.parametrize(
    "choice",
    [
        "<form action='/reports' method='get'><input type=hidden name=kind value=annual><select name=year>"  # noqa: ISC004
        "<option>All</option><option value=2021>2021</option><option>2022</option></select></form>",
        "<select onchange='location=this.value'><option value='/reports?kind=annual&year=2021'>2021</option>"  # noqa: ISC004
        "<option value='/reports?kind=annual&year=2022'>2022</option></select>",
    ],
)
async def test_each_year_of_a_filter_is_asked_for(choice: str) -> None:
    pages = {
        "/": f"{choice}{report(2023)}",
        "/reports?kind=annual&year=2021": report(2021),
        "/reports?kind=annual&year=2022": report(2022),
    }
    _, found = await found_on(pages)
    assert found == {f"files/annual-report-{year}.pdf" for year in (2021, 2022, 2023)}


async def test_a_form_that_posts_is_left_alone() -> None:
    form = "<form method=post action=/reports><select name=year><option>2021</option></select></form>"
    run, _ = await found_on({"/": form, "/reports?year=2021": report(2021)})
    assert run.stages["crawl"].done == 2  # the page, and where its sitemap would be


async def test_sitemaps_are_read_packed_and_where_nobody_names_them() -> None:
    links = "".join(f"<url><loc>(site)files/annual-report-{year}.pdf</loc></url>" for year in (2019, 2020))
    pages: dict[str, str | bytes | int] = {"/": "<p>Welcome</p>"}
    async with serve(pages) as url:
        urlset = f"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>{links}</urlset>".replace("(site)", url)
        pages["/sitemap.xml"] = f"<sitemapindex><sitemap><loc>{url}reports.xml.gz</loc></sitemap></sitemapindex>"
        pages["/reports.xml.gz"] = gzip.compress(urlset.encode())
        run = await run_inline(flow, {"url": url}, settings=settings_for(url), until_stage="classify")
        assert {one.url.removeprefix(url) for one in run.payloads("classify")} == {
            "files/annual-report-2019.pdf",
            "files/annual-report-2020.pdf",
        }


async def test_addresses_in_attributes_that_plain_scripts_read() -> None:
    page = (
        "<tr onclick=\"window.open('/files/annual-report-2018.pdf')\"><td>Annual report 2018</td></tr>"
        "<button data-href='/files/annual-report-2019.pdf'>Annual report 2019</button>"
        "<a href=\"javascript:window.open('/files/annual-report-2020.pdf')\">Annual report 2020</a>"
        "<a href='#' data-file='/files/annual-report-2021.pdf'>Annual report 2021</a>"
    )
    _, found = await found_on({"/": f"<table>{page}</table>"})
    assert found == {f"files/annual-report-{year}.pdf" for year in range(2018, 2022)}


LISTED = """<h1>Reports</h1><ul id=list></ul><script>
fetch('/list.json').then(r => r.json()).then(years => { for (const year of years)
  document.getElementById('list').insertAdjacentHTML('beforeend',
    `<li><a href="/files/annual-report-${year}.pdf">Annual report ${year}</a></li>`); });
</script>"""


async def test_what_only_a_script_lists_is_read_in_a_browser() -> None:
    try:
        chromium.find(None)
    except PermanentError as missing:
        pytest.skip(str(missing))
    run, found = await found_on({"/": LISTED, "/list.json": "[2022, 2023]"})
    assert found == {"files/annual-report-2022.pdf", "files/annual-report-2023.pdf"}
    assert [one.rendered for one in run.payloads("crawl")].count(True) == 1


async def test_no_browser_is_asked_where_the_page_itself_has_reports() -> None:
    run, found = await found_on({"/": report(2023) + LISTED})
    assert found == {"files/annual-report-2023.pdf"}
    assert not any(one.rendered for one in run.payloads("crawl"))


async def test_without_a_browser_the_result_says_what_was_not_read() -> None:
    async with serve({"/": LISTED}) as url:
        run = await run_inline(flow, {"url": url}, settings=settings_for(url, chromium="/nowhere/chromium"))
    assert run.status == "partial"
    assert "may list them by script" in run.missing[0]


async def test_documents_have_records_and_say_when_they_were_published() -> None:
    page = "<ul><li>18 September 2023 <a href='/files/annual-report-2023.pdf'>Annual report 2023</a></li></ul>"
    run, _ = await found_on({"/": page})
    (told,) = [Handled.model_validate(one) async for one in run.store.contributions.of(run.job_id, tenant=run.tenant)]
    assert (told.step, told.created, told.document_type, told.fiscal_year) == ("found", True, "annual_report", 2023)
    kept = await run.store.documents.get(told.document_id, tenant=run.tenant)
    assert kept is not None
    assert (kept.status, str(kept.published_on), kept.found_by) == ("found", "2023-09-18", run.job_id)


async def test_a_page_that_is_a_report_after_all_keeps_the_words_of_its_link() -> None:
    pages: dict[str, str | bytes | int] = {
        "/": "<a href='/media/77/fetch'>Annual report 2021</a>",
        "/media/77/fetch": b"%PDF-1.7 and so on",
    }
    run, found = await found_on(pages)
    assert found == {"media/77/fetch"}
    (document,) = run.payloads("classify")
    assert (document.link_text, document.format) == ("Annual report 2021", "pdf")
