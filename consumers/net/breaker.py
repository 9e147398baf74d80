"""Circuit breakers: after failures in a row nobody asks for a while, then one tries. Pure; the clock is passed in.

Each process has its own. What a shared one would save is five requests to a host that is down, for each worker; what it
would cost is a call to Redis before each fetch, and that one worker's broken network closes a host for all.

Source: Nygard, "Release It!", 2018, the circuit breaker pattern.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
        opened_s: When it opened, on the caller's clock; it may have been tried in vain since.
    """

    failures: int = 0
    open_until_s: float = 0.0
    is_trying: bool = False
    opened_s: float = 0.0

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
        if self.failures == FAILURES:
            self.opened_s = now_s
        if self.failures >= FAILURES:
            beyond = min(self.failures - FAILURES, 10)
            self.open_until_s = now_s + min(LONGEST_S, OPEN_S * 2**beyond)

    def given_up(self) -> None:
        """A call was cancelled by its caller, which says nothing about the endpoint."""
        self.is_trying = False


PATIENCE_S: Final = 900.0
"""A host that has been open for so long is told as a failure, which spends an attempt: so every job ends."""

MOST_HOSTS: Final = 10_000
"""Hosts that are remembered; only those that failed last are."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Why a host is not asked now.

    Attributes:
        wait_s: Until it is tried again.
        is_long: It has been so for longer than `PATIENCE_S`.
    """

    wait_s: float
    is_long: bool


@dataclass(slots=True)
class HostBreakers:
    """A breaker for each host (and port) whose last answer was a failure."""

    _hosts: dict[str, Breaker] = field(default_factory=dict)

    def ask(self, host: str, now_s: float) -> Closed | None:
        """Whether a host may be asked: None, and then the caller must report back; else why not."""
        breaker = self._hosts.get(host)
        wait_s = breaker.closed_in_s(now_s) if breaker is not None else 0.0
        if breaker is None or wait_s == 0:
            return None
        return Closed(wait_s, is_long=now_s - breaker.opened_s > PATIENCE_S)

    def succeeded(self, host: str) -> None:
        """It answered, with anything but an error of its own."""
        self._hosts.pop(host, None)

    def failed(self, host: str, now_s: float) -> None:
        """It could not be reached, was too slow, or failed itself (5xx)."""
        if host not in self._hosts and len(self._hosts) >= MOST_HOSTS:
            del self._hosts[next(iter(self._hosts))]
        self._hosts.setdefault(host, Breaker()).failed(now_s)

    def given_up(self, host: str) -> None:
        """The caller went away, or was refused by ourselves: that says nothing about the host."""
        breaker = self._hosts.get(host)
        if breaker is not None:
            breaker.given_up()

    def open(self) -> list[str]:
        """Hosts that are open or tried, by name."""
        return sorted(host for host, breaker in self._hosts.items() if breaker.failures >= FAILURES)
