"""Pure arithmetic on figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median, quantiles


def cuts(values: Iterable[float]) -> dict[str, float]:
    """p50, p99 and the largest, rounded to hundredths.

    Raises:
        ValueError: There is no value.
    """
    found = sorted(values)
    if not found:
        raise ValueError("there is nothing to take percentiles of")
    if len(found) == 1:
        found *= 2
    hundredths = quantiles(found, n=100, method="inclusive")
    return {"p50": round(hundredths[49], 2), "p99": round(hundredths[98], 2), "max": round(found[-1], 2)}


def middle(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each figure over several runs; whole numbers stay whole."""
    found = {}
    for name, first in runs[0].items():
        value = median(run[name] for run in runs)
        found[name] = round(value) if isinstance(first, int) else round(value, 1)
    return found


def growth(costs: Mapping[int, float]) -> float:
    """The cost at the largest size over that at the smallest.

    Raises:
        ValueError: There are no costs.
    """
    if not costs:
        raise ValueError("there are no costs to compare")
    return round(costs[max(costs)] / costs[min(costs)], 3)


def flatness(resident_mb: Mapping[int, float], settled: int) -> float | None:
    """How far memory was from its size after the first `settled`, at most, as a share of that; None if it is not known.

    Args:
        resident_mb: Settlements so far -> MB.
    """
    after = {at: size for at, size in resident_mb.items() if at >= settled}
    if len(after) < 2:  # noqa: PLR2004 - one to compare with another
        return None
    base = after[min(after)]
    return round(max(abs(size - base) for size in after.values()) / base, 4)
