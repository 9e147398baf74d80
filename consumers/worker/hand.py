"""What a worker has in hand: every entry from its reading to its settlement, the slots it takes, and who waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

from schemas.names import STAGES, StageName
from streams.codec import Delivery
from streams.limits import ConcurrencyLimit
from streams.pauses import Paused
from streams.policy import Routes, StagePolicy


class Stop(Enum):
    """Why a running handler was told to stop."""

    SOFT_LIMIT = "soft_time_limit"
    HARD_LIMIT = "hard_time_limit"
    LOST = "lease_lost"
    CANCELLED = "job_over"
    DRAIN = "drain"
    PERMIT_LOST = "permit_lost"


class HeldPermit(NamedTuple):
    """A permit that an entry holds while its handler runs."""

    key: str
    task: str
    limit: ConcurrencyLimit


@dataclass(slots=True, eq=False)
class InHand:
    """One entry in hand.

    Attributes:
        began_s: When its handler began, seconds on the loop's clock; 0 before.
        beaten_s: When its lease was last renewed.
        notes: Progress and checkpoint for the next heartbeat.
        is_announced: Whether the log was told that it runs: at once, or by the lease keeper when it takes longer.
        cpu_calls: Subprocesses that work for it now; each is told of the soft limit itself.
        permits: Of limits that all workers share.
        permits_kept_s: When they were last taken or renewed.
        waiters: Resolved when the heartbeat that carries the checkpoint is answered.
    """

    entry: Delivery
    policy: StagePolicy
    beaten_s: float
    began_s: float = 0.0
    task: asyncio.Task[None] | None = None
    stop: Stop | None = None
    is_settling: bool = False
    percent: float | None = None
    step: str = ""
    checkpoint: bytes = b""
    is_noted: bool = False
    is_touched: bool = False
    is_announced: bool = False
    cpu_calls: int = 0
    span: Any = None
    permits: list[HeldPermit] = field(default_factory=list)
    permits_kept_s: float = 0.0
    waiters: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def pool(self) -> str:
        """The pool whose slot it takes."""
        return self.entry.name.pool


Bounds = Mapping[tuple[StageName, str], Mapping[str, int]]
"""(stage, pool) -> flow -> entries in hand at most; only places where every flow has such a bound."""


class Issued:
    """Entries that this worker's own moves opened: it need not ask the log whether they were issued.

    Bounded: what is forgotten is asked for.
    """

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._entries: dict[tuple[str, str], tuple[str, int]] = {}

    def add(self, parent: Delivery, entry_ids: bytes) -> None:
        """Remember what closing `parent` opened."""
        if len(self._entries) >= self._most:
            self._entries.clear()
        job, of_parent = parent.job, (parent.tenant, parent.revision)
        for entry_id in entry_ids.decode().split(" "):
            self._entries[job, entry_id] = of_parent

    def take(self, entry: Delivery) -> bool:
        """Whether a first delivery of it is known here; then it gets its tenant and revision."""
        known = self._entries.pop((entry.job, entry.entry_id), None)
        if known is None or entry.delivery != 1:
            return False
        entry.tenant, entry.revision = known
        return True


AHEAD_SHARE: Final = 16
"""One entry for so many that may run waits in hand for its turn; the rest is another worker's. Of few, none waits."""

PROBE_S: Final = 1.0
"""After so long a stage is looked at again whose last entry was of a flow that is at its concurrency here."""

WIDE: Final = 64
"""Entries of other flows in a row after which a stage is read as if nothing in it were bounded."""


@dataclass(slots=True)
class Tight:
    """A (stage, pool) that lately gave more of a flow than may run here.

    Attributes:
        keys: The (stage, flow) that were at their concurrency, and what that is.
        since_s: When it gave too much.
        extra: What may be read of it beyond what those flows may run: it doubles with each entry of another flow.
    """

    keys: dict[tuple[str, str], int]
    since_s: float
    extra: int = 0


class Hand:
    """The entries in hand, by pool and by (stage, flow).

    No more of a stage is read than may run. A stream does not say whose entry is next; one that is read all the same
    while its (stage, flow) is at its concurrency is given back at once, for a worker that has room, and its stage is
    read by small steps from then on. A few of many wait here with their lease kept, so that slots do not stand idle.

    Attributes:
        paused: What operators paused.
        give_back: Releases an entry; None: all of them wait here.
    """

    give_back: Callable[[InHand], None] | None = None

    def __init__(
        self, slots: Mapping[str, int], routes: Routes, clock: Callable[[], float], bounds: Bounds | None = None
    ) -> None:
        self.slots = dict(slots)
        self.paused = Paused()
        self._bounds = bounds or {}
        self._routes = routes
        self._clock = clock
        self._taken = dict.fromkeys(slots, 0)
        self._busy: dict[tuple[str, str], int] = {}
        self._waiting: dict[tuple[str, str], deque[InHand]] = {}
        self._surplus: dict[str, deque[InHand]] = {pool: deque() for pool in slots}
        self._tight: dict[tuple[StageName, str], Tight] = {}
        self._returning: set[InHand] = set()
        self.entries: dict[tuple[str, str], InHand] = {}
        self.issued = Issued()
        self.ready: deque[InHand] = deque()
        self.has_ready = asyncio.Event()
        self.has_room = {pool: asyncio.Event() for pool in slots}
        self.has_opened = {pool: asyncio.Event() for pool in slots}
        self.is_idle = asyncio.Event()
        for room in self.has_room.values():
            room.set()
        self.is_idle.set()

    def free(self) -> dict[str, int]:
        """Free slots by pool."""
        return {pool: slots - self._taken[pool] for pool, slots in self.slots.items()}

    def room(self) -> dict[tuple[StageName, str], int]:
        """Most entries to read of a (stage, pool) now, where that is bounded; 0: its streams are not to be read.

        What one flow of several may still run bounds the others too: the stream does not say whose entry is next.
        """
        found: dict[tuple[StageName, str], int] = {}
        for place, limits in self._bounds.items():
            free = [limit - self._busy.get((place[0], flow), 0) for flow, limit in limits.items()]
            found[place] = min((left for left in free if left > 0), default=0)
        for place, tight in self._tight.items():
            left = tight.extra + min(limit - self._busy.get(key, 0) for key, limit in tight.keys.items())
            if left <= 0 and self._clock() - tight.since_s >= PROBE_S:
                left = 1
            found[place] = max(0, min(left, found.get(place, left)))
        for queue in self._waiting.values():
            for one in list(queue)[:1]:
                found[one.entry.name.stage, one.pool] = 0
        return found

    def places(self) -> dict[tuple[StageName, str], int]:
        """The same, with nothing of what is paused."""
        return {**self.room(), **dict.fromkeys(self.closed(), 0)}

    def closed(self) -> frozenset[tuple[StageName, str]]:
        """(stage, pool) whose streams an operator paused."""
        return frozenset((stage, pool) for stage in STAGES if stage in self.paused.stages for pool in self.slots)

    def take(self, entry: Delivery) -> None:
        """Take an entry that was just read; it becomes ready, or waits for its (stage, flow)."""
        place = (entry.stream, entry.entry_id)
        if place in self.entries:
            return
        stage, flow = entry.name.stage, entry.flow
        policy = self._routes.policy(flow, stage)
        one = InHand(entry, policy, self._clock())
        self.entries[place] = one
        self.is_idle.clear()
        self._taken[one.pool] += 1
        if self._taken[one.pool] >= self.slots[one.pool]:
            self.has_room[one.pool].clear()
        if self._taken[one.pool] > self.slots[one.pool]:
            # One read covers several streams and may bring an entry of each: what exceeds the slots waits, or goes.
            if not self._returns(one, self.slots[one.pool], len(self._surplus[one.pool])):
                self._surplus[one.pool].append(one)
        else:
            self._admit(one)

    def _admit(self, one: InHand) -> None:
        limit = one.policy.concurrency
        if limit is not None:
            key = (one.entry.name.stage, one.entry.flow)
            if self._busy.get(key, 0) >= limit:
                if self._returns(one, limit, len(self._waiting.get(key, ()))):
                    tight = self._tight.setdefault((one.entry.name.stage, one.pool), Tight({}, 0.0))
                    tight.keys[key], tight.since_s, tight.extra = limit, self._clock(), 0
                else:
                    self._waiting.setdefault(key, deque()).append(one)
                return
            self._busy[key] = self._busy.get(key, 0) + 1
        if self._tight:
            self._widen(one)
        self.ready.append(one)
        self.has_ready.set()

    def _returns(self, one: InHand, may_run: int, ahead: int) -> bool:
        """Give an entry back that would wait behind `ahead` others, unless that is few for what may run."""
        if self.give_back is None or ahead < may_run // AHEAD_SHARE:
            return False
        self._returning.add(one)
        self.give_back(one)
        return True

    def _widen(self, one: InHand) -> None:
        """A stage that is read by small steps gave an entry that may run."""
        place = (one.entry.name.stage, one.pool)
        tight = self._tight.get(place)
        if tight is None or (place[0], one.entry.flow) in tight.keys:
            return
        tight.extra = 2 * tight.extra + 1
        if tight.extra >= WIDE:
            del self._tight[place]

    def settled(self, one: InHand) -> None:
        """An entry left the hand: its slot is free, and who waited for its (stage, flow) is ready."""
        if self.entries.pop((one.entry.stream, one.entry.entry_id), None) is None:
            return
        self._taken[one.pool] -= 1
        surplus = self._surplus[one.pool]
        if one in self._returning:
            self._returning.discard(one)
        elif one in surplus:
            surplus.remove(one)
        else:
            if one.policy.concurrency is not None:
                self._pass_on((one.entry.name.stage, one.entry.flow), one)
                self.has_opened[one.pool].set()
            if surplus:
                self._admit(surplus.popleft())
        if self._taken[one.pool] < self.slots[one.pool]:
            self.has_room[one.pool].set()
        if not self.entries:
            self.is_idle.set()

    def _pass_on(self, key: tuple[str, str], one: InHand) -> None:
        queue = self._waiting.get(key)
        if queue is not None and one in queue:
            queue.remove(one)
        elif queue:
            waited = queue.popleft()
            self.issued.take(waited.entry)  # its job may have ended while it waited: the log is asked
            self.ready.append(waited)
            self.has_ready.set()
        else:
            self._busy[key] -= 1
        if queue is not None and not queue:
            del self._waiting[key]
