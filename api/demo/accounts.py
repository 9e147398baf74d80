"""The three statements of one year as records: lines are fields, subtotals are computed.

Amounts are whole thousands of pounds.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True, slots=True)
class IncomeStatement:
    """A year's profit or loss; costs are negative."""

    revenue: int
    cost_of_sales: int
    distribution: int
    administration: int
    research: int
    other_income: int
    finance_income: int
    finance_costs: int
    tax: int
    shares_k: int
    dilutive_shares_k: int

    @property
    def gross_profit(self) -> int:
        """Revenue less cost of sales."""
        return self.revenue + self.cost_of_sales

    @property
    def operating_profit(self) -> int:
        """Gross profit less overheads, plus other income."""
        costs = self.distribution + self.administration + self.research
        return self.gross_profit + costs + self.other_income

    @property
    def profit_before_tax(self) -> int:
        """After finance income and costs."""
        return self.operating_profit + self.finance_income + self.finance_costs

    @property
    def profit(self) -> int:
        """Profit for the year."""
        return self.profit_before_tax + self.tax

    @property
    def basic_eps_pence(self) -> Decimal:
        """Profit a share, in pence with one decimal."""
        return _pence(self.profit, self.shares_k)

    @property
    def diluted_eps_pence(self) -> Decimal:
        """As `basic_eps_pence`, with every option exercised."""
        return _pence(self.profit, self.shares_k + self.dilutive_shares_k)


@dataclass(frozen=True, slots=True)
class BalanceSheet:
    """What the group owns and owes at a year end; every line is positive."""

    goodwill: int
    intangibles: int
    property_plant: int
    right_of_use: int
    deferred_tax_assets: int
    inventories: int
    receivables: int
    cash: int
    payables: int
    current_tax: int
    short_borrowings: int
    current_leases: int
    provisions: int
    long_borrowings: int
    long_leases: int
    deferred_tax: int
    share_capital: int
    share_premium: int
    translation_reserve: int
    retained_earnings: int

    @property
    def non_current_assets(self) -> int:
        """Everything kept for longer than a year."""
        intangible = self.goodwill + self.intangibles
        return intangible + self.property_plant + self.right_of_use + self.deferred_tax_assets

    @property
    def current_assets(self) -> int:
        """Everything that turns into cash within a year."""
        return self.inventories + self.receivables + self.cash

    @property
    def total_assets(self) -> int:
        """Non-current and current assets."""
        return self.non_current_assets + self.current_assets

    @property
    def current_liabilities(self) -> int:
        """Due within a year."""
        debt = self.short_borrowings + self.current_leases
        return self.payables + self.current_tax + debt + self.provisions

    @property
    def non_current_liabilities(self) -> int:
        """Due later."""
        return self.long_borrowings + self.long_leases + self.deferred_tax

    @property
    def total_liabilities(self) -> int:
        """Current and non-current liabilities."""
        return self.current_liabilities + self.non_current_liabilities

    @property
    def total_equity(self) -> int:
        """Capital and reserves."""
        reserves = self.translation_reserve + self.retained_earnings
        return self.share_capital + self.share_premium + reserves

    @property
    def borrowings(self) -> int:
        """Bank loans, short and long."""
        return self.short_borrowings + self.long_borrowings

    @property
    def leases(self) -> int:
        """Lease liabilities, short and long."""
        return self.current_leases + self.long_leases

    @property
    def net_debt(self) -> int:
        """Borrowings and leases less cash; negative is net cash."""
        return self.borrowings + self.leases - self.cash


@dataclass(frozen=True, slots=True)
class CashFlow:
    """A year's cash flows by the indirect method; outflows are negative."""

    profit: int
    tax_expense: int
    finance_income: int
    finance_costs: int
    depreciation: int
    lease_depreciation: int
    amortisation: int
    disposal_gain: int
    share_based_payment: int
    provisions: int
    inventories: int
    receivables: int
    payables: int
    tax_paid: int
    interest_paid: int
    capital_expenditure: int
    intangible_expenditure: int
    disposal_proceeds: int
    acquisition: int
    interest_received: int
    share_issue: int
    borrowings_drawn: int
    borrowings_repaid: int
    lease_principal: int
    dividends: int
    opening_cash: int

    @property
    def before_working_capital(self) -> int:
        """Operating cash flow before movements in working capital."""
        non_cash = self.depreciation + self.lease_depreciation + self.amortisation
        below_operating = self.tax_expense + self.finance_income + self.finance_costs
        other = self.disposal_gain + self.share_based_payment + self.provisions
        return self.profit + below_operating + non_cash + other

    @property
    def generated_from_operations(self) -> int:
        """Before tax and interest."""
        return self.before_working_capital + self.inventories + self.receivables + self.payables

    @property
    def operating(self) -> int:
        """Net cash from operating activities."""
        return self.generated_from_operations + self.tax_paid + self.interest_paid

    @property
    def investing(self) -> int:
        """Net cash used in investing activities."""
        spent = self.capital_expenditure + self.intangible_expenditure + self.acquisition
        return spent + self.disposal_proceeds + self.interest_received

    @property
    def financing(self) -> int:
        """Net cash used in financing activities."""
        debt = self.borrowings_drawn + self.borrowings_repaid + self.lease_principal
        return self.share_issue + debt + self.dividends

    @property
    def change_in_cash(self) -> int:
        """Sum of the three sections."""
        return self.operating + self.investing + self.financing

    @property
    def closing_cash(self) -> int:
        """Cash at the end of the year."""
        return self.opening_cash + self.change_in_cash


def _pence(profit_k: int, shares_k: int) -> Decimal:
    exact = Decimal(profit_k) * 100 / Decimal(shares_k)
    return exact.quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)
