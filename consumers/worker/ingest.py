"""Ingest: jobs and cancellations that other systems ``XADD`` to ``millrace:events``."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

import orjson
from mode import Service
from redis.exceptions import RedisError

from consumers.flow import UnknownFlow
from consumers.submit import BadSpec, submit
from schemas.events import BadEvent, CancelData, command_of, event_of_entry
from streams import scripts
from streams.connect import AWAY, NOT_NOW, connect
from streams.errors import Refused
from streams.groups import Entries, GroupReader
from streams.pressure import Overloaded, Pressure
from streams.reader import GROUP
from streams.scripts import Code

if TYPE_CHECKING:
    from consumers.worker.worker import Worker

logger = logging.getLogger(__name__)

BLOCK_MS: Final = 1_000
MOST: Final = 100
TAKE_OVER_EVERY_S: Final = 5.0
MARKER_TTL_S: Final = 86_400


class Ingest(Service):
    """Reads ``millrace:events`` as a member of the group; an entry goes when its job is in the log."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._client = connect(worker.redis_url, timeout_s=BLOCK_MS / 1_000 + 5, resent=0, single=True)
        self._reader = GroupReader(self._client, [worker.keys.events], GROUP, worker.name, deletes=True)
        self._pressure = Pressure(self._client, worker.keys, share=worker.settings.max_memory_share)
        self._acted: set[str] = set()
        secret = worker.settings.events_secret
        self._secret = secret.get_secret_value() if secret is not None else None
        super().__init__()

    @Service.task
    async def _ingest(self) -> None:
        taken_over_s, has_group = 0.0, False
        while not self.should_stop:
            try:
                if not has_group:
                    await self._reader.create_group()
                    has_group = True
                if await self._pressure.said():  # what came stays in its stream
                    await self.sleep(BLOCK_MS / 1_000)
                    continue
                await self._reader.handle_next(self._handle, most=MOST, block_ms=BLOCK_MS)
                if time.monotonic() - taken_over_s >= TAKE_OVER_EVERY_S:
                    taken_over_s = time.monotonic()
                    await self._reader.take_over(self._handle, most=MOST)
            except Overloaded as error:  # what came stays in its stream
                logger.warning("ingest waits: %s", error)
                await self.sleep(BLOCK_MS / 1_000)
            except NOT_NOW as error:
                logger.warning("the log is away or full, nothing is ingested: %s", error)
                await self.sleep(0.5)

    async def on_shutdown(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _handle(self, _: str, entries: Entries) -> None:
        for entry_id, fields in entries:
            if entry_id in self._acted:  # before one of its batch had to wait
                continue
            try:
                await self._act(entry_id, fields)
            except Overloaded:
                raise
            except BadEvent as error:
                await self._reject(entry_id, fields, error.reason, str(error))
            except (BadSpec, UnknownFlow) as error:
                await self._reject(entry_id, fields, "invalid_job", str(error))
            except Refused as error:
                if error.code == Code.NOT_PENDING:  # in the log, though too few replicas said so
                    logger.warning("event %s: %s", entry_id, error)
                else:
                    await self._reject(entry_id, fields, Code(error.code).name.lower(), str(error))
            except (*AWAY, RedisError):
                raise
            except Exception as error:  # a flow's own code looked at the spec; what follows must not wait for it
                logger.exception("event %s could not be acted on", entry_id)
                await self._reject(entry_id, fields, type(error).__name__, str(error))
            self._acted.add(entry_id)
        self._acted.clear()

    async def _act(self, entry_id: str, fields: dict[str, str]) -> None:
        worker = self._worker
        event = event_of_entry(fields, self._secret)
        command = command_of(event)
        if isinstance(command, CancelData):
            try:
                await worker.jobs.cancel(command.job_id, kill=command.force, reason="cancelled by event")
            except ValueError as error:
                raise BadEvent(str(error), reason="invalid_job") from None
            return
        # A job id that the sender chose is the identity; else that of the event, else the entry's own id.
        identity = "" if command.job_id else event.identity or f"entry {worker.keys.events} {entry_id}"
        await submit(worker.jobs, worker.flows, command, identity=identity, traceparent=event.traceparent)

    async def _reject(self, entry_id: str, fields: dict[str, str], reason: str, error: str) -> None:
        keys = self._worker.keys.partition(0)
        kept = orjson.dumps({name: value for name, value in fields.items() if name != "sig"})
        args = [self._worker.keys.events, entry_id, reason, error, kept, MARKER_TTL_S]
        await scripts.run(self._worker.client, "reject", [*keys.fixed, keys.rejected(entry_id)], args)
        logger.warning("event %s was refused: %s: %s", entry_id, reason, error)
