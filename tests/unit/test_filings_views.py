"""What is made of a compile: corrections, news, standard lines, tidy rows, pages; and how links tell dates."""

import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from PIL import Image

from consumers.filings.compile import compile_filings
from consumers.filings.corrections import CellPlace, cell_at, corrected
from consumers.filings.errors import DocumentError
from consumers.filings.export import xlsx_bytes
from consumers.filings.export_parquet import parquet_bytes
from consumers.filings.flow import flow
from consumers.filings.handled import summed_up
from consumers.filings.links import find_links
from consumers.filings.news import news_of
from consumers.filings.page_image import page_png
from consumers.filings.published import known_on, published_on
from consumers.filings.standard import standardised
from consumers.filings.tidy import tidy
from consumers.notify.news import is_silent, news_in
from consumers.testing import run_inline
from schemas.filings import Classification, ExtractedDocument
from schemas.filings_handled import Handled
from schemas.filings_result import CompiledCell, CompiledRow, CompiledStatement, Correction, FilingsResult, News
from streams.errors import PermanentError
from streams.record import JobRecord
from tests.support.report_pdf import BALANCE, COLUMNS, typeset
from tests.unit.test_filings_compile import filing

SAID = Correction(
    id="c1", value=Decimal(111), printed=Decimal(100), reason="a misprint", by="ann", at=datetime.now(UTC)
)
PLACE = CellPlace("income_statement", "revenue", date(2023, 12, 31), currency="GBP")


def compiled(*years: int, first: float = 100) -> FilingsResult:
    return compile_filings([filing(year, {"Revenue": (first + year - 2023, 90), "Costs": (-9, -8)}) for year in years])


def both_of(cell: CompiledCell) -> tuple[float, float | None]:
    """What holds, and what is printed."""
    assert cell.correction is not None
    printed = cell.correction.printed
    return float(cell.value), None if printed is None else float(printed)


def test_a_correction_holds_and_shows_what_is_printed() -> None:
    result = corrected(compiled(2023), {PLACE: SAID})
    found = cell_at(result, PLACE)
    assert found is not None
    assert found[1] is not None
    assert both_of(found[1]) == (111, 100)
    assert found[0].flags == ()
    assert [one.corrected_by for one in tidy(result)].count("ann") == 1
    assert corrected(compiled(2023), {}) == compiled(2023)


def test_a_correction_outlives_a_later_print_and_is_flagged() -> None:
    later = [filing(2023, {"Revenue": (100, 90)}), filing(2024, {"Revenue": (120, 105)})]
    found = cell_at(corrected(compile_filings(later), {PLACE: SAID}), PLACE)
    assert found is not None
    assert found[1] is not None
    assert both_of(found[1]) == (111, 105)
    assert "100 was printed; now 105 is" in found[0].flags[-1]


def test_a_correction_fills_a_blank_and_one_without_a_line_is_named() -> None:
    blank = CellPlace("income_statement", "costs", date(2022, 12, 31), currency="GBP")
    result = compile_filings([filing(2023, {"Revenue": (100, 90), "Costs": (-9, None)})])
    lost = CellPlace("balance_sheet", "goodwill", date(2022, 12, 31))
    fixed = corrected(result, {blank: SAID.model_copy(update={"printed": None}), lost: SAID})
    found = cell_at(fixed, blank)
    assert found is not None
    assert found[1] is not None
    assert both_of(found[1]) == (111, None)
    assert fixed.missing[-1].what == "correction of goodwill 2022-12-31"


def test_news_are_new_contents_and_new_restatements() -> None:
    before = compile_filings([filing(2022, {"Revenue": (100, 90)})])
    now = compile_filings([filing(2022, {"Revenue": (100, 90)}), filing(2023, {"Revenue": (120, 105)})])
    news = news_of(before, now)
    assert [one.url for one in news.filings] == ["http://example.com/2023.pdf"]
    assert [one.changes[-1].value for one in news.restatements] == [105]
    assert len(news.lines) == 2
    assert not news_of(now, now)
    assert news_of(now, before) == News()


@pytest.mark.parametrize(
    ("spec", "payload", "silent"),
    [
        ('{"watch": true}', None, True),
        ('{"watch": true}', {"news": None}, True),
        ('{"watch": true}', {"news": {"lines": []}}, True),
        ('{"watch": true}', {"news": {"lines": ["new filing"]}}, False),
        ('{"watch": false}', None, False),
        ("{}", None, False),
        ("[]", None, False),
    ],
)
def test_a_watch_is_silent_without_news(spec: str, payload: object, silent: bool) -> None:  # noqa: FBT001 - a case
    assert is_silent(JobRecord("0-1", {"spec": spec}, {}), payload) is silent
    assert len(news_in(payload)) <= 1


def test_annual_quarterly_and_year_to_date_stay_apart() -> None:
    quarter = filing(2023, {"Revenue": (30,)}, document_type="quarterly_report", months=3).model_copy(
        update={"url": "http://example.com/q1.pdf", "sha256": "a" * 64}
    )
    half = filing(2023, {"Revenue": (55,)}, document_type="quarterly_report", months=6).model_copy(
        update={"url": "http://example.com/h1.pdf", "sha256": "b" * 64}
    )
    result = compile_filings([filing(2023, {"Revenue": (100,)}, months=12), quarter, half])
    told = {one.frequency: [cell and cell.value for cell in one.rows[0].cells] for one in result.statements}
    assert told == {"annual": [100], "quarterly": [30], "year_to_date": [55]}


def test_quarters_that_are_not_there_are_named() -> None:
    quarters = [filing(year, {"Revenue": (30,)}, document_type="quarterly_report", months=3) for year in (2021, 2023)]
    missing = compile_filings(quarters).missing
    assert [one.what for one in missing] == ["quarterly income_statement between 2021-12-31 and 2023-12-31"]


def test_standard_lines_have_the_convention_s_sign_and_the_closest_line_s_value() -> None:
    def cell(value: int) -> CompiledCell:
        return CompiledCell(value=Decimal(value), sha256="0" * 64, page=1)

    statement = CompiledStatement(
        kind="income_statement",
        period_ends=(date(2024, 12, 31), date(2023, 12, 31)),
        rows=(
            CompiledRow(key="turnover", label="Turnover", cells=(None, cell(7)), concepts=("net_sales", "revenue")),
            CompiledRow(key="revenue", label="Revenue", cells=(cell(10), None), concepts=("revenue",)),
            CompiledRow(key="tax", label="Tax", cells=(cell(2), None), concepts=("income_tax",), standard_sign=-1),
            CompiledRow(key="odd", label="Odd", cells=(cell(1), None)),
            CompiledRow(key="fee", label="Fee", cells=(cell(0), None), concepts=("fee",), standard_sign=-1),
        ),
    )
    lines = {row.concept: [c and f"{c.value}" for c in row.cells] for row in standardised(statement)}
    assert lines == {
        "net_sales": [None, "7"], "revenue": ["10", "7"], "income_tax": ["-2", None], "fee": ["0", None],
        None: ["1", None],
    }  # fmt: skip
    assert {row.concept: row.from_keys for row in standardised(statement)}["revenue"] == ("revenue", "turnover")


def test_a_table_without_values_is_a_table() -> None:
    empty = pq.read_table(io.BytesIO(parquet_bytes(compile_filings([]))))
    assert (empty.num_rows, "amount" in empty.column_names) == (0, True)


def test_sheets_of_many_statements_have_names_of_their_own() -> None:
    result = compiled(2023)
    many = [
        result.statements[0].model_copy(update={"company": company, "currency": currency, "frequency": frequency})
        for company in (None, "A very long name of a company / with signs", "B")
        for currency in ("GBP", "EUR", None)
        for frequency in ("annual", "quarterly")
    ]
    assert xlsx_bytes(result.model_copy(update={"statements": tuple(many)})).startswith(b"PK")


def test_a_page_is_drawn_with_its_boxes_and_never_beyond_its_bounds() -> None:
    pdf = typeset([BALANCE], COLUMNS)
    plain = Image.open(io.BytesIO(page_png(pdf, 1, [])))
    marked = Image.open(io.BytesIO(page_png(pdf, 1, [(100, 600, 200, 620), (-1e9, -1e9, 1e9, 1e9)])))
    assert plain.size == marked.size == (1191, 1684)
    assert plain.getpixel((300, 1684 - 1220)) != marked.getpixel((300, 1684 - 1220))
    for data, page in ((pdf, 2), (b"<html>", 1), (b"%PDF-1.4 broken", 1)):
        with pytest.raises(DocumentError):
            page_png(data, page, [])


@pytest.mark.parametrize(
    ("url", "text", "context", "day"),
    [
        ("http://e.com/a.pdf", "Annual report, 18 September 2023", "", "2023-09-18"),
        ("http://e.com/a.pdf", "Geschäftsbericht", "veröffentlicht 15.03.2024", "2024-03-15"),
        ("http://e.com/2024/03/15/a.pdf", "Report", "", "2024-03-15"),
        ("http://e.com/20240315-a.pdf", "Report", "", "2024-03-15"),
        ("http://e.com/a.pdf", "for the year ended 31 December 2023", "", None),
        ("http://e.com/a-2023.pdf", "Annual report 2023", "", None),
    ],
)
def test_when_a_report_was_published(url: str, text: str, context: str, day: str | None) -> None:
    found = published_on(url, text, context)
    assert (found.isoformat() if found else None) == day


@pytest.mark.parametrize(
    ("end", "published", "known"),
    [
        ("2023-12-31", "2024-03-15", "2024-03-15"),
        ("2023-12-31", None, "2023-12-31"),
        ("2023-12-31", "2023-06-01", "2023-12-31"),  # before its period ended: something else
        ("2023-12-31", "2026-06-01", "2023-12-31"),  # years later: something else
    ],
)
def test_since_when_a_report_is_known(end: str, published: str | None, known: str) -> None:
    document = ExtractedDocument(
        url="http://e.com/a.pdf", sha256="0" * 64, period_end=date.fromisoformat(end),
        published_on=date.fromisoformat(published) if published else None,
        provisional=Classification(document_type="annual_report", confidence=1),
    )  # fmt: skip
    assert known_on(document).isoformat() == known


def test_what_a_job_did_is_summed_up_by_document() -> None:
    steps = [
        Handled(step="found", document_id="a", url="http://e/a", created=True, document_type="other"),
        Handled(step="found", document_id="b", url="http://e/b"),
        Handled(step="downloaded", document_id="a", url="http://e/a", sha256="0" * 64, file_path="/x"),
        Handled(step="extracted", document_id="a", url="http://e/a", document_type="annual_report"),
    ]
    summary = summed_up([{"unread": "x"}, *(one.model_dump(mode="json") for one in steps)])
    assert (summary.discovered_count, summary.created_count, summary.downloaded_count) == (2, 1, 1)
    assert (summary.documents[0].document_type, summary.documents[0].file_path) == ("annual_report", "/x")
    assert (summary.file_path, summary.sha256) == (None, None)
    assert summed_up([steps[2].model_dump(mode="json")]).file_path == "/x"


@pytest.mark.parametrize(
    ("html", "url", "is_next"),
    [
        ("<a href='/r?page=2'>2</a>", "http://e.com/r", True),
        ("<a href='/r?page=2'>See also</a>", "http://e.com/r?page=1", True),
        ("<a rel=next href='/other'>On</a>", "http://e.com/r", True),
        ("<a href='/r/2022'>2022</a>", "http://e.com/r/2023", True),
        ("<a href='/x'>Next</a>", "http://e.com/r", True),
        ("<a href='/annual'>Annual reports</a>", "http://e.com/r", False),
    ],
)
def test_the_next_page_of_a_list(html: str, url: str, is_next: bool) -> None:  # noqa: FBT001 - a case of the test
    (page,) = find_links(html, url).pages
    assert page.is_next is is_next


@pytest.mark.parametrize(
    ("payload", "reason"), [({"company_id": "0" * 24}, "unknown_company"), ({"revision": 1}, "no_site")]
)
async def test_a_job_that_begins_at_compile_must_name_a_company(payload: dict[str, object], reason: str) -> None:
    with pytest.raises(PermanentError) as caught:
        await run_inline(flow, payload, from_stage="compile")
    assert caught.value.reason == reason
