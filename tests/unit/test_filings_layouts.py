"""Layouts, languages and scales that no report at hand has: invented reports, and what was read of them."""

import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfgen.canvas import Canvas

from consumers.filings import ocr
from consumers.filings.evaluate import evaluate
from consumers.filings.report import read_report
from tests.support.report_cases import kept_aside, worked_with
from tests.support.report_set import Report, replace, typeset, write

FLOORS = {"pages_found": 1.0, "units_right": 1.0, "cells_exact": 0.97, "key_recall": 0.95, "key_precision": 0.97}
PRINTED = [report for report in [*worked_with(), *kept_aside()] if not report.look.scanned]


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


BESIDE = (
    "Fernmühle AG",
    "Konzernbilanz zum 31. Dezember 2022",
    "in TEUR|2022|2021|in TEUR|2022|2021",
    "Aktiva|||Passiva||",
    "Sachanlagen|5.110|4.800|Gezeichnetes Kapital|500|500",
    "Goodwill|1.200|1.210|Gewinnrücklagen|4.510|3.800",
    "Langfristige Vermögenswerte|6.310|6.010|Eigenkapital|5.010|4.300",
    "Vorräte|1.110|1.010|Langfristige Finanzverbindlichkeiten|2.400|2.610",
    "Forderungen aus Lieferungen und Leistungen|1.210|990|Langfristige Schulden|2.400|2.610",
    "Zahlungsmittel|770|600|Verbindlichkeiten aus Lieferungen|1.990|1.700",
    "Kurzfristige Vermögenswerte|3.090|2.600|Kurzfristige Schulden|1.990|1.700",
    "Summe Aktiva|9.400|8.610|Summe Passiva|9.400|8.610",
)


def beside(*, turned: bool = False) -> bytes:
    """A balance sheet with assets left and equity and liabilities right, perhaps set sideways on its page."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4 if turned else landscape(A4), invariant=1)
    if turned:
        canvas.translate(A4[0], 0)
        canvas.rotate(90)
    canvas.setFont("Helvetica", 9)
    for number, line in enumerate(BESIDE):
        y = 520 - 15 * number
        for at, cell, flush in zip((40, 320, 400, 440, 720, 800), line.split("|"), (0, 1, 1, 0, 1, 1), strict=False):
            (canvas.drawRightString if flush else canvas.drawString)(at, y, cell)
    canvas.save()
    return out.getvalue()


@pytest.mark.parametrize("turned", [False, True], ids=["upright", "sideways"])
def test_two_tables_beside_each_other_are_read_one_after_the_other(*, turned: bool) -> None:
    (balance,) = read_report(beside(turned=turned)).statements
    named = {concept: [int(c.value) for c in row.cells if c] for row in balance.rows for concept in row.concepts}
    assert named["total_assets"] == named["total_liabilities_and_equity"] == [9400, 8610]
    assert named["ppe_net"] == [5110, 4800]
    assert named["total_equity"] == [5010, 4300]
    assert named["long_term_debt"] == [2400, 2610]
    assert (balance.currency, balance.unit_multiplier) == ("EUR", 1000)
    width, height = A4 if turned else landscape(A4)
    for row in balance.rows:
        for cell in row.cells:
            assert cell is not None
            assert cell.box is not None
            left, bottom, right, top = cell.box
            assert 0 < left < right < width
            assert 0 < bottom < top < height


def _quarters(figures: dict[str, list[Decimal]]) -> dict[str, list[Decimal]]:
    return {name: [*values, *(value // 3 for value in values)] for name, values in figures.items()}
