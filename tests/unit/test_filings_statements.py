"""Statements read from PDFs typeset in the test: columns, units, signs, pages, languages."""

from datetime import date
from decimal import Decimal

import pytest

from consumers.filings.report import ExtractedReport, read_report
from schemas.filings import Row, Statement, StatementKind
from tests.support.report_pdf import BALANCE, CASH, COLUMNS, COVER, INCOME, typeset


def statement(report: ExtractedReport, kind: StatementKind) -> Statement:
    return next(s for s in report.statements if s.kind == kind)


def row(of: Statement, label: str) -> Row:
    return next(r for r in of.rows if r.label == label)


def values(of: Statement, label: str) -> list[Decimal | None]:
    return [cell.value if cell else None for cell in row(of, label).cells]


def decimals(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


def test_the_three_statements_of_a_report() -> None:
    report = read_report(typeset([COVER, INCOME, BALANCE, CASH], COLUMNS))
    assert report.problems == ()
    assert report.confirmed is not None
    assert (report.confirmed.document_type, report.confirmed.fiscal_year) == ("annual_report", 2024)
    assert report.company_name == "Arden Mills plc"
    assert report.period_end == date(2024, 3, 31)
    for each, page in zip(report.statements, (2, 3, 4), strict=True):
        assert (each.currency, each.unit_multiplier, each.pages) == ("GBP", 1_000_000, (page,))
        assert [period.end for period in each.periods] == [date(2024, 3, 31), date(2023, 3, 31)]
    income = statement(report, "income_statement")
    assert [period.months for period in income.periods] == [12, 12]
    assert values(income, "Revenue") == decimals("1211.4", "1101.0")
    assert values(income, "Cost of sales") == decimals("-811.3", "-799.9")
    assert values(income, "Finance costs") == decimals("-11.0", "0")
    assert len(income.rows) == 10
    earnings = row(income, "Basic earnings per share (pence)")
    assert (earnings.unit, earnings.cells[0] and earnings.cells[0].value) == ("per_share", Decimal("13.4"))


def test_levels_sections_and_wrapped_labels() -> None:
    report = read_report(typeset([COVER, BALANCE, CASH], COLUMNS))
    balance, cash = statement(report, "balance_sheet"), statement(report, "cash_flow")
    inventories = row(balance, "Inventories")
    assert (inventories.level, inventories.section) == (1, "Current assets")
    assert row(balance, "Total assets").level == 0
    label = "Depreciation and amortisation of property, plant, equipment and other long-lived assets"
    assert values(cash, label) == decimals("41.0", "40.0")


def test_every_cell_says_where_it_is_printed() -> None:
    income = statement(read_report(typeset([COVER, INCOME], COLUMNS)), "income_statement")
    cell = row(income, "Revenue").cells[0]
    assert cell is not None
    assert (cell.text, cell.page) == ("1,211.4", 2)
    assert cell.box is not None
    left, bottom, right, top = cell.box
    assert left < right == pytest.approx(420, abs=1)
    assert 0 < bottom < top


@pytest.mark.parametrize("marked", [True, False])
def test_a_statement_over_two_pages_is_one(marked: bool) -> None:  # noqa: FBT001 - a case of the test
    again = ["Consolidated balance sheet (continued)", "as at 31 March 2024", "|Note|2024|2023", "||£m|£m"]
    first, second = BALANCE[:11], BALANCE[11:]
    report = read_report(typeset([COVER, INCOME, first, [*again, *second] if marked else second, CASH], COLUMNS))
    balance = statement(report, "balance_sheet")
    assert balance.pages == (3, 4)
    assert values(balance, "Total assets") == decimals("800.0", "700.0")
    assert values(balance, "Total equity and liabilities") == decimals("800.0", "700.0")


def test_two_statements_on_one_page_are_two() -> None:
    report = read_report(typeset([COVER, [*INCOME, "", *BALANCE], CASH], COLUMNS))
    assert [(s.kind, s.pages, len(s.rows)) for s in report.statements] == [
        ("income_statement", (2,), 10),
        ("balance_sheet", (2,), 12),
        ("cash_flow", (3,), 11),
    ]


def test_parent_company_statements_lose_against_consolidated_ones() -> None:
    parent = ["Company balance sheet", *(line.replace("800.0", "17.0") for line in BALANCE[1:])]
    report = read_report(typeset([COVER, INCOME, BALANCE, CASH, parent], COLUMNS))
    assert statement(report, "balance_sheet").pages == (3,)


def test_company_columns_beside_the_groups_are_left_out_and_said() -> None:
    lines = [
        "Balance sheets", "as at 31 March 2024", "|Group|Group|Company|Company", "|2024|2023|2024|2023",
        "|£000|£000|£000|£000", "Property, plant and equipment|511|480|11|12", "Receivables|121|99|5|5",
        "Total assets|632|579|16|17", "Current liabilities|(132)|(179)|(1)|(1)", "Net assets|500|400|15|16",
        "Share capital|50|50|5|5", "Retained earnings|450|350|10|11", "Total equity|500|400|15|16",
    ]  # fmt: skip
    balance = statement(read_report(typeset([COVER, lines], (300.0, 370.0, 440.0, 520.0))), "balance_sheet")
    assert values(balance, "Total assets") == decimals("632", "579")
    assert sum("left out" in flag for flag in balance.flags) == 2


def test_change_columns_note_columns_and_ascending_years() -> None:
    lines = [
        "CONSOLIDATED STATEMENTS OF OPERATIONS", "(In thousands, except per share amounts)",
        "|January 29,|January 28,|", "Fiscal year ended|2022|2023|% Change", "Net sales|$ 8,630,889|$ 10,208,580|18.3%",
        "Cost of sales|5,262,335|6,164,070|17.1%", "Gross profit|3,368,554|4,044,510|20.1%",
        "Operating income|1,039,287|1,638,674|57.7%", "Interest income, net|1,663|(4,934)|(396.7)%",
        "Income before income taxes|1,037,624|1,643,608|58.4%", "Income tax expense|254,844|401,136|57.4%",
        "Net income|$ 985,837|$ 1,242,408|26.0%", "Diluted net income per common share|$ 17.98|$ 24.01|33.5%",
    ]  # fmt: skip
    income = statement(read_report(typeset([COVER, lines], (360.0, 440.0, 520.0))), "income_statement")
    assert [period.end for period in income.periods] == [date(2022, 1, 29), date(2023, 1, 28)]
    assert (income.currency, income.unit_multiplier) == ("USD", 1000)
    assert any("currency" in flag for flag in income.flags)
    assert values(income, "Interest income, net") == decimals("1663", "-4934")
    assert values(income, "Net income") == decimals("985837", "1242408")


def test_a_german_report() -> None:
    income = [
        "Konzern-Gewinn- und Verlustrechnung", "für das Geschäftsjahr vom 1. Januar bis 31. Dezember 2023",
        "in TEUR|Anhang|2023|2022", "Umsatzerlöse|1|1.211.411|1.101.011",
        "Herstellungskosten des Umsatzes||-811.311|-799.911", "Bruttoergebnis vom Umsatz||400.100|301.100",
        "Betriebsergebnis|2|189.000|110.000", "Ergebnis vor Steuern||178.000|110.000", "Ertragsteuern||-44.000|-21.000",
        "Konzernjahresüberschuss||134.000|89.000", "Ergebnis je Aktie in EUR||1,34|0,89",
    ]  # fmt: skip
    balance = [
        "Konzernbilanz", "in TEUR|Anhang|31.12.2023|31.12.2022", "Sachanlagen|4|511.000|480.000",
        "Forderungen aus Lieferungen||121.000|99.000", "Umlaufvermögen||289.000|220.000",
        "Bilanzsumme||800.000|700.000",
        "Langfristige Schulden||300.000|300.000", "Grundkapital||50.000|50.000", "Gewinnrücklagen||450.000|350.000",
        "Eigenkapital||500.000|400.000", "Summe Passiva||800.000|700.000",
    ]  # fmt: skip
    report = read_report(typeset([["Arden Mühlen AG", "Geschäftsbericht 2023"], income, balance], COLUMNS))
    assert report.confirmed is not None
    assert report.confirmed.document_type == "annual_report"
    read = statement(report, "income_statement")
    assert (read.currency, read.unit_multiplier) == ("EUR", 1000)
    assert values(read, "Umsatzerlöse") == decimals("1211411", "1101011")
    assert values(read, "Ergebnis je Aktie in EUR") == decimals("1.34", "0.89")
    assert [p.end for p in statement(report, "balance_sheet").periods] == [date(2023, 12, 31), date(2022, 12, 31)]
    assert values(statement(report, "balance_sheet"), "Bilanzsumme") == decimals("800000", "700000")


def test_a_french_report_with_spaces_between_thousands() -> None:
    lines = [
        "Compte de résultat consolidé", "en milliers d'euros", "|Notes|31 décembre 2023|31 décembre 2022",
        "Chiffre d'affaires|1|1 211 411|1 101 011", "Coût des ventes||(811 311)|(799 911)",
        "Marge brute||400 100|301 100", "Résultat opérationnel||189 000|110 000", "Résultat financier||(11 000)|-",
        "Résultat avant impôt||178 000|110 000", "Impôt sur les bénéfices|3|(44 000)|(21 000)",
        "Résultat net||134 000|89 000", "Résultat net par action (en euros)||1,34|0,89",
    ]  # fmt: skip
    report = read_report(typeset([["Moulins Arden SA", "Rapport annuel 2023"], lines], COLUMNS))
    income = statement(report, "income_statement")
    assert (income.currency, income.unit_multiplier) == ("EUR", 1000)
    assert values(income, "Chiffre d'affaires") == decimals("1211411", "1101011")
    assert values(income, "Résultat financier") == decimals("-11000", "0")


def test_a_presentation_that_shows_highlights_has_no_statements() -> None:
    slides = [["Full-year results presentation"], ["Income statement highlights", "Revenue up 10% to £1,211m"]]
    report = read_report(typeset(slides))
    assert report.confirmed is not None
    assert report.confirmed.document_type == "presentation"
    assert report.statements == ()
