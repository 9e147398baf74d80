"""What routes and commands share about pauses, purges and drains."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from schemas.names import POOLS

if TYPE_CHECKING:
    from api.services import Services
    from consumers.flow import Flows
    from streams.pauses import Pause
    from streams.purge import Purged

DRAIN_KEPT_S: Final = 86_400
"""How long an order to drain is kept for a worker that does not come for it."""


def pause_view(pause: Pause) -> dict[str, Any]:
    """A pause as it is shown."""
    shown = asdict(pause)
    shown["since"] = datetime.fromtimestamp(shown.pop("since_ms") / 1_000, UTC)
    return shown


def purged_view(found: Purged) -> dict[str, Any]:
    """What a purge found or did, as it is shown."""
    return {"jobs": len(found.jobs), "entries": dict(found.entries), "strays": found.strays, "over": found.over}


def pools_of(flows: Flows) -> set[str]:
    """Every pool that has streams."""
    return {*POOLS, *(stage.policy.pool for flow in flows.by_name.values() for stage in flow.by_name.values())}


async def drain_worker(services: Services, name: str, *, by: str, replace: bool) -> bool:
    """Ask a worker to drain; False when there is none of this name.

    Args:
        by: Who asks.
        replace: Whether its supervisor is to start another in its place.
    """
    if not await services.client.exists(services.keys.worker(name)):
        return False
    at = datetime.now(UTC).isoformat(timespec="seconds")
    order = orjson.dumps({"by": by, "at": at, "replace": replace})
    await services.client.set(services.keys.drain(name), order, ex=DRAIN_KEPT_S)
    await services.client.incr(services.keys.control)
    return True
