"""Finding entries whose holder is gone: by lease in two sweeps, at once when they were given back.

After a stall of the server, or of this process, everybody looks dead. So an entry is claimed only when it was seen
idle beyond the lease in two sweeps by the same holder, with a healthy server between them: a live holder renews
several times in that span.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, Final

from redis.exceptions import OutOfMemoryError, ResponseError

from schemas.names import StageName
from streams.codec import Delivery, deliver
from streams.keys import PartitionKeys, StreamName
from streams.moves import RELEASED, Held, Moves
from streams.reader import GROUP

PAGE: Final = 100
"""Entries that one XPENDING asks for: a long one would block the server."""

Room = Mapping[tuple[StageName, str], int]
"""(stage, pool) -> most entries that may be taken now."""

STALL_FACTOR: Final = 3.0
"""A sweep that came this many intervals late says that something stalled: what was seen before it is forgotten."""


class Suspects:
    """What the last sweep saw idle; pure, the clock is passed in."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._seen: dict[tuple[str, str], tuple[str, int, int]] = {}
        self._swept_at: float | None = None

    def confirm(self, held: Iterable[Held], now_s: float, took_s: float) -> list[Held]:
        """Those of `held` that the last sweep saw too, with the same holder and a longer idle time now.

        Args:
            held: Every entry seen idle beyond the lease in this sweep.
            now_s: When the sweep began.
            took_s: How long the server took over it.
        """
        last, self._swept_at = self._swept_at, now_s
        is_healthy = last is not None and now_s - last < STALL_FACTOR * self._interval_s and took_s < self._interval_s
        before = self._seen if is_healthy else {}
        self._seen = {(h.stream, h.entry_id): (h.consumer, h.delivery, h.idle_ms) for h in held}
        return [h for h in held if self._is_older(h, before.get((h.stream, h.entry_id)))]

    @staticmethod
    def _is_older(held: Held, before: tuple[str, int, int] | None) -> bool:
        return before is not None and before[:2] == (held.consumer, held.delivery) and held.idle_ms > before[2]


class Reclaimer:
    """Sweeps the streams of a consumer's partitions and pools."""

    def __init__(
        self,
        client: Any,
        moves: Moves,
        streams: Mapping[str, tuple[PartitionKeys, StreamName]],
        *,
        lease_ms: int,
        interval_s: float,
    ) -> None:
        self._client = client
        self._moves = moves
        self._streams = streams
        self._lease_ms = lease_ms
        self._interval_s = interval_s
        self._suspects: dict[tuple[int, str], Suspects] = {}

    async def given_back(
        self, room: Mapping[str, int], in_hand: Container[tuple[str, str]] = (), places: Room | None = None
    ) -> list[Delivery]:
        """Take entries that were released, as many as there is room for by pool.

        Args:
            room: Free slots by pool.
            in_hand: (stream, entry id) that this consumer still runs, not knowing that it lost them: not taken.
            places: Room of a (stage, pool), where that is bounded.
        """
        places = places or {}
        wanted = [
            key for key, (_, name) in self._streams.items()
            if room.get(name.pool, 0) > 0 and places.get((name.stage, name.pool), 1) > 0
        ]  # fmt: skip
        pipe = self._client.pipeline(transaction=False)
        for key in wanted:
            limit = min(PAGE, room[self._streams[key][1].pool])
            pipe.xpending_range(key, GROUP, "-", "+", limit, RELEASED)
        held: list[Held] = []
        for key, rows in zip(wanted, await pipe.execute(raise_on_error=False), strict=True):
            held += [h for h in self._held(key, rows) if (h.stream, h.entry_id) not in in_hand]
        return (await self._take(held, dict(room), dict(places)))[0]

    async def sweep(
        self,
        room: Mapping[str, int],
        clock: Any,
        in_hand: Container[tuple[str, str]] = (),
        places: Room | None = None,
    ) -> list[Delivery]:
        """One sweep by this consumer where it is the sweeper; answers what it claimed, within the room.

        What is beyond it is given to whoever has room.

        What this consumer has in hand is its own to renew, however late it is; what it holds without knowing (the
        answer to its read was cut off) it takes like anyone's.
        """
        claimed: list[Delivery] = []
        for (partition, pool), streams in self._by_lock().items():
            if room.get(pool, 0) <= 0 or not await self._is_sweeper(partition, pool):
                self._suspects.pop((partition.partition, pool), None)
                continue
            began = clock()
            held = [h for h in await self._idle(streams) if (h.stream, h.entry_id) not in in_hand]
            suspects = self._suspects.setdefault((partition.partition, pool), Suspects(self._interval_s))
            confirmed = suspects.confirm(held, began, clock() - began)
            taken, beyond = await self._take(confirmed, dict(room), dict(places or {}), least_idle_ms=self._lease_ms)
            claimed += taken
            if beyond:
                named = [h for h, _ in await self._named(beyond)]
                await self._moves.reclaim(partition, named, to=RELEASED, least_idle_ms=self._lease_ms)
        return claimed

    async def disown(self, consumer: str) -> int:
        """Give back everything a consumer holds that is known to be dead; answers how many entries."""
        freed = 0
        for key, (partition, _) in self._streams.items():
            while True:
                try:
                    rows = await self._client.xpending_range(key, GROUP, "-", "+", PAGE, consumer)
                except ResponseError:
                    break
                held = await self._named(self._held(key, rows))
                if not held:
                    break
                codes = await self._moves.reclaim(partition, [h for h, _ in held], to=RELEASED)
                freed += sum(code > 0 for code in codes)
                if len(rows) < PAGE:
                    break
        return freed

    def _by_lock(self) -> dict[tuple[PartitionKeys, str], list[str]]:
        groups: dict[tuple[PartitionKeys, str], list[str]] = {}
        for key, (partition, name) in self._streams.items():
            groups.setdefault((partition, name.pool), []).append(key)
        return groups

    async def _is_sweeper(self, partition: PartitionKeys, pool: str) -> bool:
        """Whether this consumer sweeps now: one at a time a partition and pool, for a few intervals."""
        key, me = partition.sweeper(pool), self._moves.consumer
        ttl_ms = int(STALL_FACTOR * self._interval_s * 1_000)
        try:
            if await self._client.set(key, me, nx=True, px=ttl_ms):
                return True
        except OutOfMemoryError:
            # Work ends at a full server too: whoever sees that nobody sweeps does. The moves are fenced, one or many.
            if not await self._client.exists(key):
                return True
        holder = await self._client.get(key)
        if holder is None or holder.decode() != me:
            return False
        await self._client.pexpire(key, ttl_ms)
        return True

    async def _idle(self, streams: list[str]) -> list[Held]:
        """Every stream's entries idle beyond the lease, read page by page."""
        held: list[Held] = []
        starts = dict.fromkeys(streams, "-")
        while starts:
            pipe = self._client.pipeline(transaction=False)
            for key, start in starts.items():
                pipe.xpending_range(key, GROUP, start, "+", PAGE)
            behind: dict[str, str] = {}
            for key, rows in zip(starts, await pipe.execute(raise_on_error=False), strict=True):
                page = self._held(key, rows)
                held += [h for h in page if h.idle_ms >= self._lease_ms and h.consumer != RELEASED]
                if len(page) == PAGE:
                    behind[key] = "(" + page[-1].entry_id
            starts = behind
        return held

    @staticmethod
    def _held(key: str, rows: Any) -> list[Held]:
        if isinstance(rows, Exception):
            if isinstance(rows, ResponseError) and str(rows).startswith("NOGROUP"):
                return []
            raise rows
        return [
            Held(
                key,
                row["message_id"].decode(),
                row["consumer"].decode(),
                row["times_delivered"],
                row["time_since_delivered"],
            )
            for row in rows
        ]

    async def _named(self, held: list[Held]) -> list[tuple[Held, dict[bytes, bytes]]]:
        """Each held entry with its job and task, and its fields."""
        if not held:
            return []
        pipe = self._client.pipeline(transaction=False)
        for h in held:
            pipe.xrange(h.stream, h.entry_id, h.entry_id)
        named: list[tuple[Held, dict[bytes, bytes]]] = []
        for h, rows in zip(held, await pipe.execute(), strict=True):
            fields = rows[0][1] if rows else {}
            job, task = (
                fields.get(b"job", b"").decode(errors="replace"),
                fields.get(b"task", b"").decode(errors="replace"),
            )
            stage = self._streams[h.stream][1].stage
            named.append((Held(h.stream, h.entry_id, h.consumer, h.delivery, h.idle_ms, job, task, stage), fields))
        return named

    async def _take(
        self,
        held: list[Held],
        room: dict[str, int],
        places: dict[tuple[StageName, str], int],
        *,
        least_idle_ms: int = 0,
    ) -> tuple[list[Delivery], list[Held]]:
        """What was taken, and what there is no room for."""
        within: list[Held] = []
        beyond: list[Held] = []
        for h in held:
            name = self._streams[h.stream][1]
            place = (name.stage, name.pool)
            if room.get(name.pool, 0) > 0 and places.get(place, 1) > 0:
                room[name.pool] -= 1
                if place in places:
                    places[place] -= 1
                within.append(h)
            else:
                beyond.append(h)
        taken: list[Delivery] = []
        by_partition: dict[PartitionKeys, list[tuple[Held, dict[bytes, bytes]]]] = {}
        for h, fields in await self._named(within):
            by_partition.setdefault(self._streams[h.stream][0], []).append((h, fields))
        for partition, rows in by_partition.items():
            answers = await self._moves.reclaim(partition, [h for h, _ in rows], least_idle_ms=least_idle_ms)
            for (h, fields), delivery in zip(rows, answers, strict=True):
                if delivery > 0:
                    taken.append(deliver(partition, h.stream, h.entry_id.encode(), fields, delivery))
        return taken, beyond
