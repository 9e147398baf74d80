"""The reading loop: poll while there are free slots, wait at the doorbell when the lanes are empty."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from mode import Service
from redis.exceptions import ResponseError

from consumers.worker.hand import Hand
from streams.connect import AWAY, NOT_NOW
from streams.reader import Reader

logger = logging.getLogger(__name__)


CLOSED_S: Final = 0.02
"""Between two looks while a stage is at its concurrency: nobody is to wait at the doorbell when a place is free."""


REVIVED: Final = "revived"
"""The message of a cancellation that is no end."""


class ReadLoop(Service):
    """Reads the streams of one pool for a hand, so that a full pool holds up no other; stops first in a drain."""

    def __init__(self, reader: Reader, hand: Hand, pool: str, bell_name: str) -> None:
        self._reader = reader
        self._hand = hand
        self.pool = pool
        self._bell_name = bell_name
        self._at_rest = asyncio.Lock()
        self._reads: asyncio.Task[None] | None = None
        self.is_reading = True
        self.heard_s = asyncio.get_event_loop().time()
        super().__init__()

    @property
    def has_room(self) -> bool:
        """Whether it may read: its pool has a free slot."""
        return self._hand.has_room[self.pool].is_set()

    def revive(self) -> None:
        """Break off a read that does not come back and begin anew; what it brought meanwhile is had by its lease."""
        self.heard_s = asyncio.get_running_loop().time()
        if self._reads is not None:
            self._reads.cancel(REVIVED)

    @Service.task
    async def _read(self) -> None:
        while not self.should_stop and self.is_reading:
            self._reads = asyncio.create_task(self._read_on())
            try:
                await self._reads
            except asyncio.CancelledError as cancelled:
                if REVIVED not in cancelled.args:
                    self._reads.cancel()
                    raise

    async def _read_on(self) -> None:
        hand, reader, pool = self._hand, self._reader, self.pool
        has_room = hand.has_room[pool]
        while not self.should_stop:
            if not reader.is_waiting:
                await has_room.wait()
                self.heard_s = asyncio.get_running_loop().time()
            async with self._at_rest:
                if not self.is_reading:
                    return
                try:
                    hand.has_opened[pool].clear()
                    room = {place: left for place, left in hand.room().items() if place[1] == pool}
                    paused = frozenset(place for place in hand.closed() if place[1] == pool)
                    free = {pool: hand.free()[pool]}
                    entries = await reader.poll(free, paused, room)
                    if not entries and self.is_reading:
                        if all(room.values()):
                            entries = await reader.doorbell(free, paused)
                        else:
                            await self._doze()
                except NOT_NOW as error:
                    logger.warning("the log is away or full, nothing is read: %s", error)
                    self.heard_s = asyncio.get_running_loop().time()
                    await asyncio.sleep(0.2)
                    continue
                self.heard_s = asyncio.get_running_loop().time()
                for entry in entries:
                    hand.take(entry)
            if entries:
                await asyncio.sleep(0)

    async def _doze(self) -> None:
        """Wait until an entry of a bounded stage leaves the hand, or a little while."""
        try:
            await asyncio.wait_for(self._hand.has_opened[self.pool].wait(), CLOSED_S)
        except TimeoutError:
            return

    async def ring(self) -> None:
        """End a wait at the doorbell: what is to be read has changed."""
        await self._reader.hang_up(self._bell_name)

    async def stop_reading(self) -> None:
        """Take nothing more; returns when a read under way has ended and what it brought is in hand.

        A read that is broken off instead may have been answered: its entries would wait for their lease to run out.
        """
        self.is_reading = False
        self._hand.has_room[self.pool].set()
        await self._come_to_rest()
        try:
            for entry in await self._reader.last_rings():
                self._hand.take(entry)
        except AWAY as error:
            logger.debug("nothing more was read: %s", error)

    async def _come_to_rest(self) -> None:
        while self._at_rest.locked():
            try:
                await self._reader.hang_up(self._bell_name)
                async with asyncio.timeout(0.05), self._at_rest:
                    return
            except TimeoutError:  # it was just about to wait
                continue
            except (*AWAY, ResponseError) as error:  # nobody answers it, or it may not be told: it runs out by itself
                logger.debug("the doorbell is not hung up: %s", error)
                async with self._at_rest:
                    return
