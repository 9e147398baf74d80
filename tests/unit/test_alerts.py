"""Alerts, their pages and the dashboard: what is written there exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from api.cli import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RUNBOOKS = ROOT / "docs" / "runbooks"
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here")


def rules() -> list[dict[str, Any]]:
    document = YAML(typ="safe").load(DEPLOY / "prometheus" / "alerts.yaml")
    found: list[dict[str, Any]] = document["groups"][0]["rules"]
    return found


@promtool
def test_every_alert_fires_in_its_example_and_stays_quiet_before() -> None:
    program = shutil.which("promtool") or ""
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]):
        place = DEPLOY / "prometheus"
        done = subprocess.run([program, *command], cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_an_example_and_a_page() -> None:
    examples = YAML(typ="safe").load(DEPLOY / "prometheus" / "alerts.test.yaml")["tests"]
    fired = {one["alertname"] for test in examples for one in test["alert_rule_test"] if one["exp_alerts"]}
    names = {rule["alert"] for rule in rules()}
    assert fired == names
    for rule in rules():
        page = (ROOT / rule["annotations"]["runbook"]).read_text(encoding="utf-8")
        assert f"`{rule['alert']}`" in page
        for part in ("## Look", "## Do", "## Then"):
            assert part in page
    pages = {page.name for page in RUNBOOKS.glob("*.md")} - {"README.md"}
    assert pages == {Path(rule["annotations"]["runbook"]).name for rule in rules()}
    index = (RUNBOOKS / "README.md").read_text(encoding="utf-8")
    assert all(f"({page})" in index for page in pages)


def test_the_commands_of_the_pages_exist() -> None:
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    used = {
        word
        for page in (ROOT / "docs").rglob("*.md")
        for word in re.findall(r"\./millrace ([a-z]+(?:-[a-z]+)*)", page.read_text())
    }
    assert used <= commands


def test_the_dashboard_overlaps_nowhere() -> None:
    panels = json.loads((DEPLOY / "grafana" / "millrace.json").read_text())["panels"]
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        cells |= own
    assert len({panel["id"] for panel in panels}) == len(panels)
