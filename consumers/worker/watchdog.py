"""A worker's eye on itself: a reader that hears nothing is restarted, a worker grown too large is replaced.

It needs no job for that: a worker that cannot read could not run one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import psutil
from mode import Service

from streams.reader import DOORBELL_MS

if TYPE_CHECKING:
    from consumers.worker.read import ReadLoop
    from consumers.worker.worker import Worker

logger = logging.getLogger(__name__)

HEALTH_EVERY_S: Final = 30.0
MEMORY_EVERY_S: Final = 300.0
DEAF_AFTER_S: Final = 3 * DOORBELL_MS / 1_000 + 15.0
"""A reader with room that heard nothing for so long, not even that there is nothing, is deaf."""


class Watchdog(Service):
    """Looks after one worker's readers and memory."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._process = psutil.Process()
        super().__init__()

    @Service.timer(HEALTH_EVERY_S)
    async def _look_at_readers(self) -> None:
        await self.revive_deaf(asyncio.get_running_loop().time())

    @Service.timer(MEMORY_EVERY_S)
    async def _look_at_memory(self) -> None:
        self.judge(self._process.memory_info().rss)

    async def revive_deaf(self, now_s: float) -> int:
        """Restart the readers that are deaf at `now_s` (the loop's clock); answers how many."""
        deaf = [loop for loop in self._worker.reading if is_deaf(loop, now_s)]
        for loop in deaf:
            logger.error("the reader of pool %s is deaf and is restarted", loop.pool)
            loop.revive()
        return len(deaf)

    def judge(self, rss_bytes: int) -> bool:
        """Whether the worker is to be replaced: it drains, ends, and its supervisor starts a new one."""
        most = self._worker.settings.worker_max_mb
        if rss_bytes <= most * 2**20:
            return False
        logger.warning("this worker uses %d MiB, more than %d (MILLRACE_WORKER_MAX_MB): it drains and is replaced",
                       rss_bytes >> 20, most)  # fmt: skip
        self._worker.is_spent.set()
        return True


def is_deaf(loop: ReadLoop, now_s: float) -> bool:
    """Whether a reader that has room heard nothing for too long."""
    return loop.is_reading and loop.has_room and now_s - loop.heard_s > DEAF_AFTER_S
