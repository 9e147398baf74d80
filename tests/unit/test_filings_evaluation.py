"""The reading of real reports, where they are at hand: floors a little under what is reached."""

import json
import os
from pathlib import Path

import pytest

from consumers.filings.evaluate import evaluate
from tests.support.report_pdf import BALANCE, CASH, COLUMNS, COVER, INCOME, typeset

SHARED = Path(os.environ.get("MILLRACE_SHARED", Path(__file__).parents[3] / "shared"))
FILINGS = SHARED / "data" / "filings"
FLOORS = {
    "pages_found": 1.0,
    "units_right": 1.0,
    "cells_exact": 0.98,
    "key_recall": 0.97,
    "key_precision": 0.97,
    "compiled_right": 0.98,
    "restatements_found": 1.0,
    "classification_accuracy": 0.95,
}


@pytest.mark.skipif(not FILINGS.is_dir(), reason="the shared reports are not here")
def test_real_reports_are_read() -> None:
    totals = evaluate(FILINGS)["totals"]
    short = {name: (totals.get(name), floor) for name, floor in FLOORS.items() if totals.get(name, 0) < floor}
    assert not short
    assert totals["seconds_per_document"] < 15


def test_what_is_not_there_is_left_out_of_the_totals(tmp_path: Path) -> None:
    found = evaluate(tmp_path)
    assert found["documents"] == []
    assert set(found["totals"]) == {"peak_mb"}


def test_a_report_without_expected_values_is_read_and_not_scored(tmp_path: Path) -> None:
    (tmp_path / "pdf").mkdir()
    (tmp_path / "pdf" / "mill.pdf").write_bytes(typeset([COVER, INCOME, BALANCE, CASH], COLUMNS))
    found = evaluate(tmp_path, tmp_path / "out")
    assert "cells_exact" not in found["totals"]
    raw = json.loads((tmp_path / "out" / "mill.json").read_text())
    keys = {(key["key"], key["period"]): key for key in raw["keys"]}
    capex = keys["capex", "2024-03-31"]
    assert (capex["value"], capex["standard_value"], capex["page"]) == (-72.0, 72e6, 4)
    cell = raw["statements"][0]["rows"][0]["cells"][0]
    assert {"period", "value", "page", "box", "label", "confidence"} <= cell.keys()
