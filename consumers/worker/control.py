"""What operators want of a running worker: pauses, a drain, work killed at once. Followed by a look at a counter."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from mode import Service
from redis.exceptions import RedisError

from streams.connect import AWAY, NOT_NOW
from streams.drain import order_of
from streams.pauses import Paused, Pauses

if TYPE_CHECKING:
    from consumers.worker.worker import Worker
    from streams.codec import Delivery

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.25
MOST_HELD: Final = 10_000
READ_EVERY_S: Final = 5.0
"""The records themselves are read so often even when the counter says nothing."""


class Control(Service):
    """Follows ``control``, a counter; when it changed, reads the pauses and the drains, and renews every lease at once.

    A renewal is what tells a handler that its job was killed.

    Attributes:
        drain_asked: Set when an operator asked this worker to drain.
        is_replaced: Whether its supervisor is to start another in its place.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._pauses = Pauses(worker.client, worker.keys)
        self._seen: bytes | None = None
        self._held: dict[tuple[str, str], None] = {}
        self.drain_asked = asyncio.Event()
        self.is_replaced = False
        super().__init__()

    @Service.task
    async def _follow(self) -> None:
        worker, clock = self._worker, asyncio.get_running_loop().time
        read_s = clock()
        while not self.should_stop:
            try:
                count = await worker.client.get(worker.keys.control)
                has_changed = count != self._seen
                if has_changed or clock() - read_s >= READ_EVERY_S:
                    await self.read()
                    self._seen, read_s = count, clock()
                if has_changed:
                    worker.keeper.beat_now()
            except NOT_NOW as error:
                logger.debug("the log is away or full, pauses stay as they are: %s", error)
            await self.sleep(LOOK_EVERY_S)

    async def read(self) -> None:
        """Read the records, and act on what changed."""
        worker = self._worker
        paused = Paused.of(await self._pauses.list())
        if paused != worker.hand.paused:
            has_ended = worker.hand.paused.by_scope.keys() - paused.by_scope.keys()
            has_stages_changed = paused.stages != worker.hand.paused.stages
            logger.info("paused now: %s", ", ".join(paused.by_scope) or "nothing")
            worker.hand.paused = paused
            worker.signals.send("paused", paused)
            if has_stages_changed:
                await self._hang_up()
            if has_ended:
                await self._wake()
        asked = await worker.client.get(worker.keys.drain(worker.name))
        if asked and not self.drain_asked.is_set():
            order = order_of(asked)
            logger.warning("worker %s drains: asked by %s", worker.name, order.get("by", "nobody knows whom"))
            self.is_replaced = bool(order.get("replace"))
            self.drain_asked.set()

    def has_held(self, entry: Delivery) -> None:
        """Remember what a pause held here, to wake it: who ended the pause may have looked just before."""
        if len(self._held) >= MOST_HELD:
            del self._held[next(iter(self._held))]
        self._held[entry.keys.timers, f"task/{entry.job}/{entry.task}"] = None

    async def _wake(self) -> None:
        held, self._held = self._held, {}
        pipe = self._worker.client.pipeline(transaction=False)
        for timers, member in held:
            pipe.zadd(timers, {member: 1}, xx=True, lt=True)
        if held:
            await pipe.execute()

    async def _hang_up(self) -> None:
        """Who waits at a doorbell waits for streams that are to be read no more, or not for some that are again."""
        for loop in self._worker.reading:
            try:
                await loop.ring()
            except (*AWAY, RedisError) as error:  # it runs out by itself
                logger.debug("a doorbell is not hung up: %s", error)
