"""The order to a worker to drain: it finishes what it has, takes nothing more, and ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import orjson

from streams.keys import Keys

KEPT_S: Final = 86_400
"""How long the order is kept for a worker that does not come for it."""


async def drain_worker(client: Any, keys: Keys, name: str, *, by: str, replace: bool) -> bool:
    """Ask a worker to drain; False when there is none of this name.

    Args:
        by: Who asks.
        replace: Whether its supervisor is to start another in its place.
    """
    if not await client.exists(keys.worker(name)):
        return False
    at = datetime.now(UTC).isoformat(timespec="seconds")
    await client.set(keys.drain(name), orjson.dumps({"by": by, "at": at, "replace": replace}), ex=KEPT_S)
    await client.incr(keys.control)
    return True


def order_of(written: bytes) -> dict[str, Any]:
    """What the order says; an order that somebody else wrote is one all the same."""
    try:
        order = orjson.loads(written)
    except orjson.JSONDecodeError:
        return {}
    return order if isinstance(order, dict) else {}
