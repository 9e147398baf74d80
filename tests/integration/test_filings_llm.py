"""The language model beside the reader: it fills gaps, is believed only where the page says so, and is counted."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.filings.excerpts import PageText
from consumers.filings.flow import flow
from consumers.filings.llm_answers import READ_BY_MODEL, ModelStatement, checked, reconciled
from consumers.net.politeness import Politeness, PolitenessPolicy
from consumers.testing import InlineRun, run_inline, serve, settings_for
from schemas.filings import Statement
from schemas.filings_result import FilingsResult
from tests.support.llm_server import LlmServer, llm_server
from tests.support.report_pdf import BALANCE, CASH, COLUMNS, COVER, INCOME, typeset

# Without its title no rule of the reader knows the page.
HIDDEN = ("Arden Mills plc", "How we earned it", *INCOME[2:])
ANSWER: dict[str, Any] = {
    "currency": "GBP",
    "unit_multiplier": 1_000_000,
    "columns": [{"period_end": "2024-03-31", "months": 12}, {"period_end": "2023-03-31", "months": 12}],
    "rows": [
        {"label": "Revenue", "values": ["1,211.4", "1,101.0"]},
        {"label": "Cost of sales", "values": ["(811.3)", "(799.9)"]},
        {"label": "Gross profit", "values": ["400.1", "999.9"]},  # the second is not printed
        {"label": "Goodwill impairment", "values": ["(1.0)", "(2.0)"]},  # nor is this line
        {"label": "Finance costs", "values": ["(11.0)", "\u2013"]},
        {"label": "Profit for the year", "values": ["134.0", "89.0"]},
    ],
}


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    # The site is ours: it needs no pauses between two requests.
    monkeypatch.setattr("consumers.resources.Politeness", lambda: Politeness(PolitenessPolicy(delay_s=0.0)))


async def run_with(server: LlmServer, pages: list[tuple[str, ...]], **spec: Any) -> InlineRun:
    pdf = typeset(pages, COLUMNS)
    site: dict[str, str | bytes | int] = {
        "/": "<a href='/annual-report-2024.pdf'>Annual report 2024</a>",
        "/annual-report-2024.pdf": pdf,
    }
    async with serve(site) as url:
        settings = settings_for(url, llm_base_url=server.url, llm_model="small")
        return await run_inline(flow, {"url": url, **spec}, settings=settings)


def values(result: FilingsResult, kind: str) -> dict[str, list[float | None]]:
    (statement,) = [one for one in result.statements if one.kind == kind]
    return {row.label: [float(cell.value) if cell else None for cell in row.cells] for row in statement.rows}


async def test_a_statement_that_was_not_found_is_read_by_the_model_and_checked_against_the_page() -> None:
    async with llm_server(lambda _: ANSWER) as server:
        run = await run_with(server, [COVER, HIDDEN, BALANCE, CASH])
    assert isinstance(run.result, FilingsResult)
    assert values(run.result, "income_statement") == {
        "Revenue": [1211.4, 1101.0],
        "Cost of sales": [-811.3, -799.9],
        "Gross profit": [400.1, None],
        "Finance costs": [-11.0, 0.0],
        "Profit for the year": [134.0, 89.0],
    }
    assert {one.step for one in run.progress} >= {"processing_pdf", "calling_llm", "storing_extractions"}
    assert run.result.llm is not None
    assert (run.result.llm.calls, run.result.llm.input_tokens) == (1, 1_000)
    ((body, _),) = server.requests
    assert "How we earned it" in str(body["messages"])


async def test_no_model_is_asked_when_all_was_read_or_the_job_says_never() -> None:
    async with llm_server(lambda _: ANSWER) as server:
        whole = await run_with(server, [COVER, INCOME, BALANCE, CASH])
        never = await run_with(server, [COVER, HIDDEN, BALANCE, CASH], llm="never")
        assert server.requests == []
    assert isinstance(whole.result, FilingsResult)
    assert whole.result.llm is None
    assert never.status == "partial"


async def test_a_model_that_is_away_leaves_the_job_as_it_is_without_one() -> None:
    async with llm_server(lambda _: ANSWER) as server:
        server.failures = [503] * 9
        run = await run_with(server, [COVER, HIDDEN, BALANCE, CASH])
    assert run.status == "partial"
    assert isinstance(run.result, FilingsResult)
    assert {one.kind for one in run.result.statements} == {"balance_sheet", "cash_flow"}


PAGE = PageText(
    page=5, text="Umsatzerlöse 3 1.211,4 1.101,0\nHerstellungskosten\n(811,3) (799,9)\nErgebnis 12 500 (3)\n"
)


def said(rows: list[tuple[str, list[str | None]]], **fields: Any) -> ModelStatement:
    columns = [{"period_end": "2024-12-31", "months": 12}, {"period_end": "2023-12-31", "months": 12}]
    listed = [{"label": label, "values": values} for label, values in rows]
    return ModelStatement.model_validate({"columns": columns, "rows": listed, **fields})


ROWS: list[tuple[str, list[str | None]]] = [
    ("Umsatzerlöse", ["1.211,4", "1.101,0"]),
    ("Herstellungskosten", ["(811,3)", "(799,9)"]),
    ("Ergebnis", ["12 500", "(3)"]),
    ("Umsatzerlöse 3", ["1.101,0", None]),
]


def test_values_are_found_in_the_words_of_the_page() -> None:
    found = checked("income_statement", said(ROWS), [PAGE])
    assert found.statement is not None
    assert [[float(c.value) if c else None for c in row.cells] for row in found.statement.rows] == [
        [1211.4, 1101.0], [-811.3, -799.9], [12500.0, -3.0], [1101.0, None],
    ]  # fmt: skip
    assert {cell.page for row in found.statement.rows for cell in row.cells if cell} == {5}
    assert found.statement.flags == (READ_BY_MODEL,)
    assert found.rejected == ()


def test_what_is_not_printed_on_the_line_is_rejected() -> None:
    wrong: list[tuple[str, list[str | None]]] = [
        ("Umsatzerlöse", ["1.211,5", "n/a"]),  # not there; no amount
        ("Ergebnis", ["1.211,4", None]),  # of another line
        ("Rohergebnis", ["(3)", None]),  # no such line
        ("", ["(3)", None]),
    ]
    found = checked("income_statement", said([*ROWS, *wrong]), [PAGE])
    assert found.statement is not None
    assert len(found.statement.rows) == len(ROWS)
    assert len(found.rejected) == 5
    assert checked("income_statement", said(wrong), [PAGE]).statement is None


def test_what_was_read_stands_and_a_difference_is_flagged() -> None:
    read = checked("income_statement", said(ROWS, unit_multiplier=1_000), [PAGE]).statement
    assert isinstance(read, Statement)
    other = read.model_copy(
        update={
            "rows": tuple(
                row.model_copy(
                    update={
                        "cells": tuple(
                            cell.model_copy(update={"value": cell.value + 1})
                            if cell and row.label == "Ergebnis"
                            else cell
                            for cell in row.cells
                        )
                    }
                )
                for row in read.rows
            )
        }
    )
    (kept,) = reconciled([read], [other])
    assert kept.rows == read.rows
    assert len(kept.flags) == len(read.flags) + 2
    assert "Ergebnis, 2024-12-31: read as 12,500, by a language model as 12,501" in kept.flags
    cash = read.model_copy(update={"kind": "cash_flow"})
    assert [one.kind for one in reconciled([read], [cash])] == ["income_statement", "cash_flow"]
