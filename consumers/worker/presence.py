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
from streams.shares import shares
from streams.telemetry import setup

if TYPE_CHECKING:
    from consumers.worker.worker import Worker
    from streams.keys import Keys

logger = logging.getLogger(__name__)

EVERY_S: Final = 2.0
TTL_S: Final = 15
MISSED: Final = 2.5
"""Looks after which a worker that was not heard has no share any more."""
OPEN_HOSTS: Final = 50
"""Of the hosts whose circuit is open, so many are named."""


class Presence(Service):
    """Writes the record every two seconds; it expires when the worker no longer does."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._started_at = time.time()
        super().__init__()

    @Service.task
    async def _show(self) -> None:
        process, worker = psutil.Process(), self._worker
        while not self.should_stop:
            try:
                await self._write(process)
                if worker.settings.partitions > 1:
                    await self._share()
            except NOT_NOW as error:
                logger.debug("presence is not written: %s", error)
            await self.sleep(EVERY_S)

    async def _share(self) -> None:
        """Read first what falls to this worker of the partitions, among those that are there and read."""
        worker = self._worker
        there = await living(worker.client, worker.keys)
        for pool, reader in worker.readers.items():
            names = [one["name"] for one in there if pool in one["pools"] and not one["is_draining"]]
            mine = shares([*names, worker.name], worker.settings.partitions)[worker.name]
            if mine != reader.preferred:
                logger.info("pool %s: partitions %s are read first", pool, ", ".join(map(str, sorted(mine))))
                reader.prefer(mine)
                worker.signals.send("shares.changed", pool, mine)

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
            "partitions": {pool: sorted(reader.preferred) for pool, reader in worker.readers.items()},
            "deaf": [loop.pool for loop in worker.reading if is_deaf(loop, asyncio.get_running_loop().time())],
            "rss_bytes": process.memory_info().rss, "cpu_percent": process.cpu_percent(),
            "lease_ms": worker.settings.lease_ms,
            "open_hosts": worker.resources.fetch.breakers.open()[:OPEN_HOSTS],
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


async def living(client: Any, keys: Keys) -> list[dict[str, Any]]:
    """Of those, the workers that were heard within the last looks: by the server's clock, not by theirs."""
    names = sorted(name.decode() for name in await client.smembers(keys.workers))
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.get(keys.worker(name))
        pipe.pttl(keys.worker(name))
    answers = await pipe.execute() if names else []
    fresh_ms = (TTL_S - MISSED * EVERY_S) * 1_000
    rows = zip(answers[::2], answers[1::2], strict=True)
    return [orjson.loads(record) for record, left_ms in rows if record and left_ms > fresh_ms]
