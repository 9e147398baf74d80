"""Notes to the accounts: tables that look like statements and are not.

Every table adds up to the line of the primary statement it explains.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from api.demo.company import (
    AGENCY_SALES,
    RESTATED_IN,
    RESTATED_YEAR,
    income_as_reported,
    years,
)
from api.demo.prose import millions
from api.demo.statements import MILLIONS_UNTIL, Scale, printed, scale_of
from api.demo.typeset import Cell


@dataclass(frozen=True, slots=True)
class Note:
    """One note.

    Attributes:
        heads: Column heads of its table, empty when it has none.
        money: False when the table counts something else.
    """

    number: int
    title: str
    words: tuple[str, ...]
    heads: tuple[str, ...] = ()
    cells: tuple[Cell, ...] = ()
    money: bool = True


def notes_of(report_year: int) -> tuple[Note, ...]:
    """Every note of an annual report, in order; their numbers are those the statements refer to."""
    maker = _Notes(report_year)
    return (
        maker.basis(),
        maker.restatement() if report_year == RESTATED_IN else maker.judgements(),
        maker.revenue(),
        maker.operating_costs(),
        maker.employees(),
        maker.taxation(),
        maker.earnings_per_share(),
        maker.dividends(),
        maker.property_plant(),
        maker.inventories(),
        maker.receivables(),
        maker.borrowings(),
        maker.events(),
    )


def shares(total: int, weights: Sequence[float]) -> list[int]:
    """Split ``total`` by weights that sum to one; the last part takes the rounding."""
    parts = [round(total * weight) for weight in weights[:-1]]
    return [*parts, total - sum(parts)]


class _Notes:
    def __init__(self, report_year: int) -> None:
        self.year = report_year
        self.now, self.before = years()[report_year], years()[report_year - 1]
        self.scale = scale_of(report_year)
        self.heads = (str(report_year), str(report_year - 1))
        self.income = [income_as_reported(y, report_year=report_year) for y in (report_year, report_year - 1)]

    def _cell(self, label: str, *values: int, bold: bool = False) -> Cell:
        return Cell(label, tuple(printed(v, self.scale) for v in values), bold=bold, over=bold)

    def _split(self, labels: Sequence[str], weights: Sequence[float], now: int, before: int) -> tuple[Cell, ...]:
        parts = zip(labels, shares(now, weights), shares(before, weights), strict=True)
        return tuple(self._cell(*part) for part in parts)

    def basis(self) -> Note:
        unit = (
            "millions of pounds sterling, rounded to one decimal place"
            if self.scale is Scale.MILLIONS
            else "thousands of pounds sterling"
        )
        words = [
            (
                "Brindlemoor plc is a public company limited by shares. The consolidated financial statements have "
                "been prepared in accordance with IFRS on the historical cost basis, and on the assumption that the "
                f"group will continue as a going concern. They are presented in {unit}, unless stated otherwise."
            ),
        ]
        if self.year - 1 == MILLIONS_UNTIL:
            words.append(
                "Earlier reports were presented in £ million. Comparative figures are shown as they were "
                "published, which is to the nearest hundred thousand pounds."
            )
        words.append(
            "Revenue is recognised when control of goods passes, normally on delivery, and over time for service "
            "contracts. Plant is depreciated over 8 to 15 years, buildings over 40. Leases of less than twelve months "
            "are charged as incurred."
        )
        return Note(1, "General information and basis of preparation", tuple(words))

    def judgements(self) -> Note:
        more = millions(self.now.closing.provisions // 3)
        return Note(
            2,
            "Critical judgements and estimates",
            (
                (
                    "Provisions for warranty assume that 1.4 per cent of units sold will be returned. If the rate were "
                    f"half a point higher the provision would rise by {more}. "
                    "Goodwill was tested with a discount rate of 9.5 per cent and growth of 2 per cent; no reasonably "
                    "possible change would lead to an impairment."
                ),
            ),
        )

    def restatement(self) -> Note:
        first = income_as_reported(RESTATED_YEAR, report_year=RESTATED_YEAR)
        now = income_as_reported(RESTATED_YEAR, report_year=RESTATED_IN)
        return Note(
            2,
            "Restatement of prior year",
            (
                (
                    f"In {RESTATED_YEAR} the group began to install equipment of other makers. The income was first "
                    "reported gross. On review the directors concluded that the group acts as agent under IFRS 15, "
                    "because it never controls that equipment. Revenue and cost of sales for the year ended 30 June "
                    f"{RESTATED_YEAR} have been restated: both are lower by £{AGENCY_SALES:,} thousand. Gross profit, "
                    "profit for the year, net assets and cash flows are unchanged."
                ),
            ),
            ("As reported", "Adjustment", "As restated"),
            (
                self._cell("Revenue", first.revenue, -AGENCY_SALES, now.revenue),
                self._cell("Cost of sales", first.cost_of_sales, AGENCY_SALES, now.cost_of_sales),
                self._cell("Gross profit", first.gross_profit, 0, now.gross_profit, bold=True),
            ),
        )

    def revenue(self) -> Note:
        now, before = (income.revenue for income in self.income)
        leak = 0.21 + (self.year - 2019) * 0.03
        products = ("Pumps", "Valves and fittings", "Leak detection and metering", "Service and spares")
        return Note(
            3,
            "Revenue and segments",
            ("The chief executive reviews results by product group. No customer accounts for a tenth of revenue.",),
            self.heads,
            (
                *self._split(products, (0.47 - leak / 2, 0.36 - leak / 2, leak, 0.17), now, before),
                self._cell("Total revenue", now, before, bold=True),
                *self._split(
                    ("United Kingdom", "Rest of Europe", "Rest of the world"), (0.55, 0.31, 0.14), now, before
                ),
                self._cell("Total revenue by destination", now, before, bold=True),
            ),
        )

    def operating_costs(self) -> Note:
        totals = [
            income.cost_of_sales + income.distribution + income.administration + income.research
            for income in self.income
        ]
        nature = ("Raw materials and consumables", "Employee costs", "Depreciation and amortisation", "Energy", "Other")
        return Note(
            4,
            "Operating profit: expenses by nature",
            ("Other expenses include fees to the auditor of £312 thousand, £28 thousand of it for other work.",),
            self.heads,
            (
                *self._split(nature, (0.43, 0.34, 0.081, 0.037, 0.112), -totals[0], -totals[1]),
                self._cell("Total operating expenses", -totals[0], -totals[1], bold=True),
            ),
        )

    def employees(self) -> Note:
        def count(label: str, weight: float) -> Cell:
            return Cell(label, tuple(f"{round(y.headcount * weight):,}" for y in (self.now, self.before)))

        return Note(
            5,
            "Employees",
            ("Average number of people employed, by activity, counting part-time staff in proportion.",),
            self.heads,
            (count("Production", 0.61), count("Sales and service", 0.22), count("Engineering", 0.17)),
            money=False,
        )

    def taxation(self) -> Note:
        def lines(year_index: int) -> list[int]:
            income = self.income[year_index]
            expected = round(income.profit_before_tax * 0.19)
            disallowed = round(income.profit_before_tax * 0.011)
            charge = -income.tax
            return [expected, disallowed, charge - expected - disallowed, charge]

        now, before = lines(0), lines(1)
        labels = ("Profit before tax at 19%", "Expenses not deductible", "Overseas rates and other")
        return Note(
            6,
            "Income tax",
            ("The charge for the year is reconciled to the standard rate as follows.",),
            self.heads,
            (
                *(self._cell(label, now[i], before[i]) for i, label in enumerate(labels)),
                self._cell("Total tax charge", now[-1], before[-1], bold=True),
            ),
        )

    def earnings_per_share(self) -> Note:
        now, before = self.income
        return Note(
            7,
            "Earnings per share",
            ("Share options are dilutive. There was no other potential dilution.",),
            self.heads,
            (
                self._cell("Earnings attributable to shareholders", now.profit, before.profit),
                Cell("Weighted average shares (thousands)", (f"{now.shares_k:,}", f"{before.shares_k:,}")),
                Cell("Dilutive options (thousands)", (f"{now.dilutive_shares_k:,}", f"{before.dilutive_shares_k:,}")),
            ),
        )

    def dividends(self) -> Note:
        now, before = -self.now.cash.dividends, -self.before.cash.dividends
        return Note(
            8,
            "Dividends",
            ("Paid in the year, in respect of the year before.",),
            self.heads,
            (
                *self._split(("Interim dividend", "Final dividend"), (0.33, 0.67), now, before),
                self._cell("Total dividends", now, before, bold=True),
            ),
        )

    def property_plant(self) -> Note:
        moves = [
            (
                y.opening.property_plant,
                -y.cash.capital_expenditure,
                -y.disposals,
                -y.cash.depreciation,
                y.translation,
                y.closing.property_plant,
            )
            for y in (self.now, self.before)
        ]
        labels = ("Net book value at 1 July", "Additions", "Disposals", "Depreciation charge", "Exchange differences")
        return Note(
            9,
            "Property, plant and equipment",
            ("Land and buildings with a carrying amount of £11.6 million are pledged to the lenders.",),
            self.heads,
            (
                *(self._cell(label, moves[0][i], moves[1][i]) for i, label in enumerate(labels)),
                self._cell("Net book value at 30 June", moves[0][-1], moves[1][-1], bold=True),
            ),
        )

    def inventories(self) -> Note:
        now, before = self.now.closing.inventories, self.before.closing.inventories
        return Note(
            10,
            "Inventories",
            ("Inventories are shown after a provision for slow-moving items.",),
            self.heads,
            (
                *self._split(("Raw materials", "Work in progress", "Finished goods"), (0.38, 0.21, 0.41), now, before),
                self._cell("Total inventories", now, before, bold=True),
            ),
        )

    def receivables(self) -> Note:
        now, before = self.now.closing.receivables, self.before.closing.receivables
        labels = ("Trade receivables", "Contract assets", "Prepayments and accrued income")
        return Note(
            11,
            "Trade and other receivables",
            ("Of trade receivables 87 per cent were not yet due. The allowance is 1.1 per cent of the balance.",),
            self.heads,
            (
                *self._split(labels, (0.79, 0.13, 0.08), now, before),
                self._cell("Total trade and other receivables", now, before, bold=True),
            ),
        )

    def borrowings(self) -> Note:
        now, before = self.now.closing, self.before.closing
        middle = [min(b.long_borrowings, 3 * b.short_borrowings) for b in (now, before)]
        rest = [b.long_borrowings - m for b, m in zip((now, before), middle, strict=True)]
        return Note(
            12,
            "Borrowings",
            ("Bank loans bear interest at 2.1 per cent above the reference rate and fall due as follows.",),
            self.heads,
            (
                self._cell("Within one year", now.short_borrowings, before.short_borrowings),
                self._cell("Between one and four years", *middle),
                self._cell("After four years", *rest),
                self._cell("Total borrowings", now.borrowings, before.borrowings, bold=True),
            ),
        )

    def events(self) -> Note:
        return Note(
            13,
            "Events after the reporting period",
            ("No event since 30 June requires adjustment of these accounts or disclosure in them.",),
        )
