"""Back-pressure: what is under way can end, because above a bound nothing new is taken in.

Two bounds. By memory: while a Redis node uses more than a share of its ``maxmemory``, nothing is taken;
``<namespace>:pressure`` holds the reason, so that all say the same, and expires by itself, should nobody look again.
By count: a job is refused by the submit script while its first stage has so many entries in its partition, jobs of the
lane `low` first, `high` last. The log's own refusal (out of memory) stays the last line: these are the ones before it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from schemas.names import Lane
from streams.connect import is_cluster
from streams.errors import TransientError
from streams.keys import Keys

FRESH_S: Final = 1.0
RETRY_AFTER_S: Final = 30.0
HOLDS_S: Final = 900
"""How long it holds when it is not renewed: three looks of the memory chore."""

MEMORY_SHARE: Final = 0.80
HYSTERESIS: Final = 0.05
"""So far below the share new work is taken in again, so that it does not go on and off."""

LANE_SHARES: Final[Mapping[Lane, float]] = {"high": 1.0, "normal": 0.9, "low": 0.8}
"""Of a full backlog, how much each lane may fill: what matters least is shed first."""

_BY_MEMORY: Final = "Redis uses "


class Overloaded(TransientError):  # noqa: N818 - it says what is the case
    """Nothing new is taken in now."""


def most_waiting(max_backlog: int, lane: Lane) -> int:
    """Entries of a stage in a partition from which a job of a lane is refused; 0 when there is no bound."""
    return max(1, int(max_backlog * LANE_SHARES[lane])) if max_backlog else 0


def backlog_full(stage: str, lane: Lane, partition: int, most: int) -> Overloaded:
    """The refusal of a job whose first stage has its backlog full."""
    return Overloaded(
        f"nothing new is taken in by {stage} at priority {lane}: partition {partition} has {most:,} entries or more "
        "waiting there (MILLRACE_MAX_BACKLOG); send it again later, with a higher priority, or start workers",
        reason="backlog_full", retry_after_s=RETRY_AFTER_S,
    )  # fmt: skip


async def memory_of_each(client: Any) -> list[dict[str, Any]]:
    """``INFO memory`` of every node that takes writes."""
    if not is_cluster(client):
        return [await client.info("memory")]
    by_node = await client.info("memory", target_nodes=client.PRIMARIES)
    return list(by_node.values()) if "used_memory" not in by_node else [by_node]


def fullest(infos: Sequence[Mapping[str, Any]]) -> tuple[float, int, int]:
    """Share, used bytes and `maxmemory` of the node that is nearest to its limit; one without a limit has share 0."""
    return max(
        (info["used_memory"] / info["maxmemory"] if info["maxmemory"] else 0.0, info["used_memory"], info["maxmemory"])
        for info in infos
    )


class Pressure:
    """A client of the key. Every method raises redis-py's errors when the server is away.

    Args:
        client: Of Redis.
        keys: Of the namespace.
        clock: Seconds that only ever grow.
        share: Of `maxmemory`, above which nothing new is taken in.
    """

    def __init__(
        self, client: Any, keys: Keys, clock: Callable[[], float] = time.monotonic, *, share: float = MEMORY_SHARE
    ) -> None:
        self._client = client
        self._key = keys.pressure
        self._clock = clock
        self.share = share
        self._read_s = -math.inf
        self._said = ""

    async def begin(self, said: str) -> None:
        """Take nothing new in, for `HOLDS_S`."""
        await self._client.set(self._key, said, ex=HOLDS_S)

    async def end(self) -> bool:
        """Take new work in again; False when it was."""
        return bool(await self._client.delete(self._key))

    async def said(self) -> str:
        """Why nothing is taken in, empty when it is; at most a second old."""
        now = self._clock()
        if now - self._read_s >= FRESH_S:
            self._said, self._read_s = await self._look(), now
        return self._said

    async def check(self) -> None:
        """Refuse a submission while there is pressure.

        Raises:
            Overloaded: There is; it says when to come again.
        """
        said = await self.said()
        if said:
            raise Overloaded(
                f"nothing new is taken in: {said}; send it again later", reason="back_pressure",
                retry_after_s=RETRY_AFTER_S,
            )  # fmt: skip

    async def _look(self) -> str:
        kept = (await self._client.get(self._key) or b"").decode()
        if kept and not kept.startswith(_BY_MEMORY):
            return str(kept)
        share, _, _ = fullest(await memory_of_each(self._client))
        if share > self.share:
            return said_of(share)  # kept by the memory chore: a server that is full could refuse to
        if kept and share < self.share - HYSTERESIS:
            await self.end()
            return ""
        return str(kept)


def said_of(share: float) -> str:
    """Why nothing is taken in at a share of `maxmemory`."""
    return f"{_BY_MEMORY}{share:.0%} of its maxmemory"
