"""Carries out the replays that were asked for; each by one worker at a time, by another when that one dies."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from mode import Service

from consumers.replays.record import NoSuchReplay, Replays
from consumers.replays.run import HELD_MS, Lost, Means, Run
from schemas.replays import is_over
from streams.connect import NOT_NOW
from streams.errors import TransientError

if TYPE_CHECKING:
    from consumers.worker.worker import Worker

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
AT_ONCE: Final = 4
"""Replays that one worker carries out at a time."""


class Replayer(Service):
    """Looks for replays that nobody carries out, and does a few at a time: one may be slow."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._replays = Replays(worker.client, worker.keys)
        self._running: dict[str, asyncio.Task[None]] = {}
        super().__init__()

    @Service.task
    async def _replay(self) -> None:
        while not self.should_stop:
            try:
                for replay_id in await self._replays.open_ids():
                    if replay_id not in self._running and len(self._running) < AT_ONCE:
                        self._running[replay_id] = asyncio.create_task(self._try(replay_id))
            except NOT_NOW as error:
                logger.warning("replays wait: %s", error)
            await self.sleep(LOOK_EVERY_S)
        await asyncio.gather(*self._running.values())

    async def _try(self, replay_id: str) -> None:
        try:
            await self._carry_out(replay_id)
        except (*NOT_NOW, TransientError) as error:
            logger.warning("replay %s waits: %s", replay_id, error)
        finally:
            self._running.pop(replay_id, None)

    async def _carry_out(self, replay_id: str) -> None:
        worker = self._worker
        if not await self._replays.hold(replay_id, worker.name, HELD_MS):
            return
        try:
            record = await self._replays.get(replay_id)
            if is_over(record.status):
                await worker.client.srem(worker.keys.open_replays, replay_id)
                return
            means = Means(worker.jobs, worker.flows, worker.resources.store, worker.resources.blobs)
            run = Run(means, self._replays, record, worker.name, should_stop=lambda: self.should_stop, sleep=self.sleep)
            try:
                await run.carry_out()
            except (*NOT_NOW, TransientError, Lost):
                raise
            except Exception as error:
                logger.exception("replay %s failed", replay_id)
                await run.fail(f"{type(error).__name__}: {error}")
        except NoSuchReplay:
            await worker.client.srem(worker.keys.open_replays, replay_id)
        except Lost:
            logger.info("replay %s is carried out by another worker", replay_id)
        finally:
            await self._replays.let_go(replay_id, worker.name)
