"""How far each value can be trusted, from how it was read and from the arithmetic it takes part in.

A tagged value that the page prints is nearly certain, a text layer is good, a character reader's word is as good as it
says itself. A sum or an identity that holds raises all that take part in it; one that fails lowers them and is
written on them and on the statement. Nothing is left out for being doubtful.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from consumers.filings.checks import ROUNDING, check, concept_values, identities
from consumers.filings.sums import find_sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.filings import Cell, Row, Statement

TAGGED: Final = 0.98
PRINTED: Final = 0.92
PROVEN: Final = 0.99
PROVEN_BY_OCR: Final = 0.95
REFUTED: Final = 0.5
UNSURE: Final = 0.6

_Places = dict[tuple[int, int], str]


@dataclass(frozen=True, slots=True)
class _Evidence:
    proven: frozenset[tuple[int, int]]
    refuted: _Places


def assess(statement: Statement, sure: Sequence[Sequence[float | None]] | None = None) -> Statement:
    """Give the cells of a statement with concepts their confidence, and the statement its checks.

    Args:
        sure: How sure the reader of characters was of each cell, 0..1, by row and column; None for a text layer.
    """
    evidence = _evidence(statement)
    rows = tuple(
        row.model_copy(
            update={"cells": tuple(_assessed(cell, r, c, evidence, sure) for c, cell in enumerate(row.cells))}
        )
        for r, row in enumerate(statement.rows)
    )
    told = [cell.confidence for row in rows for cell in row.cells if cell is not None and cell.confidence is not None]
    checks = check(statement.kind, [period.end for period in statement.periods], statement.rows)
    failed = [f"{c.name} fails for {c.period_end}: {c.left:,} against {c.right:,}" for c in checks if not c.ok]
    return statement.model_copy(
        update={
            "rows": rows,
            "checks": checks,
            "flags": (*statement.flags, *failed),
            "confidence": round(sum(told) / len(told), 3) if told else None,
        }
    )


def _assessed(
    cell: Cell | None, row: int, column: int, evidence: _Evidence, sure: Sequence[Sequence[float | None]] | None
) -> Cell | None:
    if cell is None:
        return None
    read = sure[row][column] if sure is not None else None
    base = read if read is not None else TAGGED if cell.tag is not None else PRINTED
    place = (row, column)
    flags = cell.flags
    if place in evidence.refuted:
        base = min(base, REFUTED)
        flags = (*flags, evidence.refuted[place])
    elif place in evidence.proven:
        base = max(base, PROVEN if read is None else PROVEN_BY_OCR)
    elif read is not None and read < UNSURE:
        flags = (*flags, f"the reader of characters is only {read:.0%} sure of it")
    if cell.flags:
        base = min(base, REFUTED)
    return cell.model_copy(update={"confidence": round(base, 2), "flags": flags})


def _evidence(statement: Statement) -> _Evidence:
    rows = statement.rows
    proven: set[tuple[int, int]] = set()
    for each in find_sums(rows, may_deduct=statement.kind == "income_statement"):
        for row in (each.total, *each.parts):
            proven |= {(row, column) for column, cell in enumerate(rows[each.total].cells) if cell is not None}
    refuted: _Places = {}
    where = _rows_of(rows)
    for column, period in enumerate(statement.periods):
        for name, left, right, parts in identities(statement.kind, concept_values(rows, column)):
            places = {(where[part], column) for part in parts}
            if abs(left - right) <= ROUNDING:
                proven |= places
            else:
                refuted |= dict.fromkeys(places, f"{name} fails for {period.end}")
    return _Evidence(frozenset(proven), {place: why for place, why in refuted.items() if place not in proven})


def _rows_of(rows: Sequence[Row]) -> dict[str, int]:
    found: dict[str, int] = {}
    for index, row in enumerate(rows):
        for concept in row.concepts:
            found.setdefault(concept, index)
    return found
