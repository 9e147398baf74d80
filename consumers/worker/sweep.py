"""Loops beside the stages: reclaiming what dead workers held, and promoting what is due."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from mode import Service

from consumers.worker.hand import Hand
from consumers.worker.signals import Signals
from streams.codec import Delivery
from streams.connect import NOT_NOW
from streams.keys import Keys
from streams.reclaimer import Reclaimer
from streams.timers import PAGE, Timers

logger = logging.getLogger(__name__)

SWEEPS_PER_LEASE: Final = 3
GIVEN_BACK_EVERY_S: Final = 0.3
TIMERS_EVERY_S: Final = 0.1


def sweep_interval_s(lease_ms: int) -> float:
    """Seconds between two sweeps: a live holder renews in every one of them."""
    return lease_ms / 1_000 / SWEEPS_PER_LEASE


class ReclaimLoop(Service):
    """Takes what was given back within a fraction of a second, and what is idle beyond its lease in two sweeps."""

    def __init__(self, reclaimer: Reclaimer, hand: Hand, signals: Signals, *, lease_ms: int) -> None:
        self._reclaimer = reclaimer
        self._hand = hand
        self._signals = signals
        self._interval_s = sweep_interval_s(lease_ms)
        self.claimed = 0
        self._is_taking = True
        self._at_rest = asyncio.Lock()
        super().__init__()

    @Service.task
    async def _sweep(self) -> None:
        clock = asyncio.get_running_loop().time
        swept_s = 0.0
        while not self.should_stop:
            async with self._at_rest:
                if not self._is_taking:
                    return
                try:
                    hand = self._hand
                    self._take(await self._reclaimer.given_back(hand.free(), hand.entries, hand.places()))
                    if clock() - swept_s >= self._interval_s:
                        swept_s = clock()
                        entries = await self._reclaimer.sweep(hand.free(), clock, hand.entries, hand.places())
                        self._take(entries)
                        self._signals.send("reclaimer.swept", len(entries))
                except NOT_NOW as error:
                    logger.warning("the log is away or full, nothing is reclaimed: %s", error)
            await self.sleep(min(GIVEN_BACK_EVERY_S, self._interval_s / 2))

    async def stop_taking(self) -> None:
        """Take nothing more, what this worker gives back least of all; returns when a sweep under way has ended."""
        self._is_taking = False
        async with self._at_rest:
            return

    def _take(self, entries: list[Delivery]) -> None:
        self.claimed += len(entries)
        for entry in entries:
            self._hand.take(entry)


class TimerLoop(Service):
    """Promotes what is due in every partition."""

    def __init__(self, timers: Timers, keys: Keys, signals: Signals) -> None:
        self._timers = timers
        self._keys = keys
        self._signals = signals
        super().__init__()

    @Service.task
    async def _promote(self) -> None:
        while not self.should_stop:
            busy = False
            try:
                for keys in self._keys.all_partitions:
                    promoted = await self._timers.promote_due(keys)
                    busy = busy or promoted == PAGE
                    if promoted:
                        self._signals.send("timers.promoted", promoted)
            except NOT_NOW as error:  # what is due is new to its stream: it waits for memory too
                logger.warning("the log is away or full, nothing is promoted: %s", error)
                await self.sleep(TIMERS_EVERY_S * 5)
            if not busy:
                await self.sleep(TIMERS_EVERY_S)
