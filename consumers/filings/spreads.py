"""Pages that print two tables beside each other: assets left and liabilities right, or two statements on a spread."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from consumers.filings.numbers import read_amount
from consumers.filings.pdf import Line
from consumers.filings.table import PageLines, titled_as
from schemas.filings import STATEMENT_KINDS, StatementKind

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEWEST: Final = 5
_SHARE: Final = 0.4
_SPREAD: Final = 12.0
_GAP: Final = 1.0
_TOP_LINES: Final = 5
_MIDDLE: Final = (0.25, 0.75)


def side_by_side(page: PageLines, kind: StatementKind) -> list[PageLines]:
    """The parts of a page that carry a statement: the page itself, or the halves of one that prints two tables."""
    gutter = _gutter(page.lines)
    if gutter is None:
        return [page]
    left = PageLines(page.page, tuple(_half(page.lines, gutter, left=True)))
    right = PageLines(page.page, tuple(_half(page.lines, gutter, left=False)))
    whose = [_titles(part.lines) for part in (left, right)]
    if kind in whose[1] and kind not in whose[0] and whose[0]:
        return [right]
    if whose[1] and kind not in whose[1]:
        return [left]
    return [left, right]


def _gutter(lines: Sequence[Line]) -> float | None:
    """Where labels begin anew to the right of amounts, on enough lines and at one place."""
    starts: list[float] = []
    with_amounts = 0
    for line in lines:
        amounts = [i for i, word in enumerate(line.words) if read_amount(word.text) is not None]
        with_amounts += bool(amounts)
        if not amounts:
            continue
        for index in range(amounts[0] + 1, len(line.words)):
            word, before = line.words[index], line.words[index - 1]
            clear = word.x0 - before.x1 > _GAP * max(word.height, 1.0)
            if clear and len(word.text) > 1 and word.text[0].isalpha() and read_amount(before.text) is not None:
                starts.append(word.x0)
                break
    if len(starts) < max(_FEWEST, _SHARE * with_amounts):
        return None
    middle = statistics.median(starts)
    near = [start for start in starts if abs(start - middle) <= _SPREAD]
    right = max(line.words[-1].x1 for line in lines)
    left = min(line.words[0].x0 for line in lines)
    inside = left + _MIDDLE[0] * (right - left) < middle < left + _MIDDLE[1] * (right - left)
    return min(near) - 2 if inside and len(near) >= _SHARE * len(starts) else None


def _half(lines: Sequence[Line], gutter: float, *, left: bool) -> list[Line]:
    halves = []
    for line in lines:
        words = tuple(word for word in line.words if ((word.x0 + word.x1) / 2 < gutter) == left)
        if words:
            halves.append(Line(words))
    return halves


def _titles(lines: Sequence[Line]) -> set[StatementKind]:
    return {kind for kind in STATEMENT_KINDS for line in lines[:_TOP_LINES] if titled_as(kind, line.text)}
