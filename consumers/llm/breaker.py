"""A circuit breaker: after failures in a row nobody asks for a while, then one tries. Pure; the clock is passed in.

Source: Nygard, "Release It!", 2018, the circuit breaker pattern.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FAILURES: Final = 5
"""Failures in a row that open it."""

OPEN_S: Final = 30.0
"""Seconds for which nobody asks; doubled each time the trial fails, up to `LONGEST_S`."""

LONGEST_S: Final = 600.0


@dataclass(slots=True)
class Breaker:
    """State of one endpoint.

    Attributes:
        failures: In a row.
        open_until_s: On the caller's clock; 0 while closed.
        is_trying: One caller tries while it is half open.
    """

    failures: int = 0
    open_until_s: float = 0.0
    is_trying: bool = False

    def closed_in_s(self, now_s: float) -> float:
        """Seconds until the next call may be made; 0 when it may be made now, and then the caller must report back."""
        if self.failures < FAILURES:
            return 0.0
        if now_s < self.open_until_s:
            return self.open_until_s - now_s
        if self.is_trying:
            return OPEN_S
        self.is_trying = True
        return 0.0

    def succeeded(self) -> None:
        """A call was answered, whatever the answer."""
        self.failures, self.open_until_s, self.is_trying = 0, 0.0, False

    def failed(self, now_s: float) -> None:
        """A call was not answered."""
        self.failures += 1
        self.is_trying = False
        if self.failures >= FAILURES:
            beyond = min(self.failures - FAILURES, 10)
            self.open_until_s = now_s + min(LONGEST_S, OPEN_S * 2**beyond)

    def given_up(self) -> None:
        """A call was cancelled by its caller, which says nothing about the endpoint."""
        self.is_trying = False
