"""The invented company and the model behind its accounts.

Amounts are whole thousands of pounds unless a name says otherwise. Each year is derived
from the one before and a row of assumptions, so that the balance sheet balances because
every flow has two sides, not because a line was made to fit. Fiscal years end on 30 June.
"""

from dataclasses import dataclass, replace
from datetime import date
from functools import cache

from api.demo.accounts import BalanceSheet, CashFlow, IncomeStatement

NAME = "Brindlemoor plc"
SHORT_NAME = "Brindlemoor"
TICKER = "BRML"
CURRENCY = "GBP"
DISCLAIMER = (
    "Brindlemoor plc, its people and its figures are invented for a software demonstration. "
    "Any likeness to a real company is accidental."
)

FIRST_YEAR = 2018
"""Oldest year with figures: printed only as the comparative of the first report."""
REPORT_YEARS = tuple(range(2019, 2025))
"""Fiscal years with an annual report of their own, oldest first."""
RESTATED_YEAR = 2021
RESTATED_IN = 2022
AGENCY_SALES = 3_418
"""Installation sales of the restated year, first reported gross, later net (as an agent)."""

_COARSE_UNTIL = 2019  # printed in GBP million with one decimal, so kept in steps of 100
_PAR_PENCE = 10


@dataclass(frozen=True, slots=True)
class Year:
    """One fiscal year as it stands today, after any restatement."""

    fiscal_year: int
    income: IncomeStatement
    opening: BalanceSheet
    closing: BalanceSheet
    cash: CashFlow
    translation: int
    lease_additions: int
    disposals: int
    headcount: int

    @property
    def period_end(self) -> date:
        """Its last day."""
        return period_end(self.fiscal_year)


@dataclass(frozen=True, slots=True)
class _Assumptions:
    """What moves a year: shares of revenue unless a name says otherwise."""

    growth: float
    cost: float
    distribution: float
    administration: float
    capex: float
    other_income: int
    drawn: int
    repaid: int
    repaid_next: int
    lease_additions: int
    translation: int
    acquisition: int = 0
    shares_issued_k: int = 0


_ASSUMPTIONS = {
    2018: _Assumptions(0.0537, 0.5864, 0.0912, 0.1274, 0.068, 700, 0, 4_000, 4_000, 2_300, 200),
    2019: _Assumptions(0.0641, 0.5811, 0.0904, 0.1251, 0.071, 500, 3_000, 4_000, 4_500, 2_600, -300),
    2020: _Assumptions(-0.0386, 0.5973, 0.0921, 0.1302, 0.049, 2_214, 6_000, 4_500, 4_500, 1_874, -641),
    2021: _Assumptions(0.1079, 0.5842, 0.0887, 0.1243, 0.062, 918, 0, 4_500, 5_000, 2_947, 388, shares_issued_k=4_000),
    2022: _Assumptions(
        0.1317, 0.5786, 0.0893, 0.1227, 0.073, 641, 8_500, 5_000, 5_500, 3_318, 1_127, acquisition=9_260
    ),
    2023: _Assumptions(0.0874, 0.5903, 0.0901, 0.1219, 0.066, 772, 0, 5_500, 5_500, 2_716, -874),
    2024: _Assumptions(0.0942, 0.5748, 0.0889, 0.1208, 0.070, 834, 0, 5_500, 6_000, 3_052, 263),
}

_OPENING = BalanceSheet(
    goodwill=21_400, intangibles=6_200, property_plant=38_700, right_of_use=9_800,
    deferred_tax_assets=1_100, inventories=18_300, receivables=22_900, cash=12_600,
    payables=19_400, current_tax=1_300, short_borrowings=4_000, current_leases=1_900,
    provisions=1_500, long_borrowings=24_000, long_leases=8_100, deferred_tax=2_600,
    share_capital=8_000, share_premium=14_500, translation_reserve=1_200, retained_earnings=44_500,
)  # fmt: skip
_OPENING_REVENUE = 96_000
_OPENING_PROFIT = 7_900


def period_end(fiscal_year: int) -> date:
    """The last day of a fiscal year."""
    return date(fiscal_year, 6, 30)


def _year(fiscal_year: int, opening: BalanceSheet, revenue: int, last_profit: int) -> Year:
    a = _ASSUMPTIONS[fiscal_year]
    step = 100 if fiscal_year <= _COARSE_UNTIL else 1

    def rounded(value: float) -> int:
        return step * round(value / step)

    revenue = rounded(revenue * (1 + a.growth))
    cost_of_sales = rounded(revenue * a.cost)
    depreciation = rounded(opening.property_plant * 0.118)
    lease_depreciation = rounded(opening.right_of_use * 0.221)
    amortisation = rounded(opening.intangibles * 0.187)
    finance_costs = rounded(opening.borrowings * 0.041 + opening.leases * 0.033)
    finance_income = rounded(opening.cash * 0.0093)
    research = rounded(revenue * 0.0463)
    before_tax = (
        revenue - cost_of_sales - rounded(revenue * a.distribution)
        - rounded(revenue * a.administration) - research + a.other_income
        + finance_income - finance_costs
    )  # fmt: skip
    deferred = rounded(before_tax * 0.017)
    current_tax = rounded(before_tax * 0.192)
    issue = rounded(a.shares_issued_k * 1.5)
    new_capital = a.shares_issued_k * _PAR_PENCE // 100
    weighted_shares = opening.share_capital * 100 // _PAR_PENCE + a.shares_issued_k // 2
    income = IncomeStatement(
        revenue=revenue,
        cost_of_sales=-cost_of_sales,
        distribution=-rounded(revenue * a.distribution),
        administration=-rounded(revenue * a.administration),
        research=-research,
        other_income=a.other_income,
        finance_income=finance_income,
        finance_costs=-finance_costs,
        tax=-(current_tax + deferred),
        shares_k=weighted_shares,
        dilutive_shares_k=1_260,
    )
    disposals = rounded(opening.property_plant * 0.0091)
    proceeds = rounded(disposals * 1.37)
    share_based = rounded(revenue * 0.0058)
    provisions = rounded(revenue * 0.0149)
    intangible_spend = rounded(revenue * 0.0167)
    inventories = rounded(cost_of_sales * 0.317)
    receivables = rounded(revenue * 0.2284)
    payables = rounded(cost_of_sales * 0.336)
    closing_tax = rounded(current_tax * 0.46)
    lease_principal = rounded(opening.leases * 0.196)
    cash = CashFlow(
        profit=income.profit,
        tax_expense=-income.tax,
        finance_income=-finance_income,
        finance_costs=finance_costs,
        depreciation=depreciation,
        lease_depreciation=lease_depreciation,
        amortisation=amortisation,
        disposal_gain=disposals - proceeds,
        share_based_payment=share_based,
        provisions=provisions - opening.provisions,
        inventories=opening.inventories - inventories,
        receivables=opening.receivables - receivables,
        payables=payables - opening.payables,
        tax_paid=closing_tax - opening.current_tax - current_tax,
        interest_paid=-finance_costs,
        capital_expenditure=-rounded(revenue * a.capex),
        intangible_expenditure=-intangible_spend,
        disposal_proceeds=proceeds,
        acquisition=-a.acquisition,
        interest_received=finance_income,
        share_issue=issue,
        borrowings_drawn=a.drawn,
        borrowings_repaid=-a.repaid,
        lease_principal=-lease_principal,
        dividends=-rounded(last_profit * 0.38),
        opening_cash=opening.cash,
    )
    acquired_goodwill = a.acquisition * 3 // 5
    leases = opening.leases + a.lease_additions - lease_principal
    current_leases = rounded(leases * 0.204)
    closing = BalanceSheet(
        goodwill=opening.goodwill + acquired_goodwill,
        intangibles=opening.intangibles + intangible_spend + (a.acquisition - acquired_goodwill) - amortisation,
        property_plant=opening.property_plant - cash.capital_expenditure - depreciation - disposals + a.translation,
        right_of_use=opening.right_of_use + a.lease_additions - lease_depreciation,
        deferred_tax_assets=opening.deferred_tax_assets,
        inventories=inventories,
        receivables=receivables,
        cash=cash.closing_cash,
        payables=payables,
        current_tax=closing_tax,
        short_borrowings=a.repaid_next,
        current_leases=current_leases,
        provisions=provisions,
        long_borrowings=opening.borrowings + a.drawn - a.repaid - a.repaid_next,
        long_leases=leases - current_leases,
        deferred_tax=opening.deferred_tax + deferred,
        share_capital=opening.share_capital + new_capital,
        share_premium=opening.share_premium + issue - new_capital,
        translation_reserve=opening.translation_reserve + a.translation,
        retained_earnings=opening.retained_earnings + income.profit + share_based + cash.dividends,
    )
    headcount = round(revenue / 147)
    return Year(fiscal_year, income, opening, closing, cash, a.translation, a.lease_additions, disposals, headcount)


@cache
def years() -> dict[int, Year]:
    """Every fiscal year of the company, oldest first, as it stands today."""
    found: dict[int, Year] = {}
    balance, revenue, profit = _OPENING, _OPENING_REVENUE, _OPENING_PROFIT
    for fiscal_year in _ASSUMPTIONS:
        year = _year(fiscal_year, balance, revenue, profit)
        found[fiscal_year] = year
        balance, revenue, profit = year.closing, year.income.revenue, year.income.profit
    return found


def income_as_reported(fiscal_year: int, *, report_year: int) -> IncomeStatement:
    """A year's income statement as the annual report of ``report_year`` prints it.

    The restated year was first reported with installation sales gross; reports from
    ``RESTATED_IN`` on print it net. Profit is the same in both.
    """
    income = years()[fiscal_year].income
    if fiscal_year == RESTATED_YEAR and report_year < RESTATED_IN:
        return replace(
            income,
            revenue=income.revenue + AGENCY_SALES,
            cost_of_sales=income.cost_of_sales - AGENCY_SALES,
        )
    return income
