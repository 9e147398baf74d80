"""A worker's presence: a small record that says it is there and what it does, gone soon after it is."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import orjson
import psutil
from mode import Service

from consumers.worker.watchdog import is_deaf
from streams.connect import NOT_NOW
from streams.telemetry import setup

if TYPE_CHECKING:
    from consumers.worker.worker import Worker
    from streams.keys import Keys

logger = logging.getLogger(__name__)

EVERY_S: Final = 2.0
TTL_S: Final = 15


class Presence(Service):
    """Writes the record every two seconds; it expires when the worker no longer does."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._started_at = time.time()
        super().__init__()

    @Service.task
    async def _show(self) -> None:
        process = psutil.Process()
        while not self.should_stop:
            try:
                await self._write(process)
            except NOT_NOW as error:
                logger.debug("presence is not written: %s", error)
            await self.sleep(EVERY_S)

    async def on_shutdown(self) -> None:
        """Leave no record behind."""
        worker = self._worker
        try:
            await worker.client.delete(worker.keys.worker(worker.name))
            await worker.client.delete(worker.keys.drain(worker.name))
            await worker.client.srem(worker.keys.workers, worker.name)
        except NOT_NOW as error:
            logger.debug("presence is not removed: %s", error)

    async def _write(self, process: psutil.Process) -> None:
        worker = self._worker
        held = [
            {"job": one.entry.job, "task": one.entry.task, "stage": one.entry.name.stage, "flow": one.entry.flow}
            for one in list(worker.hand.entries.values())[:100]
        ]
        record = {
            "name": worker.name, "host": socket.gethostname(), "pid": os.getpid(), "started_at": self._started_at,
            "seen_at": time.time(), "pools": worker.options.pools, "stages": worker.options.stages,
            "slots": worker.hand.slots, "in_hand": len(worker.hand.entries), "holds": held,
            "is_draining": worker.is_draining, "counts": worker.committer.counts, "refused": worker.committer.refused,
            "deaf": [loop.pool for loop in worker.reading if is_deaf(loop, asyncio.get_running_loop().time())],
            "rss_bytes": process.memory_info().rss, "lease_ms": worker.settings.lease_ms,
            "spans": setup.current.counters(),
        }  # fmt: skip
        key = worker.keys.worker(worker.name)
        await worker.client.set(key, orjson.dumps(record), ex=TTL_S)
        await worker.client.sadd(worker.keys.workers, worker.name)


async def presence(client: Any, keys: Keys) -> list[dict[str, Any]]:
    """The records of the workers whose presence has not expired, by name."""
    names = sorted(name.decode() for name in await client.smembers(keys.workers))
    if not names:
        return []
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.get(keys.worker(name))
    return [orjson.loads(record) for record in await pipe.execute() if record]
