"""Reading a stream as one member of a consumer group, whole batches at a time: for ingest and history.

A batch is acknowledged after it was handled, so it is handled at least once; what a dead member left is taken over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from redis.exceptions import ResponseError

from streams.connect import AWAY, is_cluster, transaction

logger = logging.getLogger(__name__)

Entries = list[tuple[str, dict[str, str]]]
Handler = Callable[[str, Entries], Awaitable[None]]

ORPHANED_MS: Final = 15_000
"""Idle time after which another member's batch is taken over."""

LOOK_AGAIN_MS: Final = 250
"""On a Cluster several streams are looked at this often: one command cannot wait for them all."""


class GroupReader:
    """One member of a group over some streams.

    Args:
        client: A connection of its own: it blocks.
        deletes: Remove entries from the stream once handled (ingest), rather than leave them for others.
    """

    def __init__(self, client: Any, streams: list[str], group: str, consumer: str, *, deletes: bool = False) -> None:
        self._client = client
        self._streams = streams
        self._group = group
        self._consumer = consumer
        self._deletes = deletes
        # On a Cluster one command reads one slot.
        is_spread = is_cluster(client) and len(streams) > 1
        self._reads = [[stream] for stream in streams] if is_spread else [streams]
        self._has_left = False

    async def create_group(self) -> None:
        """Create the group from the first entry on every stream; where it exists it stays."""
        for stream in self._streams:
            try:
                await self._client.xgroup_create(stream, self._group, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    async def handle_next(self, handle: Handler, *, most: int, block_ms: int) -> int:
        """Read what is new, up to `most` entries a stream, handle and acknowledge it; answers how many entries."""
        if self._has_left:
            # What this member read before a failure it has not handled, or nobody knows that it did.
            handled = await self._read_all(handle, most, None, "0")
            self._has_left = handled > 0
            return handled
        try:
            handled = await self._read_all(handle, most, block_ms if len(self._reads) == 1 else None, ">")
        except Exception:
            self._has_left = True
            raise
        if not handled and len(self._reads) > 1:
            await asyncio.sleep(min(block_ms, LOOK_AGAIN_MS) / 1_000)
        return handled

    async def take_over(self, handle: Handler, *, most: int) -> int:
        """Handle what members that are gone, or failed, left unacknowledged."""
        handled = 0
        for stream in self._streams:
            try:
                answer = await self._client.xautoclaim(
                    stream, self._group, self._consumer, min_idle_time=ORPHANED_MS, start_id="0-0", count=most
                )
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                continue
            handled += await self._handle(stream, answer[1], handle)
        return handled

    async def _read_all(self, handle: Handler, most: int, block_ms: int | None, after: str) -> int:
        handled, away = 0, None
        for streams in self._reads:
            try:
                handled += await self._read(streams, handle, most, block_ms, after)
            except AWAY as error:  # the others' servers may be there
                away = error
        if away is not None:
            raise away
        return handled

    async def _read(self, streams: list[str], handle: Handler, most: int, block_ms: int | None, after: str) -> int:
        try:
            answer = await self._client.xreadgroup(
                self._group, self._consumer, dict.fromkeys(streams, after), count=most, block=block_ms
            )
        except ResponseError as error:
            if str(error).startswith("UNBLOCKED"):
                raise ConnectionError("the server became a replica") from error
            if not str(error).startswith("NOGROUP"):
                raise
            await self.create_group()
            return 0
        handled = 0
        for stream, rows in answer.items() if isinstance(answer, dict) else answer or ():
            entries = rows[0] if rows and rows[0] and isinstance(rows[0][0], list | tuple) else rows
            handled += await self._handle(stream.decode(), entries, handle)
        return handled

    async def _handle(self, stream: str, rows: Any, handle: Handler) -> int:
        entries = [
            (entry_id.decode(), {k.decode("utf-8", "replace"): v.decode("utf-8", "replace") for k, v in fields.items()})
            for entry_id, fields in rows
            if fields is not None
        ]
        if not entries:
            return 0
        await handle(stream, entries)
        ids = [entry_id for entry_id, _ in entries]
        pipe = await transaction(self._client)
        pipe.xack(stream, self._group, *ids)
        if self._deletes:
            pipe.xdel(stream, *ids)
        await pipe.execute()
        return len(entries)
