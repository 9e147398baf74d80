"""Compiling filings: latest wins, restatements, matching, units, gaps, checks."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import permutations

from consumers.filings.compile import compile_filings
from consumers.filings.match_rows import normalised
from schemas.filings import (
    Cell,
    Classification,
    Company,
    DocumentType,
    ExtractedDocument,
    Period,
    Problem,
    Row,
    Statement,
    StatementKind,
)
from schemas.filings_result import CompiledRow, FilingsResult

Lines = dict[str, tuple[float | None, ...]]


def end(year: int) -> date:
    return date(year, 12, 31)


def filing(
    year: int,
    lines: Lines | Sequence[tuple[str, str, tuple[float | None, ...]]],
    *,
    kind: StatementKind = "income_statement",
    unit: int = 1_000,
    currency: str = "GBP",
    document_type: DocumentType = "annual_report",
    months: int | None = None,
    problems: tuple[Problem, ...] = (),
) -> ExtractedDocument:
    """A document of a fiscal year, its columns that year and those before it."""
    rows = [("", label, values) for label, values in lines.items()] if isinstance(lines, dict) else lines
    width = len(rows[0][2]) if rows else 0
    statement = Statement(
        kind=kind,
        currency=currency,
        unit_multiplier=unit,
        periods=tuple(Period(end=end(year - back), months=months) for back in range(width)),
        rows=tuple(
            Row(
                label=label,
                section=section,
                cells=tuple(None if v is None else Cell(value=Decimal(str(v)), text=str(v), page=1) for v in values),
            )
            for section, label, values in rows
        ),
    )
    found = Classification(document_type=document_type, confidence=0.9, fiscal_year=year)
    return ExtractedDocument(
        url=f"http://example.com/{year}.pdf", sha256=f"{year:064x}", provisional=found, confirmed=found,
        period_end=end(year), page_count=9, statements=(statement,) if rows else (), problems=problems,
    )  # fmt: skip


def row(result: FilingsResult, label: str) -> CompiledRow:
    return next(r for s in result.statements for r in s.rows if r.label == label)


def values(result: FilingsResult, label: str) -> list[Decimal | None]:
    return [cell.value if cell else None for cell in row(result, label).cells]


def test_the_latest_filing_wins_and_the_restatement_is_listed() -> None:
    documents = [
        filing(2021, {"Revenue": (100, 90)}),
        filing(2022, {"Revenue": (120, 97)}),
        filing(2023, {"Revenue": (130, 120)}),
    ]
    result = compile_filings(documents)
    (statement,) = result.statements
    assert statement.period_ends == (end(2023), end(2022), end(2021), end(2020))
    assert values(result, "Revenue") == [130, 120, 97, 90]
    assert [cell and cell.restated for cell in row(result, "Revenue").cells] == [False, False, True, False]
    (found,) = result.restatements
    assert (found.period_end, found.first.value, found.first.fiscal_year) == (end(2021), Decimal(100), 2021)
    assert [(change.value, change.sha256) for change in found.changes] == [(Decimal(97), f"{2022:064x}")]


def test_the_order_of_arrival_does_not_matter() -> None:
    documents = [filing(year, {"Revenue": (year, year - 1.5)}) for year in (2021, 2022, 2023)]
    first, *others = [compile_filings(order) for order in permutations(documents)]
    assert all(other == first for other in others)
    assert compile_filings([*documents, documents[0]]) == first


def test_filings_in_other_units_are_converted_and_rounding_is_no_restatement() -> None:
    result = compile_filings(
        [filing(2021, {"Revenue": (107.7, 101.2)}, unit=1_000_000), filing(2022, {"Revenue": (120_001, 107_712)})]
    )
    assert values(result, "Revenue") == [120_001, 107_712, 101_200]
    assert result.restatements == ()
    assert result.statements[0].unit_multiplier == 1_000


def test_a_label_printed_twice_is_told_apart_by_its_section() -> None:
    lines = [("Net sales", "Products", (5.0, 4.0)), ("Cost of sales", "Products", (-3.0, -2.0))]
    result = compile_filings([filing(2022, lines), filing(2023, lines)])
    keys = {compiled.key for compiled in result.statements[0].rows}
    assert keys == {"net sales / products", "cost of sales / products"}
    assert all(not compiled.flags for compiled in result.statements[0].rows)


def test_what_cannot_be_told_apart_is_flagged() -> None:
    result = compile_filings([filing(2023, [("A", "Other", (1.0,)), ("A", "Other", (2.0,))])])
    assert [bool(compiled.flags) for compiled in result.statements[0].rows] == [False, True]


def test_a_changed_label_is_followed_by_its_values_and_flagged() -> None:
    result = compile_filings(
        [
            filing(2022, {"Severance charges": (-27, -96), "Revenue": (10, 9)}),
            filing(2023, {"Severance and restructuring charges": (-36, -27), "Revenue": (12, 10)}),
        ]
    )
    label = "Severance and restructuring charges"
    assert values(result, label) == [-36, -27, -96]
    assert "Severance charges" in row(result, label).flags[0]


def test_a_changed_label_without_equal_values_stays_apart() -> None:
    result = compile_filings([filing(2022, {"Fuel": (5, 4)}), filing(2023, {"Energy": (7, 6)})])
    assert {compiled.label for compiled in result.statements[0].rows} == {"Fuel", "Energy"}


def test_old_lines_keep_their_place() -> None:
    result = compile_filings(
        [
            filing(2022, {"A": (1, 2), "Old": (3, 4), "Z": (5, 6)}),
            filing(2023, {"A": (7, 1), "New": (8, 9), "Z": (9, 5)}),
        ]
    )
    assert [compiled.label for compiled in result.statements[0].rows] == ["A", "Old", "New", "Z"]


def test_other_documents_and_shorter_periods_are_not_compiled() -> None:
    result = compile_filings(
        [
            filing(2022, {"Revenue": (10,)}, months=12),
            filing(2023, {"Revenue": (99,)}, document_type="quarterly_report", months=3),
            filing(2024, {"Revenue": (4,)}, months=6),
        ]
    )
    assert values(result, "Revenue") == [10]
    assert any("less than a year" in missing.reason for missing in result.missing)
    assert len(result.documents) == 3


def test_currencies_are_never_mixed() -> None:
    result = compile_filings([filing(2022, {"Revenue": (10, 9)}), filing(2023, {"Revenue": (12, 11)}, currency="EUR")])
    assert {statement.currency for statement in result.statements} == {"GBP", "EUR"}
    assert result.restatements == ()


def test_gaps_and_what_could_not_be_read_are_named() -> None:
    unread = filing(2021, {}, problems=(Problem(reason="encrypted", detail="needs a password"),))
    result = compile_filings([filing(2019, {"Revenue": (1,)}), unread, filing(2022, {"Revenue": (2,)})])
    said = {(missing.what, missing.reason.split(":")[0]) for missing in result.missing}
    assert ("document 2021", "encrypted") in said
    assert {"income_statement 2020", "income_statement 2021"} <= {what for what, _ in said}


def test_years_asked_for_are_shown_or_named_as_missing() -> None:
    documents = [filing(2022, {"Revenue": (2, 1)}), filing(2023, {"Revenue": (3, 2)})]
    latest = compile_filings(documents, years=2)
    assert latest.statements[0].period_ends == (end(2023), end(2022))
    asked = compile_filings(documents, Company(ticker="ARD"), years=(2021, 2015))
    assert asked.statements[0].period_ends == (end(2021),)
    assert "income_statement 2015" in {missing.what for missing in asked.missing}
    assert asked.company.ticker == "ARD"


def test_arithmetic_is_checked_and_failures_are_kept() -> None:
    balance: Lines = {"Total assets": (800, 700), "Total liabilities": (300, 300), "Total equity": (500, 401.5)}
    income: Lines = {"Revenue": (10,), "Cost of sales": (-4,), "Gross profit": (9,)}
    result = compile_filings([filing(2023, balance, kind="balance_sheet"), filing(2022, income)])
    by_kind = {statement.kind: statement.checks for statement in result.statements}
    assert [(check.ok, check.left, check.right) for check in by_kind["balance_sheet"]] == [
        (True, Decimal(800), Decimal(800)),
        (True, Decimal(700), Decimal("701.5")),
    ]
    assert [check.ok for check in by_kind["income_statement"]] == [False]


def test_nothing_compiles_to_nothing() -> None:
    assert compile_filings([]) == FilingsResult(company=Company())


def test_normalised_labels() -> None:
    assert normalised("Net income (loss)") == normalised("NET INCOME")
    assert normalised("Accounts receivable, net (Note 10)") == "accounts receivable net"
    assert normalised("Shareholders\u2019 equity") == normalised("Shareholders' equity")
    assert normalised("Résultat net") == "resultat net"
    assert normalised("(Loss)") == "loss"
