"""What gets stuck, and is put right every quarter of an hour.

A repair is a function from `Yard` to how many things it put right (or would, in a dry run) and what it says of them.
Those of `REPAIRS` are done by the chore `stale`, in this order; more are added there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import ResponseError

from consumers.doctor import repair
from consumers.maintenance.yard import Yard
from schemas.maintenance import Report
from schemas.names import LANES, POOLS, STAGES
from streams.keys import StreamName
from streams.moves import RELEASED
from streams.reader import GROUP

GONE_MS: Final = 86_400_000
"""A consumer that showed nothing for so long, and is not there, does not come back: names are not used twice."""

OVERDUE_MS: Final = 300_000

SAID: Final = 20
"""Repairs of the log that are told one by one."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did.

    Attributes:
        count: Things put right; 0 for a repair that only tells.
        said: Sentences for people.
    """

    count: int
    said: tuple[str, ...] = ()


Repair = Callable[[Yard], Awaitable[Repaired]]


async def stale(yard: Yard) -> Report:
    """Do every repair; one that fails does not keep the others from being done."""
    counts: dict[str, int] = {}
    said: list[str] = []
    failures: list[Exception] = []
    for name, one in REPAIRS.items():
        try:
            done = await one(yard)
        except Exception as error:  # noqa: BLE001 - it is raised when the others are done
            failures.append(error)
        else:
            counts[name] = done.count
            said += done.said
    if failures:
        raise failures[0]
    return yard.report(*said, counts=counts)


async def mended_log(yard: Yard) -> Repaired:
    """What the doctor repairs without a person: entries, jobs and counters that do not fit together."""
    done = await repair(yard, dry_run=yard.order.dry_run, forget=False)
    return Repaired(len(done), tuple(f"{one.what}: {one.did}" for one in done[:SAID]))


async def absent_workers(yard: Yard) -> Repaired:
    """Workers of which the set still knows, and whose presence has expired."""
    client, keys = yard.log.client, yard.log.keys
    names = [name.decode() for name in await client.smembers(keys.workers)]
    gone = [name for name in names if not await client.exists(keys.worker(name))]
    if gone and not yard.order.dry_run:
        await client.srem(keys.workers, *gone)
    return Repaired(len(gone), (f"{len(gone)} workers are not there any more",) if gone else ())


async def left_consumers(yard: Yard) -> Repaired:
    """Consumers of the stages' groups that are gone for a day and hold nothing: each start of a worker adds some."""
    client, keys = yard.log.client, yard.log.keys
    present = {name.decode() for name in await client.smembers(keys.workers)} | {RELEASED}
    count = 0
    for key in _streams(yard):
        try:
            consumers: list[dict[str, Any]] = await client.xinfo_consumers(key, GROUP)
        except ResponseError:  # nobody reads it
            continue
        for one in consumers:
            name = one["name"].decode()
            if name not in present and not one["pending"] and one["idle"] > GONE_MS:
                count += 1
                if not yard.order.dry_run:
                    await client.xgroup_delconsumer(key, GROUP, name)
    return Repaired(count, (f"{count} consumers were left by workers that are gone",) if count else ())


async def overdue_timers(yard: Yard) -> Repaired:
    """Timers that nobody promotes; nothing to repair here, a worker that runs promotes them."""
    said = []
    for keys in yard.log.keys.all_partitions:
        late = await yard.log.client.zcount(keys.timers, "-inf", yard.now.timestamp() * 1_000 - OVERDUE_MS)
        if late:
            said.append(f"{late} delayed tasks of partition {keys.partition} are overdue by more than 5 minutes")
    return Repaired(0, tuple(said))


def _streams(yard: Yard) -> list[str]:
    return [
        keys.named(str(StreamName(stage, pool, lane)))
        for stage in STAGES for pool in POOLS for lane in LANES for keys in yard.log.keys.all_partitions
    ]  # fmt: skip


REPAIRS: Final[Mapping[str, Repair]] = {
    "log": mended_log,
    "absent_workers": absent_workers,
    "left_consumers": left_consumers,
    "overdue_timers": overdue_timers,
}
