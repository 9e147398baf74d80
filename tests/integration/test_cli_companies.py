"""``millrace companies`` and ``millrace result --format`` against real servers."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest

from consumers.filings.whole import compile_documents
from consumers.store import Store, compile_company
from schemas.filings import Cell, Classification, DownloadedDocument, ExtractedDocument, Period, Row, Statement
from tests.support.commands import Home

REPORT = Classification(document_type="annual_report", confidence=0.9, fiscal_year=2023)
SHA256 = "a" * 64
URL = "https://arden.example/ar-2023.pdf"


@pytest.fixture
def home(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> Home:
    return Home(tmp_path, MILLRACE_REDIS_URL=valkey_url, MILLRACE_DATABASE_URL=store_url, MILLRACE_NAMESPACE=namespace)


async def read_report(store_url: str, company_id: str) -> None:
    """As if a report had been read and compiled."""
    downloaded = DownloadedDocument(
        url=URL, final_url=URL, sha256=SHA256, size_bytes=9, content_type="application/pdf", provisional=REPORT
    )
    cells = [
        tuple(Cell(value=Decimal(value), text=str(value), page=7, box=(1, 2, 3, 4)) for value in values)
        for values in ((120, 100), (-70, -60))
    ]
    statement = Statement(
        kind="income_statement", currency="GBP", unit_multiplier=1_000,
        periods=(Period(end=date(2023, 12, 31), months=12), Period(end=date(2022, 12, 31), months=12)),
        rows=(Row(label="Revenue", cells=cells[0]), Row(label="Cost of sales", cells=cells[1])),
    )  # fmt: skip
    extracted = ExtractedDocument(
        url=URL, sha256=SHA256, provisional=REPORT, confirmed=REPORT, period_end=date(2023, 12, 31), page_count=9,
        statements=(statement,),
    )  # fmt: skip
    async with Store.connect(store_url) as store:
        await store.documents.put_downloaded(company_id, downloaded, tenant="default")
        assert await store.documents.put_extracted(company_id, extracted, tenant="default")
        await recompiled(store, company_id)


async def recompiled(store: Store, company_id: str) -> None:
    async def compiled(documents: object, corrections: object) -> object:
        return compile_documents(list(documents), None, None, [], dict(corrections))  # type: ignore[call-overload]

    await compile_company(store, company_id, compiled, tenant="default")  # type: ignore[arg-type]


async def recompile(store_url: str, company_id: str) -> None:
    async with Store.connect(store_url) as store:
        await recompiled(store, company_id)


def test_a_company_is_made_shown_corrected_and_removed(home: Home, store_url: str, tmp_path: Path) -> None:
    made = home.json("companies", "add", "https://arden.example/ir", "--name", "Arden plc")
    company = made["id"]
    assert (made["created"], made["name"]) == (True, "Arden plc")
    assert "was known before" in home.run("companies", "add", "https://arden.example/ir", "--name", "Arden plc")
    assert home.done("companies", "add", "ftp://arden.example").returncode == 2
    (tmp_path / "list.csv").write_text("url,name\nhttps://bolt.example/,Bolt\nnothing,Bad\n")
    assert "1 made, 0 known before, 1 wrong" in home.run("companies", "import", str(tmp_path / "list.csv"), code=1)
    assert {"Arden plc", "Bolt"} <= {one["name"] for one in home.lines("companies", "list")}
    assert home.json("companies", "change", company, "--ticker", "ARD")["ticker"] == "ARD"
    assert "ARD" in home.run("companies", "show", company)
    nothing = home.done("companies", "statements", company)
    assert (nothing.returncode, "nothing is compiled" in nothing.stderr) == (1, True)

    asyncio.run(read_report(store_url, company))
    assert [one["status"] for one in home.lines("companies", "documents", company)] == ["extracted"]
    shown = home.run("companies", "statements", company)
    assert "Revenue" in shown
    assert "31 Dec 2023" in shown
    line = ("--statement", "income_statement", "--period", "2023-12-31", "--value", "125")
    said = home.done("companies", "correct", company, *line, "--line", "Turnover", "--reason", "a misprint")
    assert (said.returncode, "Turnover" in said.stderr) == (1, True)
    assert home.done("companies", "correct", company, *line, "--line", "Revenue", "--reason", "x").returncode == 2
    put = home.json("companies", "correct", company, *line, "--line", "Revenue", "--reason", "a misprint")
    assert (put["printed"], put["value"]) == (120, 125)
    asyncio.run(recompile(store_url, company))
    view = home.json("companies", "statements", company)
    cell = view["statements"][0]["rows"][0]["cells"][0]
    assert (cell["value"], cell["correction"]["reason"], cell["page"], cell["label"]) == (
        125,
        "a misprint",
        7,
        "Revenue",
    )
    assert home.lines("companies", "corrections", company)[0]["withdrawn_by"] is None

    home.run("companies", "statements", company, "--save", str(tmp_path / "s.xlsx"))
    sheet = openpyxl.load_workbook(tmp_path / "s.xlsx")["Income statement"]
    assert sheet["B4"].value == 125
    assert "a misprint" in sheet["B4"].comment.text
    home.run("companies", "statements", company, "--save", str(tmp_path / "s.parquet"))
    table = pq.read_table(tmp_path / "s.parquet").to_pylist()
    assert [(row["value"], row["amount"], row["page"]) for row in table][:1] == [(125, 125_000, 7)]
    assert home.done("companies", "statements", company, "--save", str(tmp_path / "s.doc")).returncode == 2

    home.run("companies", "withdraw", company, put["id"])
    assert home.done("companies", "withdraw", company, put["id"]).returncode == 1
    assert json.loads(home.run("companies", "remove", company, "--json")) == {"removed": company}
    assert home.done("companies", "show", company).returncode == 1
