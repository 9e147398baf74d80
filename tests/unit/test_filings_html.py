from datetime import date
from decimal import Decimal

import pytest

from consumers.filings.read_html import decode
from consumers.filings.report import read_report
from schemas.filings import Statement


def table(*rows: str) -> str:
    """Rows of cells divided by "|", each amount with its "$" and ")" in cells of their own, as filers do."""
    out = []
    for row in rows:
        label, *cells = row.split("|")
        made = f'<td colspan="3" style="padding-left:{9 if label.startswith(" ") else 0}pt">{label.strip()}</td>'
        for cell in cells:
            if cell.startswith("$"):
                made += f"<td>$</td><td>{cell[1:]}</td><td></td>"
            elif cell.startswith("("):
                made += f'<td colspan="2">{cell[:-1]}</td><td>)</td>'
            else:
                made += f'<td colspan="2">{cell}</td><td></td>'
        out.append(f"<tr>{made}</tr>")
    return f"<table>{''.join(out)}</table>"


REPORT = f"""<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE html><html><head><title>x</title></head><body>
<div style="display:none"><ix:header>hidden <table><tr><td>Total assets</td></tr></table></ix:header></div>
<p>UNITED STATES SECURITIES AND EXCHANGE COMMISSION</p><p>FORM 10-K</p>
<p>For the fiscal year ended December 31, 2024</p><p><span>Arden Mills</span> Inc.</p>
<p>(Exact name of registrant as specified in its charter)</p>
<div><span>CONSOLIDATED STATEMENTS OF INCOME</span></div>
{
    table(
        "Millions, except per share, for the years ended December 31,|2024|2023",
        "Revenues|$ 1,300|$ 1,200",
        "Cost of sales|(950)|(900)",
        "Gross profit|350|300",
        "Operating income|130|90",
        "Interest expense (Note 3)|(10)|(10)",
        "Income before income taxes|120|80",
        "Income tax expense|(25)|(15)",
        "Net income|$ 95|$ 65",
        " Earnings per share - basic|$ 0.95|$ 0.65",
    )
}
<h3>CONSOLIDATED BALANCE SHEETS</h3>
{
    table(
        "Millions, as of December 31,|2024|2023",
        "Current assets:",
        " Cash|$ 57|$ 20",
        " Receivables, net|121|99",
        "Total current assets|178|119",
        "Properties|622|581",
        "Total assets|$ 800|$ 700",
        "Current liabilities|200|190",
        "Long-term debt|100|110",
        "Total liabilities|300|300",
        "Common stock|50|50",
        "Retained earnings|450|350",
        "Total shareholders' equity|500|400",
        "Total liabilities and shareholders' equity|$ 800|$ 700",
    )
}
</body></html>"""


def values(of: Statement, label: str) -> list[Decimal | None]:
    row = next(r for r in of.rows if r.label == label)
    return [cell.value if cell else None for cell in row.cells]


def test_statements_from_tables() -> None:
    report = read_report(REPORT.encode(), "text/html; charset=utf-8")
    assert report.company_name == "Arden Mills Inc."
    assert report.confirmed is not None
    assert (report.confirmed.document_type, report.confirmed.fiscal_year) == ("annual_report", 2024)
    income, balance = report.statements
    for each in report.statements:
        assert [period.end for period in each.periods] == [date(2024, 12, 31), date(2023, 12, 31)]
        assert (each.currency, each.unit_multiplier, each.pages) == ("USD", 1_000_000, (1,))
    assert values(income, "Revenues") == [1300, 1200]
    assert values(income, "Interest expense (Note 3)") == [-10, -10]
    assert values(income, "Earnings per share - basic") == [Decimal("0.95"), Decimal("0.65")]
    assert values(balance, "Total assets") == [800, 700]
    cash = next(row for row in balance.rows if row.label == "Cash")
    assert (cash.level, cash.section) == (1, "Current assets")
    assert cash.cells[0] is not None
    assert (cash.cells[0].page, cash.cells[0].box) == (1, None)
    assert [(p.reason, p.statement) for p in report.problems] == [("statement_not_found", "cash_flow")]


@pytest.mark.parametrize(
    "html",
    [
        "<html><body>" + "<table><tr><td>" * 3_000,
        "<html><body>" + "<div>" * 20_000,
        "<html><body><table>" + "<tr><td colspan='9999999'>1</td><td rowspan='x' colspan='-3'>2</td></tr>" * 500,
        "<html><body><table></table><p>\x00</p>",
        "<html><body><table><tr>" + "<td>1</td>" * 20_000,
    ],
    ids=["nested tables", "nested blocks", "absurd spans", "nothing", "wide"],
)
def test_hostile_html_is_read_in_bounded_time(html: str) -> None:
    assert read_report(html.encode(), "text/html").statements == ()


def test_bytes_are_decoded_as_declared() -> None:
    assert decode("<p>Umsatzerlöse</p>".encode()) == "<p>Umsatzerlöse</p>"
    assert "Erlöse" in decode('<meta charset="iso-8859-1">Erlöse'.encode("latin-1"))
    assert "Erlöse" in decode("Erlöse".encode("cp1252"))
    assert "Erlöse" in decode("Erlöse".encode("utf-16"))
    assert "Erlöse" in decode('<meta charset="no-such-charset">Erlöse'.encode())
