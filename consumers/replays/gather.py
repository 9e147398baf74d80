"""What is recorded of some jobs: from lifecycle what it still has, from the archive what it has no longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from streams import archive
from streams.recorded import Recorded

if TYPE_CHECKING:
    from streams.blobs import Blobs
    from streams.keys import PartitionKeys
    from streams.log import Log

PAGE: Final = 250
BEFORE_MS: Final = 1_000
"""A job's first entry may be that much older than what history says, by rounding and by clocks."""

AFTER_MS: Final = 5_000
APART_MS: Final = 60_000
"""What lies between two jobs that are further apart is not read."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A job to replay, and when it happened: ms, and µs as history orders by it."""

    job_id: str
    flow: str
    tenant: str
    status: str
    created_ms: int
    finished_ms: int
    created_us: int = 0


async def recorded(
    log: Log, blobs: Blobs, chosen: Sequence[Chosen], opened: archive.Opened | None = None
) -> dict[str, Recorded]:
    """Read some jobs; those that lie close together in time are read together, with what lies between them.

    Args:
        log: With lifecycle.
        blobs: With the archive.
        chosen: The jobs.
        opened: What was read of the archive before. Where that does not suffice, it is read anew.
    """
    found = await _read(log, blobs, chosen, opened)
    lacking = [one for one in chosen if not found[one.job_id].is_whole]
    if opened is not None and lacking:
        opened.forget()
        found |= await _read(log, blobs, lacking, opened)
    return found


async def _read(log: Log, blobs: Blobs, chosen: Sequence[Chosen], opened: archive.Opened | None) -> dict[str, Recorded]:
    found = {one.job_id: Recorded(one.job_id) for one in chosen}
    by_partition: dict[int, list[Chosen]] = {}
    for one in chosen:
        by_partition.setdefault(log.keys.of_job(one.job_id).partition, []).append(one)
    for partition, jobs in ((partition, near) for partition, all_ in by_partition.items() for near in _near(all_)):
        keys = log.keys.partition(partition)
        from_ms = min(one.created_ms for one in jobs) - BEFORE_MS
        to_ms = max(one.finished_ms for one in jobs) + AFTER_MS
        wanted = frozenset(one.job_id for one in jobs)
        # Lifecycle first: what is trimmed meanwhile was archived before.
        kept = await _kept(log.client, keys, wanted, from_ms, to_ms)
        oldest = await log.client.xrange(keys.lifecycle, count=1)
        kept_from = oldest[0][0].decode() if oldest else ""
        if not kept_from or int(kept_from.partition("-")[0]) >= from_ms:
            until_ms = min(to_ms, int(kept_from.partition("-")[0])) if kept_from else to_ms
            known = {entry_id for entry_id, _ in kept}
            async for entry_id, fields in archive.read(
                blobs.chunks, log.keys.namespace, partition, from_ms=from_ms, to_ms=until_ms, jobs=wanted,
                opened=opened,
            ):  # fmt: skip
                if entry_id not in known:
                    found[fields["job"]].take(fields)
        for _, fields in kept:
            found[fields["job"]].take(fields)
    return found


def _near(jobs: Sequence[Chosen]) -> list[list[Chosen]]:
    """Jobs in groups between which nothing happened to them for a while."""
    groups: list[list[Chosen]] = []
    end_ms = 0
    for one in sorted(jobs, key=lambda job: job.created_ms):
        if not groups or one.created_ms - end_ms > APART_MS:
            groups.append([])
        groups[-1].append(one)
        end_ms = max(end_ms, one.finished_ms)
    return groups


async def _kept(
    client: Any, keys: PartitionKeys, wanted: frozenset[str], from_ms: int, to_ms: int
) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []
    names = {job.encode() for job in wanted}
    after = str(max(0, from_ms))
    while rows := await client.xrange(keys.lifecycle, after, str(to_ms), count=PAGE):
        found += [
            (entry_id.decode(), {name.decode(): value.decode("utf-8", "replace") for name, value in raw.items()})
            for entry_id, raw in rows
            if raw.get(b"job") in names
        ]
        after = f"({rows[-1][0].decode()}"
    return found
