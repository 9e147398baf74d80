"""The standardised view: compiled lines under standard concepts, with the sign of the published convention. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from schemas.filings_result import CompiledCell, CompiledRow, CompiledStatement


@dataclass(frozen=True, slots=True)
class StandardRow:
    """A standard line.

    Attributes:
        concept: Its id; None for a line that matches none and stays as it is reported.
        cells: Under the statement's `period_ends`; values have the convention's sign.
        from_keys: The compiled lines that the cells are from.
    """

    concept: str | None
    label: str
    cells: tuple[CompiledCell | None, ...]
    from_keys: tuple[str, ...]


def signed(cell: CompiledCell, row: CompiledRow) -> Decimal:
    """A cell's value with the sign of the convention; zero has none."""
    return cell.value * row.standard_sign + 0


def standardised(statement: CompiledStatement) -> list[StandardRow]:
    """A statement's lines by concept, in printed order; then those that match none.

    Where several lines are of one concept, each period has the value of the closest of them that prints it.
    """
    claims: dict[str, list[tuple[int, CompiledRow]]] = {}
    for row in statement.rows:
        for rank, concept in enumerate(row.concepts):
            claims.setdefault(concept, []).append((rank, row))
    lines = []
    for concept, rows in claims.items():
        ranked = [row for _, row in sorted(rows, key=lambda claim: claim[0])]
        taken: list[CompiledCell | None] = []
        used: dict[str, None] = {}
        for at in range(len(statement.period_ends)):
            printed = [(row, cell) for row in ranked if (cell := row.cells[at]) is not None]
            if not printed:
                taken.append(None)
                continue
            closest, cell = printed[0]
            used[closest.key] = None
            taken.append(cell.model_copy(update={"value": signed(cell, closest)}))
        if used:
            lines.append(StandardRow(concept, ranked[0].label, tuple(taken), tuple(used)))
    rest = [StandardRow(None, row.label, row.cells, (row.key,)) for row in statement.rows if not row.concepts]
    return lines + rest
