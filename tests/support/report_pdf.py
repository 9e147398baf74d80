"""Small reports typeset for tests, so that a test says in its own lines what is printed."""

import io
from collections.abc import Sequence

from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = A4
LABELS_AT = 60.0
LINE = 14.0


def typeset(
    pages: Sequence[Sequence[str]], columns: Sequence[float] = (420.0, 520.0), password: str | None = None
) -> bytes:
    """A PDF with a page for each list of lines.

    A line is a label and its cells, divided by "|"; cells are set flush right at `columns`, from the right. Two blanks
    before a label indent it. A line that begins with "^" is centred on the page.
    """
    out = io.BytesIO()
    encrypt = StandardEncryption(password, canPrint=0) if password else None
    canvas = Canvas(out, pagesize=A4, encrypt=encrypt)
    for lines in pages:
        canvas.setFont("Helvetica", 10)
        y = HEIGHT - 60
        for line in lines:
            label, *cells = line.split("|")
            if label.startswith("^"):
                canvas.drawCentredString(WIDTH / 2, y, label[1:])
            else:
                indent = len(label) - len(label.lstrip())
                canvas.drawString(LABELS_AT + 5 * indent, y, label.strip())
            for right, cell in zip(reversed(columns), reversed(cells), strict=False):
                text = cell.strip()
                canvas.drawRightString(right + (3.3 if text.endswith(")") else 0.0), y, text)
            y -= LINE
        canvas.showPage()
    canvas.save()
    return out.getvalue()


INCOME = (
    "Arden Mills plc",
    "Consolidated income statement",
    "for the year ended 31 March 2024",
    "|Note|2024|2023",
    "||£m|£m",
    "Revenue|3|1,211.4|1,101.0",
    "Cost of sales||(811.3)|(799.9)",
    "Gross profit||400.1|301.1",
    "Administrative expenses|4|(211.1)|(191.1)",
    "Operating profit||189.0|110.0",
    "Finance costs|5|(11.0)|\u2013",
    "Profit before tax||178.0|110.0",
    "Income tax expense|6|(44.0)|(21.0)",
    "Profit for the year||134.0|89.0",
    "Basic earnings per share (pence)|7|13.4p|8.9p",
)
BALANCE = (
    "Consolidated balance sheet",
    "as at 31 March 2024",
    "|Note|2024|2023",
    "||£m|£m",
    "Non-current assets",
    "  Property, plant and equipment|8|511.0|480.0",
    "Current assets",
    "  Inventories||111.0|101.0",
    "  Trade and other receivables|9|121.0|99.0",
    "  Cash and cash equivalents||57.0|20.0",
    "Total assets||800.0|700.0",
    "Current liabilities",
    "  Trade and other payables||200.0|190.0",
    "Non-current liabilities",
    "  Borrowings|10|100.0|110.0",
    "Total liabilities||300.0|300.0",
    "Equity",
    "  Share capital||50.0|50.0",
    "  Retained earnings||450.0|350.0",
    "Total equity||500.0|400.0",
    "Total equity and liabilities||800.0|700.0",
)
CASH = (
    "Consolidated statement of cash flows",
    "for the year ended 31 March 2024",
    "|Note|2024|2023",
    "||£m|£m",
    "Cash flows from operating activities",
    "  Profit for the year||134.0|89.0",
    "  Depreciation and amortisation of property, plant, equipment and",
    "  other long-lived assets||41.0|40.0",
    "Net cash from operating activities||175.0|129.0",
    "Cash flows from investing activities",
    "  Purchase of property, plant and equipment||(72.0)|(60.0)",
    "Net cash used in investing activities||(72.0)|(60.0)",
    "Cash flows from financing activities",
    "  Repayment of borrowings||(10.0)|(20.0)",
    "  Dividends paid||(56.0)|(39.0)",
    "Net cash used in financing activities||(66.0)|(59.0)",
    "Net increase in cash and cash equivalents||37.0|10.0",
    "Cash and cash equivalents at beginning of year||20.0|10.0",
    "Cash and cash equivalents at end of year||57.0|20.0",
)
COVER = ("Arden Mills plc", "Annual Report and Accounts 2024", "for the year ended 31 March 2024")
COLUMNS = (330.0, 420.0, 520.0)
