"""A person's word on compiled cells: applied after every compile, and shown as what it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from consumers.filings.checks import check
from schemas.filings import Frequency, StatementKind
from schemas.filings_result import CompiledCell, CompiledRow, CompiledStatement, Correction, FilingsResult, Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class CellPlace:
    """A cell of a company's compiled statements.

    Attributes:
        row_key: Of the line, as `CompiledRow.key`.
        currency: "" when the documents do not say.
        company: Whose statement, where a site has the reports of several; else "".
    """

    kind: StatementKind
    row_key: str
    period_end: date
    frequency: Frequency = "annual"
    currency: str = ""
    company: str = ""

    def is_in(self, statement: CompiledStatement) -> bool:
        """Whether the cell is of this statement."""
        return (self.kind, self.frequency, self.currency, self.company) == (
            statement.kind, statement.frequency, statement.currency or "", statement.company or "",
        )  # fmt: skip


def cell_at(result: FilingsResult, place: CellPlace) -> tuple[CompiledRow, CompiledCell | None] | None:
    """The line and the cell at a place; None when the result has no such line or period."""
    for statement in result.statements:
        if not place.is_in(statement) or place.period_end not in statement.period_ends:
            continue
        for row in statement.rows:
            if row.key == place.row_key:
                return row, row.cells[statement.period_ends.index(place.period_end)]
    return None


def corrected(result: FilingsResult, corrections: Mapping[CellPlace, Correction]) -> FilingsResult:
    """The result with the corrections in place, and its arithmetic checked again.

    The printed value stays beside the corrected one. When a later filing prints another value than was printed when
    the correction was made, the correction still holds and the line is flagged. One whose line is not there any more
    is named among what is missing: nothing that a person said is dropped in silence.
    """
    if not corrections:
        return result
    statements = tuple(_statement(one, corrections) for one in result.statements)
    lost = [
        Missing(
            what=f"correction of {place.row_key} {place.period_end}",
            reason=f"the {place.kind} has no such line or period any more; withdraw it, or correct the line anew",
        )
        for place in corrections
        if cell_at(result, place) is None
    ]
    return result.model_copy(update={"statements": statements, "missing": (*result.missing, *lost)})


def _statement(statement: CompiledStatement, corrections: Mapping[CellPlace, Correction]) -> CompiledStatement:
    mine = {(at.row_key, at.period_end): one for at, one in corrections.items() if at.is_in(statement)}
    if not mine:
        return statement
    rows = tuple(_row(row, statement.period_ends, mine) for row in statement.rows)
    checks = check(statement.kind, statement.period_ends, rows)
    return statement.model_copy(update={"rows": rows, "checks": checks})


def _row(row: CompiledRow, ends: Iterable[date], mine: Mapping[tuple[str, date], Correction]) -> CompiledRow:
    cells, flags = [], list(row.flags)
    for end, cell in zip(ends, row.cells, strict=True):
        said = mine.get((row.key, end))
        if said is None:
            cells.append(cell)
            continue
        now = cell.value if cell is not None else None
        if now != said.printed:
            flags.append(f"{end} was corrected when {_shown(said.printed)} was printed; now {_shown(now)} is")
        # A cell that nothing prints belongs to the document of its neighbours, as far as there is one.
        beside = cell or next((one for one in row.cells if one is not None), None)
        if beside is None:
            cells.append(cell)
            continue
        update = {"value": said.value, "correction": said.model_copy(update={"printed": now})}
        if cell is None:
            update |= {"box": None, "restated": False}
        cells.append(beside.model_copy(update=update))
    return row.model_copy(update={"cells": tuple(cells), "flags": tuple(dict.fromkeys(flags))})


def _shown(value: object) -> str:
    return "nothing" if value is None else f"{value}"
