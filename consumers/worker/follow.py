"""The required groups of lifecycle, and what they make it safe to let go: history, archive, trimming.

Every worker process may run them: members of one group share its entries, and trimming twice is trimming once.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mode import Service
from redis.exceptions import ResponseError

from streams import retention
from streams.archiver import WITHIN_S, Archiver, raw_ranges
from streams.connect import AWAY, NOT_NOW, connect
from streams.errors import TransientError
from streams.groups import Entries, GroupReader
from streams.keys import PartitionKeys, partition_of_key

if TYPE_CHECKING:
    from consumers.worker.worker import Worker

logger = logging.getLogger(__name__)

BLOCK_MS: Final = 1_000
TAKE_OVER_EVERY_S: Final = 5.0
TRIM_EVERY_S: Final = 60.0
HISTORY: Final = "history"


class Follower(Service):
    """One member of a required group over every partition's lifecycle."""

    group = ""
    most = 500

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._client = connect(worker.redis_url, timeout_s=BLOCK_MS / 1_000 + 5, resent=0, single=True)
        streams = [keys.lifecycle for keys in worker.keys.all_partitions]
        self._reader = GroupReader(self._client, streams, self.group, worker.name)
        super().__init__()

    @abstractmethod
    async def handle(self, partition: int, entries: Entries) -> None:
        """Keep a batch."""

    @Service.task
    async def _follow(self) -> None:
        taken_over_s = 0.0
        has_group = False
        while not self.should_stop:
            try:
                if not has_group:
                    await self._reader.create_group()
                    has_group = True
                await self._reader.handle_next(self._handle, most=self.most, block_ms=BLOCK_MS)
                if time.monotonic() - taken_over_s >= TAKE_OVER_EVERY_S:
                    taken_over_s = time.monotonic()
                    await self._reader.take_over(self._handle, most=self.most)
            except (*NOT_NOW, TransientError) as error:
                logger.warning("%s waits: %s", self.group, error)
                await self.sleep(1.0)

    async def on_shutdown(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _handle(self, stream: str, entries: Entries) -> None:
        await self.handle(partition_of_key(stream), entries)


class HistoryFollower(Follower):
    """Projects lifecycle into PostgreSQL."""

    group = HISTORY

    async def handle(self, partition: int, entries: Entries) -> None:
        """Project a batch."""
        await self._worker.resources.store.jobs.project(partition, entries)


class ArchiveFollower(Service):
    """Writes lifecycle into the artifact store, a few large objects rather than many small ones."""

    within_s = WITHIN_S

    def __init__(self, worker: Worker) -> None:
        settings = worker.settings
        self._keys = worker.keys
        self._client = raw_ranges(connect(worker.redis_url, single=True))
        self._archiver = Archiver(
            self._client, worker.resources.blobs.chunks, worker.keys.namespace, worker.name,
            max_bytes=settings.lifecycle_max_bytes // settings.partitions, within_s=self.within_s,
        )  # fmt: skip
        super().__init__()

    @Service.task
    async def _follow(self) -> None:
        due_s = dict.fromkeys(self._keys.all_partitions, 0.0)
        while not self.should_stop:
            for keys, at_s in due_s.items():
                if at_s <= time.monotonic() and not self.should_stop:
                    due_s[keys] = time.monotonic() + await self._step(keys)
            await self.sleep(max(0.0, min(due_s.values()) - time.monotonic()))

    async def _step(self, keys: PartitionKeys) -> float:
        try:
            return await self._archiver.step(keys)
        except (*AWAY, TransientError, ResponseError) as error:  # full, flushed, a replica by now
            logger.warning("archive waits: %s", error)
            return 1.0

    async def on_shutdown(self) -> None:
        """Leave the partitions to others, and close the connection."""
        for keys in self._keys.all_partitions:
            with suppress(*AWAY, TransientError, ResponseError):
                await self._archiver.let_go(keys)
        await self._client.aclose()


class Retention(Service):
    """Trims every partition's lifecycle once a minute."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        super().__init__()

    @Service.timer(TRIM_EVERY_S)
    async def _trim(self) -> None:
        worker, settings = self._worker, self._worker.settings
        for keys in worker.keys.all_partitions:
            try:
                removed = await retention.trim(
                    worker.client, keys, now_ms=int(time.time() * 1_000), max_age_s=settings.lifecycle_max_age_s,
                    max_bytes=settings.lifecycle_max_bytes // settings.partitions, required=retention.REQUIRED_GROUPS,
                )  # fmt: skip
            except NOT_NOW as error:
                logger.warning("lifecycle is not trimmed: %s", error)
                return
            if removed:
                logger.info("%s: %d entries trimmed", keys.lifecycle, removed)
