import csv
import io
import sys
from datetime import date
from decimal import Decimal

import pytest
from openpyxl import load_workbook

from consumers.filings.export import csv_bytes, xlsx_bytes
from consumers.filings.report import read_report
from schemas.filings import Company
from schemas.filings_result import (
    CompiledCell,
    CompiledRow,
    CompiledStatement,
    FilingsResult,
    Missing,
    Reported,
    Restatement,
)

HOSTILE = ['=HYPERLINK("http://evil","x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "|cmd", "bell\x07"]
RESULT = FilingsResult(
    company=Company(name="=cmd|' /C calc'!A0"),
    statements=(
        CompiledStatement(
            kind="income_statement",
            currency="GBP",
            unit_multiplier=1_000,
            period_ends=(date(2024, 3, 31), date(2023, 3, 31)),
            rows=tuple(
                CompiledRow(
                    key=f"k{number}",
                    label=label,
                    level=1,
                    cells=(CompiledCell(value=Decimal("-1234.5"), sha256="0" * 64, page=3, restated=True), None),
                )
                for number, label in enumerate(["Revenue", *HOSTILE])
            ),
        ),
    ),
    restatements=(
        Restatement(
            statement="income_statement",
            label="=1",
            period_end=date(2024, 3, 31),
            first=Reported(value=Decimal(1), sha256="0" * 64, page=1, label="=1"),
            changes=(Reported(value=Decimal(2), sha256="1" * 64, page=1, label="=1"),),
        ),
    ),
    missing=(Missing(what="cash_flow 2024", reason="=1"),),
)


def test_csv_is_tidy_and_holds_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_bytes(RESULT).decode("utf-8-sig"))))
    assert len(rows) == 8
    assert (rows[0]["label"], rows[0]["value"], rows[0]["period_end"]) == ("Revenue", "-1234.5", "2024-03-31")
    assert (rows[0]["unit_multiplier"], rows[0]["restated"]) == ("1000", "yes")
    for row in rows[1:]:
        assert row["label"].startswith("'") or row["label"] == "bell "


def test_xlsx_has_numbers_as_numbers_and_no_formula() -> None:
    book = load_workbook(io.BytesIO(xlsx_bytes(RESULT)))
    assert book.sheetnames == ["Income statement", "Restatements", "Documents", "Missing"]
    sheet = book["Income statement"]
    assert sheet["A1"].value == "=cmd|' /C calc'!A0"
    assert (sheet["A4"].value, sheet["B4"].value, sheet["C4"].value) == ("Revenue", -1234.5, None)
    assert sheet["B3"].value.date() == date(2024, 3, 31)
    cells = [cell for each in book for line in each.iter_rows() for cell in line]
    assert "f" not in {cell.data_type for cell in cells}
    assert book["Restatements"]["E2"].value == 2


@pytest.mark.parametrize(
    ("module", "use"),
    [("openpyxl", lambda: xlsx_bytes(RESULT)), ("pypdfium2", lambda: read_report(b"%PDF-1.4\n%%EOF"))],
)
def test_a_missing_extra_is_named(module: str, use: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(use)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'millrace\[filings\]'"):
        use()
