"""Schedules in every worker: whichever is first submits a tick, the others find it submitted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from mode import Service
from redis.exceptions import RedisError

from consumers.maintenance.built_in import keep_built_in
from consumers.schedules.ticker import Ticker
from streams.connect import AWAY

if TYPE_CHECKING:
    from consumers.worker.worker import Worker

logger = logging.getLogger(__name__)

EVERY_S: Final = 0.5


class ScheduleLoop(Service):
    """Looks twice a second for schedules whose time has come."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.ticker = Ticker(worker.jobs, worker.flows, memory_share=worker.settings.max_memory_share)
        super().__init__()

    @Service.task
    async def _tick(self) -> None:
        has_built_in = False
        while not self.should_stop:
            try:
                now = await self.ticker.book.now()
                if not has_built_in:
                    await keep_built_in(self.ticker.book, self._worker.settings, self._worker.flows, now)
                    has_built_in = True
                await self.ticker.run_due(now)
            except (*AWAY, RedisError) as error:
                logger.warning("the log is away or full, no schedule ticks: %s", error)
            await self.sleep(EVERY_S)
