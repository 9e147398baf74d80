"""The truth: what a reader that compiles every annual report should end with.

The latest report that prints a line wins. Amounts are whole pounds; earnings per share
are pence.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from api.demo.company import REPORT_YEARS
from api.demo.statements import StatementName, statements_of


@dataclass(frozen=True, slots=True)
class Printing:
    """What one annual report printed for a line and period.

    Attributes:
        report_year: Fiscal year of the annual report.
        value: Pounds, or pence for earnings per share; sign as printed.
    """

    report_year: int
    value: Decimal


@dataclass(frozen=True, slots=True)
class TrueValue:
    """One line of one statement at one period end, over all reports.

    Attributes:
        statement: ``income_statement``, ``balance_sheet`` or ``cash_flow``.
        label: As printed; unique within its statement.
        key: Standard key (``revenue``, ``total_assets`` ...), or empty.
        period_end: Last day of the fiscal year.
        per_share: True when ``value`` is pence, not pounds.
        history: Every printing, oldest report first; never empty.
    """

    statement: StatementName
    label: str
    key: str
    period_end: date
    per_share: bool
    history: tuple[Printing, ...]

    @property
    def value(self) -> Decimal:
        """The value in the latest report."""
        return self.history[-1].value

    @property
    def restated(self) -> bool:
        """True when reports disagree."""
        return len({printing.value for printing in self.history}) > 1


def true_values(report_years: tuple[int, ...] = REPORT_YEARS) -> tuple[TrueValue, ...]:
    """Every value the given annual reports print in their primary statements.

    Args:
        report_years: The reports that were read, when some were left out.
    """
    found: dict[tuple[StatementName, str, date], TrueValue] = {}
    for report_year in sorted(report_years):
        for statement in statements_of(report_year):
            for row in statement.rows:
                per_share = row.kind == "per_share"
                for end, value in zip(statement.period_ends, row.values, strict=bool(row.values)):
                    place = (statement.name, row.label, end)
                    earlier = found[place].history if place in found else ()
                    pounds = value if per_share else value * 1000
                    history = (*earlier, Printing(report_year, pounds))
                    found[place] = TrueValue(*place[:2], row.key, end, per_share, history)
    return tuple(found.values())


def true_statement(statement: StatementName, fiscal_year: int) -> dict[str, Decimal]:
    """Label -> value of one statement of one fiscal year, in printed order.

    Pounds, or pence for earnings per share. Covers the comparative year of the oldest
    report too.
    """
    return {
        true.label: true.value
        for true in true_values()
        if true.statement == statement and true.period_end.year == fiscal_year
    }


def restated_values() -> tuple[TrueValue, ...]:
    """The lines that a later report printed differently: revenue and cost of sales of 2021."""
    return tuple(true for true in true_values() if true.restated)
