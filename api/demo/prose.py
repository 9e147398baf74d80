"""What the company says about itself, year by year, in the words of such reports.

Sentences carry figures of the model, and others that are in no statement: a reader has to
tell them from the audited lines.
"""

from dataclasses import dataclass

from api.demo.company import RESTATED_IN, SHORT_NAME, income_as_reported, years

CHAIR = "Oswin Tarrable"
CHIEF_EXECUTIVE = "Maren Ashlock"
FINANCE_DIRECTOR = "Piers Dunnaway"
AUDITOR = "Fennick Lowe LLP"

MOTTOES = {
    2019: "Every drop accounted for",
    2020: "Keeping water moving",
    2021: "Fewer leaks, further to go",
    2022: "Building for the long run",
    2023: "Steady hands, clear water",
    2024: "Measured progress",
}

_EVENTS = {
    2019: "the opening of the second machining hall at Carrow Mill, on time and four per cent under budget",
    2020: "keeping all five sites open through eleven weeks of restrictions, with split shifts and no redundancies",
    2021: "the first installation contracts in which we fit other makers' meters beside our own",
    2022: "the purchase of Tolle Acoustics, whose listening devices find a leak to within half a metre",
    2023: "a year of dearer castings and dearer energy, which we passed on later than we should have",
    2024: "the first full year of the Halyard pump range, which uses a fifth less power than the one it replaces",
}
_OUTLOOK = {
    2019: "Order books stood at 30 weeks at the year end. The board looks to the coming year with confidence.",
    2020: "Utilities have deferred projects, not cancelled them. We expect orders to recover over eighteen months.",
    2021: "The new regulatory period obliges our largest customers to halve leakage; our order book shows it.",
    2022: "With Tolle Acoustics on board we can offer detection, repair and measurement in a single contract.",
    2023: "Price rises agreed in the spring take full effect in the new year, and castings have become cheaper.",
    2024: "Trading since the year end has been in line with the board's expectations.",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """Figures as sentences carry them."""

    year: int
    revenue: str
    growth: str
    operating: str
    margin: str
    profit: str
    eps: str
    cash: str
    capex: str
    net_position: str
    dividend: str
    people: str


def facts_of(report_year: int) -> Facts:
    """The figures of a report's year, rounded for sentences."""
    year = years()[report_year]
    income = income_as_reported(report_year, report_year=report_year)
    before = income_as_reported(report_year - 1, report_year=report_year)
    change = (income.revenue / before.revenue - 1) * 100
    debt = year.closing.net_debt
    return Facts(
        year=report_year,
        revenue=millions(income.revenue),
        growth=f"{'rose' if change > 0 else 'fell'} {abs(change):.1f} per cent",
        operating=millions(income.operating_profit),
        margin=f"{income.operating_profit / income.revenue * 100:.1f} per cent",
        profit=millions(income.profit),
        eps=f"{income.basic_eps_pence}p",
        cash=millions(year.cash.generated_from_operations),
        capex=millions(-year.cash.capital_expenditure),
        net_position=f"{'net debt' if debt > 0 else 'net cash'} of {millions(abs(debt))}",
        dividend=f"{dividend_pence(report_year):.1f}p",
        people=f"{year.headcount:,}",
    )


def millions(thousands: int) -> str:
    """``£118.1 million``."""
    return f"£{thousands / 1000:,.1f} million"


def dividend_pence(report_year: int) -> float:
    """Proposed dividend a share: 38 per cent of earnings."""
    return round(float(years()[report_year].income.basic_eps_pence) * 0.38, 1)


def chair_letter(report_year: int) -> tuple[str, ...]:
    """The chair's letter, one paragraph an item."""
    f = facts_of(report_year)
    return (
        "Dear shareholder,",
        (
            f"A water company that loses a fifth of what it treats does not need a new reservoir; it needs better "
            f"pumps, tighter valves and ears on its pipes. That simple thought has guided {SHORT_NAME} for six "
            f"decades, and it guided us again this year. I would single out {_EVENTS[report_year]}."
        ),
        (
            f"Revenue {f.growth} to {f.revenue} and operating profit was {f.operating}, a margin of {f.margin}. Profit "
            f"for the year came to {f.profit}, or {f.eps} a share. We ended June with {f.net_position}, counting "
            "leases."
        ),
        (
            f"The board proposes a dividend of {f.dividend} a share. Our policy has not changed: pay a little over a "
            "third of earnings, keep the rest for the business, and never borrow to keep the dividend growing."
        ),
        (
            "Good results hide a good deal of patience. Utilities plan in periods of five years and buy from those who "
            "answer the telephone in the fourth. Our engineers do. On behalf of the board I thank them, and the "
            f"{f.people} colleagues who make, test, pack and repair what they design."
        ),
        (
            "During the year we reviewed how the board works, with an outside facilitator who sat through three of our "
            "eight meetings. She found the discussion frank and the papers too long. We have halved the papers."
        ),
        _OUTLOOK[report_year],
    )


def chief_executive_review(report_year: int) -> tuple[str, ...]:
    """The chief executive's review; ``# `` begins a heading."""
    f = facts_of(report_year)
    year = years()[report_year]
    leak_share = 21 + (report_year - 2019) * 3
    return (
        "# Markets",
        (
            f"Demand followed the pattern we set out a year ago. British and Irish utilities took {leak_share + 30} "
            "per cent of our output, most of it under framework agreements that run to the end of the regulatory "
            "period. Continental orders were slower to arrive and quicker to ship. Elsewhere we sell through eleven "
            "distributors."
        ),
        (
            f"Leak detection now makes up {leak_share} per cent of new orders, against 21 per cent in 2019. A sensor "
            "is a small sale with a long tail: the average installation of 4,200 loggers brings a service contract of "
            "seven years and, sooner or later, an order for valves."
        ),
        "# Operations",
        (
            f"We invested {f.capex} in plant and buildings. Carrow Mill ran at 83 per cent of capacity on two shifts; "
            f"scrap fell to 1.{report_year % 7} per cent of castings. On-time delivery reached "
            f"{88 + report_year % 9} per cent, short of the 97 per cent we aim for and better than the year before."
        ),
        (
            "Inventories are higher than we would like. Long lead times for bearings led us to hold 14 weeks of stock "
            "where 9 used to do. As suppliers recover we mean to return to 11."
        ),
        "# People and safety",
        (
            f"We employed {year.headcount} people on average. There were {report_year % 4 + 3} lost-time accidents, "
            f"a rate of 0.{38 - (report_year - 2019) * 3} per 100,000 hours. Every one of them was avoidable, and each "
            "is described, with what we changed, on the notice board of the site where it happened."
        ),
        (
            f"Thirty-{'four' if report_year % 2 else 'one'} apprentices are in training. Of those who finished this "
            "year all but two have stayed with us."
        ),
        "# Environment",
        (
            f"Our factories used {26_400 - (report_year - 2019) * 840:,} MWh of energy, of which "
            f"{41 + (report_year - 2019) * 6} per cent came from renewable sources. The pumps we sold in the year will "
            "save about nine times that much over their lives compared with those they replace."
        ),
        "# Outlook",
        _OUTLOOK[report_year],
    )


def financial_review(report_year: int) -> tuple[str, ...]:
    """The finance director's review."""
    f = facts_of(report_year)
    year = years()[report_year]
    extra = (
        (
            "# Restated comparatives",
            (
                "Installation of other makers' equipment was first reported gross. We act as agent in those contracts, "
                "so revenue and cost of sales of 2021 have been restated; profit is the same. Note 2 gives the detail."
            ),
        )
        if report_year == RESTATED_IN
        else ()
    )
    capital = year.cash.inventories + year.cash.receivables + year.cash.payables
    return (
        "# Trading",
        (
            f"Revenue {f.growth} to {f.revenue}. At constant exchange rates the change would have been half a "
            f"percentage point more. Gross margin was {year.income.gross_profit / year.income.revenue * 100:.1f} per "
            f"cent. Operating profit of {f.operating} includes {millions(year.income.other_income)} of grants and "
            "insurance receipts."
        ),
        *extra,
        "# Cash",
        (
            f"The business generated {f.cash} of cash before tax and interest. "
            f"Working capital {'took' if capital < 0 else 'released'} "
            f"{millions(abs(capital))}. Capital expenditure "
            f"was {f.capex}, or {-year.cash.capital_expenditure / year.cash.depreciation:.1f} times depreciation."
        ),
        "# Funding",
        (
            f"The group has a committed facility of £60.0 million, of which £{year.closing.borrowings / 1000:.1f} "
            "million was drawn. Covenants require net debt below 2.5 times EBITDA and interest cover above four times; "
            "both were met with room to spare."
        ),
        "# Tax",
        (
            f"The effective rate was {-year.income.tax / year.income.profit_before_tax * 100:.1f} per cent. We pay tax "
            "where we make things and have no company in any place where we have no people."
        ),
        "# Alternative performance measures",
        (
            "Adjusted figures leave out share-based payment and amortisation of acquired intangibles. They are not "
            "defined by IFRS and are not a substitute for the figures in the consolidated financial statements."
        ),
    )


RISKS = (
    ("Regulation", "Spending by our customers follows five-year settlements. A harsher one would defer orders."),
    ("Supply of castings", "Two foundries supply 60 per cent of our castings. We hold patterns for a third."),
    ("Product failure", "A burst valve can flood a street. Designs are tested to three times rated pressure."),
    ("Cyber attack", "Loggers report over public networks. Keys are per device and can be revoked singly."),
    ("Currency", "About a third of sales are in euros. We cover half of the next twelve months' net exposure."),
    ("People", "Skilled machinists are scarce within reach of Carrow Mill. We train our own."),
)

GOVERNANCE = (
    "# The board",
    (
        f"The board has seven members: the chair, {CHAIR}; the chief executive, {CHIEF_EXECUTIVE}; the finance "
        f"director, {FINANCE_DIRECTOR}; and four independent non-executive directors. It met eight times; attendance "
        "was 98 per cent."
    ),
    "# Audit committee",
    (
        "The committee met four times, each time with the auditor present and once with nobody else. It considered the "
        "carrying value of goodwill, the recognition of revenue on long contracts and the provision for warranties, "
        "and was satisfied with the judgements made in each case."
    ),
    "# Internal control",
    (
        "Budgets are approved by the board each June and compared with results every month. Spending above £250,000 "
        "needs the approval of two executive directors, above £2.0 million that of the board."
    ),
    "# Relations with shareholders",
    (
        "The executive directors met holders of 64 per cent of the shares after the results were announced. Nothing "
        "was said there that is not in this report. At the annual general meeting every resolution passed with more "
        "than 93 per cent of the votes cast."
    ),
)

AUDIT_OPINION = (
    (
        "To the members of Brindlemoor plc. We have audited the financial statements of Brindlemoor plc and its "
        "subsidiaries for the year then ended, which comprise the consolidated income statement, the consolidated "
        "balance sheet, the consolidated cash flow statement, the statement of changes in equity and the notes. In our "
        "opinion they give a true and fair view and have been properly prepared in accordance with IFRS."
    ),
    (
        "Materiality. We set overall materiality for the group at five per cent of profit before tax and reported to "
        "the audit committee every misstatement above a twentieth of that."
    ),
    (
        "Key audit matters. Recognition of revenue on contracts that span the year end: we tested a sample of 46 "
        "contracts against delivery notes and certificates of completion. Carrying value of goodwill: we challenged "
        "the growth and discount rates in the model of each cash-generating unit and found headroom in all of them."
    ),
    (
        "Going concern. We have nothing material to add or to draw attention to in relation to the directors' "
        "statement on the going concern basis of accounting."
    ),
)
