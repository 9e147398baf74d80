"""Letting go of what nothing refers to: claim checks by mark and sweep, the archive by age.

A claim check is removed when it is older than the grace and neither lifecycle, nor the archive, nor anything that is
open or dead refers to it. Payloads put while a sweep runs are young: putting the same bytes again makes them so. What
is removed lies aside for a day, and reading it brings it back, so that even a payload that is put in the very moment
of its removal is not lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from streams import archive
from streams.archive import CLAIMED
from streams.frontier import Named, chunks_of, unpack
from streams.keys import StreamName
from streams.objects import BlobNotFound

if TYPE_CHECKING:
    from streams.chunks import Chunks
    from streams.keys import Keys
    from streams.objects import Stored

GRACE_S: Final = 86_400.0
"""What is younger is not looked at. More than a sweep takes, and more than an unfinished submission is old."""

PAGE: Final = 500
SAMPLES: Final = 20


@dataclass(slots=True)
class Swept:
    """What a sweep of the claim checks found and did.

    Attributes:
        claims: There are.
        referred: Of them, those that something refers to.
        young: Of the others, those within the grace.
        removed, removed_bytes: Of the rest; with `dry_run`, what would be.
        missing: Digests that something open or dead refers to and that are not there: its payload is lost.
        emptied: Removed at an earlier sweep, and gone for good now.
        refused: Why nothing was removed; empty when it was.
    """

    dry_run: bool
    claims: int = 0
    referred: int = 0
    young: int = 0
    removed: int = 0
    removed_bytes: int = 0
    emptied: int = 0
    missing: list[str] = field(default_factory=list)
    removed_samples: list[str] = field(default_factory=list)
    refused: str = ""


@dataclass(frozen=True, slots=True)
class ArchiveSwept:
    """What went of the archive by its age; with `dry_run`, what would."""

    dry_run: bool
    batches: int
    size_bytes: int


async def sweep_archive(
    chunks: Chunks, namespace: str, *, max_age_s: float, dry_run: bool = False, now: datetime | None = None
) -> ArchiveSwept:
    """Remove archived lifecycle whose last entry is older.

    Args:
        chunks: Where it is kept.
        namespace: Whose.
        max_age_s: `MILLRACE_ARCHIVE_MAX_AGE_S`.
        dry_run: Only count.
        now: The clock.

    Raises:
        TransientError: The artifact store is away.
    """
    before_ms = int(((now or datetime.now(UTC)) - timedelta(seconds=max_age_s)).timestamp() * 1_000)
    batches, size_bytes = 0, 0
    for partition in await archive.partitions(chunks, namespace):
        went = await archive.expire(chunks, namespace, partition, before_ms=before_ms, dry_run=dry_run)
        batches, size_bytes = batches + went[0], size_bytes + went[1]
    return ArchiveSwept(dry_run, batches, size_bytes)


@dataclass(frozen=True, slots=True)
class SpilledSwept:
    """What went of the chunks of parked tasks; with `dry_run`, what would.

    Attributes:
        chunks: There are.
        removed: Of them, that no parked list names.
        missing: Chunks that a parked list names and that are not there.
    """

    chunks: int
    removed: int
    missing: tuple[str, ...]


async def sweep_spilled(
    client: Any,
    keys: Keys,
    chunks: Chunks,
    *,
    grace_s: float = GRACE_S,
    dry_run: bool = False,
    now: datetime | None = None,
) -> SpilledSwept:
    """Remove the chunks of parked tasks that no list names: of a spill or a removal that was cut off.

    Raises:
        TransientError, redis.exceptions.RedisError: A server is away.
    """
    began = now or datetime.now(UTC)
    # Listed before they are looked for: what is written from now on is young.
    listed = [one async for one in chunks.list_raw(f"spill/{keys.namespace}")]
    named = {one.key async for one in _named(client, keys)}
    again = {one.key async for one in _named(client, keys)}
    old = [one.key for one in listed if (began - one.modified_at).total_seconds() >= grace_s]
    gone = [key for key in old if key not in named and key not in again]
    if not dry_run:
        for key in gone:
            await chunks.delete_raw(key)
    there = {one.key for one in listed}
    return SpilledSwept(len(listed), len(gone), tuple(sorted((named & again) - there))[:SAMPLES])


async def _named(client: Any, keys: Keys) -> AsyncIterator[Named]:
    async for raw in client.scan_iter(match=f"{keys.namespace}:{{*:parked:*", count=1_000):
        async for named in chunks_of(client, raw.decode()):
            yield named


async def sweep_claims(
    client: Any,
    keys: Keys,
    chunks: Chunks,
    *,
    grace_s: float = GRACE_S,
    dry_run: bool = False,
    now: datetime | None = None,
) -> Swept:
    """Remove the claim checks that nothing refers to.

    Args:
        client: Redis.
        keys: Of the namespace. A store that others archive into too is left alone: what is open there is not known.
        chunks: Where claim checks are.
        grace_s: Least age of what is removed.
        dry_run: Only report.
        now: The clock.

    Raises:
        TransientError, redis.exceptions.RedisError: A server is away; nothing but what was removed so far is gone.
    """
    began = now or datetime.now(UTC)
    found = Swept(dry_run)
    others = [name for name in await archive.namespaces(chunks) if name != keys.namespace]
    if others:
        found.refused = (
            f"this artifact store also keeps the archive of {', '.join(others[:5])}, whose open work is not known "
            "here; give every namespace a store or a prefix of its own (MILLRACE_ARTIFACTS_URL)"
        )
    # Listed before it is marked: what is put from now on is young, whatever refers to it.
    listed = [
        (tenant, one) for tenant in await chunks.claim_tenants() async for one in chunks.list_claims(tenant=tenant)
    ]
    live = {sha async for sha in _live(client, keys, chunks)}
    marked = live | {sha async for sha in _archived(chunks)}
    # Once more: a task that went from one place to another meanwhile was perhaps seen in neither.
    again = {sha async for sha in _live(client, keys, chunks)}
    marked |= again
    found.claims = len(listed)
    for tenant, one in listed:
        if one.key in marked:
            found.referred += 1
        elif (began - one.modified_at).total_seconds() < grace_s:
            found.young += 1
        elif not found.refused:
            await _remove(chunks, found, tenant, one)
    known = {one.key for _, one in listed}
    for sha in sorted(live & again - known)[:SAMPLES]:
        if not await chunks.has_claim(sha):
            found.missing.append(sha)
    if not dry_run:
        found.emptied = await chunks.empty_dropped(before=began - timedelta(seconds=grace_s))
    return found


async def _remove(chunks: Chunks, found: Swept, tenant: str, one: Stored) -> None:
    if not found.dry_run and not await chunks.drop_claim(one.key, tenant=tenant, older_than=one.modified_at):
        found.young += 1  # put again meanwhile
        return
    found.removed += 1
    found.removed_bytes += one.size_bytes
    if len(found.removed_samples) < SAMPLES:
        found.removed_samples.append(one.key)


async def _archived(chunks: Chunks) -> AsyncIterator[str]:
    for namespace in await archive.namespaces(chunks):
        for partition in await archive.partitions(chunks, namespace):
            async for _, sha in archive.claims(chunks, namespace, partition):
                yield sha


async def _live(client: Any, keys: Keys, chunks: Chunks) -> AsyncIterator[str]:
    """Digests in every stage stream, dead letter, timer and parked list, spilled ones too, and in lifecycle."""
    prefix = f"{keys.namespace}:{{"
    async for raw in client.scan_iter(match=f"{prefix}*", count=1_000):
        key = raw.decode()
        name = key.removeprefix(prefix).partition("}:")[2]
        if name == "waiting":
            async for _, body in client.hscan_iter(key, count=PAGE):
                for sha in _claims(body):
                    yield sha
        elif ":parked:" in name:
            async for sha in _of_list(client, key, chunks):
                yield sha
        elif name in {"lifecycle", "dlq"} or _is_stage_stream(name):
            async for sha in _of_stream(client, key):
                yield sha


def _is_stage_stream(name: str) -> bool:
    try:
        StreamName.parse(name)
    except ValueError:
        return False
    return True


async def _of_stream(client: Any, key: str) -> AsyncIterator[str]:
    after = "-"
    while rows := await client.xrange(key, after, "+", count=PAGE):
        for _, fields in rows:
            for value in fields.values():
                for sha in _claims(value):
                    yield sha
        after = f"({rows[-1][0].decode()}"


async def _of_list(client: Any, key: str, chunks: Chunks) -> AsyncIterator[str]:
    at = 0
    while rows := await client.lrange(key, at, at + PAGE - 1):
        for row in rows:
            for task in await _tasks_of(row, chunks):
                for sha in _claims(task):
                    yield sha
        at += len(rows)


async def _tasks_of(element: bytes, chunks: Chunks) -> list[bytes]:
    named = Named.of(element)
    if named is None:
        return [element]
    try:
        return unpack(await chunks.get_raw(named.key), named)
    except BlobNotFound:  # read back meanwhile: then the second look finds its tasks; or lost, which is told elsewhere
        return []


def _claims(raw: bytes) -> Iterable[str]:
    return CLAIMED.findall(raw.decode("utf-8", "replace")) if b"$claim" in raw else ()
