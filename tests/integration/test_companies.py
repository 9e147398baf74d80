"""Companies, their documents, tasks, statements, corrections and pages over the API, against a site on loopback."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest
from PIL import Image

from api.demo.build import ensure_site
from api.demo.company import NAME, REPORT_YEARS
from api.demo.site import DemoSite
from consumers.filings.flow import flow as filings
from consumers.net.politeness import Politeness, PolitenessPolicy
from tests.support.api_place import ApiPlace, api_place
from tests.support.flow_place import IMPATIENT, with_retry


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_site(tmp_path_factory.mktemp("home"))


@asynccontextmanager
async def company_place(
    valkey_url: str, store_url: str, namespace: str, home: Path, folder: Path
) -> AsyncIterator[tuple[ApiPlace, DemoSite]]:
    """An API with a worker, and the demo company's site."""
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(DemoSite.serve(folder))
        place = await stack.enter_async_context(
            api_place(
                valkey_url, store_url, namespace, home, more=[with_retry(filings, IMPATIENT)],
                allow_hosts=(f"127.0.0.1:{site.port}",),
            )
        )  # fmt: skip
        await place.become(namespace)
        await stack.enter_async_context(place.worker())
        yield place, site


@pytest.fixture
async def here(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[ApiPlace, DemoSite]]:
    # The site is ours: it needs no pauses between two requests.
    monkeypatch.setattr("consumers.resources.Politeness", lambda: Politeness(PolitenessPolicy(delay_s=0.0)))
    async with company_place(valkey_url, store_url, namespace, tmp_path, folder) as made:
        yield made


async def task(place: ApiPlace, path: str, body: Any = None) -> dict[str, Any]:
    """Submit a task and wait for its end; answers it as clients of the old queue see it."""
    answer = await place.call("POST", f"tasks/{path}", body)
    assert answer.status == 202, answer.body
    assert answer.body.keys() == {"task_id", "status", "message"}
    assert answer.body["status"] == "PENDING"
    await place.call("GET", f"jobs/{answer.body['task_id']}?wait=60")
    done: dict[str, Any] = (await place.call("GET", f"tasks/{answer.body['task_id']}")).body
    return done


async def all_of(place: ApiPlace, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        body = (await place.call("GET", f"{path}{'&' if '?' in path else '?'}limit=7{cursor}")).body
        found += body["items"]
        if body["next"] is None:
            return found
        cursor = f"&cursor={body['next']}"


def cell_of(statements: dict[str, Any], kind: str, key: str, end: str) -> dict[str, Any]:
    (statement,) = [s for s in statements["statements"] if (s["kind"], s["frequency"]) == (kind, "annual")]
    (row,) = [row for row in statement["rows"] if row["key"] == key]
    cell: dict[str, Any] = row["cells"][statement["period_ends"].index(end)]
    return cell


async def test_a_company_from_its_record_to_a_corrected_cell(here: tuple[ApiPlace, DemoSite]) -> None:
    place, site = here
    made = await place.call("POST", "companies", {"name": NAME, "ticker": "BRM", "url": site.url})
    assert (made.status, made.body["name"]) == (201, NAME)
    company = made.body["id"]
    again = await place.call("POST", "companies", {"name": NAME, "ticker": "BRM", "url": site.url})
    assert (again.status, again.body["id"]) == (200, company)
    assert (await place.call("GET", f"companies/{company}/statements")).status == 404

    report = await scraped_and_read_alone(place, site, company)
    statements = await read_whole(place, company)
    revenue = cell_of(statements, "income_statement", "revenue", "2023-06-30")
    await the_past(place, company, statements)
    await pages_are_drawn(place, report["id"], revenue["image"])
    await corrected_and_withdrawn(place, company, revenue["value"])

    # another tenant sees none of it.
    await place.become(f"{company}-other")
    for path in (f"companies/{company}", f"companies/{company}/statements", f"documents/{report['id']}"):
        assert (await place.call("GET", path)).status == 404
    assert (await place.call("POST", f"tasks/companies/{company}/extract")).status == 404
    assert (await place.call("GET", "documents")).body == {"items": [], "next": None}


async def scraped_and_read_alone(place: ApiPlace, site: DemoSite, company: str) -> dict[str, Any]:
    """The documents' records without their bytes, then one document part by part."""
    scraped = await task(place, f"companies/{company}/scrape")
    assert scraped["status"] == "SUCCESS"
    found = scraped["result"]
    assert found["discovered_count"] == found["created_count"] == len(found["documents"]) > len(REPORT_YEARS)
    documents = await all_of(place, f"companies/{company}/documents")
    assert {one["id"] for one in documents} == {one["document_id"] for one in found["documents"]}
    assert {one["status"] for one in documents} == {"found"}
    assert {one["flow"] for one in documents} == {"filings"}
    assert not any(path.endswith(".pdf") and status == 200 for path, status in site.answered if "annual" in path)

    report = next(one for one in documents if one["document_type"] == "annual_report" and one["fiscal_year"] == 2023)
    told = await place.call("POST", f"tasks/documents/{report['id']}/extract")
    assert (told.status, told.body["type"]) == (409, "/problems/not-downloaded")
    classified = await task(place, f"documents/{report['id']}/classify")
    assert classified["result"]["documents"][0]["document_type"] == "annual_report"
    downloaded = await task(place, f"documents/{report['id']}/download")
    assert downloaded["status"] == "SUCCESS"
    path, sha256 = downloaded["result"]["file_path"], downloaded["result"]["sha256"]
    assert (await asyncio.to_thread(Path(path).read_bytes)).startswith(b"%PDF-")
    assert path.endswith(sha256)
    extracted = await task(place, f"documents/{report['id']}/extract")
    assert {one["kind"] for one in extracted["result"]["statements"]} >= {"income_statement", "balance_sheet"}
    shown = (await place.call("GET", f"documents/{report['id']}")).body
    assert (shown["status"], shown["confirmed"]["document_type"]) == ("extracted", "annual_report")
    return report


async def read_whole(place: ApiPlace, company: str) -> dict[str, Any]:
    """The whole site, after one report was read alone."""
    whole = await task(place, f"companies/{company}/extract", {"years": 5})
    assert whole["status"] == "SUCCESS"
    assert whole["result"]["created_count"] == 0
    assert whole["result"]["company"]["name"] == NAME
    statements: dict[str, Any] = (await place.call("GET", f"companies/{company}/statements")).body
    assert all(
        cell is None or cell["document_id"]
        for s in statements["statements"]
        for row in s["rows"]
        for cell in row["cells"]
    )
    return statements


async def the_past(place: ApiPlace, company: str, statements: dict[str, Any]) -> None:
    """As of a day before the restatement, the first value holds."""
    restated = statements["restatements"][0]
    assert restated["first_reported"]["document_id"] != restated["changes"][-1]["document_id"]
    end = restated["period_end"]
    past = (await place.call("GET", f"companies/{company}/statements?as_of={end[:4]}-12-31")).body
    then = cell_of(past, restated["statement"], restated["key"], end)
    assert then["value"] == restated["first_reported"]["value"]
    assert not past["restatements"] or all(one["period_end"] < end for one in past["restatements"])


async def pages_are_drawn(place: ApiPlace, report: str, image: str) -> None:
    """A page, with a compiled cell's box and with a document's own cell's."""
    plain = await place.session.get(f"{place.url}{image.partition('?')[0]}", headers=key_of(place))
    drawn = await place.session.get(f"{place.url}{image}", headers=key_of(place))
    images = [Image.open(io.BytesIO(await one.read())) for one in (plain, drawn)]
    assert images[0].size == images[1].size
    assert images[0].tobytes() != images[1].tobytes()
    printed = (await place.call("GET", f"documents/{report}/statements")).body["items"]
    cell = next(cell for row in printed[0]["rows"] for cell in row["cells"] if cell and cell["box"])
    assert (await place.session.get(f"{place.url}{cell['image']}", headers=key_of(place))).status == 200
    assert (await place.call("GET", f"documents/{report}/pages/999.png")).status == 404
    assert (await place.call("GET", f"documents/{report}/pages/1.png?box=a")).fields == ["box"]
    assert (await place.call("GET", f"documents/{report}/pages/1.png?cell=9.9.9")).fields == ["cell"]


async def corrected_and_withdrawn(place: ApiPlace, company: str, printed: float) -> None:
    """A correction survives a compile, is in the files, and can be withdrawn."""
    wrong = {"statement": "income_statement", "key": "Revenue", "period_end": "2023-06-30", "value": 12345}
    assert (await place.call("PUT", f"companies/{company}/corrections", {**wrong, "reason": "no"})).fields == ["reason"]
    refused = await place.call(
        "PUT", f"companies/{company}/corrections", {**wrong, "key": "Nothing", "reason": "a misprint"}
    )
    assert refused.fields == ["key"]
    put = await place.call("PUT", f"companies/{company}/corrections", {**wrong, "reason": "a misprint"})
    assert (put.body["printed"], put.body["value"], put.body["reason"]) == (printed, 12345, "a misprint")
    assert put.body["by"].startswith("test (")
    await place.ended(put.body["task_id"])
    await task(place, f"companies/{company}/recompile")
    statements = (await place.call("GET", f"companies/{company}/statements")).body
    corrected = cell_of(statements, "income_statement", "revenue", "2023-06-30")
    assert (corrected["value"], corrected["corrected"]) == (12345, True)
    assert (corrected["correction"]["printed"], corrected["correction"]["reason"]) == (printed, "a misprint")
    sheet = await place.session.get(f"{place.url}/api/v1/companies/{company}/statements.xlsx", headers=key_of(place))
    book = openpyxl.load_workbook(io.BytesIO(await sheet.read()))
    notes = [cell.comment.text for row in book["Income statement"].iter_rows() for cell in row if cell.comment]
    assert any("a misprint" in note for note in notes)
    assert all("SHA-256" in note for note in notes)
    file = await place.session.get(f"{place.url}/api/v1/companies/{company}/statements.parquet", headers=key_of(place))
    table = pq.read_table(io.BytesIO(await file.read())).to_pylist()
    assert [row["printed_value"] for row in table if row["correction"]] == [printed]
    text = await place.session.get(f"{place.url}/api/v1/companies/{company}/statements.csv", headers=key_of(place))
    assert (await text.text()).count("\n") == len(table) + 1

    gone = await place.call("DELETE", f"companies/{company}/corrections/{put.body['id']}")
    await place.ended(gone.body["task_id"])
    statements = (await place.call("GET", f"companies/{company}/statements")).body
    assert cell_of(statements, "income_statement", "revenue", "2023-06-30")["value"] == printed
    kept = (await place.call("GET", f"companies/{company}/corrections?withdrawn=true")).body["items"]
    assert [bool(one["withdrawn_by"]) for one in kept] == [True]


def key_of(place: ApiPlace) -> dict[str, str]:
    return {"Authorization": f"Bearer {place.key}"}


async def test_a_company_is_watched_by_a_schedule(here: tuple[ApiPlace, DemoSite]) -> None:
    place, _ = here
    made = await place.call("POST", "companies", {"name": "Arden", "url": "https://example.com/investors"})
    path = f"companies/{made.body['id']}/watch"
    hook = {"webhook": "https://example.com/hook"}
    daily = await place.call("PUT", path, {"every_s": 86_400, "notify": hook})
    assert (daily.status, daily.body["every_s"]) == (200, 86_400)
    weekdays = await place.call("PUT", path, {"cron": "0 7 * * 1-5", "time_zone": "Europe/Vienna"})
    assert (weekdays.status, weekdays.body["name"]) == (200, daily.body["name"])
    (kept,) = (await place.call("GET", "schedules")).body["items"]
    assert kept["cron"] == "0 7 * * 1-5"
    assert kept["job"]["spec"]["watch"] is True
    assert kept["job"]["spec"]["company"] == {"id": made.body["id"]}
    assert (await place.call("PUT", path, {"every_s": 1, "cron": "* * * * *"})).status == 422
    assert [(await place.call("DELETE", path)).status for _ in range(2)] == [204, 204]
    assert (await place.call("GET", "schedules")).body["items"] == []
    await place.call("PUT", path, {"every_s": 60})
    await place.call("DELETE", f"companies/{made.body['id']}")
    assert (await place.call("GET", "schedules")).body["items"] == []


async def test_companies_are_changed_removed_and_taken_from_csv(place: ApiPlace, tenant: str) -> None:
    await place.become(tenant)
    text = "Name;Ticker;URL\nArden plc;ARD;https://arden.example/ir\n;;https://bolt.example/\nBad;B;ftp://x\nArden;ARD;https://arden.example/\n"
    headers = {"Content-Type": "text/csv"}
    taken = (await place.call("POST", "companies/import", data=text.encode(), headers=headers)).body
    assert (taken["created"], taken["known"], taken["invalid"]) == (2, 1, 1)
    assert [one["line"] for one in taken["items"]] == [2, 3, 4, 5]
    assert "http" in taken["items"][2]["error"]
    same = (await place.call("POST", "companies/import", {"csv": text})).body
    assert (same["created"], same["known"]) == (0, 3)
    assert (await place.call("POST", "companies/import", {"csv": "a,b\n1,2\n"})).status == 422
    first = taken["items"][0]["id"]
    changed = await place.call("PATCH", f"companies/{first}", {"name": "Arden Group", "ticker": None})
    assert (changed.body["id"], changed.body["name"], changed.body["ticker"]) == (first, "Arden Group", None)
    assert (await place.call("PATCH", f"companies/{first}", {})).status == 422
    assert (await place.call("PATCH", f"companies/{first}", {"nmae": "x"})).fields == ["nmae"]
    put = await place.call("PUT", f"companies/{first}", {"url": "https://arden.example/new"})
    assert (put.body["url"], put.body["name"]) == ("https://arden.example/new", None)
    assert len(await all_of(place, "companies")) == 2
    assert (await place.call("DELETE", f"companies/{first}")).status == 204
    assert (await place.call("GET", f"companies/{first}")).status == 404
    assert (await place.call("POST", "companies", {"name": "x"})).fields == ["url"]
