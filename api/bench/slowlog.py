"""Scripts and commands that blocked the server for more than 5 ms while transitions were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from api.bench.ground import SLOW_US, Ground, Slow
from api.bench.growth import beside_held
from api.bench.rounds import Shape, pipeline

FLOOR: Final = "floor"


async def slowlog(ground: Ground, _: dict[str, Any]) -> dict[str, Any]:
    """What was noted during the other measurements, and a load while nobody takes the core from the server.

    SLOWLOG has the time by the clock: on a busy machine a command is long because another process ran in the middle of
    it. The floor has no script longer than a batch, so what is noted during it is the machine's; and with real-time
    scheduling of the server, where that may be had, only what takes so long by itself is left.
    """
    ground.told("what blocks the server")
    if not ground.is_slow_known:
        return {"slowlog": {"not_known": "the server refuses CONFIG"}}
    during_floor = sum(one.during == FLOOR for one in ground.slow)
    told = {
        "threshold_ms": SLOW_US / 1_000,
        **_summary([one for one in ground.slow if one.during != FLOOR], ground.transitions),
        "count_during_floor": during_floor,
    }
    noted, made = len(ground.slow), ground.transitions
    async with ground.undisturbed() as is_so:
        if is_so:
            await pipeline(ground, Shape())
            await beside_held(ground, max(ground.plan.pending))
    if is_so:
        told["undisturbed"] = _summary(ground.slow[noted:], ground.transitions - made)
    return {"slowlog": told}


def _summary(slow: Sequence[Slow], transitions: int) -> dict[str, Any]:
    worst = max(slow, key=lambda one: one.took_ms, default=None)
    return {
        "transitions": transitions,
        "count": len(slow),
        "by_command": dict(Counter(one.command for one in slow).most_common()),
        "by_measurement": dict(Counter(one.during for one in slow).most_common()),
        "worst": asdict(worst) if worst else None,
    }
