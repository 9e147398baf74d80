"""An annual report as a PDF: narrative, decoys, the three statements, notes.

Set twice: the first pass finds on which page each section begins, the second prints it in
the contents.
"""

from decimal import Decimal

from api.demo import prose
from api.demo.accounts_pages import COMPANY_ONLY_YEARS, AccountsPages, unit_of
from api.demo.company import (
    DISCLAIMER,
    NAME,
    SHORT_NAME,
    TICKER,
    income_as_reported,
    years,
)
from api.demo.statements import printed, scale_of, statements_of
from api.demo.typeset import BODY_ITALIC, GREY, INK, SANS, SANS_BOLD, Cell, Sheet, Theme

THEMES = {
    2019: Theme("#1d3f5e", "#2f7fa8", "#eaf2f7"),
    2020: Theme("#243b35", "#3f8f74", "#eaf4f0"),
    2021: Theme("#37305c", "#6c5fb0", "#f0eef8"),
    2022: Theme("#0f4c5c", "#d08c2e", "#eef5f6"),
    2023: Theme("#4a2c3a", "#b0566f", "#f8eef1"),
    2024: Theme("#123a63", "#1f9e9a", "#e9f4f6"),
}


def annual_report(report_year: int) -> bytes:
    """Typeset the annual report of a fiscal year.

    Raises:
        MissingReportlabError: The ``demo`` extra is not installed.
    """
    starts = _Report(report_year, {}).compose().starts
    return _Report(report_year, starts).compose().sheet.finish()


class _Report:
    def __init__(self, year: int, known: dict[str, int]) -> None:
        self.year, self.known = year, known
        self.starts: dict[str, int] = {}
        self.scale = scale_of(year)
        self.unit = unit_of(year)
        self.theme = THEMES[year]
        self.sheet = Sheet(f"Annual Report and Accounts {year}", NAME, self.theme)

    def compose(self) -> "_Report":
        self._cover()
        self._contents()
        self._highlights()
        self._letter()
        self._columns("Chief executive's review", prose.chief_executive_review(self.year))
        self._signature(prose.CHIEF_EXECUTIVE, "Chief executive")
        self._columns("Financial review", prose.financial_review(self.year))
        self._performance_measures()
        self._risks()
        self._columns("Corporate governance", prose.GOVERNANCE)
        self._remuneration()
        self._auditor()
        accounts = AccountsPages(self.sheet, self.year, self._begin)
        for statement in statements_of(self.year):
            accounts.statement(statement)
            if statement.name == "balance_sheet":
                accounts.comprehensive_income()
                accounts.changes_in_equity()
        accounts.notes()
        if self.year in COMPANY_ONLY_YEARS:
            accounts.company_only()
        accounts.record()
        self._shareholder_information()
        return self

    def _begin(self, title: str, *, head: bool = True) -> None:
        self.sheet.begin_section(title)
        self.starts[title] = self.sheet.page
        if head:
            self.sheet.heading(title)

    def _money(self, value: Decimal | int) -> str:
        return printed(value, self.scale)

    # --- the front

    def _cover(self) -> None:
        s, t = self.sheet, self.theme
        s.new_page(plain=True)
        s.box(0, 0, s.width, s.height, t.main)
        with s.clipped(0, 330, s.width, 360):
            for ring in range(9):
                s.circle(s.width - 96, 640, 44 + ring * 44, t.accent, 13 - ring * 1.2)
        s.box(0, 690, s.width, s.height - 690, t.accent)
        s.text(62, 92, SHORT_NAME.upper(), SANS_BOLD, 15, "#ffffff")
        s.text(62, 110, "Pumps, valves and leak detection", SANS, 9.5, "#ffffff")
        s.text(62, 236, "Annual Report", SANS_BOLD, 42, "#ffffff")
        s.text(62, 282, f"and Accounts {self.year}", SANS_BOLD, 42, "#ffffff")
        s.text(62, 314, prose.MOTTOES[self.year], BODY_ITALIC, 17, "#ffffff")
        s.text(62, 742, f"For the year ended 30 June {self.year}", SANS, 12, "#ffffff")
        s.text(62, 762, f"{NAME}  |  {TICKER}", SANS, 10, "#ffffff")

    def _contents(self) -> None:
        s = self.sheet
        self._begin("Contents")
        for title, page in self.known.items():
            if title == "Contents":
                continue
            s.y += 22
            s.text(s.left, s.y, title, SANS, 10.5)
            s.text(s.right, s.y, str(page), SANS_BOLD, 10.5, self.theme.main, align="right")
            s.line(s.left, s.y + 6, s.right, s.y + 6, "#d6dbe0", 0.4)
            s.link_to(page, s.left, s.y - 12, s.right, s.y + 6)

    def _highlights(self) -> None:
        s, f, year = self.sheet, prose.facts_of(self.year), years()[self.year]
        self._begin("Highlights of the year")
        adjusted = year.income.operating_profit + year.cash.share_based_payment + year.cash.amortisation // 2
        s.figure_boxes(
            [
                ("Revenue", _short(income_as_reported(self.year, report_year=self.year).revenue), f.growth),
                ("Adjusted operating profit", _short(adjusted), "before share-based payment"),
                ("Cash generated", _short(year.cash.generated_from_operations), "before tax and interest"),
                ("Earnings per share", f.eps, "basic"),
                ("Dividend per share", f.dividend, "proposed"),
                ("Order book", f"£{year.income.revenue * 0.58 / 1000:.0f}m", "30 weeks of sales"),
                ("Water saved", f"{11 + (self.year - 2019) * 4} bn litres", "by customers, estimated"),
                ("People", f.people, "average for the year"),
                ("Lost-time accidents", str(self.year % 4 + 3), "target: none"),
            ]
        )
        span = [y for y in years() if self.year - 4 <= y <= self.year]
        half = (s.right - s.left - 28) / 2
        s.y += 12
        revenues = [income_as_reported(y, report_year=self.year).revenue / 1000 for y in span]
        profits = [years()[y].income.operating_profit / 1000 for y in span]
        for x, title, sizes in (
            (s.left, "Revenue (£m)", revenues),
            (s.left + half + 28, "Operating profit (£m)", profits),
        ):
            s.bar_chart(title, [(str(y), v, f"{v:.1f}") for y, v in zip(span, sizes, strict=True)], x=x, width=half)
        s.y += 180
        s.paragraph(
            "Adjusted figures are defined in the financial review. Figures on this page are not audited.",
            font=BODY_ITALIC, size=9, colour=GREY,
        )  # fmt: skip

    def _letter(self) -> None:
        s = self.sheet
        self._begin("Chair's letter")
        for words in prose.chair_letter(self.year):
            s.paragraph(words, size=11, leading=1.5)
        self._signature(prose.CHAIR, "Chair")

    def _columns(self, title: str, paragraphs: tuple[str, ...]) -> None:
        self._begin(title)
        self.sheet.columns(paragraphs, size=10.8)

    def _signature(self, name: str, role: str) -> None:
        s = self.sheet
        s.need(50)
        s.y += 26
        s.text(s.left, s.y, name, BODY_ITALIC, 15, self.theme.accent)
        s.y += 15
        s.text(s.left, s.y, f"{role}, 18 September {self.year}", SANS, 8.5, GREY)

    def _performance_measures(self) -> None:
        s, year = self.sheet, years()[self.year]
        income, cash = year.income, year.cash
        ebitda = income.operating_profit + cash.depreciation + cash.lease_depreciation + cash.amortisation
        s.subheading("Reconciliation of adjusted measures")
        s.table(
            [self.unit],
            [
                Cell("Operating profit", (self._money(income.operating_profit),)),
                Cell("Share-based payment", (self._money(cash.share_based_payment),)),
                Cell("Amortisation of acquired intangibles", (self._money(cash.amortisation // 2),)),
                Cell(
                    "Adjusted operating profit",
                    (self._money(income.operating_profit + cash.share_based_payment + cash.amortisation // 2),),
                    bold=True, over=True,
                ),
                Cell("EBITDA", (self._money(ebitda),)),
                Cell("Free cash flow", (self._money(cash.operating + cash.capital_expenditure),)),
                Cell("Net debt (net cash), leases included", (self._money(year.closing.net_debt),)),
            ],
            edges=[360],
        )  # fmt: skip

    def _risks(self) -> None:
        s = self.sheet
        self._begin("Principal risks")
        s.paragraph("The board reviews the register of risks twice a year. These are the ones that keep it awake.")
        for name, words in prose.RISKS:
            s.subheading(name)
            s.paragraph(words, size=11)

    def _remuneration(self) -> None:
        s = self.sheet
        self._begin("Directors' remuneration report")
        s.paragraph("The table shows the single figure of pay of each executive director, in thousands of pounds.")
        grown = 1 + (self.year - 2019) * 0.031
        lines = [
            (prose.CHIEF_EXECUTIVE, [round(v * grown) for v in (412, 187, 41, 96)]),
            (prose.FINANCE_DIRECTOR, [round(v * grown) for v in (296, 131, 30, 62)]),
        ]
        cells = [Cell(name, (*map(str, pay), str(sum(pay)))) for name, pay in lines]
        totals = [sum(pay[i] for _, pay in lines) for i in range(4)]
        cells.append(Cell("Total", (*map(str, totals), str(sum(totals))), bold=True, over=True))
        s.table(["Salary", "Bonus", "Pension", "Shares", "Total"], cells, edges=[220, 280, 340, 400, 460])
        s.paragraph(
            "Bonuses depend on operating profit (60 per cent), cash (25 per cent) and safety (15 per cent). The "
            "committee reduced the safety element this year. Non-executive directors receive fees of £52,000, the "
            "chair £148,000; they receive no shares and no pension.",
        )

    def _auditor(self) -> None:
        s = self.sheet
        self._begin("Independent auditor's report")
        for words in prose.AUDIT_OPINION:
            s.paragraph(words, size=11, leading=1.5)
        self._signature(prose.AUDITOR, "Statutory auditor")

    def _shareholder_information(self) -> None:
        s = self.sheet
        self._begin("Shareholder information")
        s.paragraph(f"Registered office: {NAME}, 1 Weir Lane, Carrow Mill. Shares trade under the code {TICKER}.")
        s.paragraph(
            "Annual general meeting: 21 November. Half-year results: 14 March. Trading statements: October and May."
        )
        s.y = s.bottom - 40
        s.line(s.left, s.y, s.right, s.y, "#d6dbe0", 0.5)
        s.paragraph(DISCLAIMER, size=9, font=BODY_ITALIC, colour=INK)


def _short(thousands: int) -> str:
    return f"£{thousands / 1000:,.1f}m"
