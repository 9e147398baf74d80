"""What routes and commands share about pauses and purges."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from schemas.names import POOLS

if TYPE_CHECKING:
    from consumers.flow import Flows
    from streams.pauses import Pause
    from streams.purge import Purged


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
