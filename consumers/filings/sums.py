"""Which printed lines are the sum of lines above them; what a reader checks first with a pocket calculator."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.filings import Row

_MOST_PARTS: Final = 40
_ROUNDING: Final = Decimal("0.5")
_MOST_ROUNDING: Final = Decimal(3)

Values = tuple[Decimal | None, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """Row `total` is what its `parts` add up to; with `less`, the first part less the others."""

    total: int
    parts: tuple[int, ...]
    less: bool = False


def values_of(row: Row) -> Values:
    """The values of a row under the statement's periods."""
    return tuple(cell.value if cell is not None else None for cell in row.cells)


def last_digit(rows: Sequence[Values]) -> Decimal:
    """The size of the last printed digit of a statement's amounts."""
    exponents = [v.as_tuple().exponent for row in rows for v in row if v is not None and v]
    finest = min((e for e in exponents if isinstance(e, int)), default=0)
    return Decimal(1).scaleb(max(min(finest, 0), -3))


def find_sums(rows: Sequence[Row], *, may_deduct: bool) -> tuple[Sum, ...]:
    """Every line that is the sum of the lines right above it, which were not yet summed up themselves.

    Args:
        rows: The lines of a statement in printed order; lines that do not count money are passed over.
        may_deduct: Costs may be printed without a sign, so that a subtotal is the first line less the others.
    """
    values = [values_of(row) for row in rows]
    step = last_digit([v for row, v in zip(rows, values, strict=True) if row.unit == "amount"])
    open_rows: list[int] = []
    found: list[Sum] = []
    for index, row in enumerate(rows):
        if row.unit != "amount":
            continue
        made = _closing(values, open_rows, index, step, may_deduct=may_deduct)
        if made is not None:
            found.append(made)
            del open_rows[len(open_rows) - len(made.parts) :]
        open_rows.append(index)
    return tuple(found)


def _closing(
    values: Sequence[Values], open_rows: Sequence[int], total: int, step: Decimal, *, may_deduct: bool
) -> Sum | None:
    wanted = values[total]
    if not any(wanted):
        return None
    running = [Decimal(0)] * len(wanted)
    for count, part in enumerate(reversed(open_rows[-_MOST_PARTS:]), start=1):
        before = tuple(running)
        for column, value in enumerate(values[part]):
            running[column] += value or Decimal(0)
        if count < 2:  # noqa: PLR2004 - one line is no sum
            continue
        slack = step * min(_MOST_ROUNDING, _ROUNDING * (count + 1))
        if _agree(running, wanted, slack):
            return Sum(total, tuple(open_rows[len(open_rows) - count :]))
        if may_deduct:
            less = [(value or Decimal(0)) - rest for value, rest in zip(values[part], before, strict=True)]
            if _agree(less, wanted, slack):
                return Sum(total, tuple(open_rows[len(open_rows) - count :]), less=True)
    return None


def _agree(made: Sequence[Decimal], wanted: Values, slack: Decimal) -> bool:
    told = [(a, b) for a, b in zip(made, wanted, strict=True) if b is not None]
    return bool(told) and all(abs(a - b) <= slack for a, b in told)
