"""Lifecycle in the artifact store: what replay needs stays when Redis lets it go.

One object a batch, ``archive/<namespace>/<partition>/<first id>_<last id>.jsonl.zst``: one JSON line an entry,
``{"id": …, "fields": {…}}``. A batch that was archived twice (a crash between writing and acknowledging) repeats
entries; readers drop repeats by id.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import orjson
import zstandard

from streams.chunks import Chunks
from streams.groups import Entries

GROUP: Final = "archive"
"""A required group: nothing it has not written is trimmed."""

LEVEL: Final = 6


async def write(chunks: Chunks, namespace: str, partition: int, entries: Entries) -> str:
    """Archive a batch; answers its key."""
    lines = b"".join(orjson.dumps({"id": entry_id, "fields": fields}) + b"\n" for entry_id, fields in entries)
    key = f"archive/{namespace}/{partition}/{_sortable(entries[0][0])}_{_sortable(entries[-1][0])}.jsonl.zst"
    await chunks.put_raw(key, zstandard.ZstdCompressor(level=LEVEL).compress(lines))
    return key


async def read(
    chunks: Chunks, namespace: str, partition: int, *, from_ms: int = 0, to_ms: int | None = None
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The archived entries of a partition between two instants, in order, each once."""
    keys = [stored.key async for stored in chunks.list_raw(f"archive/{namespace}/{partition}")]
    for together in overlapping(keys):
        found: dict[tuple[int, int], tuple[str, dict[str, Any]]] = {}
        for key in together:
            first, last = _range_of(key)
            if last[0] < from_ms or (to_ms is not None and first[0] > to_ms):
                continue
            body = zstandard.ZstdDecompressor().decompress(await chunks.get_raw(key), max_output_size=1 << 30)
            for line in body.splitlines():
                row = orjson.loads(line)
                at = _place(row["id"])
                if at[0] >= from_ms and (to_ms is None or at[0] <= to_ms):
                    found[at] = row["id"], row["fields"]
        for at in sorted(found):
            yield found[at]


def overlapping(keys: Iterable[str]) -> list[list[str]]:
    """Archive keys in order, those together whose ranges of entry ids overlap.

    A batch that was taken over from several members that died may lie around another member's.
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


def _range_of(key: str) -> tuple[tuple[int, int], tuple[int, int]]:
    first, _, last = key.rpartition("/")[2].removesuffix(".jsonl.zst").partition("_")
    return _place(first), _place(last)


def _place(entry_id: str) -> tuple[int, int]:
    ms, _, seq = entry_id.partition("-")
    return int(ms), int(seq)


def _sortable(entry_id: str) -> str:
    ms, seq = _place(entry_id)
    return f"{ms:015d}-{seq:09d}"
