"""Who writes the archive: reads each lifecycle stream from where its required group stands, and moves the group on.

Nothing is pending in that group, so the server keeps no list of what was read, and one member a partition is enough:
it holds a key while it works. Two that overlap write some entries twice, and readers drop repeats.

Archiving is in no hurry, since lifecycle keeps a window anyway: it takes at most a hundredth of the time, until what it
has not written is too old or too much; then it does not rest.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final

from redis.exceptions import ResponseError

from streams import archive
from streams.chunks import Chunks
from streams.groups import Entries
from streams.keys import PartitionKeys

PAGE: Final = 250
"""Entries that one command reads: about half a millisecond of the server's time, and three of ours."""

MOST_ENTRIES: Final = 20_000
"""Entries of one object at most."""

WITHIN_S: Final = 60.0
"""What was read is written by then, in objects that are not too small; it is looked for twice as often."""

REST: Final = 100
"""Pause after a page, in multiples of the time that it took."""

HURRY_AFTER_S: Final = 600.0
"""Age of the oldest entry that is not archived from which there are no pauses."""

HURRY_SHARE: Final = 0.5
"""Share of the window's bytes from which there are no pauses."""

HELD_MS: Final = 30_000
"""How long a member keeps a partition that it does not work on any more."""


def pause_s(took_s: float, *, behind_s: float, share: float) -> float:
    """How long to rest after a page, with more to read.

    Args:
        took_s: What reading it took.
        behind_s: Age of the last entry that was read.
        share: Bytes of the stream by those of its window.
    """
    if behind_s > HURRY_AFTER_S or share > HURRY_SHARE:
        return 0.0
    return took_s * REST


@dataclass(slots=True)
class _Progress:
    """What was read of a partition and is not written yet; `position` is the last entry read."""

    position: str
    entries: Entries = field(default_factory=list)
    since_s: float = 0.0


class Archiver:
    """One member. `client` answers XRANGE as the server does, see `raw_ranges`.

    Args:
        client: A connection of its own.
        max_bytes: The window of one partition's stream.
        within_s: What was read is written by then.
    """

    def __init__(
        self, client: Any, chunks: Chunks, namespace: str, name: str, *, max_bytes: int, within_s: float = WITHIN_S
    ) -> None:
        self._client = client
        self._chunks = chunks
        self._namespace = namespace
        self._name = name
        self._max_bytes = max_bytes
        self._within_s = within_s
        self._idle_s = within_s / 2
        self._held: dict[int, _Progress] = {}

    async def step(self, keys: PartitionKeys) -> float:
        """Read a page of a partition's lifecycle, write when there is enough; answers seconds to rest.

        Raises:
            TransientError, redis.exceptions.RedisError: A server is away; what was read is read again.
        """
        began_s = time.perf_counter()
        if not await self._hold(keys):
            self._held.pop(keys.partition, None)
            return self._idle_s
        progress = self._held.get(keys.partition)
        if progress is None:
            progress = self._held[keys.partition] = _Progress(await self._position(keys))
        rows = await self._client.xrange(keys.lifecycle, f"({progress.position}", "+", count=PAGE)
        if rows:
            progress.since_s = progress.since_s or time.monotonic()
            progress.entries += map(_decoded, rows)
            progress.position = progress.entries[-1][0]
        is_behind = len(rows) == PAGE
        is_late = progress.entries and time.monotonic() - progress.since_s >= self._within_s
        if is_late or len(progress.entries) >= MOST_ENTRIES:
            await self.flush(keys)
        if not is_behind:
            return self._idle_s
        behind_s = time.time() - int(progress.position.partition("-")[0]) / 1_000
        share = (await self._client.memory_usage(keys.lifecycle, samples=5) or 0) / self._max_bytes
        return pause_s(time.perf_counter() - began_s, behind_s=behind_s, share=share)

    async def flush(self, keys: PartitionKeys) -> int:
        """Write what was read, then move the group; answers how many entries."""
        progress = self._held.get(keys.partition)
        if progress is None or not progress.entries:
            return 0
        entries, progress.entries, progress.since_s = progress.entries, [], 0.0
        try:
            await archive.write(self._chunks, self._namespace, keys.partition, entries)
            await self._client.xgroup_setid(keys.lifecycle, archive.GROUP, entries[-1][0])
        except BaseException:
            self._held.pop(keys.partition, None)  # from the group's own position next time
            raise
        return len(entries)

    async def catch_up(self, keys: PartitionKeys) -> None:
        """Archive all that is there, without a pause: for backups, drills and tests."""
        while True:
            await self.step(keys)
            progress = self._held.get(keys.partition)
            if progress is None or not await self._client.xrange(keys.lifecycle, f"({progress.position}", "+", count=1):
                await self.flush(keys)
                return

    async def _hold(self, keys: PartitionKeys) -> bool:
        if await self._client.set(keys.archiver, self._name, nx=True, px=HELD_MS):
            return True
        holder = await self._client.get(keys.archiver)
        if holder != self._name.encode():
            return False
        await self._client.pexpire(keys.archiver, HELD_MS)
        return True

    async def let_go(self, keys: PartitionKeys) -> None:
        """Write what was read, and leave the partition to others."""
        await self.flush(keys)
        if self._held.pop(keys.partition, None) is not None:
            await self._client.delete(keys.archiver)

    async def _position(self, keys: PartitionKeys) -> str:
        try:
            await self._client.xgroup_create(keys.lifecycle, archive.GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        for group in await self._client.xinfo_groups(keys.lifecycle):
            if group["name"] == archive.GROUP.encode():
                return str(group["last-delivered-id"].decode())
        return "0-0"


def raw_ranges(client: Any) -> Any:
    """Let a client answer XRANGE as the server does, a list of ``[id, [name, value, …]]``: half the time a page."""
    client.set_response_callback("XRANGE", lambda rows, **_: rows)
    return client


_NAMES: dict[bytes, str] = {}


def _decoded(row: Any) -> tuple[str, dict[str, str]]:
    entry_id, flat = row
    fields: dict[str, str] = {}
    for at in range(0, len(flat), 2):
        name = _NAMES.get(flat[at])
        if name is None:
            name = flat[at].decode("utf-8", "replace")
            if len(_NAMES) < 1_000:  # noqa: PLR2004 - a foreign writer may make up names
                _NAMES[flat[at]] = name
        fields[name] = flat[at + 1].decode("utf-8", "replace")
    return entry_id.decode(), fields


__all__ = ["Archiver", "pause_s", "raw_ranges"]
