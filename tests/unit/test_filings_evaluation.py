"""The reading of real reports, where they are at hand: floors a little under what is reached."""

import os
from pathlib import Path

import pytest

from consumers.filings.evaluate import evaluate

SHARED = Path(os.environ.get("MILLRACE_SHARED", Path(__file__).parents[3] / "shared"))
FILINGS = SHARED / "data" / "filings"
FLOORS = {
    "pages_found": 1.0,
    "units_right": 1.0,
    "cells_exact": 0.98,
    "key_coverage": 0.97,
    "html_values_found": 0.9,
    "compiled_right": 0.98,
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
