"""Letting lifecycle go: what is old enough, or too much, and done with by every required group."""

from __future__ import annotations

import logging
from typing import Any, Final

from streams import scripts
from streams.keys import PartitionKeys

logger = logging.getLogger(__name__)

REQUIRED_GROUPS: Final = ("archive", "history")
"""They pin: nothing that one of them has not acknowledged is removed."""

PER_CALL: Final = 1_000
"""Entries one call removes at most, about; below a millisecond of the server's time."""


def cutoff_ms(first_ms: int, last_ms: int, size_bytes: int, *, max_bytes: int, max_age_s: int, now_ms: int) -> int:
    """The instant before which entries go: those beyond the age, and the oldest of what is too much.

    Entries are taken to be spread evenly between the first and the last.
    """
    by_age = now_ms - max_age_s * 1_000
    if size_bytes <= max_bytes:
        return by_age
    too_much = 1 - max_bytes / size_bytes
    return max(by_age, first_ms + int((last_ms - first_ms) * too_much))


async def trim(
    client: Any, keys: PartitionKeys, *, now_ms: int, max_bytes: int, max_age_s: int, required: tuple[str, ...]
) -> int:
    """Trim one partition's lifecycle; answers how many entries went."""
    first, last = await client.xrange(keys.lifecycle, count=1), await client.xrevrange(keys.lifecycle, count=1)
    if not first:
        return 0
    size_bytes = await client.memory_usage(keys.lifecycle, samples=5) or 0
    first_ms, last_ms = (int(rows[0][0].partition(b"-")[0]) for rows in (first, last))
    cutoff = cutoff_ms(first_ms, last_ms, size_bytes, max_bytes=max_bytes, max_age_s=max_age_s, now_ms=now_ms)
    if cutoff <= first_ms:
        return 0
    before = await _positions(client, keys, required)
    needs = await _needs(client, keys, before)
    removed = 0
    while True:
        args = [f"{cutoff}-0", PER_CALL, len(required), *required]
        went, _ = await scripts.run(client, "trim", [keys.lifecycle], args)
        removed += int(went)
        if went < PER_CALL // 2:
            break
    await _move_forward(client, keys, before, needs, await _positions(client, keys, required))
    return removed


async def _positions(client: Any, keys: PartitionKeys, required: tuple[str, ...]) -> dict[str, str]:
    """Where the groups stand that pin nothing."""
    groups = await client.xinfo_groups(keys.lifecycle)
    found = {group["name"].decode(): group["last-delivered-id"].decode() for group in groups}
    return {name: position for name, position in found.items() if name not in required}


async def _needs(client: Any, keys: PartitionKeys, positions: dict[str, str]) -> dict[str, str]:
    """The entry that each group would read next; none for a group that has read all."""
    found = {}
    for name, position in positions.items():
        rows = await client.xrange(keys.lifecycle, f"({position}", count=1)
        if rows:
            found[name] = rows[0][0].decode()
    return found


async def _move_forward(
    client: Any, keys: PartitionKeys, before: dict[str, str], needs: dict[str, str], after: dict[str, str]
) -> None:
    """Other groups pin up to the declared age and size only: those that missed something are moved, and told so."""
    rows = await client.xrange(keys.lifecycle, count=1)
    if not rows:
        return
    oldest = rows[0][0].decode()
    for name, needed in needs.items():
        position = before[name]
        if after.get(name) != position or not _is_before(needed, oldest):
            continue
        logger.warning(
            "group %s on %s was behind what is kept: moved from %s to %s", name, keys.lifecycle, position, oldest
        )
        await client.xgroup_setid(keys.lifecycle, name, f"{int(oldest.partition('-')[0]) - 1}-0")
        moved = {"type": "group_moved", "job": "", "flow": "", "tenant": "", "revision": ""}
        await client.xadd(keys.lifecycle, {**moved, "group": name, "from": position, "to": oldest})


def _is_before(a: str, b: str) -> bool:
    left, right = a.partition("-"), b.partition("-")
    return (int(left[0]), int(left[2])) < (int(right[0]), int(right[2]))
