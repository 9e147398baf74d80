"""Keeping leases: renew what is in hand from the moment it was read, and stop handlers that must stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from mode import Service

from consumers.worker.hand import Hand, InHand, Stop
from consumers.worker.settle import Committer
from consumers.worker.signals import Signals
from streams.codec import Delivery
from streams.connect import AWAY
from streams.moves import Beat, Moves
from streams.scripts import Code

logger = logging.getLogger(__name__)

BEATS_PER_LEASE: Final = 4
TICK_S: Final = 0.25
BATCH: Final = 64


class LeaseKeeper(Service):
    """One task of its own renews every lease, so that a busy worker does not delay its renewals."""

    def __init__(
        self,
        moves: Moves,
        hand: Hand,
        committer: Committer,
        signals: Signals,
        *,
        lease_ms: int,
        on_time_limit: Callable[[Delivery, str], Awaitable[None]],
        on_hard_limit: Callable[[InHand], None],
        announce: Callable[[list[InHand]], Awaitable[None]],
        keep_permits: Callable[[float], None],
    ) -> None:
        self._moves = moves
        self._hand = hand
        self._committer = committer
        self._signals = signals
        self._interval_s = lease_ms / 1_000 / BEATS_PER_LEASE
        self._on_time_limit = on_time_limit
        self._on_hard_limit = on_hard_limit
        self._announce = announce
        self._keep_permits = keep_permits
        self._nudge = asyncio.Event()
        self._failing: dict[InHand, asyncio.Task[None]] = {}
        super().__init__()

    def nudge(self) -> None:
        """Something is noted that should not wait for the next tick."""
        self._nudge.set()

    @Service.task
    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        while not self.should_stop:
            try:
                await asyncio.wait_for(self._nudge.wait(), min(TICK_S, self._interval_s / 2))
                self._nudge.clear()
                await asyncio.sleep(0.02)  # let a burst of notes become one beat
            except TimeoutError:
                pass
            now_s = clock()
            self._enforce_limits(now_s)
            self._keep_permits(now_s)
            due = [one for one in self._hand.entries.values() if self._is_due(one, now_s)]
            for start in range(0, len(due), BATCH):
                await self._beat(due[start : start + BATCH], clock)
            await self._announce_late(now_s)

    async def on_stop(self) -> None:
        """Let the loop see that it may end."""
        self._nudge.set()
        for failing in list(self._failing.values()):
            failing.cancel()

    def _is_due(self, one: InHand, now_s: float) -> bool:
        if one.entry.is_adoptable:
            return False
        return one.is_noted or now_s - one.beaten_s >= self._interval_s

    async def _announce_late(self, now_s: float) -> None:
        late = [
            one for one in self._hand.entries.values()
            if one.began_s and not one.is_announced and not one.is_settling and now_s - one.began_s >= TICK_S / 2
        ]  # fmt: skip
        try:
            for start in range(0, len(late), BATCH):
                await self._announce(late[start : start + BATCH])
        except AWAY as error:
            logger.warning("the log is away, %d running entries are not announced: %s", len(late), error)

    async def _beat(self, batch: list[InHand], clock: Callable[[], float]) -> None:
        groups: dict[Any, list[InHand]] = {}
        for one in batch:
            groups.setdefault(one.entry.keys, []).append(one)
        for keys, rows in groups.items():
            beats = [Beat(one.entry, one.percent, one.step, one.checkpoint) for one in rows]
            for one in rows:
                one.is_noted, one.step, one.percent, one.checkpoint = False, "", None, b""
            sent_s = clock()
            try:
                codes = await self._moves.heartbeat(keys, beats)
            except AWAY as error:
                logger.warning("the log is away, %d leases are not renewed: %s", len(rows), error)
                for one, beat in zip(rows, beats, strict=True):
                    one.is_noted = one.is_noted or bool(beat.checkpoint)
                    one.checkpoint = one.checkpoint or beat.checkpoint
                return
            for one, beat, code in zip(rows, beats, codes, strict=True):
                one.beaten_s = sent_s
                self._answered(one, beat, Code(code))

    def _answered(self, one: InHand, beat: Beat, code: Code) -> None:
        if beat.checkpoint or code < 0:
            for waiter in one.waiters:
                if not waiter.done():
                    waiter.set_result(None)
            one.waiters.clear()
        if code == Code.OK:
            self._signals.send("lease.renewed", one.entry)
        elif code == Code.DROPPED:
            self._tell(one, Stop.CANCELLED)
        elif code == Code.KILL:
            self._tell(one, Stop.CANCELLED)
            if one.began_s and not one.is_settling:
                self._on_hard_limit(one)
        elif code == Code.CLOSED:
            self._over_limit(one)
        elif not one.is_settling:
            logger.warning("lease of %s/%s is lost: %s", one.entry.job, one.entry.task, code.name.lower())
            self._signals.send("lease.lost", one.entry)
            self._tell(one, Stop.LOST)

    def _over_limit(self, one: InHand) -> None:
        """Fail its job, then stop it: the other way round its end could close the job as done."""
        if one in self._failing:
            return

        async def fail() -> None:
            await self._on_time_limit(one.entry, "time_limit")
            self._tell(one, Stop.CANCELLED)

        self._failing[one] = asyncio.create_task(fail())
        self._failing[one].add_done_callback(lambda _: self._failing.pop(one))

    def _enforce_limits(self, now_s: float) -> None:
        for one in list(self._hand.entries.values()):
            if one.began_s == 0 or one.is_settling:
                continue
            ran_s = now_s - one.began_s
            if ran_s > one.policy.timeout_s:
                self._kill(one)
            elif ran_s > one.policy.soft_timeout_s and one.stop is None:
                if one.cpu_calls:  # it is told where it works, may clean up there and return something
                    one.stop = Stop.SOFT_LIMIT
                else:
                    self._tell(one, Stop.SOFT_LIMIT)

    def give_up(self, one: InHand) -> None:
        """Stop a handler whose permit ran out; its entry is given back."""
        self._tell(one, Stop.PERMIT_LOST)

    def _tell(self, one: InHand, stop: Stop) -> None:
        """Cancel the handler; it may clean up until its hard limit."""
        if one.is_settling or one.stop is stop:
            return
        one.stop = stop
        if one.task is not None:
            one.task.cancel(stop.value)
        elif stop is Stop.LOST:
            self._hand.settled(one)

    def _kill(self, one: InHand) -> None:
        """The handler did not stop at its soft limit: settle without it. What it still does has no effect."""
        if one.stop is not Stop.LOST:
            one.stop = Stop.HARD_LIMIT
        if one.task is not None:
            one.task.cancel(Stop.HARD_LIMIT.value)
        self._on_hard_limit(one)
