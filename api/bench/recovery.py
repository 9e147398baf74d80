"""How soon the work of a worker that was killed runs again: without anybody who saw it die, and under a supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from api.bench.ground import Ground
from api.bench.processes import workers
from api.bench.statistics import cuts
from api.bench.tree import tree
from consumers.worker.presence import presence
from schemas.names import STAGES
from streams.log import Log
from streams.reader import GROUP

HELD: int = 8
"""Entries that a worker must hold before it is killed."""
LOOK_EVERY_S = 0.002
WITHIN_S = 30.0


async def recovery(ground: Ground, _: dict[str, Any]) -> dict[str, Any]:
    """Kill workers (SIGKILL) that hold entries; seconds from the kill until each of those entries was completed."""
    by_lease: list[float] = []
    by_supervisor: list[float] = []
    for turn in range(1, ground.plan.kills + 1):
        ground.told(f"recovery, kill {turn} of {ground.plan.kills}")
        async with ground.namespace() as log, ground.watched("recovery"):
            orders = [ground.orders(log, name=f"bench-{n}", lease_ms=ground.plan.lease_ms) for n in range(2)]
            async with workers(*orders) as (victim, _other):
                by_lease += await _killed(ground, log, "bench-0", victim.process.pid)
    async with ground.namespace() as log, tree(ground, log, "worker", "--processes", "2"):
        for _turn in range(ground.plan.kills):
            by_supervisor += await _one_of_a_tree(ground, log)
    return {
        "recovery_s": {
            "kills": ground.plan.kills,
            "by_lease": {**cuts(by_lease), "entries": len(by_lease)},
            "by_supervisor": {**cuts(by_supervisor), "entries": len(by_supervisor)},
        }
    }


async def _one_of_a_tree(ground: Ground, log: Log) -> list[float]:
    async def are_two() -> bool:
        return len(await presence(ground.client, log.keys)) >= 2  # noqa: PLR2004 - as many as were asked for

    await _until(are_two, "there were no two workers")
    victim = (await presence(ground.client, log.keys))[0]
    return await _killed(ground, log, victim["name"], victim["pid"])


async def _killed(ground: Ground, log: Log, consumer: str, pid: int) -> list[float]:
    """Kill a worker in the middle of work, and answer when each entry that it held was completed, in s after that.

    Raises:
        RuntimeError: It held nothing, or its entries did not run again.
    """
    jobs = ground.plan.held_jobs
    submitted = int(await ground.client.incr(f"{log.keys.namespace}:submitted")) * jobs
    filling = asyncio.create_task(ground.fill(log, jobs, first=submitted))

    async def holds() -> bool:
        return await _held(ground, log, consumer) >= HELD

    await _until(holds, f"worker {consumer} held nothing")
    os.kill(pid, signal.SIGKILL)
    seconds, micros = await ground.client.time()
    killed_ms = seconds * 1_000 + micros / 1_000
    await filling
    await ground.until_ended(log)
    taken: set[tuple[bytes, bytes]] = set()
    again: list[float] = []
    async for at_ms, fields in ground.happened(log):
        task = (fields.get(b"job", b""), fields.get(b"task", b""))
        if fields[b"type"] == b"reclaimed" and fields.get(b"worker") == consumer.encode():
            taken.add(task)
        elif fields[b"type"] == b"completed" and task in taken:
            again.append((at_ms - killed_ms) / 1_000)
    if len(again) != len(taken) or not again:
        raise RuntimeError(f"worker {consumer} was killed: {len(taken)} entries reclaimed, {len(again)} completed")
    return again


async def _held(ground: Ground, log: Log, consumer: str) -> int:
    pipe = ground.client.pipeline(transaction=False)
    for stage in STAGES:
        pipe.xpending(log.keys.partition(0).stream(stage), GROUP)
    rows = [one for answer in await pipe.execute() for one in answer["consumers"]]
    return sum(int(one["pending"]) for one in rows if one["name"] == consumer.encode())


async def _until(is_so: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    try:
        async with asyncio.timeout(WITHIN_S):
            while not await is_so():  # noqa: ASYNC110 - Redis tells no event
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        raise RuntimeError(f"{otherwise} within {WITHIN_S:g} s") from None
