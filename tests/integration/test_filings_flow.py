"""The `filings` flow end to end: a real site, a real worker, real servers."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import orjson
import pytest
from openpyxl import load_workbook
from reportlab.pdfgen.canvas import Canvas

from api.demo.build import ensure_site
from api.demo.company import NAME, REPORT_YEARS
from api.demo.expected import restated_values, true_values
from api.demo.site import DemoSite
from api.demo.web_pages import BROKEN_LINK, DISALLOWED, annual_report_path
from consumers.bundle.export import Sources
from consumers.download import filings as download
from consumers.replays.gather import Chosen
from consumers.shadow import gathered, shadow
from consumers.store import upgrade
from schemas.filings_result import FilingsResult, News
from tests.support.flow_place import TENANT, Place, place
from tests.support.hostile_site import HostileSite
from tests.support.report_pdf import BALANCE, CASH, COLUMNS, COVER, INCOME, typeset

SHARED = Path(os.environ.get("MILLRACE_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "filings"


class Open(Protocol):
    async def __call__(self, *allow: str, fetching: Mapping[str, object] | None = None) -> Place: ...


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    asyncio.run(upgrade(postgres_url))
    return postgres_url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_site(tmp_path_factory.mktemp("home"))


@pytest.fixture
async def open_place(valkey_url: str, database_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened(*allow: str, fetching: Mapping[str, object] | None = None) -> Place:
            running = place(
                valkey_url, database_url, tmp_path, fetching=fetching, namespace=namespace, allow_hosts=allow
            )
            return await stack.enter_async_context(running)

        yield opened


def values_of(result: FilingsResult) -> dict[tuple[str, str, str], Decimal]:
    """(statement, label, period end) -> value in pounds, or pence for what is per share."""
    return {
        (statement.kind, row.label, end.isoformat()): cell.value
        * (statement.unit_multiplier if row.unit == "amount" else 1)
        for statement in result.statements
        for row in statement.rows
        for end, cell in zip(statement.period_ends, row.cells, strict=True)
        if cell is not None
    }


async def test_the_demo_company_is_compiled_as_it_truly_is(open_place: Open, folder: Path) -> None:
    async with DemoSite.serve(folder) as site:
        here = await open_place(f"127.0.0.1:{site.port}")
        record = await here.run(url=site.url)
        result = await here.result(record.job_id)
        assert (record.status, result.missing) == ("succeeded", ())

    true = {(one.statement, one.label, one.period_end.isoformat()): one.value for one in true_values()}
    found = values_of(result)
    assert {place: found.get(place) for place in true} == true
    assert result.company.name == NAME
    told = {(one.statement, one.label, one.period_end): one.changes[-1].value for one in result.restatements}
    assert told == {(one.statement, one.label, one.period_end): one.value / 1000 for one in restated_values()}
    assert {one.provisional.fiscal_year for one in result.documents} == set(REPORT_YEARS)
    assert {one.confirmed.document_type for one in result.documents if one.confirmed} == {"annual_report"}

    # Every page and every annual report once; what robots.txt disallows, and the decoys, not at all.
    asked = dict(site.answered)
    reports = {annual_report_path(year) for year in REPORT_YEARS}
    assert {path for path, _ in asked if path.endswith(".pdf")} == reports
    assert all(times == 1 for (path, _), times in asked.items() if path != "/")
    assert asked[BROKEN_LINK, 404] == 1
    assert not any(path.startswith(DISALLOWED) for path, _ in asked)
    for stage in ("crawl", "classify", "download", "extract", "compile", "notify"):
        assert record.number(f"{stage}.done") > 0
        assert record.number(f"{stage}.failed") == 0


async def test_the_files_open_in_a_spreadsheet(open_place: Open, folder: Path) -> None:
    async with DemoSite.serve(folder) as site:
        here = await open_place(f"127.0.0.1:{site.port}")
        record = await here.run(url=site.url)
    book = load_workbook(io.BytesIO(await here.artifact(record.job_id, "statements.xlsx")))
    assert {"Income statement", "Balance sheet", "Cash flow", "Restatements"} <= set(book.sheetnames)
    rows = list(csv.DictReader(io.StringIO((await here.artifact(record.job_id, "statements.csv")).decode("utf-8-sig"))))
    assert {row["statement"] for row in rows} == {"income_statement", "balance_sheet", "cash_flow"}
    kept = await here.store.artifacts.of(record.job_id, tenant=TENANT)
    assert sum(one.content_type == "application/pdf" for one in kept) == len(REPORT_YEARS)


async def test_a_refused_report_ends_as_partial_and_is_asked_for_once(open_place: Open, folder: Path) -> None:
    path = annual_report_path(2022)
    async with DemoSite.serve(folder, refused=[path]) as site:
        here = await open_place(f"127.0.0.1:{site.port}")
        record = await here.run(url=site.url)
    assert record.status == "partial"
    assert site.answered[path, 403] == 1
    result = await here.result(record.job_id)
    (refused,) = [one for one in result.missing if one.url == f"{site.url.rstrip('/')}{path}"]
    assert refused.what == "annual_report 2022"
    assert refused.reason.startswith("http_403: ")
    assert {one.kind for one in result.statements} == {"income_statement", "balance_sheet", "cash_flow"}
    kept = await here.store.documents.page(tenant=TENANT, company_id=await company_at(here, site.url))
    assert {one.reason for one in kept.items if one.status == "refused"} == {"http_403"}


async def company_at(here: Place, url: str) -> str:
    page = await here.store.companies.page(tenant=TENANT, limit=1_000)
    (company,) = [one for one in page.items if one.url == url]
    return company.id


async def test_what_has_not_changed_is_not_downloaded_again(open_place: Open, folder: Path) -> None:
    async with DemoSite.serve(folder) as site:
        here = await open_place(f"127.0.0.1:{site.port}")
        first = await here.run(url=site.url)
        site.answered.clear()
        second = await here.run(url=site.url)
    assert second.status == "succeeded"
    assert {status for path, status in site.answered if path.endswith(".pdf")} == {304}
    results = [await here.result(record.job_id) for record in (first, second)]
    counts = {"created_count": 0, "news": None}
    assert results[0].created_count > 0
    before, after = (one.model_copy(update=counts) for one in results)
    assert before == after
    assert (results[1].created_count, results[1].news) == (0, News())
    assert len(await here.store.artifacts.of(second.job_id, tenant=TENANT)) == len(REPORT_YEARS) + 3


async def test_years_and_document_types_choose_what_is_downloaded(open_place: Open, folder: Path) -> None:
    async with DemoSite.serve(folder) as site:
        here = await open_place(f"127.0.0.1:{site.port}")
        record = await here.run(url=site.url, years=[2021], document_types=["annual_report", "presentation"])
        result = await here.result(record.job_id)
    assert {path for path, _ in site.answered if "annual-report" in path} == {
        annual_report_path(2021),
        annual_report_path(2022),  # it restates 2021
    }
    assert {end.year for statement in result.statements for end in statement.period_ends} == {2021}
    assert [one.period_end.year for one in result.restatements] == [2021] * len(restated_values())


async def test_the_limit_on_pages_holds(open_place: Open, folder: Path) -> None:
    async with DemoSite.serve(folder) as site:
        here = await open_place(f"127.0.0.1:{site.port}")
        record = await here.run(url=site.url, max_pages=2, document_types=["presentation"])
    assert record.status == "succeeded"
    pages = {path for path, _ in site.answered if path.endswith((".html", "/"))}
    assert pages == {"/", "/investors/"}


async def test_a_start_that_is_a_report_itself_is_read(open_place: Open, folder: Path) -> None:
    async with DemoSite.serve(folder) as site:
        here = await open_place(f"127.0.0.1:{site.port}")
        record = await here.run(url=f"{site.url.rstrip('/')}{annual_report_path(2023)}")
        result = await here.result(record.job_id)
    assert record.status == "succeeded"
    assert {end.year for statement in result.statements for end in statement.period_ends} >= {2022, 2023}


async def test_a_site_without_reports_says_so(open_place: Open, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<html><body><p>Nothing here.</p></body></html>")
    async with DemoSite.serve(tmp_path / "site") as site:
        here = await open_place(f"127.0.0.1:{site.port}")
        record = await here.run(url=site.url)
    assert record.status == "partial"
    (missing,) = (await here.result(record.job_id)).missing
    assert missing.reason.startswith("not_found: ")


async def test_unreadable_reports_are_missing_with_their_reason(open_place: Open, tmp_path: Path) -> None:
    good = typeset([COVER, INCOME, BALANCE, CASH], COLUMNS)
    bad = {
        "truncated": good[: len(good) // 2],
        "encrypted": typeset([COVER], password="secret"),
        "empty": b"",
        "image_only": drawn(1, text=False),
        "too_many_pages": drawn(5_000),
        "damaged": b"%PDF-1.7\n" + b"\x00\xff garbage " * 400 + b"\n%%EOF",
    }
    root = tmp_path / "site"
    root.mkdir()
    for number, (name, data) in enumerate(bad.items()):
        (root / f"annual-report-{2010 + number}-{name}.pdf").write_bytes(data)
    (root / "annual-report-2024.pdf").write_bytes(good)
    links = "".join(f"<li><a href='{file.name}'>Annual report</a></li>" for file in sorted(root.iterdir()))
    (root / "index.html").write_text(f"<html><body><ul>{links}</ul></body></html>")
    async with DemoSite.serve(root) as site:
        here = await open_place(f"127.0.0.1:{site.port}")
        record = await here.run(url=site.url)
        result = await here.result(record.job_id)
    assert record.status == "partial"
    told = {one.url.rpartition("-")[2]: one.reason.partition(":")[0] for one in result.missing if one.url}
    assert told == {f"{name}.pdf": name for name in bad}
    assert {one.kind for one in result.statements} == {"income_statement", "balance_sheet", "cash_flow"}
    assert (record.number("extract.done"), record.number("dead")) == (len(bad) + 1, 0)
    moves = [row["type"] for _, row in await here.worker.jobs.lifecycle(record.job_id)]
    assert not {"retried", "dead_lettered", "reclaimed"} & set(moves)


def drawn(pages: int, *, text: bool = True) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out)
    for number in range(pages):
        if text:
            canvas.drawString(100, 100, f"page {number}")
        else:
            canvas.rect(100, 100, 300, 400, fill=1)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


@pytest.mark.parametrize(
    ("path", "reason", "attempts"),
    [
        ("/never", "timeout", 3),
        ("/drip", "timeout", 3),
        ("/hang-up", "connection", 3),
        ("/status/500", "http_500", 3),
        ("/status/404", "http_404", 1),
        ("/status/403", "http_403", 1),
        ("/loop", "redirect_loop", 1),
        ("/hops/20", "too_many_redirects", 1),
        ("/bomb", "decompression_bomb", 1),
        ("/private", "blocked_address", 1),
        ("/echo", "unsupported_type", 1),
        ("/huge", "too_large", 1),
        ("/huge-chunked", "too_large", 1),
    ],
)
async def test_a_hostile_start_ends_the_job_with_the_reason(
    open_place: Open, monkeypatch: pytest.MonkeyPatch, path: str, reason: str, attempts: int
) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 4_000_000)
    async with HostileSite() as site:
        here = await open_place(site.allow, fetching={"page_timeout_s": 0.4, "max_page_bytes": 4_000_000})
        record = await here.run(url=site.url(path))
        (error,) = await here.errors(record.job_id)
    assert error.startswith(f"{reason}: ")
    assert record.fields["error"] == reason
    if path.startswith("/huge"):  # a report, as far as the head tells: the crawl found it, the download is refused
        assert record.status == "partial"
        (missing,) = (await here.result(record.job_id)).missing
        assert missing.reason == error
        assert site.sent_bytes < 50_000_000
    else:
        assert record.status == "failed"
        moves = [row["type"] for _, row in await here.worker.jobs.lifecycle(record.job_id)]
        assert moves.count("retried") == attempts - 1


async def test_a_start_on_a_private_address_names_the_setting(open_place: Open) -> None:
    async with HostileSite() as site:
        here = await open_place("127.0.0.1:1")
        record = await here.run(url=site.url("/page"))
        (error,) = await here.errors(record.job_id)
    assert record.status == "failed"
    assert "MILLRACE_ALLOW_HOSTS" in error
    assert not site.requests


@pytest.mark.parametrize(
    ("robots", "reason"), [(b"User-agent: *\nDisallow: /", "robots_disallowed"), (500, "robots_unreachable")]
)
async def test_a_site_that_wants_no_crawler_is_left_alone(open_place: Open, robots: bytes | int, reason: str) -> None:
    async with HostileSite() as site:
        site.robots = robots
        here = await open_place(site.allow)
        record = await here.run(url=site.url("/page"))
        (error,) = await here.errors(record.job_id)
    assert (record.status, record.fields["error"]) == ("failed", reason)
    assert error.startswith(reason)
    assert set(site.hits) == {"/robots.txt"}


@pytest.mark.slow  # one of them asks for 7 s of patience, twice
async def test_a_site_full_of_traps_ends(open_place: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 4_000_000)
    async with HostileSite() as site:
        here = await open_place(site.allow, fetching={"page_timeout_s": 0.4, "max_page_bytes": 4_000_000})
        record = await here.run(url=site.url())
        result = await here.result(record.job_id)
    assert record.status == "partial"
    told = {(one.url or "").rpartition("/")[2]: one.reason.partition(":")[0] for one in result.missing}
    assert told["bomb"] == "decompression_bomb"
    assert told["never"] == "timeout"
    assert told["loop"] == "redirect_loop"
    assert "page" not in told


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real filings are not here")
async def test_real_reports_of_several_companies_are_compiled_each_for_itself(open_place: Open, tmp_path: Path) -> None:
    root = tmp_path / "site"
    root.mkdir()
    names = sorted(file.name for file in (SHARED / "pdf").iterdir())
    for name in names:
        (root / name).symlink_to(SHARED / "pdf" / name)
    (root / "index.html").write_text("".join(f"<li><a href='{name}'>{name}</a></li>" for name in names))
    async with DemoSite.serve(root) as site:
        here = await open_place(f"127.0.0.1:{site.port}")
        record = await here.run(url=site.url)
        result = await here.result(record.job_id)
    assert record.status == "succeeded"
    compiled = {
        (cell.sha256, statement.kind, end.isoformat(), cell.value)
        for statement in result.statements
        for row in statement.rows
        for end, cell in zip(statement.period_ends, row.cells, strict=True)
        if cell is not None
    }
    # What a later report of the same company prints again counts as that one's.
    newest = [
        one for one in json.loads((SHARED / "expected.json").read_text())["documents"] if "_2020_" not in one["doc"]
    ]
    absent = [
        (document["doc"], value["key"], end)
        for document in newest
        for value in document["key_values"]
        for end, amount in value["values"].items()
        if (document["sha256"], value["statement"], end, Decimal(str(amount))) not in compiled
    ]
    assert absent == []
    balances = [
        check for statement in result.statements for check in statement.checks if check.name.startswith("assets")
    ]
    assert balances
    assert all(check.ok for check in balances)


async def test_the_shadow_of_a_job_comes_to_the_same_statements(open_place: Open, folder: Path) -> None:
    async with DemoSite.serve(folder) as site:
        here = await open_place(f"127.0.0.1:{site.port}")
        record = await here.run(url=site.url)
    worker = here.worker
    sources = Sources(worker.jobs, worker.resources.blobs, worker.resources.store, worker.flows)
    chosen = Chosen(record.job_id, "filings", TENANT, record.status, 0, 2**53)
    original = await gathered(sources, chosen, "extract")
    found = await shadow(original, worker.flows.get("filings"), worker.resources.settings, in_subprocesses=False)
    assert (found.status, found.error, found.changes) == ("succeeded", "", ())
    assert found.is_same
    then = orjson.loads(orjson.dumps(original.result))
    then["statements"][0]["rows"][0]["label"] = "Something else"
    other = await shadow(
        replace(original, from_stage="compile", result=then, tasks=(("compile", b'{"v":1,"revision":1}'),)),
        worker.flows.get("filings"), worker.resources.settings, in_subprocesses=False,
    )  # fmt: skip
    assert [one.after for one in other.changes if one.path.endswith("/label")] != []
