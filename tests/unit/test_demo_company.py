"""The invented company's figures add up, in the model and as printed."""

from dataclasses import fields
from decimal import Decimal

import pytest

from api.demo.company import (
    AGENCY_SALES,
    REPORT_YEARS,
    RESTATED_IN,
    RESTATED_YEAR,
    income_as_reported,
    period_end,
    years,
)
from api.demo.expected import restated_values, true_statement, true_values
from api.demo.notes import notes_of, shares
from api.demo.statements import MILLIONS_UNTIL, Scale, printed, statements_of

ALL_YEARS = tuple(years())
every_year = pytest.mark.parametrize("fiscal_year", ALL_YEARS)
every_report = pytest.mark.parametrize("report_year", REPORT_YEARS)


@every_year
def test_the_balance_sheet_balances(fiscal_year: int) -> None:
    closing = years()[fiscal_year].closing
    assert closing.total_assets == closing.total_liabilities + closing.total_equity
    assert all(getattr(closing, field.name) > 0 for field in fields(closing))


@every_year
def test_cash_flow_sections_sum_to_the_change_in_cash(fiscal_year: int) -> None:
    year = years()[fiscal_year]
    assert year.cash.operating + year.cash.investing + year.cash.financing == year.closing.cash - year.opening.cash
    assert year.cash.closing_cash == year.closing.cash


@every_year
def test_profit_carries_into_the_cash_flow_and_equity(fiscal_year: int) -> None:
    year = years()[fiscal_year]
    assert year.cash.profit == year.income.profit
    kept = year.income.profit + year.cash.dividends + year.cash.share_based_payment
    assert year.closing.retained_earnings - year.opening.retained_earnings == kept


@pytest.mark.parametrize("fiscal_year", ALL_YEARS[1:])
def test_a_year_opens_where_the_last_one_closed(fiscal_year: int) -> None:
    assert years()[fiscal_year].opening == years()[fiscal_year - 1].closing


@every_report
def test_printed_subtotals_are_the_sums_of_printed_lines(report_year: int) -> None:
    income, balance, cash = (
        {row.label: row.values for row in statement.rows} for statement in statements_of(report_year)
    )
    for column in range(2):
        line = {label: values[column] for label, values in income.items() if values}
        assert line["Revenue"] + line["Cost of sales"] == line["Gross profit"]
        assert line["Profit before tax"] + line["Income tax expense"] == line["Profit for the year"]
        line = {label: values[column] for label, values in balance.items() if values}
        assert line["Total non-current assets"] + line["Total current assets"] == line["Total assets"]
        assert line["Total equity"] + line["Total liabilities"] == line["Total equity and liabilities"]
        assert line["Total assets"] == line["Total equity and liabilities"]
        line = {label: values[column] for label, values in cash.items() if values}
        sections = sum(line[label] for label in line if label.startswith("Net cash"))
        change = line["Net change in cash and cash equivalents"]
        assert sections == change
        opening = line["Cash and cash equivalents at beginning of year"]
        assert opening + change == line["Cash and cash equivalents at end of year"]


@every_report
def test_rows_between_subtotals_of_the_cash_flow_add_up(report_year: int) -> None:
    cash = statements_of(report_year)[2]
    running = Decimal(0)
    for row in cash.rows:
        if row.kind == "heading":
            running = Decimal(0)
        elif row.kind == "item":
            running += row.values[0]
        elif row.label != "Net change in cash and cash equivalents" and row.kind == "subtotal":
            assert running == row.values[0], row.label


@every_report
def test_labels_are_unique_within_a_statement(report_year: int) -> None:
    for statement in statements_of(report_year):
        labels = [row.label for row in statement.rows]
        assert len(labels) == len(set(labels))


@every_report
def test_tables_in_notes_have_a_figure_for_every_head(report_year: int) -> None:
    notes = notes_of(report_year)
    assert [note.number for note in notes] == list(range(1, len(notes) + 1))
    assert all(len(cell.figures) == len(note.heads) for note in notes for cell in note.cells)
    referred = {row.note for statement in statements_of(report_year) for row in statement.rows if row.note}
    assert referred <= {str(note.number) for note in notes}


def test_only_revenue_and_cost_of_sales_of_one_year_are_restated() -> None:
    restated = {(true.label, true.period_end): true.history for true in restated_values()}
    end = period_end(RESTATED_YEAR)
    assert set(restated) == {("Revenue", end), ("Cost of sales", end)}
    first, last = restated["Revenue", end]
    assert (first.report_year, last.report_year) == (RESTATED_YEAR, RESTATED_IN)
    assert first.value - last.value == AGENCY_SALES * 1000


def test_the_restatement_leaves_profit_alone() -> None:
    first = income_as_reported(RESTATED_YEAR, report_year=RESTATED_YEAR)
    later = income_as_reported(RESTATED_YEAR, report_year=RESTATED_IN)
    assert first.revenue != later.revenue
    assert first.profit == later.profit


def test_reports_in_millions_lose_nothing_to_rounding() -> None:
    for fiscal_year in range(ALL_YEARS[0], MILLIONS_UNTIL + 1):
        for statement in ("income_statement", "balance_sheet", "cash_flow"):
            for true in true_values():
                if true.period_end.year == fiscal_year and true.statement == statement and not true.per_share:
                    assert true.value % 100_000 == 0, true.label


def test_without_the_later_reports_the_first_value_stands() -> None:
    revenue = {true.period_end.year: true for true in true_values((2020, 2021)) if true.label == "Revenue"}
    assert sorted(revenue) == [2019, 2020, 2021]
    assert not revenue[RESTATED_YEAR].restated
    assert revenue[RESTATED_YEAR].value == (years()[RESTATED_YEAR].income.revenue + AGENCY_SALES) * 1000


@every_year
def test_every_year_has_a_true_statement_in_pounds(fiscal_year: int) -> None:
    assert (
        true_statement("balance_sheet", fiscal_year)["Total assets"] == years()[fiscal_year].closing.total_assets * 1000
    )
    eps = true_statement("income_statement", fiscal_year)["Basic earnings per share (pence)"]
    assert eps == years()[fiscal_year].income.basic_eps_pence


@pytest.mark.parametrize(
    ("value", "scale", "text"),
    [
        (114_715, Scale.THOUSANDS, "114,715"),
        (-67_017, Scale.THOUSANDS, "(67,017)"),
        (0, Scale.THOUSANDS, "\N{EN DASH}"),
        (107_700, Scale.MILLIONS, "107.7"),
        (-300, Scale.MILLIONS, "(0.3)"),
        (1_234_500, Scale.MILLIONS, "1,234.5"),
    ],
)
def test_money_is_printed_as_accountants_do(value: int, scale: Scale, text: str) -> None:
    assert printed(value, scale) == text


def test_shares_of_a_total_sum_to_it() -> None:
    assert shares(100, (1 / 3, 1 / 3, 1 / 3)) == [33, 33, 34]
