"""Memory: how full Redis is, and how large the workers are."""

from __future__ import annotations

from typing import Any, Final

from consumers.maintenance.alerts import alert, settled
from consumers.maintenance.fleet import fleet
from consumers.maintenance.yard import Yard
from schemas.maintenance import Report
from streams.connect import is_cluster
from streams.pressure import Pressure

KIND: Final = "redis_nearly_full"
BEGIN_AT: Final = 0.80
END_AT: Final = 0.75
"""Below this new work is taken in again: lower, so that it does not go on and off."""


async def memory(yard: Yard) -> Report:
    """Start back-pressure above 80 % of `maxmemory`, and end it; tell of workers above their mark.

    Those recycle themselves (`consumers.worker.watchdog`): they know when their work has drained.
    """
    share, used, most = fullest(await _memory_of_each(yard))
    mark = yard.settings.worker_max_mb * 2**20
    large = [one["name"] for one in await fleet(yard.log) if one.get("rss_bytes", 0) > mark]
    said = [f"worker {name} is above {yard.settings.worker_max_mb} MB and recycles itself" for name in large]
    said.insert(0, f"Redis uses {used} of {most} bytes ({share:.0%})" if most else f"Redis uses {used} bytes, no limit")
    if not yard.order.dry_run:
        pressure = Pressure(yard.log.client, yard.log.keys)
        if share > BEGIN_AT:
            why = f"Redis uses {share:.0%} of its maxmemory"
            await pressure.begin(why)
            said.append("submissions are refused until it is below 75 %")
            await alert(
                yard, KIND, "redis", f"{why}; submissions are refused",
                "raise maxmemory, or find what fills it: `millrace streams`, `millrace dlq list`",
            )  # fmt: skip
        elif share < END_AT:
            if await pressure.end():
                said.append("submissions are taken again")
            await settled(yard, KIND, "redis")
        elif await pressure.said():
            await pressure.begin(f"Redis uses {share:.0%} of its maxmemory")
    return yard.report(*said, counts={"large_workers": len(large)}, used_bytes=used, maxmemory_bytes=most, share=share)


def fullest(infos: list[dict[str, Any]]) -> tuple[float, int, int]:
    """Share, used bytes and `maxmemory` of the node that is nearest to its limit; one without a limit has share 0."""
    found = [
        (info["used_memory"] / info["maxmemory"] if info["maxmemory"] else 0.0, info["used_memory"], info["maxmemory"])
        for info in infos
    ]
    return max(found)


async def _memory_of_each(yard: Yard) -> list[dict[str, Any]]:
    client = yard.log.client
    if not is_cluster(client):
        return [await client.info("memory")]
    by_node = await client.info("memory", target_nodes=client.PRIMARIES)
    return list(by_node.values()) if "used_memory" not in by_node else [by_node]
