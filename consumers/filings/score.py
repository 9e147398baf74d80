"""Comparing readings with expected values; the conventions of the figures are those of `docs/filings.md`.

Rows match on their whole tuple of values, with sign and period, within the statement. Key values match on concept,
period and sign: in PDFs the sign as printed, in tagged filings the sign of the XBRL taxonomy, which is the published
convention of the concepts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from consumers.filings.keys import KeyValue, keys_of
from schemas.filings import Statement
from schemas.filings_result import FilingsResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from consumers.filings.report import ExtractedReport

_Values = tuple[tuple[str, Decimal], ...]


@dataclass(slots=True)
class Tally:
    """Right and total, by the name of a figure; and what was missed, for a person."""

    right: Counter[str] = field(default_factory=Counter)
    total: Counter[str] = field(default_factory=Counter)
    missed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, right: int, total: int) -> None:
        """Count towards a figure."""
        self.right[name] += right
        self.total[name] += total

    def merge(self, other: Tally) -> None:
        """Take in the counts of another."""
        for name, total in other.total.items():
            self.add(name, other.right[name], total)

    def shares(self) -> dict[str, float]:
        """Each figure in 0..1; those with nothing to count are left out."""
        return {name: round(self.right[name] / total, 4) for name, total in self.total.items() if total}


def score_pdf(expected: Mapping[str, Any], report: ExtractedReport) -> Tally:
    """A reading of a PDF against what it prints."""
    tally = Tally()
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
        _score_rows(tally, kind, statement, [row for row in expected["rows"] if row["statement"] == kind])
    _score_keys(tally, expected["key_values"], keys_of(report.statements), printed=True)
    return tally


def score_html(expected: Mapping[str, Any], report: ExtractedReport) -> Tally:
    """A reading of a tagged filing, or of its tables without the tags, against its facts: full amounts, XBRL signs."""
    tally = Tally()
    _score_keys(tally, expected["key_values"], keys_of(report.statements, report.facts), printed=False)
    return tally


def _score_rows(tally: Tally, kind: str, statement: Statement | None, rows: Iterable[Mapping[str, Any]]) -> None:
    free = Counter(_read_values(statement)) if statement else Counter()
    for row in rows:
        values = _expected_values(row["values"])
        found = free[values] > 0
        free[values] -= found
        tally.add("cells_exact", len(values) if found else 0, len(values))
        if not found:
            tally.missed.append({"row": row["label"], "statement": kind, "values": row["values"]})


def _read_values(statement: Statement) -> list[_Values]:
    return [
        tuple(
            sorted(
                (period.end.isoformat(), cell.value)
                for period, cell in zip(statement.periods, row.cells, strict=True)
                if cell is not None
            )
        )
        for row in statement.rows
    ]


def _expected_values(values: Mapping[str, float | None]) -> _Values:
    return tuple(sorted((end, Decimal(str(value))) for end, value in values.items() if value is not None))


def _score_keys(
    tally: Tally, expected: Iterable[Mapping[str, Any]], read: Iterable[KeyValue], *, printed: bool
) -> None:
    """Recall over the expected values, precision over the values read of the same concepts and periods."""
    found: dict[tuple[str, str], dict[str, set[Decimal]]] = {}
    for key in read:
        value = key.printed if printed else key.standard * key.unit_multiplier
        for statement in (key.statement, ""):
            ends = found.setdefault((statement, key.concept), {})
            for period in (key.end.isoformat(), key.duration):
                ends.setdefault(period, set()).add(value)
    for wanted in expected:
        told_ends = found.get((wanted.get("statement", ""), wanted["key"]), {})
        for end, amount in wanted["values"].items():
            if amount is None:
                continue
            told = told_ends.get(end, set())
            right = Decimal(str(amount)) in told
            tally.add("key_recall", int(right), 1)
            tally.add("key_precision", int(right), int(bool(told)))
            if not right:
                tally.missed.append(
                    {"key": wanted["key"], "period": end, "expected": amount, "read": [float(v) for v in sorted(told)]}
                )


def score_compiled(expected: Mapping[str, Any], result: FilingsResult) -> Tally:
    """A company's statements over several filings: the value that holds, and from which filing."""
    tally = Tally()
    urls = {document.sha256: document.url for document in result.documents}
    cells = {
        (statement.kind, concept, end.isoformat()): (cell.value, urls.get(cell.sha256), cell.restated)
        for statement in result.statements
        for row in statement.rows
        for concept in row.concepts
        for end, cell in zip(statement.period_ends, row.cells, strict=True)
        if cell is not None
    }
    false_alarms = 0
    for value in expected["values"]:
        place = (value["statement"], value["key"], value["period_end"])
        told = cells.get(place)
        right = told is not None and told[:2] == (Decimal(str(value["value"])), value["from_doc"])
        tally.add("compiled_right", int(right), 1)
        if not right:
            tally.missed.append({"compiled": value["key"], "period": value["period_end"], "expected": value["value"]})
        if value["restated"]:
            tally.add("restatements_found", int(_is_listed(value, result)), 1)
        else:
            false_alarms += told is not None and told[2]
    if not tally.total["restatements_found"]:
        tally.add("restatements_found", int(not false_alarms), 1)
    return tally


def _is_listed(value: Mapping[str, Any], result: FilingsResult) -> bool:
    return any(
        r.statement == value["statement"]
        and r.period_end.isoformat() == value["period_end"]
        and r.first.value == Decimal(str(value["history"][0]["value"]))
        and r.changes[-1].value == Decimal(str(value["value"]))
        for r in result.restatements
    )
