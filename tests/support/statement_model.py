"""Figures of invented companies that add up: a maker of things, a bank and an insurer, over several years."""

import random
from dataclasses import dataclass
from decimal import Decimal

Figures = dict[str, list[Decimal]]


@dataclass(frozen=True, slots=True)
class Size:
    """How large the invented company is, and how finely it prints.

    Attributes:
        base: Revenue or total assets of the first year, in printed units.
        digits: Decimals of amounts.
    """

    seed: int
    base: int
    years: int = 3
    digits: int = 0


def _rounded(value: float, digits: int) -> Decimal:
    return Decimal(str(round(value, digits))) if digits else Decimal(round(value))


class _Maker:
    """Draws parts of a base, a year after the other, so that they look like a company's."""

    def __init__(self, size: Size) -> None:
        self._random = random.Random(size.seed)  # noqa: S311 - figures for tests
        self.size = size
        self.figures: Figures = {}
        growth = 1.0
        self.scale = []
        for _ in range(size.years):
            self.scale.append(size.base * growth)
            growth *= self._random.uniform(0.94, 1.15)

    def share(self, name: str, share: float) -> None:
        """A line of about a share of the base."""
        self.figures[name] = [
            _rounded(scale * share * self._random.uniform(0.85, 1.15), self.size.digits) for scale in self.scale
        ]

    def total(self, name: str, *parts: str) -> None:
        """A line that is the sum of others; "-x" is taken away."""
        self.figures[name] = [
            sum((-self.figures[p[1:]][y] if p.startswith("-") else self.figures[p][y] for p in parts), Decimal(0))
            for y in range(self.size.years)
        ]

    def rest(self, name: str, whole: str, *parts: str) -> None:
        """What is left of a whole after its other parts."""
        self.total(name, whole, *(f"-{part}" for part in parts))


def maker(size: Size) -> Figures:
    """A maker of things: every amount positive, costs and payments too; oldest year first."""
    m = _Maker(size)
    for name, share in (
        ("revenue", 1.0), ("cost_of_revenue", 0.6), ("selling_expense", 0.12), ("general_admin_expense", 0.06),
        ("research_and_development", 0.04), ("other_operating_income", 0.01), ("interest_income", 0.004),
        ("interest_expense", 0.015),
    ):  # fmt: skip
        m.share(name, share)
    m.total("gross_profit", "revenue", "-cost_of_revenue")
    m.total(
        "operating_income", "gross_profit", "-selling_expense", "-general_admin_expense",
        "-research_and_development", "other_operating_income",
    )  # fmt: skip
    m.total("pretax_income", "operating_income", "interest_income", "-interest_expense")
    f = m.figures
    f["income_tax"] = [_rounded(float(v) * 0.23, size.digits) for v in f["pretax_income"]]
    m.total("net_income", "pretax_income", "-income_tax")
    f["net_income_nci"] = [_rounded(float(v) * 0.04, size.digits) for v in f["net_income"]]
    m.total("net_income_parent", "net_income", "-net_income_nci")
    f["eps_basic"] = [_rounded(float(v) / size.base * 17 + 0.31, 2) for v in f["net_income_parent"]]
    f["eps_diluted"] = [v - Decimal("0.03") for v in f["eps_basic"]]
    for name, share in (
        ("cash", 0.11), ("short_term_investments", 0.03), ("receivables", 0.14), ("inventories", 0.13),
        ("other_current_assets", 0.02), ("ppe_net", 0.32), ("right_of_use_assets", 0.03), ("goodwill", 0.17),
        ("intangible_assets", 0.08), ("deferred_tax_assets", 0.015), ("accounts_payable", 0.1),
        ("short_term_debt", 0.04), ("income_tax_payable", 0.012), ("other_current_liabilities", 0.05),
        ("long_term_debt", 0.21), ("lease_liabilities_non_current", 0.025), ("pension_liabilities", 0.04),
        ("deferred_tax_liabilities", 0.02), ("share_capital", 0.03), ("additional_paid_in_capital", 0.1),
        ("non_controlling_interests", 0.012),
    ):  # fmt: skip
        m.share(name, share)
    m.total(
        "total_current_assets", "cash", "short_term_investments", "receivables", "inventories", "other_current_assets"
    )
    m.total(
        "total_non_current_assets", "ppe_net", "right_of_use_assets", "goodwill", "intangible_assets",
        "deferred_tax_assets",
    )  # fmt: skip
    m.total("total_assets", "total_current_assets", "total_non_current_assets")
    m.total(
        "total_current_liabilities", "accounts_payable", "short_term_debt", "income_tax_payable",
        "other_current_liabilities",
    )  # fmt: skip
    m.total(
        "total_non_current_liabilities", "long_term_debt", "lease_liabilities_non_current", "pension_liabilities",
        "deferred_tax_liabilities",
    )  # fmt: skip
    m.total("total_liabilities", "total_current_liabilities", "total_non_current_liabilities")
    m.rest("total_equity", "total_assets", "total_liabilities")
    m.rest("equity_parent", "total_equity", "non_controlling_interests")
    m.rest("retained_earnings", "equity_parent", "share_capital", "additional_paid_in_capital")
    f["total_liabilities_and_equity"] = f["total_assets"]
    _cash_flow(m)
    return f


def _cash_flow(m: _Maker) -> None:
    f, size = m.figures, m.size
    for name, share in (
        ("depreciation_amortization", 0.05), ("share_based_compensation", 0.008), ("cf_deferred_tax", 0.004),
        ("change_in_receivables", 0.012), ("change_in_inventories", 0.011), ("change_in_payables", 0.009),
        ("capex", 0.06), ("acquisitions", 0.02), ("disposals_of_ppe", 0.005), ("debt_issued", 0.05),
        ("dividends_paid", 0.025), ("share_repurchases", 0.015), ("fx_effect", 0.002),
    ):  # fmt: skip
        m.share(name, share)
    m.total(
        "cfo", "net_income", "depreciation_amortization", "share_based_compensation", "cf_deferred_tax",
        "-change_in_receivables", "-change_in_inventories", "change_in_payables",
    )  # fmt: skip
    m.total("cfi", "disposals_of_ppe", "-capex", "-acquisitions")
    f["cash_end"] = f["cash"]
    f["cash_begin"] = [_rounded(size.base * 0.1, size.digits), *f["cash"][:-1]]
    m.total("net_change_in_cash", "cash_end", "-cash_begin")
    m.total("cff", "net_change_in_cash", "-cfo", "-cfi", "-fx_effect")
    m.total("debt_repaid", "debt_issued", "-dividends_paid", "-share_repurchases", "-cff")


def bank(size: Size) -> Figures:
    """A bank; base is its total assets."""
    m = _Maker(size)
    for name, share in (
        ("bank_interest_income", 0.045), ("bank_interest_expense", 0.019), ("provision_for_credit_losses", 0.003),
        ("fee_income", 0.009), ("trading_income", 0.002), ("personnel_expense", 0.009),
        ("general_admin_expense", 0.006), ("cash", 0.06), ("loans_to_banks", 0.04), ("loans_net", 0.6),
        ("securities", 0.2), ("ppe_net", 0.01), ("goodwill", 0.01), ("deposits", 0.6), ("due_to_banks", 0.05),
        ("debt_securities_issued", 0.1), ("subordinated_debt", 0.01), ("share_capital", 0.01),
        ("depreciation_amortization", 0.002), ("change_in_receivables", 0.006), ("change_in_payables", 0.004),
        ("capex", 0.002), ("purchases_of_investments", 0.03), ("sales_of_investments", 0.027),
        ("dividends_paid", 0.003), ("fx_effect", 0.0004),
    ):  # fmt: skip
        m.share(name, share)
    f = m.figures
    m.total("net_interest_income", "bank_interest_income", "-bank_interest_expense")
    m.total("revenue", "net_interest_income", "fee_income", "trading_income")
    m.total("noninterest_expense", "personnel_expense", "general_admin_expense")
    m.total("pretax_income", "revenue", "-provision_for_credit_losses", "-noninterest_expense")
    f["income_tax"] = [_rounded(float(v) * 0.21, size.digits) for v in f["pretax_income"]]
    m.total("net_income", "pretax_income", "-income_tax")
    f["eps_basic"] = [_rounded(float(v) / size.base * 210, 2) for v in f["net_income"]]
    f["eps_diluted"] = [v - Decimal("0.02") for v in f["eps_basic"]]
    m.total("total_assets", "cash", "loans_to_banks", "loans_net", "securities", "ppe_net", "goodwill")
    m.total("total_liabilities", "deposits", "due_to_banks", "debt_securities_issued", "subordinated_debt")
    m.rest("total_equity", "total_assets", "total_liabilities")
    m.rest("retained_earnings", "total_equity", "share_capital")
    f["total_liabilities_and_equity"] = f["total_assets"]
    m.total(
        "cfo", "net_income", "depreciation_amortization", "-change_in_receivables", "change_in_payables",
        "provision_for_credit_losses",
    )  # fmt: skip
    m.total("cfi", "sales_of_investments", "-purchases_of_investments", "-capex")
    f["cash_end"] = f["cash"]
    f["cash_begin"] = [_rounded(size.base * 0.055, size.digits), *f["cash"][:-1]]
    m.total("net_change_in_cash", "cash_end", "-cash_begin")
    m.total("cff", "net_change_in_cash", "-cfo", "-cfi")
    m.total("debt_issued", "cff", "dividends_paid")
    return f


def insurer(size: Size) -> Figures:
    """An insurer; base is its total assets."""
    m = _Maker(size)
    for name, share in (
        ("premiums_earned", 0.2), ("net_investment_income", 0.03), ("fee_income", 0.01), ("claims_incurred", 0.14),
        ("acquisition_costs", 0.03), ("general_admin_expense", 0.02), ("interest_expense", 0.004),
        ("total_investments", 0.78), ("reinsurance_assets", 0.06), ("deferred_acquisition_costs", 0.03),
        ("receivables", 0.04), ("cash", 0.05), ("goodwill", 0.02), ("insurance_liabilities", 0.6),
        ("unearned_premiums", 0.1), ("long_term_debt", 0.06), ("trade_and_other_payables", 0.03),
        ("share_capital", 0.02), ("additional_paid_in_capital", 0.05), ("depreciation_amortization", 0.004),
        ("change_in_receivables", 0.005), ("purchases_of_investments", 0.09), ("sales_of_investments", 0.08),
        ("capex", 0.003), ("dividends_paid", 0.006),
    ):  # fmt: skip
        m.share(name, share)
    f = m.figures
    m.total("revenue", "premiums_earned", "net_investment_income", "fee_income")
    m.total(
        "total_benefits_and_expenses", "claims_incurred", "acquisition_costs", "general_admin_expense",
        "interest_expense",
    )  # fmt: skip
    m.total("pretax_income", "revenue", "-total_benefits_and_expenses")
    f["income_tax"] = [_rounded(float(v) * 0.2, size.digits) for v in f["pretax_income"]]
    m.total("net_income", "pretax_income", "-income_tax")
    f["eps_basic"] = [_rounded(float(v) / size.base * 60 + 0.4, 2) for v in f["net_income"]]
    f["eps_diluted"] = [v - Decimal("0.01") for v in f["eps_basic"]]
    m.total(
        "total_assets", "total_investments", "reinsurance_assets", "deferred_acquisition_costs", "receivables", "cash",
        "goodwill",
    )  # fmt: skip
    m.total(
        "total_liabilities", "insurance_liabilities", "unearned_premiums", "long_term_debt", "trade_and_other_payables"
    )
    m.rest("total_equity", "total_assets", "total_liabilities")
    m.rest("retained_earnings", "total_equity", "share_capital", "additional_paid_in_capital")
    f["total_liabilities_and_equity"] = f["total_assets"]
    m.total("cfo", "net_income", "depreciation_amortization", "-change_in_receivables")
    m.total("cfi", "sales_of_investments", "-purchases_of_investments", "-capex")
    f["cash_end"] = f["cash"]
    f["cash_begin"] = [_rounded(size.base * 0.045, size.digits), *f["cash"][:-1]]
    m.total("net_change_in_cash", "cash_end", "-cash_begin")
    m.total("cff", "net_change_in_cash", "-cfo", "-cfi")
    m.total("debt_issued", "cff", "dividends_paid")
    return f
