"""Any stream, read entry by entry as one member of a consumer group under fenced leases: for the users' own consumers.

What the log does for its stages, without jobs: an entry is held by (consumer, delivery count), renewed while somebody
works on it, acknowledged by whom it is still held, found by XPENDING and claimed when its holder is gone or gave it up,
and dead-lettered after so many deliveries. The scripts are in ``lua/channel/``.

Source: Redis, "Streams", consumer groups; XPENDING, XCLAIM.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from redis.exceptions import NoScriptError, ResponseError

from streams.scripts import Script

SCRIPTS: Final = ("renew", "settle")
LOOKED_AT: Final = 100
"""Idle entries that one look asks for."""


@dataclass(frozen=True, slots=True)
class Held:
    """An entry and the lease it is held by.

    Attributes:
        delivery: Redis's count, 1 for the first.
    """

    entry_id: str
    fields: dict[str, str]
    delivery: int

    @property
    def added_ms(self) -> int:
        """When it was added, milliseconds since the epoch by the server's clock."""
        return int(self.entry_id.partition("-")[0])


def dead_letters_of(stream: str) -> str:
    """The key of a stream's dead letters, in the stream's own slot of a Cluster."""
    return f"{stream}:dlq" if "{" in stream else f"{{{stream}}}:dlq"


class Member:
    """One consumer of a group.

    Args:
        client: For everything but reading.
        reading: A connection of its own: it blocks.
        consumer: Its name; never used twice.
        idle_ms: How long an entry that nobody renews stays where it is.
        max_deliveries: Deliveries after which an entry that was not acknowledged is dead-lettered.
        dead_letters: Key of the dead-letter stream; on a Cluster in the stream's slot.
    """

    def __init__(
        self,
        client: Any,
        reading: Any,
        stream: str,
        group: str,
        consumer: str,
        *,
        idle_ms: int,
        max_deliveries: int,
        dead_letters: str,
    ) -> None:
        self.stream = stream
        self.group = group
        self.consumer = consumer
        self.idle_ms = idle_ms
        self.max_deliveries = max_deliveries
        self.dead_letters = dead_letters
        self._client = client
        self._reading = reading

    async def create_group(self) -> None:
        """Create the group from the first entry on; where it exists it stays."""
        try:
            await self._client.xgroup_create(self.stream, self.group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def read(self, block_ms: int) -> Held | None:
        """The next entry that nobody was given; None when none came in time."""
        try:
            answer = await self._reading.xreadgroup(
                self.group, self.consumer, {self.stream: ">"}, count=1, block=block_ms
            )
        except ResponseError as error:
            if str(error).startswith("UNBLOCKED"):
                raise ConnectionError("the server became a replica") from error
            if not str(error).startswith("NOGROUP"):
                raise
            await self.create_group()
            return None
        for _, rows in answer.items() if isinstance(answer, dict) else answer or ():
            entries = rows[0] if rows and rows[0] and isinstance(rows[0][0], list | tuple) else rows
            for entry_id, raw in entries:
                return Held(entry_id.decode(), _texts(raw), 1)
        return None

    async def take_over(self) -> Held | None:
        """An entry that was given up, delivered to this consumer once more; those beyond their deliveries are buried.

        None when there is none. Who else looks at the same time gets another one: the claim asks for the idle time.
        """
        try:
            idle = await self._client.xpending_range(
                self.stream, self.group, min="-", max="+", count=LOOKED_AT, idle=self.idle_ms
            )
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            await self.create_group()
            return None
        for row in idle:
            entry_id, delivered = row["message_id"].decode(), int(row["times_delivered"])
            is_last = delivered >= self.max_deliveries
            claimed = await self._client.xclaim(
                self.stream, self.group, self.consumer, self.idle_ms, [entry_id], justid=is_last
            )
            if not claimed or claimed == [None]:
                continue  # another was faster, or the entry was deleted
            if not is_last:
                return Held(entry_id, _texts(claimed[0][1]), delivered + 1)
            held = Held(entry_id, {}, delivered)
            await self.bury(held, "abandoned", f"delivered {delivered} times, acknowledged by nobody")
        return None

    async def renew(self, held: list[Held]) -> set[str]:
        """Keep entries; answers the ids of those that are lost: acknowledged, or with somebody else by now."""
        if not held:
            return set()
        leases = [part for one in held for part in (one.entry_id, one.delivery)]
        lost = await self._run("renew", [self.stream], [self.group, self.consumer, *leases])
        return {entry_id.decode() for entry_id in lost}

    async def acknowledge(self, held: Held) -> bool:
        """Be done with an entry; False when it is not held any more."""
        return bool(await self._settle(held, "", ""))

    async def bury(self, held: Held, cause: str, error: str) -> bool:
        """Move an entry to the dead letters; False when it is not held any more."""
        return bool(await self._settle(held, cause, error))

    async def _settle(self, held: Held, cause: str, error: str) -> Any:
        keys = [self.stream, self.dead_letters]
        return await self._run(
            "settle", keys, [self.group, self.consumer, held.entry_id, held.delivery, cause, error[:16_384]]
        )

    async def _run(self, name: str, keys: list[str], args: list[Any]) -> Any:
        found = channel_script(name)
        try:
            return await self._client.evalsha(found.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await self._client.eval(found.source, len(keys), *keys, *args)


@cache
def channel_script(name: str) -> Script:
    """One of the scripts, with what it uses before its own text."""
    folder = files("streams") / "lua" / "channel"
    shebang, _, rest = (folder / f"{name}.lua").read_text(encoding="utf-8").partition("\n")
    source = "\n".join((shebang, (folder / "lib" / "holds.lua").read_text(encoding="utf-8"), rest))
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def _texts(raw: Any) -> dict[str, str]:
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in raw.items()}
