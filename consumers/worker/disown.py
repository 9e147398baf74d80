"""Giving back what a consumer holds that is known to be dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.names import POOLS
from streams.keys import Keys
from streams.moves import Moves
from streams.reader import Reader
from streams.reclaimer import Reclaimer

if TYPE_CHECKING:
    from schemas.settings import Settings
    from streams.policy import Routes


async def disown(client: Any, settings: Settings, routes: Routes, consumer: str) -> int:
    """Release every entry that a dead consumer holds, and forget its presence; answers how many entries."""
    keys = Keys(settings.namespace, settings.partitions)
    streams = Reader(client, client, keys, consumer, pools=POOLS).streams
    moves = Moves(client, consumer, routes, settings.record_ttl_s)
    reclaimer = Reclaimer(
        client, moves, streams, lease_ms=settings.lease_ms, interval_s=settings.lease_ms / 1_000
    )  # fmt: skip
    freed = await reclaimer.disown(consumer)
    await client.delete(keys.worker(consumer))
    await client.srem(keys.workers, consumer)
    return freed
