"""Policy as data, and the decisions it leads to; pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from schemas.names import StageName
from streams.errors import PermanentError, TransientError

RECYCLE_AFTER: Final = {"browser": 100, "heavy": 50}
"""Tasks after which a CPU subprocess of a pool is replaced; 1,000 elsewhere."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed attempt is tried again.

    Attributes:
        max_attempts: Attempts in all, >= 1.
        base_s: Delay before the second attempt, before jitter.
        cap_s: Longest delay.
        max_crashes: Crashes of a worker under one task after which it counts as poison.
    """

    max_attempts: int = 4
    base_s: float = 1.0
    cap_s: float = 60.0
    max_crashes: int = 3


_LIMIT_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_LIMIT_VALUE: Final = re.compile(r"[^{}\s]{1,100}")

By = Callable[[Any], str | None]
"""Payload -> what is limited each for itself (a host, a site); None: this payload is not limited."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many may begin in a time, over all workers: `count` in `per_s` seconds, evenly spread.

    Attributes:
        name: Of the limit; stages that name the same one share it.
        count: >= 1.
        per_s: Seconds, > 0; 10 a minute is ``RateLimit("mail", 10, 60)``.
        by: One limit for each value; None: one for all.
    """

    name: str
    count: int
    per_s: float
    by: By | None = None

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            ValueError: One is out of bounds.
        """
        _check_limit(self.name, self.count)
        if not 0 < self.per_s < float("inf"):
            raise ValueError(f"limit {self.name}: {self.per_s=} must be above 0")


@dataclass(frozen=True, slots=True)
class AtOnce:
    """How many may run at a time, over all workers.

    Attributes:
        name: Of the limit; stages that name the same one share it.
        count: >= 1.
        by: One limit for each value; None: one for all.
    """

    name: str
    count: int
    by: By | None = None

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            ValueError: One is out of bounds.
        """
        _check_limit(self.name, self.count)


Limit = RateLimit | AtOnce


def _check_limit(name: str, count: int) -> None:
    if _LIMIT_NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} cannot name a limit: a small letter, then up to 63 of a-z, 0-9, '_', '.' and '-'")
    if count < 1:
        raise ValueError(f"limit {name}: {count=} must be at least 1")


def limit_key(limit: Limit, payload: object) -> str | None:
    """Under which key a payload is limited; None when it is not. Values from outside cannot break out of the key."""
    if limit.by is None:
        return limit.name
    value = limit.by(payload)
    if value is None:
        return None
    if _LIMIT_VALUE.fullmatch(value) is None:
        value = hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:32]
    return f"{limit.name}:{value}"


def waiting_for(limit: str) -> str:
    """What a job's record says while a task of it waits for a limit."""
    return f"{WAITING_FOR}{limit}"


WAITING_FOR: Final = "waiting for limit "


@dataclass(frozen=True, slots=True)
class StagePolicy:
    """How one (stage, flow) is run.

    Attributes:
        soft_timeout_s: When the handler is told to stop and may clean up.
        timeout_s: When it is killed; counts as an attempt.
        concurrency: Entries of this (stage, flow) one worker has in hand at most; None: the worker's slots.
        pool: The class of resources it needs.
        window: Entries of one job in this stage's streams at most; the rest is parked.
        memory_mb: Cap of its CPU subprocess.
        retry: When a failed attempt is tried again.
        never_retry: Exceptions that dead-letter at once.
        limits: Taken before the handler runs, shared by all workers; waiting for one spends no attempt.
    """

    soft_timeout_s: float = 300.0
    timeout_s: float = 330.0
    concurrency: int | None = None
    pool: str = "default"
    window: int = 64
    memory_mb: int = 1024
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    never_retry: tuple[type[Exception], ...] = ()
    limits: tuple[Limit, ...] = ()

    @property
    def recycle_after(self) -> int:
        """Tasks after which its CPU subprocess is replaced."""
        return RECYCLE_AFTER.get(self.pool, 1_000)


class Routes(Protocol):
    """What the log must know of flows: where an entry of (stage, flow) goes."""

    def policy(self, flow: str, stage: StageName) -> StagePolicy:
        """The policy of a stage of a flow; the default one for a flow that is not known here."""
        ...


def next_delay_s(attempt: int, policy: RetryPolicy, unit: float) -> float:
    """Full-jitter delay before the next attempt.

    Args:
        attempt: Attempts made so far, >= 1.
        policy: Base and cap.
        unit: Uniform sample in [0, 1), passed in so tests are exact.

    Returns:
        Seconds in [0, policy.cap_s].

    Source: Brooker, "Exponential Backoff And Jitter", 2015.
    """
    # Beyond 2**32 the cap has won in any sensible policy, and the float cannot overflow.
    ceiling = min(policy.cap_s, policy.base_s * 2.0 ** min(attempt - 1, 32))
    return ceiling * unit


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after a delay."""

    delay_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Bury:
    """Move to the dead-letter stream."""

    reason: str


def reason_of(error: BaseException) -> str:
    """The short code of a failure: its own reason, or its class's name."""
    if isinstance(error, TransientError | PermanentError):
        return error.reason
    return type(error).__name__


def on_failure(error: Exception, attempt: int, policy: StagePolicy, unit: float) -> Retry | Bury:
    """What follows a failed attempt.

    Args:
        error: What the handler raised.
        attempt: Attempts made so far, this one included, >= 1.
        policy: The stage's policy.
        unit: Uniform sample in [0, 1) for the jitter.
    """
    reason = reason_of(error)
    if isinstance(error, (PermanentError, *policy.never_retry)) or attempt >= policy.retry.max_attempts:
        return Bury(reason)
    delay_s = next_delay_s(attempt, policy.retry, unit)
    if isinstance(error, TransientError) and error.retry_after_s is not None:
        delay_s = max(delay_s, error.retry_after_s)
    return Retry(delay_s, reason)


def on_crashes(crashes: int, policy: RetryPolicy) -> Bury | None:
    """Whether a task whose worker died this often is poison."""
    return Bury("poison") if crashes >= policy.max_crashes else None


LANE_WEIGHTS: Final[dict[Literal["high", "normal", "low"], int]] = {"high": 12, "normal": 6, "low": 2}


def lane_shares(free: int, turn: int) -> list[tuple[Literal["high", "normal", "low"], int]]:
    """How many entries to ask of each lane, in order, with `free` slots; every lane gets its weight over time.

    Args:
        free: Free slots, >= 1.
        turn: A counter of reads; with few slots the lanes take turns by it.
    """
    total = sum(LANE_WEIGHTS.values())
    if free >= total:
        shares = {lane: max(1, free * weight // total) for lane, weight in LANE_WEIGHTS.items()}
        return list(shares.items())
    slot = turn % total
    for first, weight in LANE_WEIGHTS.items():
        if slot < weight:
            return [(first, free), *((lane, free) for lane in LANE_WEIGHTS if lane != first)]
        slot -= weight
    raise AssertionError
