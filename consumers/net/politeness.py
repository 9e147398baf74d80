"""How fast one process asks one host: a delay between requests and a bound on those under way.

Limits over all workers are the log's; this one keeps a single worker polite whatever they are.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

_SWEEP_AT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PolitenessPolicy:
    """How to treat a host that says nothing else.

    Attributes:
        delay_s: Between the starts of two requests to one host.
        max_delay_s: Longest delay that a site's Crawl-delay may ask for; more would hold a worker for hours.
        max_concurrent: Requests under way at one host.
    """

    delay_s: float = 0.5
    max_delay_s: float = 30.0
    max_concurrent: int = 2


def next_slot(now: float, free_at: float, delay_s: float) -> tuple[float, float]:
    """When a request may start, and when the one after it may.

    Args:
        now: The clock.
        free_at: Second value of the last call for the host; anything not after `now` for the first.
        delay_s: Between this start and the next, >= 0.
    """
    start = max(now, free_at)
    return start, start + delay_s


@dataclass(slots=True)
class _Host:
    permits: asyncio.Semaphore
    free_at: float = field(default=float("-inf"))
    users: int = 0


class Politeness:
    """Slots for requests, host by host, in the order in which they were asked for.

    Args:
        policy: Delays and bounds.
        clock: Seconds that only ever grow.
        sleep: Waits that many seconds of `clock`.
    """

    def __init__(
        self,
        policy: PolitenessPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.policy = policy or PolitenessPolicy()
        self._clock = clock
        self._sleep = sleep
        self._hosts: dict[str, _Host] = {}
        self._sweep_at = _SWEEP_AT

    @contextlib.asynccontextmanager
    async def slot(self, host: str, delay_s: float | None = None) -> AsyncIterator[None]:
        """Hold a slot for one request; waits until the host may be asked.

        A request cancelled while it waits has spent its slot: the host is left in peace for longer, never shorter.

        Args:
            host: ``host[:port]``, as `consumers.net.urls.host_of` gives it.
            delay_s: The site's Crawl-delay, when it has one; raises the policy's delay, never lowers it.
        """
        delay_s = min(max(delay_s or 0.0, self.policy.delay_s), max(self.policy.max_delay_s, self.policy.delay_s))
        self._forget_idle()
        state = self._hosts.setdefault(host, _Host(asyncio.Semaphore(self.policy.max_concurrent)))
        state.users += 1
        try:
            async with state.permits:
                now = self._clock()
                start, state.free_at = next_slot(now, state.free_at, delay_s)
                if start > now:
                    await self._sleep(start - now)
                yield
        finally:
            state.users -= 1

    def _forget_idle(self) -> None:
        """Drop hosts that nobody waits for and whose delay is over, once there are many."""
        if len(self._hosts) < self._sweep_at:
            return
        now = self._clock()
        self._hosts = {host: state for host, state in self._hosts.items() if state.users or state.free_at > now}
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._hosts))
