"""docs/audit-rules.md says what the rules are: its tables are written from the code."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import pytest

from consumers.audit.rules import CATEGORIES, RULES

DOC = Path(__file__).parents[2] / "docs" / "audit-rules.md"
SHARED = Path(os.environ.get("MILLRACE_SHARED", Path(__file__).parents[3] / "shared"))
LIST = SHARED / "data" / "audit-rules.csv"
BEGIN, END = "<!-- rules: begin -->\n", "<!-- rules: end -->\n"


def tables() -> str:
    parts = []
    for category in CATEGORIES:
        rows = [
            f"| `{one.id}` | {one.severity.value} | {one.tier} | {', '.join(one.needs)} | {one.about.replace('|', '/')} | "
            f"{one.threshold.replace('|', '/')} | {one.fix.replace('|', '/')} |"
            for one in RULES.values()
            if one.category == category
        ]
        head = [
            "| rule | severity | tier | needs | fails when | threshold | change |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        parts.append("\n".join([f"### {category}", "", *head, *rows]) + "\n")
    return "\n" + "\n".join(parts) + "\n"


def test_the_tables_are_those_of_the_code() -> None:
    text = DOC.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    written, _, after = rest.partition(END)
    if os.environ.get("MILLRACE_ACCEPT_DOCS"):
        DOC.write_text(before + BEGIN + tables() + END + after, encoding="utf-8")
        return
    assert written == tables(), "run this test with MILLRACE_ACCEPT_DOCS=1 to write the tables anew"


def test_it_counts_what_there_is() -> None:
    core = sum(one.tier == "core" for one in RULES.values())
    text = DOC.read_text(encoding="utf-8")
    assert f"{core} core and {len(RULES) - core} extended" in text


@pytest.mark.skipif(not LIST.is_file(), reason="the list of rules is not here")
def test_ids_severities_and_scopes_are_those_asked_for() -> None:
    asked = {row["id"]: row for row in csv.DictReader(LIST.read_text(encoding="utf-8").splitlines())}
    for name in ("category", "tier", "severity", "scope"):
        assert {rule.id: str(getattr(rule, name)) for rule in RULES.values()} == {
            identifier: row[name] for identifier, row in asked.items()
        }
    assert {rule.id: ";".join(rule.needs) for rule in RULES.values()} == {
        one: row["needs"] for one, row in asked.items()
    }


@pytest.mark.skipif(not LIST.is_file(), reason="the list of rules is not here")
def test_thresholds_are_those_asked_for() -> None:
    asked = {
        row["id"]: row["default_threshold"] for row in csv.DictReader(LIST.read_text(encoding="utf-8").splitlines())
    }

    def numbers(text: str) -> list[str]:
        return re.findall(r"\d+(?:\.\d+)?", re.sub(r"(?<=\d)[ ,](?=\d{3}\b)", "", text))

    for identifier, threshold in asked.items():
        assert numbers(RULES[identifier].threshold) == numbers(threshold), identifier
