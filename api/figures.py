"""What the live analytics show, for a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consumers.analytics.keep import Kept, silence_view
from consumers.analytics.rules import CURES

if TYPE_CHECKING:
    from api.services import Services


def kept_of(services: Services) -> Kept:
    """What the analytics left in Redis."""
    return Kept(services.client, services.keys)


async def figures(services: Services, window: str, tenant: str | None) -> dict[str, Any]:
    """A kind of window's numbers, the newest window first.

    Args:
        tenant: Whose rows; None for all tenants'.
    """
    kept = kept_of(services)
    state = await kept.state()
    windows = await kept.window(window) or []
    if tenant is not None:
        for one in windows:
            one["rows"] = [row for row in one["rows"] if row["tenant"] == tenant]
    open_tasks = [one for one in state.get("open", ()) if tenant in {None, one["tenant"]}]
    return {
        "window": window, "windows": windows, "queues": state.get("queues", {}), "open": open_tasks,
        "at_ms": state.get("at_ms"), "is_stale": state["is_stale"], "is_restored": state.get("is_restored", False),
        "late": state.get("late", 0),
    }  # fmt: skip


async def alert_views(services: Services) -> list[dict[str, Any]]:
    """Every rule and where it stands; what fires first, the latest before the others."""
    kept = kept_of(services)
    silences = await kept.silences()
    found = sorted((await kept.alerts()).values(), key=lambda one: (not one.is_firing, -one.since_ms, one.key))
    return [
        {
            "id": one.key.replace(" ", ":"), **one.view(), "cure": CURES[one.rule],
            "silence": silence_view(silences[one.rule]) if one.rule in silences else None,
        }
        for one in found
    ]  # fmt: skip
