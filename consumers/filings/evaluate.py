"""Score the reading of reports against a folder of expected values.

The folder holds `pdf/`, `html/`, and any of `expected.json`, `expected_html.json`, `expected_compiled.json` and
`classification.jsonl`; a figure whose file is not there is left out of the totals. Reports without expected values
are read and timed, not scored.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from consumers.filings.classify import classify
from consumers.filings.compile import compile_filings
from consumers.filings.keys import keys_of
from consumers.filings.report import ExtractedReport, read_report
from consumers.filings.score import Tally, score_compiled, score_html, score_pdf
from schemas.filings import Classification, ExtractedDocument, Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_MEGABYTE: Final = 1024 * 1024
_SUFFIXES: Final = {"pdf": (".pdf",), "html": (".html", ".htm", ".xhtml")}


@dataclass(frozen=True, slots=True)
class _Read:
    """A report as it was read, and what reading it took."""

    file: str
    sha256: str
    report: ExtractedReport
    seconds: float
    cpu_seconds: float


def evaluate(folder: Path, out: Path | None = None, each: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Read every document of a folder and compare.

    Args:
        folder: Where the documents and the expected values are.
        out: Where to write the raw readings, one JSON a document; the folder is made.
        each: Called with the name of each document before it is read.

    Returns:
        `documents`, one dict each with its shares, its class and what was missed, and `totals` with shares in 0..1:
        `pages_found`, `cells_exact`, `key_recall`, `key_precision`, `units_right` (currency and scale),
        `compiled_right`, `restatements_found`, `classification_accuracy`; and `seconds_per_document`,
        `cpu_seconds_per_document`, `peak_mb`.

    Raises:
        FileNotFoundError: The folder is not there.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; name one that holds pdf/, html/ and expected.json")
    totals = Tally()
    documents: list[dict[str, Any]] = []
    by_name: dict[str, ExtractedDocument] = {}
    spent: list[_Read] = []
    pdfs = {doc["file"]: doc for doc in _documents(folder / "expected.json")}
    pages = {
        doc[name]: doc
        for doc in _documents(folder / "expected_html.json")
        for name in ("file", "variant_without_ixbrl")
        if doc.get(name)
    }
    for file in _files(folder):
        if each is not None:
            each(file)
        read = _timed(folder, file)
        spent.append(read)
        scored = Tally()
        if file in pdfs:
            scored = score_pdf(pdfs[file], read.report)
            by_name[pdfs[file]["doc"]] = _document(pdfs[file]["doc"], read)
        elif file in pages:
            scored = score_html(pages[file], read.report)
        totals.merge(scored)
        documents.append(_line(read, scored))
        if out is not None:
            _write(out, file, raw_reading(read.file, read.sha256, read.report))
    _compiled(folder, by_name, totals, documents)
    _classes(folder, out, totals, documents)
    figures: dict[str, float] = totals.shares()
    if spent:
        figures["seconds_per_document"] = round(sum(read.seconds for read in spent) / len(spent), 3)
        figures["cpu_seconds_per_document"] = round(sum(read.cpu_seconds for read in spent) / len(spent), 3)
    unit = 1 if sys.platform == "darwin" else 1024
    figures["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MEGABYTE, 1)
    return {"documents": documents, "totals": figures}


def _documents(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))["documents"]) if path.exists() else []


def _files(folder: Path) -> Iterator[str]:
    for part, suffixes in _SUFFIXES.items():
        for path in sorted((folder / part).glob("*")):
            if path.suffix.lower() in suffixes:
                yield f"{part}/{path.name}"


def _timed(folder: Path, file: str) -> _Read:
    data = (folder / file).read_bytes()
    began, cpu = time.perf_counter(), time.process_time()
    report = read_report(data, url=file)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    return _Read(file, hashlib.sha256(data).hexdigest(), report, seconds, cpu_seconds)


def _line(read: _Read, scored: Tally) -> dict[str, Any]:
    confirmed = read.report.confirmed
    return {
        "doc": read.file.rpartition("/")[2].rpartition(".")[0],
        "file": read.file,
        "class": confirmed.document_type if confirmed else None,
        "pages": read.report.page_count,
        "seconds": round(read.seconds, 3),
        "cpu_seconds": round(read.cpu_seconds, 3),
        **scored.shares(),
        "problems": [f"{p.statement or 'document'}: {p.reason}" for p in read.report.problems],
        "missed": scored.missed,
    }


def _document(name: str, read: _Read) -> ExtractedDocument:
    report = read.report
    return ExtractedDocument(
        url=name, sha256=read.sha256, page_count=report.page_count,
        provisional=report.confirmed or Classification(document_type="other", confidence=0),
        confirmed=report.confirmed, company_name=report.company_name, period_end=report.period_end,
        statements=report.statements, problems=report.problems,
    )  # fmt: skip


def _compiled(
    folder: Path, by_name: Mapping[str, ExtractedDocument], totals: Tally, documents: list[dict[str, Any]]
) -> None:
    path = folder / "expected_compiled.json"
    if not path.exists():
        return
    expected = json.loads(path.read_text(encoding="utf-8"))
    names = expected["documents_oldest_first"]
    if any(name not in by_name for name in names):
        return
    scored = score_compiled(expected, compile_filings([by_name[name] for name in names]))
    totals.merge(scored)
    documents.append({"doc": " + ".join(names), "compiled": True, **scored.shares(), "missed": scored.missed})


def _classes(folder: Path, out: Path | None, totals: Tally, documents: list[dict[str, Any]]) -> None:
    path = folder / "classification.jsonl"
    if not path.exists():
        return
    found: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        row = json.loads(line)
        told = classify(
            row.get("url") or "", link_text=row.get("link_text") or "", filename=row.get("filename") or "",
            head=row.get("first_page_text") or "", page_count=row.get("pages"),
        )  # fmt: skip
        right = told.document_type == row["label"]
        totals.add("classification_accuracy", int(right), 1)
        found.append({"doc": row.get("id"), **told.model_dump(mode="json")})
        if not right:
            documents.append({"doc": row.get("id"), "label": row["label"], **told.model_dump(mode="json")})
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(each, ensure_ascii=False) for each in found)
        (out / "classification.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write(out: Path, file: str, reading: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    name = file.rpartition("/")[2]
    path = out / f"{name.rpartition('.')[0]}.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8"))["file"] != file:
        path = out / f"{name}.json"
    path.write_text(json.dumps(reading, ensure_ascii=False, indent=1), encoding="utf-8")


def raw_reading(file: str, sha256: str, report: ExtractedReport) -> dict[str, Any]:
    """Everything that was read of a document, as plain JSON, so that another scorer can recompute every figure."""
    return {
        "doc": file.rpartition("/")[2].rpartition(".")[0],
        "file": file,
        "sha256": sha256,
        "class": report.confirmed.model_dump(mode="json") if report.confirmed else None,
        "company": report.company_name,
        "period_end": report.period_end.isoformat() if report.period_end else None,
        "page_count": report.page_count,
        "statements": [_raw_statement(statement) for statement in report.statements],
        "keys": _raw_keys(report),
        "problems": [problem.model_dump(mode="json") for problem in report.problems],
    }


def _raw_statement(statement: Statement) -> dict[str, Any]:
    told = statement.model_dump(mode="json", exclude={"rows"})
    rows = []
    for row in statement.rows:
        cells = [
            {
                "period": period.end.isoformat(),
                "months": period.months,
                "label": row.label,
                **cell.model_dump(mode="json"),
            }
            for period, cell in zip(statement.periods, row.cells, strict=True)
            if cell is not None
        ]
        values = {cell["period"]: cell["value"] for cell in cells}
        rows.append({**row.model_dump(mode="json", exclude={"cells"}), "values": values, "cells": cells})
    return {**told, "rows": rows}


def _raw_keys(report: ExtractedReport) -> list[dict[str, Any]]:
    """Key values, a dict a concept and period.

    `value` is as printed in units of `unit_multiplier`; `standard_value` is the full amount in the convention's sign.
    """
    found = []
    for key in keys_of(report.statements, report.facts):
        told = asdict(key)
        found.append(
            {
                "statement": key.statement,
                "key": key.concept,
                "label": key.label,
                "period": key.end.isoformat(),
                "start": key.start.isoformat() if key.start else None,
                "value": float(key.printed),
                "standard_value": float(key.standard * key.unit_multiplier),
                "unit_multiplier": told["unit_multiplier"],
                "page": key.page,
                "confidence": key.confidence,
            }
        )
    return found
