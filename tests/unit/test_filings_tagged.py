# ruff: noqa: E501 - tags are easier to check unbroken
"""Inline XBRL: tags beside the printed table, what they prove, and what they must not do."""

from decimal import Decimal

from consumers.filings.keys import keys_of
from consumers.filings.report import ExtractedReport, read_report

CONTEXTS = """
<ix:header><ix:hidden/><ix:resources>
<xbrli:context id="y2"><xbrli:entity><xbrli:identifier scheme="x">1</xbrli:identifier></xbrli:entity>
<xbrli:period><xbrli:startDate>2022-10-01</xbrli:startDate><xbrli:endDate>2023-09-30</xbrli:endDate></xbrli:period></xbrli:context>
<xbrli:context id="y1"><xbrli:entity><xbrli:identifier scheme="x">1</xbrli:identifier></xbrli:entity>
<xbrli:period><xbrli:startDate>2021-10-01</xbrli:startDate><xbrli:endDate>2022-09-30</xbrli:endDate></xbrli:period></xbrli:context>
<xbrli:context id="part"><xbrli:entity><xbrli:identifier scheme="x">1</xbrli:identifier><xbrli:segment>
<xbrldi:explicitMember dimension="x:A">x:M</xbrldi:explicitMember></xbrli:segment></xbrli:entity>
<xbrli:period><xbrli:startDate>2022-10-01</xbrli:startDate><xbrli:endDate>2023-09-30</xbrli:endDate></xbrli:period></xbrli:context>
<xbrli:context id="i2"><xbrli:entity><xbrli:identifier scheme="x">1</xbrli:identifier></xbrli:entity>
<xbrli:period><xbrli:instant>2023-09-30</xbrli:instant></xbrli:period></xbrli:context>
</ix:resources></ix:header>
"""
LINES = (
    ("Sales of goods", "us-gaap:RevenueFromContractWithCustomerExcludingAssessedTax", "1,210", "1,101"),
    ("Cost of what was sold", "us-gaap:CostOfRevenue", "800", "760"),
    ("Margin", "us-gaap:GrossProfit", "410", "341"),
    ("Running the place", "us-gaap:SellingGeneralAndAdministrativeExpense", "210", "200"),
    ("Result of operations", "us-gaap:OperatingIncomeLoss", "200", "141"),
    ("Interest", "us-gaap:InterestExpense", "(20)", "(11)"),
    ("Before the tax man", "us-gaap:IncomeLossFromContinuingOperationsBeforeIncomeTaxesExtraordinaryItemsNoncontrollingInterest", "180", "130"),
    ("Tax man", "us-gaap:IncomeTaxExpenseBenefit", "(40)", "(30)"),
    ("What remains", "us-gaap:NetIncomeLoss", "140", "100"),
)  # fmt: skip


def tag(name: str, context: str, printed: str) -> str:
    """A tagged amount in millions; costs printed in parentheses are positive facts, as the taxonomy wants."""
    bare = printed.strip("()")
    fact = (
        f'<ix:nonFraction name="{name}" contextRef="{context}" unitRef="usd" scale="6" decimals="-6" '
        f'format="ixt:num-dot-decimal">{bare}</ix:nonFraction>'
    )
    return f"({fact})" if printed.startswith("(") else fact


def page(body: str, doctype: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{doctype}<html xmlns="http://www.w3.org/1999/xhtml" '
        'xmlns:ix="http://www.xbrl.org/2013/inlineXBRL" xmlns:xbrli="http://www.xbrl.org/2003/instance" '
        'xmlns:xbrldi="http://xbrl.org/2006/xbrldi" xmlns:us-gaap="http://fasb.org/us-gaap/2023">'
        f'<head><title>t</title></head><body><div style="display:none">{CONTEXTS}</div>{body}</body></html>'
    ).encode()


def table(title: str = "Overview of how the year went", second: str = "y2") -> str:
    rows = "".join(
        f"<tr><td>{label}</td><td>{tag(name, second, new)}</td><td>{tag(name, 'y1', old)}</td></tr>"
        for label, name, new, old in LINES
    )
    return f"<p>{title}</p><p>(in millions)</p><table><tr><td></td><td>2023</td><td>2022</td></tr>{rows}</table>"


def values(report: ExtractedReport) -> dict[tuple[str, str], Decimal]:
    return {
        (key.concept, key.end.isoformat()): key.standard * key.unit_multiplier
        for key in keys_of(report.statements, report.facts)
    }


def test_tags_find_the_statement_and_name_its_lines_whatever_it_is_called() -> None:
    report = read_report(page(table()))
    (income,) = report.statements
    assert income.kind == "income_statement"
    assert [(p.end.isoformat(), p.months) for p in income.periods] == [("2023-09-30", 12), ("2022-09-30", 12)]
    told = values(report)
    assert told["revenue", "2023-09-30"] == 1_210_000_000
    assert told["interest_expense", "2023-09-30"] == 20_000_000
    assert told["income_tax", "2022-09-30"] == 30_000_000
    assert told["net_income", "2022-09-30"] == told["net_income_parent", "2022-09-30"] == 100_000_000
    assert all(row.matched_by == "tag" for row in income.rows)
    tax = income.rows[-2].cells[0]
    assert tax is not None
    assert (tax.value, tax.tag_value) == (Decimal(-40), Decimal(40_000_000))
    assert tax.tag == "us-gaap:IncomeTaxExpenseBenefit"


def test_facts_about_a_part_are_not_the_companys() -> None:
    report = read_report(page(table(second="part")))
    assert not any(key.endswith("2023-09-30") for _, key in values(report) if key.endswith("2023-09-30"))


def test_a_tag_that_says_another_amount_is_flagged() -> None:
    wrong = table().replace('contextRef="y2" unitRef="usd" scale="6" decimals="-6" format="ixt:num-dot-decimal">800<',
                            'contextRef="y2" unitRef="usd" scale="6" decimals="-6" format="ixt:fixed-zero">800<')  # fmt: skip
    (income,) = read_report(page(wrong)).statements
    cell = income.rows[1].cells[0]
    assert cell is not None
    assert "its tag us-gaap:CostOfRevenue says 0" in cell.flags[0]
    assert cell.confidence is not None
    assert cell.confidence <= 0.5


def test_a_report_without_tables_is_read_from_its_tags() -> None:
    spans = "".join(
        f"<div>{label} {tag(name, 'y2', new)} {tag(name, 'y1', old)}</div>" for label, name, new, old in LINES
    )
    report = read_report(page(spans))
    (income,) = report.statements
    assert "tags alone" in income.flags[0]
    assert values(report)["gross_profit", "2022-09-30"] == 341_000_000


def test_entities_are_never_resolved() -> None:
    bomb = (
        '<!DOCTYPE html [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
        '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    )
    report = read_report(page(table() + "<p>&c;&f;</p>", bomb))
    assert "root:" not in repr(report)
    assert values(report)["revenue", "2023-09-30"] == 1_210_000_000
