"""The documents that are not annual reports: quarterly report, slides, press release.

They print the same business in GBP million and for other periods: a reader that takes their
tables for annual statements is wrong.
"""

from collections.abc import Sequence
from html import escape

from api.demo import prose
from api.demo.annual_report import THEMES
from api.demo.company import DISCLAIMER, NAME, REPORT_YEARS, SHORT_NAME, TICKER, years
from api.demo.typeset import BODY_ITALIC, GREY, PALE, SANS, SANS_BOLD, SLIDE, Cell, Sheet

LATEST = REPORT_YEARS[-1]
QUARTER = f"three months ended 30 September {LATEST}"


def quarterly_report() -> bytes:
    """The first quarter after the latest fiscal year, condensed and unaudited."""
    s = Sheet(f"Interim report, first quarter {LATEST + 1}", NAME, THEMES[LATEST])
    s.begin_section("Quarterly report")
    s.heading(f"Quarterly report: first quarter of {LATEST + 1}")
    s.text(s.left, s.y, f"Unaudited results for the {QUARTER}", SANS, 11, GREY)
    s.y += 10
    s.paragraph(
        "Orders were seven per cent above the same quarter of last year. Sales of valves were held back by the "
        "late opening of a customer's depot; the goods were shipped in October. Margins were in line with plan.",
        size=11,
    )
    now, before = _quarter(LATEST, 0.257), _quarter(LATEST - 1, 0.252)
    s.subheading("Condensed consolidated income statement")
    _two_columns(s, ("Q1 2025", "Q1 2024"), "£m", now, before)
    s.paragraph(
        "Net cash at the end of the quarter was £9.3 million (30 June 2024: "
        f"£{-years()[LATEST].closing.net_debt / 1000:.1f} million). The second quarter has begun well.",
        size=11,
    )
    s.begin_section("Condensed balance sheet")
    s.heading("Condensed consolidated balance sheet")
    closing = years()[LATEST].closing
    grown = {
        "Non-current assets": round(closing.non_current_assets * 1.012),
        "Current assets": round(closing.current_assets * 0.973),
    }
    assets = sum(grown.values())
    owed = round(closing.total_liabilities * 0.968)
    lines = {**grown, "Total assets": assets, "Total liabilities": owed, "Total equity": assets - owed}
    year_end = {
        "Non-current assets": closing.non_current_assets,
        "Current assets": closing.current_assets,
        "Total assets": closing.total_assets,
        "Total liabilities": closing.total_liabilities,
        "Total equity": closing.total_equity,
    }
    _two_columns(s, (f"30 Sep {LATEST}", f"30 June {LATEST}"), "£m", lines, year_end)
    s.paragraph(DISCLAIMER, font=BODY_ITALIC, size=9, colour=GREY)
    return s.finish()


def presentation() -> bytes:
    """Results slides for the latest year, in landscape."""
    theme = THEMES[LATEST]
    title = f"Full-year results {LATEST}"
    f, income = prose.facts_of(LATEST), years()[LATEST].income
    s = Sheet(title, NAME, theme, size=SLIDE, margin=48)
    s.bottom = s.height - 48
    s.new_page(plain=True)
    s.box(0, 0, s.width, s.height, theme.main)
    with s.clipped(480, 0, 362, s.height):
        for ring in range(8):
            s.circle(760, 237, 40 + ring * 44, theme.accent, 11 - ring)
    s.text(48, 200, title, SANS_BOLD, 40, "#ffffff")
    s.text(48, 236, "Presentation to investors and analysts", SANS, 16, "#ffffff")
    s.text(48, 420, f"{NAME}  |  {TICKER}  |  18 September {LATEST}", SANS, 11, "#ffffff")
    s.begin_section("Highlights")
    s.heading("A record year", size=28)
    s.figure_boxes(
        [
            ("Revenue", f"£{income.revenue / 1000:.1f}m", f.growth),
            ("Operating profit", f"£{income.operating_profit / 1000:.1f}m", f"margin {f.margin}"),
            ("Earnings per share", f.eps, "basic"),
            ("Cash generated", f"£{years()[LATEST].cash.generated_from_operations / 1000:.1f}m", "before tax"),
            ("Order book", f"£{income.revenue * 0.58 / 1000:.0f}m", "30 weeks of sales"),
            ("Dividend per share", f.dividend, "proposed"),
        ]
    )
    s.begin_section("Growth")
    s.heading("Five years of growth, one of patience", size=28)
    for x, label, sizes in (
        (s.left, "Revenue (£m)", [years()[y].income.revenue / 1000 for y in REPORT_YEARS]),
        (s.left + 390, "Operating profit (£m)", [years()[y].income.operating_profit / 1000 for y in REPORT_YEARS]),
    ):
        bars = [(str(y), size, f"{size:.1f}") for y, size in zip(REPORT_YEARS, sizes, strict=True)]
        s.bar_chart(label, bars, x=x, width=350, height=200)
    s.begin_section("Income statement")
    s.heading("Summary income statement", size=28)
    _two_columns(s, (f"FY{LATEST}", f"FY{LATEST - 1}"), "£m", _quarter(LATEST, 1), _quarter(LATEST - 1, 1))
    for name, points in (
        (
            "Strategy",
            ("Sell detection, repair and measurement as one contract", "Fill Carrow Mill's second shift",
             "Buy small, pay cash, keep the founders"),
        ),
        (
            "Outlook",
            ("Regulatory period favours leakage work", "Price rises in full effect", "Castings 4 per cent cheaper",
             f"Capital expenditure of about £12 million in {LATEST + 1}"),
        ),
    ):  # fmt: skip
        s.begin_section(name)
        s.heading(name, size=28)
        for point in points:
            s.y += 34
            s.box(s.left, s.y - 9, 8, 8, theme.accent)
            s.text(s.left + 22, s.y, point, SANS, 17)
    return s.finish()


def press_release() -> bytes:
    """The announcement of the latest results as a PDF."""
    s = Sheet(f"Results for the year ended 30 June {LATEST}", NAME, THEMES[LATEST])
    s.begin_section("Press release")
    s.text(s.left, s.y, "PRESS RELEASE", SANS_BOLD, 10, s.theme.accent)
    s.text(s.right, s.y, f"18 September {LATEST}", SANS, 10, GREY, align="right")
    s.y += 6
    s.heading(_headline(), size=20)
    for words in _announcement():
        s.paragraph(words, size=10.8, leading=1.45)
    _two_columns(s, (str(LATEST), str(LATEST - 1)), "£m", _quarter(LATEST, 1), _quarter(LATEST - 1, 1))
    s.line(s.left, s.y, s.right, s.y, PALE)
    s.paragraph(f"Contact: investors desk, {SHORT_NAME}. {DISCLAIMER}", font=BODY_ITALIC, size=9, colour=GREY)
    return s.finish()


def press_release_html() -> str:
    """Body of the announcement's web page."""
    rows = "".join(
        f"<tr><td>{escape(label)}</td><td>{_m(now)}</td><td>{_m(before)}</td></tr>"
        for (label, now), before in zip(_quarter(LATEST, 1).items(), _quarter(LATEST - 1, 1).values(), strict=True)
    )
    words = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in _announcement())
    return (
        f"<h1>{escape(_headline())}</h1><p class=when>Press release, 18 September {LATEST}</p>{words}"
        f"<table><thead><tr><th>£m</th><th>{LATEST}</th><th>{LATEST - 1}</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _headline() -> str:
    f = prose.facts_of(LATEST)
    return f"{SHORT_NAME} reports results for {LATEST}: revenue {f.growth} to {f.revenue}"


def _announcement() -> tuple[str, ...]:
    f = prose.facts_of(LATEST)
    return (
        (
            f"{NAME} ({TICKER}), the maker of pumps, valves and leak detection, today announces its results for the "
            f"year ended 30 June {LATEST}. Operating profit was {f.operating}, a margin of {f.margin}; earnings per "
            f"share were {f.eps}. The board proposes a dividend of {f.dividend}."
        ),
        (
            f"{prose.CHIEF_EXECUTIVE}, chief executive, said: \N{LEFT DOUBLE QUOTATION MARK}Our customers are paid to "
            "lose less water. This year we helped them lose thirty-one billion litres less, and made a fair living "
            "from it.\N{RIGHT DOUBLE QUOTATION MARK}"
        ),
        f"The group generated {f.cash} of cash and ended the year with {f.net_position}.",
    )


def _quarter(fiscal_year: int, share: float) -> dict[str, int]:
    income = years()[fiscal_year].income
    revenue = round(income.revenue * share)
    operating = round(income.operating_profit * share)
    finance = round((income.finance_income + income.finance_costs) * share)
    tax = round(income.tax * share)
    return {
        "Revenue": revenue,
        "Operating costs": operating - revenue,
        "Operating profit": operating,
        "Net finance costs": finance,
        "Profit before tax": operating + finance,
        "Tax": tax,
        "Profit for the period": operating + finance + tax,
    }


def _m(thousands: int) -> str:
    text = f"{abs(thousands) / 1000:,.1f}"
    return f"({text})" if thousands < 0 else text


def _two_columns(sheet: Sheet, heads: Sequence[str], unit: str, now: dict[str, int], before: dict[str, int]) -> None:
    totals = {"Operating profit", "Profit before tax", "Profit for the period", "Total assets", "Total equity"}
    right = sheet.right - sheet.left
    sheet.table(
        heads,
        [
            Cell("", (unit, unit)),
            *(
                Cell(label, (_m(now[label]), _m(before[label])), bold=label in totals, over=label in totals)
                for label in now
            ),
        ],
        edges=[right - 90, right],
        size=10,
        leading=20,
        tinted=0,
    )
