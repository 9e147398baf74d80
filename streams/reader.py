"""Reading the stage streams: poll the lanes in weighted order, then wait at the doorbell when all are empty."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.exceptions import OutOfMemoryError, ResponseError

from schemas.names import LANES, STAGES, Lane, StageName
from streams.codec import Delivery, deliver
from streams.connect import AWAY, is_cluster
from streams.keys import Keys, PartitionKeys, StreamName
from streams.policy import lane_shares

logger = logging.getLogger(__name__)

GROUP: Final = "millrace"
DOORBELL_MS: Final = 2_000
"""Longest wait at the doorbell."""

PARTITION_BELL_MS: Final = 500
SHORT_BELL_MS: Final = 100
"""On a Cluster each partition has a doorbell of its own; this long a wait there, the short one when there are fewer
free slots than partitions, so that the others' turn comes."""

COLD_SHARE: Final = 8
"""One in so many slots asks a stream that gave nothing last time."""

_NO_STREAMS: Final[frozenset[str]] = frozenset()

_AS_THEY_COME: Final[dict[str, Any]] = {}
"""No parsing by redis-py, which would copy every entry twice before `deliver` reads it."""


class Reader:
    """Reads the streams of some pools and stages as one consumer; never more than the free slots it is told of.

    A stream that gave entries when it was last asked is *hot* and gets its share of the slots; a cold one is asked for
    one entry, some of them each time, all of them before the wait at the doorbell.
    """

    def __init__(
        self,
        client: Any,
        bell: Any,
        keys: Keys,
        consumer: str,
        *,
        pools: Sequence[str],
        stages: Sequence[StageName] = STAGES,
    ) -> None:
        self._client = client
        self._bell = bell
        self._keys = keys
        self._consumer = consumer
        self.pools = tuple(pools)
        self._is_cluster = is_cluster(client)
        self._streams: dict[str, tuple[PartitionKeys, StreamName]] = {}
        for partition in keys.all_partitions:
            for stage in stages:
                for pool in pools:
                    for lane in LANES:
                        key = partition.stream(stage, pool, lane)
                        self._streams[key] = (partition, StreamName(stage, pool, lane))
        self.preferred: frozenset[int] = frozenset()
        self._others = self._own = _NO_STREAMS
        self._hot: set[str] = set()
        self._turn = self._cold_turn = 0
        self._out: dict[PartitionKeys, asyncio.Task[list[Delivery]]] = {}

    def prefer(self, partitions: frozenset[int]) -> None:
        """Read these partitions first, the others when they have nothing; one time in `COLD_SHARE` the others first."""
        self.preferred = partitions
        self._others = frozenset(
            key for key, (keys, _) in self._streams.items() if partitions and keys.partition not in partitions
        )
        self._own = frozenset(self._streams) - self._others

    @property
    def streams(self) -> Mapping[str, tuple[PartitionKeys, StreamName]]:
        """The streams that are read: key -> its partition and name."""
        return self._streams

    async def create_groups(self) -> None:
        """Create the consumer group on every stream, from its first entry; those that exist stay as they are.

        A full server makes none: those that are missing are asked for again when they are read.
        """
        pipe = self._client.pipeline(transaction=False)
        for key in self._streams:
            pipe.xgroup_create(key, GROUP, id="0", mkstream=True)
        for answer in await pipe.execute(raise_on_error=False):
            if isinstance(answer, OutOfMemoryError):
                logger.warning("no consumer groups are made, the server is full: %s", answer)
                return
            if isinstance(answer, Exception) and not str(answer).startswith("BUSYGROUP"):
                raise answer

    async def poll(
        self,
        free: Mapping[str, int],
        closed: frozenset[tuple[StageName, str]],
        room: Mapping[tuple[StageName, str], int] | None = None,
    ) -> list[Delivery]:
        """Read what is there, without waiting.

        Args:
            free: Free slots by pool.
            closed: (stage, pool) whose streams are not read now.
            room: Most entries of a (stage, pool), where that is bounded; what is left is another worker's.
        """
        room = room or {}
        closed |= {place for place, left in room.items() if left <= 0}
        asked: set[str] = set()
        # Its own first; now and then the others' first.
        later = self._others if self._turn % COLD_SHARE or not self._others else self._own
        if self._is_cluster:
            found = self._rung()
            # A wait that is still out has a slot reserved: it may bring an entry.
            free = {pool: slots - len(self._out) for pool, slots in free.items()}
            if found:
                return found
        # A single slot stays with the lane whose turn it is, until some of its cold streams were asked.
        stays, tries = sum(free.values()) == 1, 0
        while True:
            if not stays or not 0 < tries < COLD_SHARE:
                self._turn += 1
            tries += 1
            commands = [
                command
                for pool, slots in free.items()
                if slots > 0
                for command in self._plan(
                    pool, slots, closed, asked | later if later else asked, room, is_first=tries == 1
                )
            ]
            if not commands and later:
                later = _NO_STREAMS
                continue
            if not commands:
                return []
            for _, streams in commands:
                asked.update(streams)
            self._hot -= asked
            found = [entry for answer in await self._ask(commands) for entry in self._entries(answer)]
            if found:
                return found

    async def doorbell(
        self, free: Mapping[str, int], closed: frozenset[tuple[StageName, str]], timeout_ms: int = DOORBELL_MS
    ) -> list[Delivery]:
        """Wait until an entry comes, and read it; nothing when none came in time.

        The connection is this reader's own: cancelling the wait may cost the entry's first delivery, which a
        reclaim brings back; let it run out instead.

        Args:
            free: Free slots by pool.
            closed: As in `poll`.
        """
        wanted = [k for k, (_, n) in self._streams.items() if n.pool in free and (n.stage, n.pool) not in closed]
        if not wanted and not self._out:  # all are closed: there is nothing that could ring
            await asyncio.sleep(timeout_ms / 1_000)
            return []
        if self._is_cluster:
            return await self._partition_bells(wanted, sum(free.values()), timeout_ms)
        return await self._wait_at(wanted, timeout_ms)

    @property
    def is_waiting(self) -> bool:
        """Whether waits are still out that may bring entries (on a Cluster)."""
        return bool(self._out)

    async def last_rings(self) -> list[Delivery]:
        """What waits at doorbells bring that are still out (on a Cluster); for when nothing more is to be read."""
        if self._out:
            await asyncio.wait(self._out.values())
        return self._rung()

    async def _partition_bells(self, streams: list[str], slots: int, timeout_ms: int) -> list[Delivery]:
        """Wait for several partitions at once, for no more than there are slots; the first that rings is enough.

        The others stay out: what they bring is had by the next poll.
        """
        by_partition: dict[PartitionKeys, list[str]] = {}
        for key in streams:
            by_partition.setdefault(self._streams[key][0], []).append(key)
        self._turn += 1
        partitions = list(by_partition)
        turn = self._turn % max(1, len(partitions))
        longest = PARTITION_BELL_MS if slots >= len(partitions) else SHORT_BELL_MS
        for keys in [*partitions[turn:], *partitions[:turn]]:
            if keys not in self._out and len(self._out) < slots:
                waiting = self._wait_at(by_partition[keys], min(timeout_ms, longest))
                self._out[keys] = asyncio.create_task(waiting)
        if self._out:
            await asyncio.wait(self._out.values(), return_when=asyncio.FIRST_COMPLETED)
        return self._rung()

    def _rung(self) -> list[Delivery]:
        """What the waits brought that have ended."""
        found: list[Delivery] = []
        failed: BaseException | None = None
        for keys in [keys for keys, waiting in self._out.items() if waiting.done()]:
            waiting = self._out.pop(keys)
            failed = waiting.exception() or failed
            if waiting.exception() is None:
                found += waiting.result()
        if failed is not None and not found:  # if it goes on, the next wait says so
            raise failed
        return found

    async def _wait_at(self, streams: list[str], timeout_ms: int) -> list[Delivery]:
        try:
            answer = await self._bell.xreadgroup(
                GROUP, self._consumer, dict.fromkeys(streams, ">"), count=1, block=timeout_ms
            )
        except ResponseError as error:
            await self._mend(error)
            return []
        return self._entries(answer)

    async def hang_up(self, name: str) -> None:
        """End a wait at the doorbell, whose connection has this name; it answers that nothing came.

        On a Cluster it does nothing: there the wait runs out by itself.
        """
        if self._is_cluster:
            return
        for row in await self._client.client_list():
            if row["name"] == name:
                await self._client.client_unblock(row["id"])

    def _plan(
        self,
        pool: str,
        slots: int,
        closed: frozenset[tuple[StageName, str]],
        quiet: set[str],
        room: Mapping[tuple[StageName, str], int],
        *,
        is_first: bool,
    ) -> list[tuple[int, list[str]]]:
        """What to ask of which streams, for no more than the slots: the hot ones by their lanes' weights, some cold."""
        hot: dict[Lane, list[str]] = {lane: [] for lane in LANES}
        cold: list[str] = []
        for key, (_, name) in self._streams.items():
            if name.pool == pool and (name.stage, pool) not in closed and key not in quiet:
                (hot[name.lane] if key in self._hot else cold).append(key)
        busy = sum(bool(streams) for streams in hot.values())
        # However much the hot ones have to give, a few of the cold are asked each time: a high one may have come.
        first = lane_shares(1, self._turn)[0][0]
        is_cold_turn = (
            slots > 1
            or (not hot[first] and any(self._streams[key][1].lane == first for key in cold))
            or (is_first and self._turn % COLD_SHARE == 0)
        )
        reserved = max(1, slots // COLD_SHARE) if is_cold_turn else 0
        left = slots - min(reserved, len(cold)) if busy else 0
        asked = 0
        commands: list[tuple[int, list[str]]] = []
        for lane, share in lane_shares(left, self._turn) if left else ():
            streams = hot[lane]
            if not streams or left <= 0:
                continue
            # Lanes without entries leave their share to the others.
            count = max(1, min(left, share if busy > 1 else left) // len(streams))
            if count * len(streams) > left:
                turn = self._turn % len(streams)
                streams = [*streams[turn:], *streams[:turn]][:left]
            commands += self._grouped(count, streams)
            left -= count * len(streams)
            asked += count * len(streams)
        commands += self._grouped(1, self._in_turn(cold, first)[: slots - asked])
        return self._within(commands, room) if room else commands

    def _within(
        self, commands: list[tuple[int, list[str]]], room: Mapping[tuple[StageName, str], int]
    ) -> list[tuple[int, list[str]]]:
        """The same, with no more asked of a (stage, pool) than it has room for, all lanes and partitions together."""
        left = dict(room)
        within: list[tuple[int, list[str]]] = []
        for count, streams in commands:
            by_count: dict[int, list[str]] = {}
            for key in streams:
                name = self._streams[key][1]
                most = min(count, left.get((name.stage, name.pool), count))
                if most > 0:
                    by_count.setdefault(most, []).append(key)
                if (name.stage, name.pool) in left:
                    left[name.stage, name.pool] -= most
            within += by_count.items()
        return within

    def _in_turn(self, streams: list[str], first: Lane) -> list[str]:
        """The streams of one lane, then the others; each time another one first."""
        self._cold_turn += 1
        turn = self._cold_turn % len(streams) if streams else 0
        turned = [*streams[turn:], *streams[:turn]]
        return sorted(turned, key=lambda key: self._streams[key][1].lane != first)

    def _grouped(self, count: int, streams: list[str]) -> list[tuple[int, list[str]]]:
        if not streams:
            return []
        if not self._is_cluster:
            return [(count, streams)]
        by_partition: dict[int, list[str]] = {}
        for key in streams:
            by_partition.setdefault(self._streams[key][0].partition, []).append(key)
        return [(count, keys) for keys in by_partition.values()]

    async def _ask(self, commands: list[tuple[int, list[str]]]) -> list[Any]:
        """Ask for so many entries of each of some streams; on a Cluster, a server that is away fails only its own."""
        if self._is_cluster:
            asked = (
                self._client.xreadgroup(GROUP, self._consumer, dict.fromkeys(streams, ">"), count=count)
                for count, streams in commands
            )
            answers = await asyncio.gather(*asked, return_exceptions=True)
        else:
            pipe = self._client.pipeline(transaction=False)
            pipe.response_callbacks = _AS_THEY_COME
            for count, streams in commands:
                pipe.xreadgroup(GROUP, self._consumer, dict.fromkeys(streams, ">"), count=count)
            answers = await pipe.execute(raise_on_error=False)
        good = [answer for answer in answers if not isinstance(answer, BaseException)]
        for error in answers:
            if isinstance(error, ResponseError) and not isinstance(error, AWAY):
                await self._mend(error)
            elif isinstance(error, BaseException) and not any(good):
                raise error
        return good

    async def _mend(self, error: ResponseError) -> None:
        """A stream or group that vanished (FLUSHALL, an operator) is created again; anything else is raised."""
        if str(error).startswith("UNBLOCKED"):  # the server became a replica: the next command finds the new master
            return
        if not str(error).startswith("NOGROUP"):
            raise error
        await self.create_groups()

    def _entries(self, answer: Any) -> list[Delivery]:
        found: list[Delivery] = []
        for stream, rows in answer.items() if isinstance(answer, dict) else answer or ():
            key = stream.decode() if isinstance(stream, bytes) else stream
            partition = self._streams[key][0]
            entries = rows[0] if rows and rows[0] and isinstance(rows[0][0], list | tuple) else rows
            for entry_id, fields in entries:
                if fields is not None:
                    found.append(deliver(partition, key, entry_id, fields, 1))
            self._hot.add(key)
        return found
