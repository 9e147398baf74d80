"""Arithmetic that holds in every set of statements, tried on compiled rows."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from schemas.filings import Check, CompiledRow, StatementKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

_ROUNDING: Final = Decimal(2)
"""Rounded parts may miss their rounded sum by this much, in the statement's unit."""

_ROWS: Final = {
    name: re.compile(words)
    for name, words in {
        "assets": r"^total assets$|^summe aktiva$|^bilanzsumme$|^total aktiven$|^total (?:de l )?actif$|^total activo$",
        "liabilities and equity": r"^total (?:liabilities and .*(?:equity|deficit)|equity and liabilities)$"
        r"|^total (?:passiven|passif)$"
        r"|^summe passiva$|^total pasivo y patrimonio",
        "liabilities": r"^total liabilities$",
        "equity": r"^total (?:(?:share|stock)holders )?equity$",
        "revenue": r"^(?:total )?(?:net )?(?:revenues?|sales|turnover)$",
        "cost of sales": r"^(?:total )?costs? of (?:sales|revenues?|goods sold)$",
        "gross profit": r"^gross (?:profit|margin)$",
        "operating cash flow": r"^(?:net )?cash .*\b(?:operating activities|operations)$",
        "investing cash flow": r"^(?:net )?cash .*\binvesting activities$",
        "financing cash flow": r"^(?:net )?cash .*\bfinancing activities$",
        "exchange effect": r"\bexchange\b|\bforeign currency\b.*\bcash\b",
        "change in cash": r"^(?:net )?(?:increase|decrease|change)\b.*\bin cash\b|^(?:net )?increase decrease in cash",
        "opening cash": r"\bcash\b.*\b(?:beginning|start) of\b",
        "closing cash": r"\bcash\b.*\bend of\b",
    }.items()
}


_LAST_OF: Final = frozenset({"operating cash flow", "investing cash flow", "financing cash flow", "closing cash"})
"""Of several such lines the last one is the total, as "net cash from operating activities" after "cash generated"."""


def check(kind: StatementKind, ends: Sequence[date], rows: Sequence[CompiledRow]) -> tuple[Check, ...]:
    """Try the identities of a statement for every period that has all their parts.

    Costs may be printed positive or negative; either sign passes. Differences up to 2 units are rounding.
    """
    found: list[Check] = []
    for column, end in enumerate(ends):
        found += _of_period(kind, end, rows, column)
    return tuple(found)


def _of_period(kind: StatementKind, end: date, rows: Sequence[CompiledRow], column: int) -> list[Check]:
    def value(name: str) -> Decimal | None:
        found = [
            cell.value
            for row in rows
            if (cell := row.cells[column]) is not None
            and row.unit == "amount"
            and _ROWS[name].search(row.key.split(" #")[0])
        ]
        return (found[-1] if name in _LAST_OF else found[0]) if found else None

    if kind == "balance_sheet":
        assets = value("assets")
        both = value("liabilities and equity")
        liabilities, equity = value("liabilities"), value("equity")
        if both is None and liabilities is not None and equity is not None:
            both = abs(liabilities) + equity
        return _checks(("assets = liabilities + equity", end, assets, both))
    if kind == "income_statement":
        revenue, cost, profit = value("revenue"), value("cost of sales"), value("gross profit")
        left = None if revenue is None or cost is None else revenue - abs(cost)
        return _checks(("revenue - cost of sales = gross profit", end, left, profit))
    parts = [value(f"{part} cash flow") for part in ("operating", "investing", "financing")]
    change, opening, closing = value("change in cash"), value("opening cash"), value("closing cash")
    exchange = value("exchange effect") or Decimal(0)
    total = sum((part for part in parts if part is not None), Decimal(0)) if None not in parts else None
    if total is not None and change is not None and abs(total + exchange - change) < abs(total - change):
        total += exchange
    moved = None if opening is None or closing is None else closing - opening
    if moved is not None and change is not None and abs(change + exchange - moved) < abs(change - moved):
        change_to_close: Decimal | None = change + exchange
    else:
        change_to_close = change
    return _checks(
        ("operating + investing + financing = change in cash", end, total, change),
        ("opening cash + change = closing cash", end, change_to_close, moved),
    )


def _checks(*tried: tuple[str, date, Decimal | None, Decimal | None]) -> list[Check]:
    return [
        Check(name=name, period_end=end, left=left, right=right, ok=abs(left - right) <= _ROUNDING)
        for name, end, left, right in tried
        if left is not None and right is not None
    ]
