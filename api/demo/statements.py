"""The primary statements of one annual report: titles, rows, columns and printed scale.

The typesetter prints these rows and ``expected`` reads the truth from them, so the two
cannot drift apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Generic, Literal, TypeVar

from api.demo.accounts import BalanceSheet, CashFlow, IncomeStatement
from api.demo.company import (
    RESTATED_IN,
    RESTATED_YEAR,
    income_as_reported,
    period_end,
    years,
)

RowKind = Literal["heading", "item", "subtotal", "total", "per_share"]
StatementName = Literal["income_statement", "balance_sheet", "cash_flow"]
Period = TypeVar("Period")

MILLIONS_UNTIL = 2019
"""Reports up to this year print GBP million with one decimal, later ones GBP thousand."""
_RENAMED_FROM = 2022


class Scale(StrEnum):
    """How a report prints money."""

    MILLIONS = "millions"
    THOUSANDS = "thousands"


@dataclass(frozen=True, slots=True)
class Row:
    """One printed line.

    Attributes:
        label: As printed.
        kind: How it is typeset; a heading has no values.
        values: One per column, in thousands of pounds, or in pence when ``per_share``.
        note: Number of the note it refers to, or empty.
        key: Standard key of the line, or empty when it has none.
    """

    label: str
    kind: RowKind
    values: tuple[Decimal, ...] = ()
    note: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """One primary statement of one report; the current year is the first column."""

    name: StatementName
    title: str
    subtitle: str
    period_ends: tuple[date, ...]
    column_heads: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class _Line(Generic[Period]):
    label: str
    kind: RowKind
    value: Callable[[Period], int | Decimal] | None = None
    note: str = ""
    key: str = ""


_INCOME: tuple[_Line[IncomeStatement], ...] = (
    _Line("Revenue", "item", lambda i: i.revenue, "3", "revenue"),
    _Line("Cost of sales", "item", lambda i: i.cost_of_sales, "", "cost_of_revenue"),
    _Line("Gross profit", "subtotal", lambda i: i.gross_profit, "", "gross_profit"),
    _Line("Distribution costs", "item", lambda i: i.distribution),
    _Line("Administrative expenses", "item", lambda i: i.administration),
    _Line("Research and development expenses", "item", lambda i: i.research),
    _Line("Other operating income", "item", lambda i: i.other_income),
    _Line("Operating profit", "subtotal", lambda i: i.operating_profit, "4", "operating_income"),
    _Line("Finance income", "item", lambda i: i.finance_income),
    _Line("Finance costs", "item", lambda i: i.finance_costs),
    _Line("Profit before tax", "subtotal", lambda i: i.profit_before_tax, "", "pretax_income"),
    _Line("Income tax expense", "item", lambda i: i.tax, "6", "income_tax"),
    _Line("Profit for the year", "total", lambda i: i.profit, "", "net_income"),
    _Line("Earnings per share", "heading"),
    _Line("Basic earnings per share (pence)", "per_share", lambda i: i.basic_eps_pence, "7", "eps_basic"),
    _Line(
        "Diluted earnings per share (pence)",
        "per_share",
        lambda i: i.diluted_eps_pence,
        "7",
        "eps_diluted",
    ),
)

_BALANCE: tuple[_Line[BalanceSheet], ...] = (
    _Line("Non-current assets", "heading"),
    _Line("Goodwill", "item", lambda b: b.goodwill, "", "goodwill"),
    _Line("Other intangible assets", "item", lambda b: b.intangibles),
    _Line("Property, plant and equipment", "item", lambda b: b.property_plant, "9", "ppe_net"),
    _Line("Right-of-use assets", "item", lambda b: b.right_of_use),
    _Line("Deferred tax assets", "item", lambda b: b.deferred_tax_assets),
    _Line(
        "Total non-current assets",
        "subtotal",
        lambda b: b.non_current_assets,
        "",
        "total_non_current_assets",
    ),
    _Line("Current assets", "heading"),
    _Line("Inventories", "item", lambda b: b.inventories, "10", "inventories"),
    _Line("Trade and other receivables", "item", lambda b: b.receivables, "11", "receivables"),
    _Line("Cash and cash equivalents", "item", lambda b: b.cash, "", "cash"),
    _Line("Total current assets", "subtotal", lambda b: b.current_assets, "", "total_current_assets"),
    _Line("Total assets", "total", lambda b: b.total_assets, "", "total_assets"),
    _Line("Current liabilities", "heading"),
    _Line("Trade and other payables", "item", lambda b: b.payables, "", "accounts_payable"),
    _Line("Current tax liabilities", "item", lambda b: b.current_tax),
    _Line("Short-term borrowings", "item", lambda b: b.short_borrowings, "12"),
    _Line("Current lease liabilities", "item", lambda b: b.current_leases),
    _Line("Provisions", "item", lambda b: b.provisions),
    _Line(
        "Total current liabilities",
        "subtotal",
        lambda b: b.current_liabilities,
        "",
        "total_current_liabilities",
    ),
    _Line("Non-current liabilities", "heading"),
    _Line("Long-term borrowings", "item", lambda b: b.long_borrowings, "12", "long_term_debt"),
    _Line("Non-current lease liabilities", "item", lambda b: b.long_leases),
    _Line("Deferred tax liabilities", "item", lambda b: b.deferred_tax),
    _Line("Total non-current liabilities", "subtotal", lambda b: b.non_current_liabilities),
    _Line("Total liabilities", "subtotal", lambda b: b.total_liabilities, "", "total_liabilities"),
    _Line("Equity", "heading"),
    _Line("Share capital", "item", lambda b: b.share_capital),
    _Line("Share premium", "item", lambda b: b.share_premium),
    _Line("Translation reserve", "item", lambda b: b.translation_reserve),
    _Line("Retained earnings", "item", lambda b: b.retained_earnings),
    _Line("Total equity", "subtotal", lambda b: b.total_equity, "", "total_equity"),
    _Line(
        "Total equity and liabilities",
        "total",
        lambda b: b.total_equity + b.total_liabilities,
        "",
        "total_liabilities_and_equity",
    ),
)

_CASH: tuple[_Line[CashFlow], ...] = (
    _Line("Cash flows from operating activities", "heading"),
    _Line("Profit for the year", "item", lambda c: c.profit),
    _Line("Income tax expense", "item", lambda c: c.tax_expense),
    _Line("Finance income", "item", lambda c: c.finance_income),
    _Line("Finance costs", "item", lambda c: c.finance_costs),
    _Line("Depreciation of property, plant and equipment", "item", lambda c: c.depreciation, "9"),
    _Line("Depreciation of right-of-use assets", "item", lambda c: c.lease_depreciation),
    _Line("Amortisation of intangible assets", "item", lambda c: c.amortisation),
    _Line("Gain on disposal of property, plant and equipment", "item", lambda c: c.disposal_gain),
    _Line("Share-based payment expense", "item", lambda c: c.share_based_payment),
    _Line("Movement in provisions", "item", lambda c: c.provisions),
    _Line(
        "Operating cash flows before movements in working capital",
        "subtotal",
        lambda c: c.before_working_capital,
    ),
    _Line("Movement in inventories", "item", lambda c: c.inventories),
    _Line("Movement in trade and other receivables", "item", lambda c: c.receivables),
    _Line("Movement in trade and other payables", "item", lambda c: c.payables),
    _Line("Cash generated from operations", "subtotal", lambda c: c.generated_from_operations),
    _Line("Income taxes paid", "item", lambda c: c.tax_paid),
    _Line("Interest paid", "item", lambda c: c.interest_paid),
    _Line("Net cash from operating activities", "subtotal", lambda c: c.operating, "", "cfo"),
    _Line("Cash flows from investing activities", "heading"),
    _Line(
        "Purchase of property, plant and equipment",
        "item",
        lambda c: c.capital_expenditure,
        "9",
        "capex",
    ),
    _Line("Purchase of intangible assets", "item", lambda c: c.intangible_expenditure),
    _Line("Proceeds from disposal of property, plant and equipment", "item", lambda c: c.disposal_proceeds),
    _Line("Acquisition of subsidiary, net of cash acquired", "item", lambda c: c.acquisition),
    _Line("Interest received", "item", lambda c: c.interest_received),
    _Line("Net cash used in investing activities", "subtotal", lambda c: c.investing, "", "cfi"),
    _Line("Cash flows from financing activities", "heading"),
    _Line("Proceeds from issue of share capital", "item", lambda c: c.share_issue),
    _Line("Proceeds from borrowings", "item", lambda c: c.borrowings_drawn, "12"),
    _Line("Repayment of borrowings", "item", lambda c: c.borrowings_repaid, "12"),
    _Line("Payment of principal of lease liabilities", "item", lambda c: c.lease_principal),
    _Line("Dividends paid to shareholders", "item", lambda c: c.dividends, "8", "dividends_paid"),
    _Line("Net cash used in financing activities", "subtotal", lambda c: c.financing, "", "cff"),
    _Line("Net change in cash and cash equivalents", "subtotal", lambda c: c.change_in_cash, "", "net_change_in_cash"),
    _Line("Cash and cash equivalents at beginning of year", "item", lambda c: c.opening_cash),
    _Line("Cash and cash equivalents at end of year", "total", lambda c: c.closing_cash, "", "cash_end"),
)


def scale_of(report_year: int) -> Scale:
    """How the annual report of a year prints money."""
    return Scale.MILLIONS if report_year <= MILLIONS_UNTIL else Scale.THOUSANDS


def statements_of(report_year: int) -> tuple[Statement, Statement, Statement]:
    """Income statement, balance sheet and cash flow statement of an annual report.

    A line that is nil in both years is left out, as a preparer would.
    """
    periods = (report_year, report_year - 1)
    ends = tuple(period_end(period) for period in periods)
    modern = report_year >= _RENAMED_FROM
    ended = f"For the year ended 30 June {report_year}"
    heads = tuple(str(period) for period in periods)
    restated = tuple(
        f"{period} (restated)" if (period, report_year) == (RESTATED_YEAR, RESTATED_IN) else str(period)
        for period in periods
    )
    return (
        Statement(
            "income_statement",
            "Consolidated income statement",
            ended,
            ends,
            restated,
            _rows(_INCOME, [income_as_reported(p, report_year=report_year) for p in periods]),
        ),
        Statement(
            "balance_sheet",
            "Consolidated statement of financial position" if modern else "Consolidated balance sheet",
            f"As at 30 June {report_year}",
            ends,
            tuple(f"30 June {period}" for period in periods),
            _rows(_BALANCE, [years()[p].closing for p in periods]),
        ),
        Statement(
            "cash_flow",
            "Consolidated statement of cash flows" if modern else "Consolidated cash flow statement",
            ended,
            ends,
            heads,
            _rows(_CASH, [years()[p].cash for p in periods]),
        ),
    )


def _rows(lines: Sequence[_Line[Period]], periods: Sequence[Period]) -> tuple[Row, ...]:
    rows: list[Row] = []
    for line in lines:
        if line.value is None:
            rows.append(Row(line.label, line.kind))
            continue
        values = tuple(Decimal(line.value(period)) for period in periods)
        if any(values):
            rows.append(Row(line.label, line.kind, values, line.note, line.key))
    return tuple(rows)


def printed(value: Decimal | int, scale: Scale) -> str:
    """Money as a report prints it: parentheses when negative, a dash for nil.

    Args:
        value: Thousands of pounds.
        scale: Scale of the report.
    """
    if not value:
        return "\N{EN DASH}"
    size = abs(Decimal(value))
    text = f"{size:,.0f}" if scale is Scale.THOUSANDS else f"{size / 1000:,.1f}"
    return f"({text})" if value < 0 else text
