"""The accounts inside an annual report: statements over one or several pages, notes, decoys."""

from decimal import Decimal
from typing import Protocol

from api.demo import prose
from api.demo.accounts import BalanceSheet
from api.demo.company import FIRST_YEAR, RESTATED_IN, income_as_reported, years
from api.demo.notes import notes_of
from api.demo.statements import Scale, Statement, printed, scale_of
from api.demo.typeset import BODY_ITALIC, GREY, SANS, Cell, Sheet

# Headings that begin a new page, so that a statement runs over several.
_BREAKS: dict[tuple[int, str], tuple[str, ...]] = {
    (2020, "cash_flow"): ("Cash flows from investing activities",),
    (2022, "balance_sheet"): ("Current liabilities",),
    (2023, "cash_flow"): ("Cash flows from investing activities", "Cash flows from financing activities"),
    (2024, "balance_sheet"): ("Current liabilities",),
    (2024, "cash_flow"): ("Cash flows from financing activities",),
}
COMPANY_ONLY_YEARS = (2023, 2024)


class _Begin(Protocol):
    def __call__(self, title: str, *, head: bool = True) -> None: ...


def unit_of(report_year: int) -> str:
    """The unit above a report's columns; the wording changed over the years."""
    if scale_of(report_year) is Scale.MILLIONS:
        return "£m"
    return "£000" if report_year >= RESTATED_IN else "£'000"


class AccountsPages:
    """Sets the accounts of one report.

    Args:
        sheet: The report.
        report_year: Its fiscal year.
        begin: Begins a section, with its heading unless told otherwise.
    """

    def __init__(self, sheet: Sheet, report_year: int, begin: _Begin) -> None:
        self.sheet, self.year, self._begin = sheet, report_year, begin
        self.theme = sheet.theme
        self.scale = scale_of(report_year)
        self.unit = unit_of(report_year)

    def _money(self, value: Decimal | int) -> str:
        return printed(value, self.scale)

    def statement(self, statement: Statement) -> None:
        """One primary statement, over as many pages as its report gives it."""
        s = self.sheet
        breaks = _BREAKS.get((self.year, statement.name), ())
        self._begin(statement.title, head=False)
        pages: list[list[Cell]] = [[]]
        for row in statement.rows:
            if row.label in breaks:
                pages.append([])
            figures = tuple(str(value) if row.kind == "per_share" else self._money(value) for value in row.values)
            strong = row.kind in {"heading", "subtotal", "total"}
            pages[-1].append(
                Cell(
                    row.label,
                    (row.note, *figures) if figures else (),
                    bold=strong,
                    over=row.kind in {"subtotal", "total"},
                    double=row.kind == "total",
                    indent=0 if strong or statement.name == "income_statement" else 8,
                )
            )
        for number, cells in enumerate(pages):
            if number:
                s.new_page()
            s.heading(f"{statement.title} (continued)" if number else statement.title, size=17 if number else 21)
            s.text(s.left, s.y, statement.subtitle, SANS, 10, GREY)
            s.y += 12
            s.table(
                ["Note", *statement.column_heads],
                [Cell("", ("", *(self.unit for _ in statement.column_heads))), *cells],
                edges=[316, 396, 471],
                leading=min(22, (s.bottom - s.y - 80) / (len(cells) + 3)),
                tinted=1,
                rules_from=1,
            )
        self._below_statement(statement)

    def _below_statement(self, statement: Statement) -> None:
        s = self.sheet
        if self.year == RESTATED_IN and statement.name == "income_statement":
            s.paragraph("Figures for 2021 have been restated; see note 2.", font=BODY_ITALIC, size=9)
        s.paragraph(
            "The notes that follow form part of these financial statements.", font=BODY_ITALIC, size=9, colour=GREY
        )
        if statement.name == "balance_sheet":
            s.paragraph(f"Approved by the board on 18 September {self.year} and signed on its behalf:", size=9)
            s.y += 16
            s.text(s.left, s.y, prose.CHIEF_EXECUTIVE, BODY_ITALIC, 13, self.theme.accent)
            s.text(s.left + 170, s.y, prose.FINANCE_DIRECTOR, BODY_ITALIC, 13, self.theme.accent)

    def comprehensive_income(self) -> None:
        """Comprehensive income, a decoy of the income statement."""
        s, periods = self.sheet, [years()[self.year], years()[self.year - 1]]
        self._begin("Comprehensive income and equity")
        s.subheading("Statement of comprehensive income")

        def cell(label: str, values: list[int], *, bold: bool = False) -> Cell:
            return Cell(label, tuple(map(self._money, values)), bold=bold, over=bold)

        s.table(
            [str(y.fiscal_year) for y in periods],
            [
                Cell("", (self.unit, self.unit)),
                cell("Profit for the year", [y.income.profit for y in periods]),
                cell("Exchange differences on foreign operations", [y.translation for y in periods]),
                cell("Total comprehensive income", [y.income.profit + y.translation for y in periods], bold=True),
            ],
            edges=[396, 471],
        )

    def changes_in_equity(self) -> None:
        """Movements in capital and reserves, below comprehensive income."""
        s, y = self.sheet, years()[self.year]
        s.y += 12
        s.subheading("Statement of changes in equity")

        def cell(label: str, *parts: int, bold: bool = False) -> Cell:
            return Cell(label, (*map(self._money, parts), self._money(sum(parts))), bold=bold, over=bold)

        def of(sheet: BalanceSheet) -> tuple[int, ...]:
            return (sheet.share_capital, sheet.share_premium, sheet.translation_reserve, sheet.retained_earnings)

        issued = [after - before for before, after in zip(of(y.opening)[:2], of(y.closing)[:2], strict=True)]
        s.table(
            ["Capital", "Premium", "Translation", "Retained", "Total"],
            [
                Cell("", (self.unit,) * 5),
                cell(f"At 1 July {self.year - 1}", *of(y.opening), bold=True),
                cell("Profit for the year", 0, 0, 0, y.income.profit),
                cell("Exchange differences", 0, 0, y.translation, 0),
                cell("Dividends", 0, 0, 0, y.cash.dividends),
                cell("Share-based payment", 0, 0, 0, y.cash.share_based_payment),
                *([cell("Shares issued", *issued, 0, 0)] if any(issued) else []),
                cell(f"At 30 June {self.year}", *of(y.closing), bold=True),
            ],
            edges=[196, 262, 334, 404, 471],
        )

    def notes(self) -> None:
        """Every note, several a page."""
        s = self.sheet
        self._begin("Notes to the financial statements")
        for note in notes_of(self.year):
            s.need(90 + len(note.cells) * 15)
            s.subheading(f"{note.number}. {note.title}")
            for words in note.words:
                s.paragraph(words, size=9.5)
            if note.cells:
                columns = len(note.heads)
                edges = [471 - 75 * (columns - 1 - i) for i in range(columns)]
                heads = [f"{head}  {self.unit}" for head in note.heads] if note.money else list(note.heads)
                s.table(heads, note.cells, edges=edges, size=8.5)

    def company_only(self) -> None:
        """The parent company's own balance sheet, a decoy of the group's."""
        s = self.sheet
        self._begin("Company balance sheet")
        s.text(s.left, s.y, f"Parent company only, as at 30 June {self.year}", SANS, 10, GREY)
        s.y += 12
        columns = [_company_lines(y) for y in (self.year, self.year - 1)]
        s.table(
            [f"30 June {self.year}", f"30 June {self.year - 1}"],
            [
                Cell("", (self.unit, self.unit)),
                *(
                    Cell(
                        label,
                        tuple(self._money(column[label]) for column in columns),
                        bold=label.startswith("Total"),
                        over=label.startswith("Total"),
                    )
                    for label in columns[0]
                ),
            ],
            edges=[396, 471],
            leading=18,
        )
        s.paragraph(
            "As permitted by law the company presents no income statement of its own. These are the figures of the "
            "parent company, not of the group.", size=9.5,
        )  # fmt: skip

    def record(self) -> None:
        """Five years side by side, unaudited."""
        s = self.sheet
        span = [y for y in sorted(years(), reverse=True) if max(FIRST_YEAR, self.year - 4) <= y <= self.year]
        self._begin("Five-year record")
        s.text(s.left, s.y, "Not audited. Years are shown as in the latest report.", SANS, 10, GREY)
        s.y += 12
        incomes = [income_as_reported(y, report_year=self.year) for y in span]
        sheets = [years()[y].closing for y in span]
        s.table(
            [str(y) for y in span],
            [
                Cell("", (self.unit,) * len(span)),
                Cell("Revenue", tuple(self._money(i.revenue) for i in incomes)),
                Cell("Operating profit", tuple(self._money(i.operating_profit) for i in incomes)),
                Cell("Profit for the year", tuple(self._money(i.profit) for i in incomes)),
                Cell("Total assets", tuple(self._money(b.total_assets) for b in sheets)),
                Cell("Total equity", tuple(self._money(b.total_equity) for b in sheets)),
                Cell("Basic earnings per share (p)", tuple(str(i.basic_eps_pence) for i in incomes)),
            ],
            edges=[471 - 64 * (len(span) - 1 - i) for i in range(len(span))],
        )


def _company_lines(fiscal_year: int) -> dict[str, int]:
    group = years()[fiscal_year].closing
    subsidiaries = group.goodwill * 2 + 14_307
    due = round(group.receivables * 0.63)
    cash = round(group.cash * 0.41)
    assets = subsidiaries + due + cash
    owed = round(group.payables * 0.27)
    liabilities = owed + group.borrowings
    return {
        "Investments in subsidiaries": subsidiaries,
        "Amounts owed by group companies": due,
        "Cash and cash equivalents": cash,
        "Total assets": assets,
        "Amounts owed to group companies": owed,
        "Borrowings": group.borrowings,
        "Total liabilities": liabilities,
        "Share capital": group.share_capital,
        "Share premium": group.share_premium,
        "Retained earnings": assets - liabilities - group.share_capital - group.share_premium,
        "Total equity": assets - liabilities,
        "Total equity and liabilities": assets,
    }
