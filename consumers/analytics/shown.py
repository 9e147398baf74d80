"""The kinds of window, and what is shown of windows that are kept. Pure, and without Faust, for whoever only reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


_SUMMED: Final = ("opened", "done", "failed", "retried", "reclaimed", "redriven", "per_s")


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """A kind of window.

    Attributes:
        kept: Windows that stay after their end, to be shown as a series.
    """

    name: str
    size_s: int
    step_s: int
    kept: int = 0


WINDOWS: Final = (WindowSpec("1m", 60, 60, kept=15), WindowSpec("5m", 300, 60), WindowSpec("15m", 900, 300))
"""One that tumbles and two that hop; sizes and steps are multiples of a pane."""

REACH_MS: Final = 1_000 * max(spec.size_s + spec.kept * spec.step_s for spec in WINDOWS)
"""How far back the oldest window that is kept begins, at most."""


def fullest_s(spec: WindowSpec, now_ms: int) -> float:
    """When the window began, in seconds, that has most of the last `size_s` in it and is not over."""
    step_ms = spec.step_s * 1_000
    return (now_ms // step_ms * step_ms - spec.size_s * 1_000 + step_ms) / 1_000


def fullest_of(windows: list[dict[str, Any]], name: str, now_ms: int) -> dict[str, Any] | None:
    """Of windows as they are shown, the one with most of the last `size_s` in it; None when nothing happened then."""
    spec = next(one for one in WINDOWS if one.name == name)
    begin_ms = int(fullest_s(spec, now_ms) * 1_000)
    return next((one for one in windows if one["from_ms"] == begin_ms), None)


def summed(rows: Iterable[dict[str, Any]], by: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of sums, by some of their names; percentiles do not add up and are left to the rows of all."""
    sums: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in by)
        mine = sums.setdefault(key, {**dict(zip(by, key, strict=True)), **dict.fromkeys(_SUMMED, 0)})
        for name in _SUMMED:
            mine[name] += row[name]
    for row in sums.values():
        ended = row["done"] + row["failed"]
        row["failure_rate"] = round(row["failed"] / ended, 4) if ended else None
    return list(sums.values())
