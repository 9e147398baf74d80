"""Arithmetic that holds in every set of statements, tried on rows that have standard concepts."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

from schemas.filings import Check, StatementKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

ROUNDING: Final = Decimal(2)
"""Rounded parts may miss their rounded sum by this much, in the statement's unit."""


class Told(Protocol):
    """A cell: what matters is its value."""

    @property
    def value(self) -> Decimal:
        """As printed."""


class Line(Protocol):
    """A row of a statement, as one document prints it or compiled over several."""

    @property
    def concepts(self) -> tuple[str, ...]:
        """The standard concepts it is."""

    @property
    def standard_sign(self) -> int:
        """From the printed sign to the convention's."""

    @property
    def cells(self) -> Sequence[Told | None]:
        """Under the period ends."""


Values = dict[str, Decimal]


def check(kind: StatementKind, ends: Sequence[date], rows: Sequence[Line]) -> tuple[Check, ...]:
    """Try the identities of a statement for every period that has all their parts; up to 2 units are rounding."""
    found: list[Check] = []
    for column, end in enumerate(ends):
        values = concept_values(rows, column)
        for name, left, right, _ in identities(kind, values):
            found.append(Check(name=name, period_end=end, left=left, right=right, ok=abs(left - right) <= ROUNDING))
    return tuple(found)


def concept_values(rows: Sequence[Line], column: int) -> Values:
    """The values of a column by concept, with the sign of the convention."""
    values: Values = {}
    for row in rows:
        cell = row.cells[column]
        if cell is not None:
            for concept in row.concepts:
                values.setdefault(concept, cell.value * row.standard_sign)
    return values


def identities(kind: StatementKind, v: Values) -> Iterator[tuple[str, Decimal, Decimal, tuple[str, ...]]]:
    """The identities that have all their parts: name, both sides, and the concepts that take part."""
    if kind == "balance_sheet":
        yield from _of_balance(v)
    elif kind == "income_statement":
        yield from _of_income(v)
    else:
        yield from _of_cash_flow(v)


def _of_balance(v: Values) -> Iterator[tuple[str, Decimal, Decimal, tuple[str, ...]]]:
    if {"total_assets", "total_liabilities_and_equity"} <= v.keys():
        both = ("total_assets", "total_liabilities_and_equity")
        yield "assets = liabilities + equity", v[both[0]], v[both[1]], both
    if {"total_assets", "total_liabilities", "total_equity"} <= v.keys():
        parts = ("total_assets", "total_liabilities", "total_equity")
        made = v["total_liabilities"] + v["total_equity"]
        between = v.get("redeemable_nci", Decimal(0))
        if abs(made + between - v["total_assets"]) < abs(made - v["total_assets"]):
            made += between
        yield "assets = total liabilities + total equity", v["total_assets"], made, parts
    if {"net_assets", "total_equity"} <= v.keys():
        yield "net assets = equity", v["net_assets"], v["total_equity"], ("net_assets", "total_equity")
    for total in ("assets", "liabilities"):
        whole, current, rest = f"total_{total}", f"total_current_{total}", f"total_non_current_{total}"
        if {whole, current, rest} <= v.keys():
            made = v[current] + v[rest]
            held = v.get(f"{total}_held_for_sale", Decimal(0))
            if abs(made + held - v[whole]) < abs(made - v[whole]):
                made += held
            yield f"{total} = current + non-current", v[whole], made, (whole, current, rest)


def _of_income(v: Values) -> Iterator[tuple[str, Decimal, Decimal, tuple[str, ...]]]:
    if {"revenue", "cost_of_revenue", "gross_profit"} <= v.keys():
        parts = ("revenue", "cost_of_revenue", "gross_profit")
        yield "revenue - cost of sales = gross profit", v["revenue"] - v["cost_of_revenue"], v["gross_profit"], parts
    after = next((n for n in ("net_income_continuing", "net_income", "net_income_parent") if n in v), None)
    if after is not None and {"pretax_income", "income_tax"} <= v.keys():
        parts = ("pretax_income", "income_tax", after)
        made = v["pretax_income"] - v["income_tax"]
        others = (v.get(n, Decimal(0)) for n in ("net_income_discontinued", "equity_method_income", "net_income_nci"))
        for other in others:
            made = min((made, made + other, made - other), key=lambda each: abs(each - v[after]))
        yield "profit before tax - tax = profit", made, v[after], parts
    if {"net_income", "net_income_parent", "net_income_nci"} <= v.keys():
        parts = ("net_income", "net_income_parent", "net_income_nci")
        made = v["net_income_parent"] + v["net_income_nci"]
        apart = v["net_income_parent"] - v["net_income_nci"]
        if abs(apart - v["net_income"]) < abs(made - v["net_income"]):
            made = apart
        yield "profit = parent's + others' share", v["net_income"], made, parts


def _of_cash_flow(v: Values) -> Iterator[tuple[str, Decimal, Decimal, tuple[str, ...]]]:
    flows = ("cfo", "cfi", "cff")
    change = v.get("net_change_in_cash")
    exchange = v.get("fx_effect", Decimal(0))
    if change is not None and set(flows) <= v.keys():
        total = sum((v[name] for name in flows), Decimal(0))
        if abs(total + exchange - change) < abs(total - change):
            total += exchange
        yield "operating + investing + financing = change in cash", total, change, (*flows, "net_change_in_cash")
    if change is not None and {"cash_begin", "cash_end"} <= v.keys():
        moved = v["cash_end"] - v["cash_begin"]
        if abs(change + exchange - moved) < abs(change - moved):
            change += exchange
        parts = ("cash_begin", "net_change_in_cash", "cash_end")
        yield "opening cash + change = closing cash", change, moved, parts
