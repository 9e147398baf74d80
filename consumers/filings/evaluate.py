"""Score the reading of reports against a folder of expected values.

The folder holds `pdf/`, `html/`, and any of `expected.json`, `expected_html.json`, `expected_compiled.json` and
`classification.jsonl`; what is not there is left out of the totals.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from consumers.filings.classify import classify
from consumers.filings.compile import compile_filings
from consumers.filings.match_rows import normalised
from consumers.filings.report import ExtractedReport, read_report
from schemas.filings import Classification, ExtractedDocument, FilingsResult, Statement

if TYPE_CHECKING:
    from pathlib import Path

_MEGABYTE: Final = 1024 * 1024
_Values = tuple[tuple[str, Decimal], ...]


@dataclass(slots=True)
class _Tally:
    right: Counter[str] = field(default_factory=Counter)
    total: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, right: int, total: int) -> None:
        self.right[name] += right
        self.total[name] += total

    def shares(self) -> dict[str, float]:
        return {name: round(self.right[name] / total, 4) for name, total in self.total.items() if total}


def evaluate(folder: Path) -> dict[str, Any]:
    """Read every document of a folder and compare.

    Returns:
        `documents`, one dict each, and `totals` with shares in 0..1: `pages_found`, `cells_exact` (cells of rows whose
        whole tuple of values was read, with sign and period, within the statement), `key_coverage` (key rows read with
        their printed label and values), `units_right` (currency and scale), `html_values_found`, `compiled_right`,
        `restatements_found`, `classification_accuracy`; and `seconds_per_document`, `peak_mb`.
    """
    tally = _Tally()
    documents: list[dict[str, Any]] = []
    extracted: dict[str, ExtractedDocument] = {}
    seconds: list[float] = []
    for expected in _documents(folder / "expected.json"):
        report, spent = _timed(folder / expected["file"])
        seconds.append(spent)
        scored = _score_pdf(expected, report)
        documents.append(
            {"doc": expected["doc"], "seconds": round(spent, 3), **scored.shares(), "problems": _reasons(report)}
        )
        _merge(tally, scored)
        extracted[expected["doc"]] = _document(expected["doc"], folder / expected["file"], report)
    for expected in _documents(folder / "expected_html.json"):
        for name in (expected["file"], expected.get("variant_without_ixbrl")):
            if name:
                report, spent = _timed(folder / name)
                scored = _score_html(expected, report)
                documents.append(
                    {"doc": name, "seconds": round(spent, 3), **scored.shares(), "problems": _reasons(report)}
                )
                _merge(tally, scored)
    if (folder / "expected_compiled.json").exists():
        _merge(tally, _score_compiled(json.loads((folder / "expected_compiled.json").read_text()), extracted))
    if (folder / "classification.jsonl").exists():
        _merge(tally, _score_classes(folder / "classification.jsonl", documents))
    totals: dict[str, float] = tally.shares()
    if seconds:
        totals["seconds_per_document"] = round(sum(seconds) / len(seconds), 3)
    unit = 1 if sys.platform == "darwin" else 1024
    totals["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MEGABYTE, 1)
    return {"documents": documents, "totals": totals}


def _documents(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text())["documents"]) if path.exists() else []


def _timed(path: Path) -> tuple[ExtractedReport, float]:
    data = path.read_bytes()
    began = time.perf_counter()
    return read_report(data), time.perf_counter() - began


def _merge(tally: _Tally, other: _Tally) -> None:
    for name, total in other.total.items():
        tally.add(name, other.right[name], total)


def _reasons(report: ExtractedReport) -> list[str]:
    return [f"{p.statement or 'document'}: {p.reason}" for p in report.problems]


def _rows(statement: Statement) -> list[tuple[str, _Values]]:
    rows = []
    for row in statement.rows:
        pairs = zip(statement.periods, row.cells, strict=True)
        rows.append((row.label, tuple(sorted((p.end.isoformat(), c.value) for p, c in pairs if c is not None))))
    return rows


def _expected_values(values: dict[str, float | None]) -> _Values:
    return tuple(sorted((end, Decimal(str(value))) for end, value in values.items() if value is not None))


def _score_pdf(expected: dict[str, Any], report: ExtractedReport) -> _Tally:
    tally = _Tally()
    by_kind = {statement.kind: statement for statement in report.statements}
    for kind, where in expected["statements"].items():
        statement = by_kind.get(kind)
        pages = set(where["pages"])
        tally.add("pages_found", len(pages & set(statement.pages)) if statement else 0, len(pages))
        same = statement is not None and (statement.currency, statement.unit_multiplier) == (
            expected["currency"],
            expected["unit_multiplier"],
        )
        tally.add("units_right", int(same), 1)
        read = _rows(statement) if statement else []
        free = Counter(values for _, values in read)
        for row in (row for row in expected["rows"] if row["statement"] == kind):
            values = _expected_values(row["values"])
            found = free[values] > 0
            free[values] -= found
            tally.add("cells_exact", len(values) if found else 0, len(values))
        for key in (key for key in expected["key_values"] if key["statement"] == kind):
            values = _expected_values(key["values"])
            label = "" if key["label"].startswith("(unlabelled") else normalised(key["label"])
            covered = any(v == values and (not label or normalised(said).endswith(label)) for said, v in read)
            tally.add("key_coverage", int(covered), 1)
    return tally


def _score_html(expected: dict[str, Any], report: ExtractedReport) -> _Tally:
    """Tagged facts are full amounts with the sign of their concept, so magnitudes are compared."""
    tally = _Tally()
    read: set[tuple[str, Decimal]] = set()
    ends: set[str] = set()
    for statement in report.statements:
        ends |= {period.end.isoformat() for period in statement.periods}
        for row in statement.rows:
            factor = statement.unit_multiplier if row.unit == "amount" else 1
            for period, cell in zip(statement.periods, row.cells, strict=True):
                if cell is not None:
                    read.add((period.end.isoformat(), abs(cell.value * factor)))
    for key in expected["key_values"]:
        for end, value in key["values"].items():
            if end in ends or not ends:
                tally.add("html_values_found", int((end, abs(Decimal(str(value)))) in read), 1)
    return tally


def _document(name: str, path: Path, report: ExtractedReport) -> ExtractedDocument:
    return ExtractedDocument(
        url=name, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), page_count=report.page_count,
        provisional=report.confirmed or Classification(document_type="other", confidence=0),
        confirmed=report.confirmed, company_name=report.company_name, period_end=report.period_end,
        statements=report.statements, problems=report.problems,
    )  # fmt: skip


def _score_compiled(expected: dict[str, Any], extracted: dict[str, ExtractedDocument]) -> _Tally:
    tally = _Tally()
    names = expected["documents_oldest_first"]
    if any(name not in extracted for name in names):
        return tally
    result = compile_filings([extracted[name] for name in names])
    urls = {document.sha256: document.url for document in result.documents}
    compiled = _compiled_cells(result, urls)
    for value in expected["values"]:
        label = normalised(value["history"][-1]["label"])
        wanted = (value["statement"], label, value["period_end"], Decimal(str(value["value"])), value["from_doc"])
        tally.add("compiled_right", int(wanted in compiled), 1)
        if value["restated"]:
            listed = any(
                r.statement == value["statement"]
                and r.period_end.isoformat() == value["period_end"]
                and r.first.value == Decimal(str(value["history"][0]["value"]))
                and r.changes[-1].value == Decimal(str(value["value"]))
                for r in result.restatements
            )
            tally.add("restatements_found", int(listed), 1)
    return tally


def _compiled_cells(result: FilingsResult, urls: dict[str, str]) -> set[tuple[str, str, str, Decimal, str]]:
    cells: set[tuple[str, str, str, Decimal, str]] = set()
    for statement in result.statements:
        for row in statement.rows:
            for end, cell in zip(statement.period_ends, row.cells, strict=True):
                if cell is not None:
                    cells.add((statement.kind, normalised(row.label), end.isoformat(), cell.value, urls[cell.sha256]))
    return cells


def _score_classes(path: Path, documents: list[dict[str, Any]]) -> _Tally:
    tally = _Tally()
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found = classify(
            row["url"] or "", link_text=row["link_text"] or "", filename=row["filename"] or "",
            head=row["first_page_text"] or "", page_count=row["pages"],
        )  # fmt: skip
        tally.add("classification_accuracy", int(found.document_type == row["label"]), 1)
        if found.document_type != row["label"]:
            documents.append(
                {
                    "doc": row["id"],
                    "label": row["label"],
                    "read_as": found.document_type,
                    "reasons": list(found.reasons),
                }
            )
    return tally
