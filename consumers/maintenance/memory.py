"""Memory: how full Redis is, and how large the workers are."""

from __future__ import annotations

from typing import Final

from consumers.maintenance.alerts import alert, settled
from consumers.maintenance.fleet import fleet
from consumers.maintenance.yard import Yard
from schemas.maintenance import Report
from streams.pressure import HYSTERESIS, Pressure, fullest, memory_of_each, said_of

KIND: Final = "redis_nearly_full"


async def memory(yard: Yard) -> Report:
    """Start back-pressure above a share of `maxmemory` (80 %), and end it; tell of workers above their mark.

    Those recycle themselves (`consumers.worker.watchdog`): they know when their work has drained.
    """
    share, used, most = fullest(await memory_of_each(yard.client))
    mark = yard.settings.worker_max_mb * 2**20
    large = [one["name"] for one in await fleet(yard.log) if one.get("rss_bytes", 0) > mark]
    said = [f"worker {name} is above {yard.settings.worker_max_mb} MB and recycles itself" for name in large]
    said.insert(0, f"Redis uses {used} of {most} bytes ({share:.0%})" if most else f"Redis uses {used} bytes, no limit")
    if not yard.order.dry_run:
        begin_at = yard.settings.max_memory_share
        end_at = begin_at - HYSTERESIS
        pressure = Pressure(yard.log.client, yard.log.keys, share=begin_at)
        if share > begin_at:
            why = said_of(share)
            await pressure.begin(why)
            said.append(f"submissions are refused until it is below {end_at:.0%}")
            await alert(
                yard, KIND, "redis", f"{why}; submissions are refused",
                "raise maxmemory, or find what fills it: `millrace streams`, `millrace dlq list`",
            )  # fmt: skip
        elif share < end_at:
            if await pressure.end():
                said.append("submissions are taken again")
            await settled(yard, KIND, "redis")
        elif await pressure.said():
            await pressure.begin(said_of(share))
    return yard.report(*said, counts={"large_workers": len(large)}, used_bytes=used, maxmemory_bytes=most, share=share)
