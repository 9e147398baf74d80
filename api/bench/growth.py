"""Whether a transition costs more when much waits, or when much is held by others; and whether a worker grows."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Any, Final

from redis.asyncio import Redis

from api.bench.ground import Ground
from api.bench.processes import done, workers
from api.bench.statistics import flatness, growth
from schemas.names import STAGES
from streams.log import Log
from streams.reader import GROUP

TOP_UP: Final = 100
TOP_UP_EVERY_S: Final = 0.005
HELD_AT_ONCE: Final = 1_000
BESIDE_PENDING: Final = 1_000
"""Queued jobs while others hold entries."""
HELD_LEASE_MS: Final = 10_000
"""Long enough that nothing held is reclaimed within a run; it is swept for all the same."""
SETTLED_FIRST: Final = 50_000
FEED: Final = 2_000
"""Jobs that wait while a worker's memory is watched, at most."""


async def grow(ground: Ground, _: dict[str, Any]) -> dict[str, Any]:
    """The cost of a transition (CPU of worker and server, us) at each backlog, and with each number of entries held.

    The backlog is kept by topping up, so that each transition has its share of a submission, at every size alike.
    """
    backlog: dict[int, list[dict[str, float]]] = {size: [] for size in ground.plan.backlogs}
    pending: dict[int, list[dict[str, float]]] = {size: [] for size in ground.plan.pending}
    for turn in range(ground.plan.growth_rounds):
        async with ground.namespace() as log:
            submitted = 0
            for size in ground.plan.backlogs:
                ground.told(f"growth, {turn + 1} of {ground.plan.growth_rounds}: {size:,} waiting")
                found, submitted = await _at(ground, log, size, submitted)
                backlog[size].append(found)
        for size in ground.plan.pending:
            ground.told(f"growth, {turn + 1} of {ground.plan.growth_rounds}: {size:,} held")
            pending[size].append(await beside_held(ground, size))
    return {"growth": {"backlog": _curve(backlog), "pending": _curve(pending)}}


async def beside_held(ground: Ground, entries: int) -> dict[str, float]:
    """The ordered transitions, while another consumer holds so many entries of the first stream."""
    async with ground.namespace() as log:
        await ground.fill(log, entries)
        await _hold(ground, log, entries)
        found, _ = await _at(ground, log, BESIDE_PENDING, entries, held=entries, lease_ms=HELD_LEASE_MS)
        return found


def _curve(runs: dict[int, list[dict[str, float]]]) -> dict[str, Any]:
    def middle(size: int, name: str) -> float:
        return round(median(run[name] for run in runs[size]), 2)

    costs = {size: middle(size, "cpu_us") for size in runs}
    servers = {size: middle(size, "server_cpu_us") for size in runs}
    return {
        "cpu_us_per_transition": {str(size): cost for size, cost in costs.items()},
        "server_cpu_us_per_transition": {str(size): cost for size, cost in servers.items()},
        "transitions_per_s": {str(size): round(middle(size, "per_s")) for size in runs},
        "largest_to_smallest": growth(costs),
        "server_largest_to_smallest": growth(servers),
    }


async def _at(
    ground: Ground, log: Log, size: int, submitted: int, *, held: int = 0, lease_ms: int = 0
) -> tuple[dict[str, float], int]:
    """Bring the backlog to a size, and let a worker make the ordered transitions there; jobs submitted so far."""
    stream = log.keys.partition(0).stream("crawl")
    missing = size + held - await ground.client.xlen(stream)
    await ground.fill(log, missing, first=submitted)
    submitted += missing
    transitions = ground.plan.growth_jobs * len(STAGES)
    before = await ground.cpu_s()
    order = ground.orders(log, transitions, lease_ms=lease_ms)
    during = f"growth at {size:,}" + (f", {held:,} held" if held else "")
    so_far = [submitted]
    async with ground.watched(during, transitions), workers(order) as (worker,):
        found = await done(worker, _top_up(ground, log, size + held, so_far))
    server_us = (await ground.cpu_s() - before) / transitions * 1e6
    return {
        "cpu_us": found.cpu_s / transitions * 1e6 + server_us,
        "server_cpu_us": server_us,
        "per_s": transitions / found.took_s,
    }, so_far[0]  # fmt: skip


async def _top_up(ground: Ground, log: Log, size: int, submitted: list[int]) -> None:
    """Keep so many in the first stream until cancelled, counting in `submitted` how many jobs there were so far."""
    stream = log.keys.partition(0).stream("crawl")
    step = min(TOP_UP, size)
    while True:
        if await ground.client.xlen(stream) <= size - step:
            await ground.fill(log, step, first=submitted[0])
            submitted[0] += step
        else:
            await asyncio.sleep(TOP_UP_EVERY_S)


async def _hold(ground: Ground, log: Log, entries: int) -> None:
    """Be another consumer that holds so many entries of the first stream."""
    stream = log.keys.partition(0).stream("crawl")
    client: Redis = ground.client
    await client.xgroup_create(stream, GROUP, id="0", mkstream=True)
    for first in range(0, entries, HELD_AT_ONCE):
        count = min(HELD_AT_ONCE, entries - first)
        await client.xreadgroup(GROUP, "somebody-else", {stream: ">"}, count=count)


async def soak(ground: Ground, _: dict[str, Any]) -> dict[str, Any]:
    """The resident memory of one worker over very many entries, and the server's by what it keeps of them."""
    transitions = ground.plan.soak_transitions
    ground.told(f"memory of a worker over {transitions:,} entries")
    every = max(1, transitions // 40)
    async with ground.namespace() as log, ground.watched("soak", transitions):
        await ground.fill(log, min(FEED, transitions // len(STAGES)))
        async with workers(ground.orders(log, transitions, rss_every=every)) as (worker,):
            found = await done(worker, _feed(ground, log, transitions // len(STAGES) + 1))
    resident_mb = {int(at): size for at, size in found.rss_at.items()}
    return {
        "soak": {
            "transitions": transitions, "transitions_per_s": round(transitions / found.took_s),
            "resident_mb": found.rss_at, "largest_mb": round(found.rss_mb, 1),
            "farthest_after_50000": flatness(resident_mb, min(SETTLED_FIRST, transitions // 4)),
        }
    }  # fmt: skip


async def _feed(ground: Ground, log: Log, jobs: int) -> None:
    """Keep some jobs waiting, and let go of lifecycle that nobody needs, until enough were submitted."""
    keys = log.keys.partition(0)
    submitted, trimmed_s = min(FEED, jobs), time.monotonic()
    while submitted < jobs:
        if await ground.client.xlen(keys.stream("crawl")) < FEED - TOP_UP:
            await ground.fill(log, TOP_UP, first=submitted)
            submitted += TOP_UP
        else:
            await asyncio.sleep(TOP_UP_EVERY_S)
        if time.monotonic() - trimmed_s > 1.0:
            trimmed_s = time.monotonic()
            await ground.client.xtrim(keys.lifecycle, maxlen=10_000, approximate=True, limit=5_000)
