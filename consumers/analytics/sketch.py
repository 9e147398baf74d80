"""A sketch of durations that merges: quantiles within 1 % of the true value, in a few hundred numbers.

Source: Masson, Rim, Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees",
PVLDB 12 (2019), section 2: a value x counts in the bucket ceil(log(x) / log(gamma)), gamma = (1 + a) / (1 - a), and the
bucket's estimate 2 gamma^i / (gamma + 1) is within a of all that it holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, log
from typing import Final

ACCURACY: Final = 0.01
_GAMMA: Final = (1 + ACCURACY) / (1 - ACCURACY)
_PER_LOG: Final = 1 / log(_GAMMA)


@dataclass(slots=True)
class Sketch:
    """Counts of milliseconds by bucket.

    Attributes:
        zeros: Values below 1 ms.
        buckets: Bucket number -> values in it; at most about 1,250 for anything between 1 ms and 25 days.
        most: The largest value.
    """

    zeros: int = 0
    buckets: dict[int, int] = field(default_factory=dict)
    most: int = 0

    def add(self, value_ms: int) -> None:
        """Count a value; what is below 1 ms, a clock that ran behind included, counts as 0."""
        if value_ms < 1:
            self.zeros += 1
            return
        bucket = ceil(log(value_ms) * _PER_LOG)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.most = max(self.most, value_ms)

    def merge(self, other: Sketch) -> None:
        """Count all that another has counted."""
        self.zeros += other.zeros
        self.most = max(self.most, other.most)
        mine = self.buckets
        for bucket, count in other.buckets.items():
            mine[bucket] = mine.get(bucket, 0) + count

    @property
    def count(self) -> int:
        """How many values."""
        return self.zeros + sum(self.buckets.values())

    def quantiles(self, *wanted: float) -> list[float | None]:
        """Values in milliseconds, None for all when nothing was counted.

        Args:
            wanted: In [0, 1], rising.
        """
        count = self.count
        if not count:
            return [None] * len(wanted)
        found: list[float | None] = []
        ordered = iter(sorted(self.buckets.items()))
        seen, value = self.zeros, 0.0
        for quantile in wanted:
            rank = quantile * (count - 1)
            while seen <= rank:
                bucket, more = next(ordered)
                seen += more
                value = min(2 * _GAMMA**bucket / (_GAMMA + 1), self.most)
            found.append(value)
        return found
