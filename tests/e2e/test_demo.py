"""`millrace demo` from an empty home to the compiled statements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import Running

if TYPE_CHECKING:
    from tests.support.commands import Home


@pytest.mark.slow
def test_the_demo_ends_with_statements_files_trace_and_the_way_back(home: Home) -> None:
    done = home.apart("demo", "--port", "0", timeout_s=110)
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    for expected in (
        "Income statement",
        "Balance sheet",
        "Cash flow",
        "Revenue",
        "154,468",
        "30 Jun 2024",
        "30 Jun 2021",
    ):
        assert expected in shown
    assert "* Revenue, 30 Jun 2021: first reported as 118,133, restated to 114,715" in shown
    assert "crawl #1" in shown
    files = [Path(line.strip()) for line in shown.splitlines() if line.strip().endswith((".xlsx", ".csv"))]
    assert {file.suffix for file in files} == {".xlsx", ".csv"}
    assert all((Path.cwd() / file).stat().st_size > 1_000 for file in files)
    assert "./millrace up" in shown
    (url,) = [word for word in shown.split() if "/jobs/0-" in word]
    job = url.rpartition("/")[2]
    with Running(home, "up", "--port", "0"):
        assert home.json("job", job)["status"] == "succeeded"
        assert home.json("result", job)["company"]["name"] == "Brindlemoor plc"
        again = home.apart("demo", "--port", "0")
        assert again.returncode == 1
        assert "runs here already" in again.stderr


def test_another_flow_and_json(home: Home) -> None:
    home.env["MILLRACE_REDIS_URL"] = "redis://127.0.0.1:1/0"
    done = home.apart("demo", "noop", "--port", "0", "--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["event"] for one in events] == ["site", "servers", "workers", "job", "ended"]
    assert events[-1]["job"]["status"] == "succeeded"
    assert "left alone" in done.stderr


def test_an_unknown_flow_is_refused_before_anything_starts(home: Home) -> None:
    done = home.apart("demo", "nonsense")
    assert done.returncode == 2
    assert "installed are" in done.stderr
    assert list(home.folder.iterdir()) == []
