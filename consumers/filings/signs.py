"""From printed signs to the published convention, statement by statement.

One report prints costs in parentheses, another plain; what tells is the arithmetic of the statement itself, then how
most of its cost lines are printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.filings.sums import values_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from consumers.filings.concepts import Concept
    from schemas.filings import Row, StatementKind


def standard_signs(kind: StatementKind, rows: Sequence[Row], concepts: Mapping[str, Concept]) -> list[Literal[1, -1]]:
    """What to multiply each row's printed values by."""
    at = {concept: row for row in rows for concept in row.concepts}
    flipped = _costs_are_negative(at, rows, concepts) if kind == "income_statement" else False
    liabilities_negative = kind == "balance_sheet" and _is_negative(
        at.get("total_liabilities") or at.get("total_current_liabilities") or at.get("accounts_payable")
        or at.get("trade_and_other_payables")
    )  # fmt: skip
    signs: list[Literal[1, -1]] = []
    for row in rows:
        concept = concepts.get(row.concepts[0]) if row.concepts else None
        negative = False
        if concept is None:
            pass
        elif row.matched_by == "tag":
            negative = _tagged_the_other_way(row)
        elif concept.id == "income_tax":
            negative = _tax_is_negative(at, flipped=flipped)
        elif concept.sign == "expense":
            negative = (flipped and kind == "income_statement") or _is_negative(row)
        elif concept.sign == "outflow":
            negative = _is_negative(row)
        elif concept.place.endswith("liabilities"):
            negative = liabilities_negative and _is_negative(row)
        signs.append(-1 if negative else 1)
    return signs


def _tagged_the_other_way(row: Row) -> bool:
    """Whether the tags have the other sign than the print; changes of balances keep the print's."""
    if row.concepts[0].startswith("change_in_"):
        return False
    told = [c.value * c.tag_value for c in row.cells if c is not None and c.tag_value and c.value]
    return bool(told) and sum(product < 0 for product in told) > len(told) / 2


def _first(row: Row) -> object:
    return next((v for v in values_of(row) if v), None)


def _is_negative(row: Row | None) -> bool:
    told = [v for v in values_of(row) if v] if row is not None else []
    return bool(told) and sum(v < 0 for v in told) > len(told) / 2


def _costs_are_negative(at: Mapping[str, Row], rows: Sequence[Row], concepts: Mapping[str, Concept]) -> bool:
    cost = at.get("cost_of_revenue")
    if cost is not None and _first(cost):
        return _is_negative(cost)
    told = [
        _is_negative(row)
        for row in rows
        if row.concepts
        and row.concepts[0] != "income_tax"
        and concepts[row.concepts[0]].sign == "expense"
        and _first(row)
    ]
    return bool(told) and sum(told) > len(told) / 2


def _tax_is_negative(at: Mapping[str, Row], *, flipped: bool) -> bool:
    """Whether a tax charge is printed as a negative: before tax plus the line, or less it, is what remains."""
    before, tax = at.get("pretax_income"), at["income_tax"]
    after = at.get("net_income_continuing") or at.get("net_income") or at.get("net_income_parent")
    if before is None or after is None:
        return flipped
    added = deducted = 0
    for b, t, a in zip(values_of(before), values_of(tax), values_of(after), strict=True):
        if b is None or not t or a is None:
            continue
        added += abs(b + t - a) < abs(b - t - a)
        deducted += abs(b - t - a) < abs(b + t - a)
    return added > deducted if added != deducted else flipped
