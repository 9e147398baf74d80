"""How fast a replay goes: so much a second, without making up for what it could not do. Pure."""

from __future__ import annotations

from dataclasses import dataclass

SLACK_S = 0.25
"""What a replay that fell behind may make up for at once."""


@dataclass(slots=True)
class Pace:
    """Say `spend` before each step; it answers how long to wait first.

    Attributes:
        per_s: What may be spent a second.
    """

    per_s: float
    free_at_s: float = 0.0

    def spend(self, amount: float, now_s: float) -> float:
        """Seconds to wait before this much is spent."""
        self.free_at_s = max(self.free_at_s, now_s - SLACK_S)
        wait_s = max(0.0, self.free_at_s - now_s)
        self.free_at_s += amount / self.per_s
        return wait_s
