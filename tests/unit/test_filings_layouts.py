"""Layouts, languages and scales that no report at hand has: invented reports, and what was read of them."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from consumers.filings import ocr
from consumers.filings.evaluate import evaluate
from consumers.filings.report import read_report
from tests.support.report_cases import worked_with
from tests.support.report_set import Report, replace, typeset, write

FLOORS = {"pages_found": 1.0, "units_right": 1.0, "cells_exact": 0.97, "key_recall": 0.95, "key_precision": 0.97}
PRINTED = [report for report in worked_with() if not report.look.scanned]


@pytest.mark.parametrize("report", PRINTED, ids=lambda report: report.name)
def test_a_report_is_read_as_it_is_printed(report: Report, tmp_path: Path) -> None:
    write([report], tmp_path)
    found = evaluate(tmp_path)
    missed = json.dumps(found["documents"][0]["missed"], ensure_ascii=False)
    short = {name: found["totals"][name] for name, floor in FLOORS.items() if found["totals"][name] < floor}
    assert not short, missed
    assert found["documents"][0]["class"] == report.kind


@pytest.mark.skipif(ocr.command() is None, reason="tesseract is not installed")
def test_pages_that_are_pictures_are_read_by_ocr(tmp_path: Path) -> None:
    scanned = next(report for report in worked_with() if report.name == "HARROW_US")
    write([replace(scanned, look=replace(scanned.look, scanned=True), before=(), after=())], tmp_path)
    found = evaluate(tmp_path, tmp_path / "out")
    assert found["totals"]["cells_exact"] >= 0.9
    assert found["totals"]["pages_found"] == 1.0
    raw = json.loads((tmp_path / "out" / "HARROW_US.json").read_text())
    assert all(
        "OCR" in statement["flags"][-1] or "OCR" in " ".join(statement["flags"]) for statement in raw["statements"]
    )


def test_a_cell_says_where_it_is_and_how_sure_it_is() -> None:
    data, _ = typeset(worked_with()[0])
    report = read_report(data)
    cells = [cell for s in report.statements for row in s.rows for cell in row.cells if cell is not None]
    assert all(cell.box is not None and cell.page in (5, 6, 7) for cell in cells)
    assert min(cell.confidence or 0 for cell in cells) >= 0.9
    assert all(check.ok for statement in report.statements for check in statement.checks)


def test_three_and_nine_months_stand_apart() -> None:
    """Two durations over columns of the same days are two periods, not one."""
    base = next(report for report in worked_with() if report.name == "KITE_INTERIM")
    figures = {**base.figures, "income_statement": _quarters(base.figures["income_statement"])}
    ends = {**base.ends, "income_statement": ("2021-09-30", "2022-09-30", "2021-06-30", "2022-06-30")}
    heads = {
        **base.look.heads,
        "income_statement": (
            "Three months ended\nSeptember 30,\n2022", "\nSeptember 30,\n2021",
            "Nine months ended\nSeptember 30,\n2022", "\nSeptember 30,\n2021",
        ),
    }  # fmt: skip
    data, _ = typeset(replace(base, figures=figures, ends=ends, look=replace(base.look, heads=heads)))
    income = next(s for s in read_report(data).statements if s.kind == "income_statement")
    assert [(p.end.isoformat(), p.months) for p in income.periods] == [
        ("2022-09-30", 3), ("2021-09-30", 3), ("2022-09-30", 9), ("2021-09-30", 9),
    ]  # fmt: skip


def _quarters(figures: dict[str, list[Decimal]]) -> dict[str, list[Decimal]]:
    return {name: [*values, *(value // 3 for value in values)] for name, values in figures.items()}
