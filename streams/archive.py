"""Lifecycle in the artifact store: what replay needs stays when Redis lets it go.

One object a batch, ``archive/<namespace>/<partition>/<day>/<first id>_<last id>.jsonl.zst``: one JSON line an entry,
``{"id": …, "fields": {…}}``. A batch is of one day (UTC), so that a range of time lists and reads its own days only.
A batch that was archived twice (a crash between writing and moving on) repeats entries; readers drop repeats by id.

Beside a batch whose payloads were put aside, ``….claims`` names them (a JSON list of ``[tenant, sha256]``), so that a
sweep need not unpack the archive. It is written first: a claim check is never archived without being named.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import zstandard

from streams.chunks import Chunks
from streams.groups import Entries
from streams.objects import BlobNotFound

GROUP: Final = "archive"
"""A required group: nothing it has not written is trimmed."""

LEVEL: Final = 3
DAY_MS: Final = 86_400_000
MAX_CHUNK_BYTES: Final = 1 << 30
CLAIMED: Final = re.compile(r'\$claim\\*"\s*:\s*\\*"([0-9a-f]{64})')
"""A claim check within JSON, however often that was quoted."""

_BATCH: Final = ".jsonl.zst"
_CLAIMS: Final = ".claims"


@dataclass(frozen=True, slots=True)
class Batch:
    """Where a batch is, and the instants (ms) of its first and last entry."""

    key: str
    first_ms: int
    last_ms: int


class Opened:
    """What was read of the archive lately, for who reads it page by page: batches unpacked, and lists of days.

    Args:
        most: Batches that are kept unpacked.
        for_s: How long a list of a day's batches is taken as complete.
    """

    def __init__(self, most: int = 4, for_s: float = 30.0) -> None:
        self._most = most
        self._for_s = for_s
        self._lines: dict[str, list[bytes]] = {}
        self._days: dict[str, tuple[float, list[str]]] = {}

    def forget(self) -> None:
        """List the days anew."""
        self._days.clear()

    async def lines(self, chunks: Chunks, key: str) -> list[bytes]:
        """The lines of a batch."""
        found = self._lines.pop(key, None)
        if found is None:
            found = await asyncio.to_thread(_unpacked, await chunks.get_raw(key))
        self._lines[key] = found
        while len(self._lines) > self._most:
            self._lines.pop(next(iter(self._lines)))
        return found

    async def keys(self, chunks: Chunks, folder: str) -> list[str]:
        """The keys of a day's batches."""
        known = self._days.get(folder)
        if known is None or time.monotonic() - known[0] > self._for_s:
            found = [stored.key async for stored in chunks.list_raw(folder) if stored.key.endswith(_BATCH)]
            self._days = {folder: (time.monotonic(), found), **dict(list(self._days.items())[:8])}
            return found
        return known[1]


def _unpacked(body: bytes) -> list[bytes]:
    return zstandard.ZstdDecompressor().decompress(body, max_output_size=MAX_CHUNK_BYTES).splitlines()


def _packed(lines: Iterable[bytes]) -> bytes:
    return zstandard.ZstdCompressor(level=LEVEL).compress(b"".join(lines))


async def write(chunks: Chunks, namespace: str, partition: int, entries: Entries) -> list[str]:
    """Archive entries, which come in order; answers the keys, one a day."""
    keys = []
    for day, of_day in _by_day(entries).items():
        stem = f"{_folder(namespace, partition)}/{day}/{_sortable(of_day[0][0])}_{_sortable(of_day[-1][0])}"
        claims = sorted({(fields.get("tenant", ""), sha) for _, fields in of_day for sha in claims_in(fields.values())})
        if claims:
            await chunks.put_raw(stem + _CLAIMS, orjson.dumps(claims))
        lines = (orjson.dumps({"id": entry_id, "fields": fields}) + b"\n" for entry_id, fields in of_day)
        await chunks.put_raw(stem + _BATCH, _packed(lines))
        keys.append(stem + _BATCH)
    return keys


async def read(
    chunks: Chunks,
    namespace: str,
    partition: int,
    *,
    from_ms: int = 0,
    to_ms: int | None = None,
    jobs: frozenset[str] | None = None,
    opened: Opened | None = None,
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The archived entries of a partition between two instants, in order, each once.

    Args:
        chunks: Where it is kept.
        namespace: Whose.
        partition: Of the lifecycle stream.
        from_ms: The first instant.
        to_ms: The last one; None: no end.
        jobs: Only entries of these jobs; None: of all.
        opened: What the same reader has read before.
    """
    opened = opened or Opened(most=1)
    keys = [
        batch.key async for batch in batches(chunks, namespace, partition, from_ms=from_ms, to_ms=to_ms, opened=opened)
    ]
    wanted = None if jobs is None else {job.encode() for job in jobs}
    for together in overlapping(keys):
        found: dict[tuple[int, int], tuple[str, dict[str, Any]]] = {}
        for key in together:
            for line in await opened.lines(chunks, key):
                if wanted is not None and not _may_be_of(line, wanted):
                    continue
                row = orjson.loads(line)
                at = _place(row["id"])
                if at[0] < from_ms or (to_ms is not None and at[0] > to_ms):
                    continue
                if jobs is None or row["fields"].get("job") in jobs:
                    found[at] = row["id"], row["fields"]
        for at in sorted(found):
            yield found[at]


async def rewrite(
    chunks: Chunks,
    key: str,
    change: Callable[[str, dict[str, str]], dict[str, str] | None],
    worth: Callable[[bytes], bool],
) -> int:
    """Change entries of a batch, in one step; answers how many. Their ids and order stay.

    Args:
        chunks: Where it is kept.
        key: Of the batch.
        change: Given an entry's id and fields, its new fields, or None to leave it.
        worth: Whether a line is worth parsing.
    """
    lines = await Opened(most=1).lines(chunks, key)
    changed = 0
    for at, line in enumerate(lines):
        if not worth(line):
            continue
        row = orjson.loads(line)
        fields = change(row["id"], row["fields"])
        if fields is not None:
            lines[at] = orjson.dumps({"id": row["id"], "fields": fields})
            changed += 1
    if changed:
        await chunks.put_raw(key, _packed(line + b"\n" for line in lines))
    return changed


async def batches(
    chunks: Chunks,
    namespace: str,
    partition: int,
    *,
    from_ms: int = 0,
    to_ms: int | None = None,
    opened: Opened | None = None,
) -> AsyncIterator[Batch]:
    """The batches that may have entries between two instants, in no order; other days are not looked at."""
    opened = opened or Opened()
    first_day, last_day = _day(from_ms), _day(to_ms) if to_ms is not None else "9999-12-31"
    for day in await days(chunks, namespace, partition):
        if not first_day <= day <= last_day:
            continue
        for key in await opened.keys(chunks, f"{_folder(namespace, partition)}/{day}"):
            first, last = _range_of(key)
            if last[0] >= from_ms and (to_ms is None or first[0] <= to_ms):
                yield Batch(key, first[0], last[0])


async def days(chunks: Chunks, namespace: str, partition: int) -> list[str]:
    """The days that have batches, the earliest first."""
    return await chunks.folders_raw(_folder(namespace, partition))


async def expire(
    chunks: Chunks, namespace: str, partition: int, *, before_ms: int, dry_run: bool = False
) -> tuple[int, int]:
    """Remove the batches whose last entry is older; answers how many, and their bytes."""
    removed, size_bytes = 0, 0
    for day in await days(chunks, namespace, partition):
        if day > _day(before_ms):
            break
        async for stored in chunks.list_raw(f"{_folder(namespace, partition)}/{day}"):
            if _range_of(stored.key)[1][0] >= before_ms:
                continue
            removed, size_bytes = removed + stored.key.endswith(_BATCH), size_bytes + stored.size_bytes
            if not dry_run:
                await chunks.delete_raw(stored.key)
    return removed, size_bytes


async def claims_of(chunks: Chunks, key: str) -> list[str]:
    """The SHA-256 of every claim check that a batch refers to."""
    try:
        named = orjson.loads(await chunks.get_raw(key.removesuffix(_BATCH) + _CLAIMS))
    except BlobNotFound:
        return []
    return [sha256 for _, sha256 in named]


async def claims(chunks: Chunks, namespace: str, partition: int) -> AsyncIterator[tuple[str, str]]:
    """Every claim check that the archive of a partition refers to: (tenant, SHA-256), with repeats."""
    async for stored in chunks.list_raw(_folder(namespace, partition)):
        if stored.key.endswith(_CLAIMS):
            for tenant, sha256 in orjson.loads(await chunks.get_raw(stored.key)):
                yield tenant, sha256


async def namespaces(chunks: Chunks) -> list[str]:
    """Those that have an archive in this store."""
    return await chunks.folders_raw("archive")


async def partitions(chunks: Chunks, namespace: str) -> list[int]:
    """Those of a namespace that have an archive, also such as are not configured any more."""
    return sorted(int(name) for name in await chunks.folders_raw(f"archive/{namespace}") if name.isdigit())


def claims_in(texts: Iterable[str]) -> set[str]:
    """The SHA-256 of every claim check in some JSON texts."""
    return {sha for text in texts if "$claim" in text for sha in CLAIMED.findall(text)}


def overlapping(keys: Iterable[str]) -> list[list[str]]:
    """Archive keys in order, those together whose ranges of entry ids overlap.

    Two members that archived at the same time, as after a pause of one, leave such.
    """
    groups: list[list[str]] = []
    end = (-1, -1)
    for key in sorted(keys, key=_range_of):
        first, last = _range_of(key)
        if first > end:
            groups.append([])
        groups[-1].append(key)
        end = max(end, last)
    return groups


def _may_be_of(line: bytes, jobs: set[bytes]) -> bool:
    """Whether a line names one of some jobs where entries name theirs; what looks otherwise is parsed."""
    start = line.find(b'"job":"')
    return start < 0 or line[start + 7 : line.find(b'"', start + 7)] in jobs


def _by_day(entries: Entries) -> dict[str, Entries]:
    found: dict[str, Entries] = {}
    for entry in entries:
        found.setdefault(_day(_place(entry[0])[0]), []).append(entry)
    return found


def _folder(namespace: str, partition: int) -> str:
    return f"archive/{namespace}/{partition}"


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // DAY_MS * 86_400, UTC):%Y-%m-%d}"


def _range_of(key: str) -> tuple[tuple[int, int], tuple[int, int]]:
    first, _, last = key.rpartition("/")[2].removesuffix(_BATCH).removesuffix(_CLAIMS).partition("_")
    return _place(first), _place(last)


def _place(entry_id: str) -> tuple[int, int]:
    ms, _, seq = entry_id.partition("-")
    return int(ms), int(seq)


def _sortable(entry_id: str) -> str:
    ms, seq = _place(entry_id)
    return f"{ms:015d}-{seq:09d}"
