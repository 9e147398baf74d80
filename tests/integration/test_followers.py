"""The required groups of lifecycle: history and archive miss nothing, and trimming takes nothing from them."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio as redis

from consumers.context import StageContext
from consumers.noop import flow as noop
from consumers.outcome import Done, Outcome
from consumers.store import upgrade
from consumers.worker import follow
from consumers.worker.follow import ArchiveFollower, HistoryFollower
from streams import archive, archiver, groups, retention
from streams.archiver import Archiver, raw_ranges
from streams.blobs import Blobs
from streams.connect import connect
from streams.errors import PermanentError
from streams.groups import Entries
from streams.keys import Keys, PartitionKeys
from tests.support.chaos_local import Here, Note, flow_of, handing_on, here
from tests.support.servers import running_postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from consumers.store import Store

FOLLOWS = (HistoryFollower, ArchiveFollower)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left by a dead member, or by a database that was away, is taken over at once."""
    monkeypatch.setattr(groups, "ORPHANED_MS", 0)
    monkeypatch.setattr(follow, "TAKE_OVER_EVERY_S", 0.0)
    monkeypatch.setattr(follow, "BLOCK_MS", 20)
    monkeypatch.setattr(ArchiveFollower, "within_s", 0.05)


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Any]:
    async with redis.Redis.from_url(valkey_url) as connected:
        yield connected


async def entries_of(client: Any, keys: PartitionKeys) -> Entries:
    """Lifecycle as it stands."""
    rows = await client.xrange(keys.lifecycle)
    return [(entry_id.decode(), {k.decode(): v.decode() for k, v in raw.items()}) for entry_id, raw in rows]


async def archived(blobs: Blobs, namespace: str, **between: Any) -> Entries:
    async with aclosing(archive.read(blobs.chunks, namespace, 0, **between)) as rows:  # type: ignore[type-var]
        return [row async for row in rows]


async def caught_up(place: Here, *names: str) -> None:
    """Wait until the groups have acknowledged everything."""
    stream = place.log.keys.partition(0).lifecycle

    async def have() -> bool:
        last = (await place.log.client.xinfo_stream(stream))["last-generated-id"]
        infos = {info["name"].decode(): info for info in await place.log.client.xinfo_groups(stream)}
        return all(
            name in infos and infos[name]["last-delivered-id"] == last and infos[name]["pending"] == 0 for name in names
        )

    await place.until(have, f"{names} to catch up", 30)


async def history_equals_the_record(place: Here, store: Store, job_id: str) -> str:
    """Hold a job's history against its live record and its lifecycle; answers its status."""

    def ms(at: datetime | None) -> int:
        return round(at.timestamp() * 1_000) if at is not None else 0

    record = await place.log.job(job_id)
    past = await store.jobs.get(job_id, tenant="default")
    assert record is not None
    assert past is not None
    assert (past.status, past.revision, past.flow, past.lane) == (
        record.status, record.revision, record.flow, record.lane,
    )  # fmt: skip
    assert (past.spec, past.trace_id, past.tenant) == (record.spec, record.trace_id, record.tenant)
    assert ms(past.created_at) == pytest.approx(record.created_ms, abs=1)
    assert ms(past.started_at) == record.number("started_at")
    assert ms(past.finished_at) == pytest.approx(record.number("finished_at"), abs=1)
    if past.status in {"failed", "cancelled", "succeeded"}:
        assert past.error == record.fields.get("error")
    lifecycle = await place.log.lifecycle(job_id)
    page = await store.jobs.events(job_id, tenant="default")
    assert page.next is None
    assert [(f"{one.entry_ms}-{one.entry_seq}", one.type) for one in page.items] == [
        (entry_id, row["type"]) for entry_id, row in lifecycle
    ]
    return past.status


async def test_history_equals_the_live_records(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> None:
    is_repaired = False

    async def classifies(note: Note, _: StageContext) -> Outcome:
        if note.n % 2 and not is_repaired:
            raise PermanentError("no", reason="broken")
        return Done()

    async def breaks(_: Note, __: StageContext) -> Outcome:
        raise PermanentError("never", reason="hopeless")

    mends = flow_of("mends", crawl=handing_on("classify", 4), classify=classifies)
    flows = (noop, mends, flow_of("breaks", crawl=breaks))
    async with here(valkey_url, namespace, *flows, store_url=store_url, artifacts_url=str(tmp_path)) as place:
        await place.start(follows=FOLLOWS)
        store = place.resources.store
        wide = await place.submit("noop", spec={"fan_out": 3, "n": 7}, priority="high")
        mended = await place.submit("mends")
        broken = await place.submit("breaks")
        later = await place.submit("noop", run_at="2100-01-01T00:00:00Z")
        await place.log.cancel(later, reason="nobody wants it")
        for job_id in (wide, mended, broken, later):
            await place.ended(job_id)
        await caught_up(place, "history")
        assert await history_equals_the_record(place, store, wide) == "succeeded"
        assert await history_equals_the_record(place, store, mended) == "partial"
        assert await history_equals_the_record(place, store, broken) == "failed"
        assert await history_equals_the_record(place, store, later) == "cancelled"

        is_repaired = True
        assert await place.log.retry(mended) == 2
        assert (await place.ended(mended)).revision == 2
        await caught_up(place, "history", "archive")
        assert await history_equals_the_record(place, store, mended) == "succeeded"

        told = await entries_of(place.log.client, place.log.keys.partition(0))
        assert len(told) > 15
        assert await archived(place.resources.blobs, namespace) == told
        middle = int(told[len(told) // 2][0].partition("-")[0])
        assert await archived(place.resources.blobs, namespace, from_ms=middle) == [
            row for row in told if int(row[0].partition("-")[0]) >= middle
        ]
        assert await archived(place.resources.blobs, namespace, to_ms=middle) == [
            row for row in told if int(row[0].partition("-")[0]) <= middle
        ]


class KilledError(Exception):
    """Stands for SIGKILL."""


async def fill(client: Any, keys: PartitionKeys, moments: Sequence[int], size_bytes: int = 1_000) -> None:
    """Entries of lifecycle at these milliseconds, a few in each node of the stream."""
    pipe = client.pipeline(transaction=False)
    for at in moments:
        pipe.xadd(
            keys.lifecycle, {"type": "progressed", "job": "", "tenant": "", "pad": "x" * size_bytes}, id=f"{at}-0"
        )
    await pipe.execute()


async def test_the_archive_holds_each_entry_once_whoever_dies(
    valkey_url: str, client: Any, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys(namespace).partition(0)
    blobs = Blobs.open(str(tmp_path))
    monkeypatch.setattr(archiver, "PAGE", 10)
    await fill(client, keys, range(1, 61), 10)
    reading = raw_ranges(connect(valkey_url, single=True))

    def member(name: str) -> Archiver:
        return Archiver(reading, blobs.chunks, namespace, name, max_bytes=1 << 30)

    first = member("a")
    assert await first.step(keys) == 0  # entries of 1970: it is far behind, and does not rest
    assert await member("b").step(keys) > 0  # another's
    assert await first.flush(keys) == 10
    await first.step(keys)
    await client.delete(keys.archiver)  # it dies with a page in hand
    second = member("c")
    with monkeypatch.context() as patched:
        patched.setattr(reading, "xgroup_setid", _killed)
        await second.step(keys)
        with pytest.raises(KilledError):
            await second.flush(keys)  # written, and the group was not moved
    await client.delete(keys.archiver)
    third = member("d")
    await third.step(keys)
    await third.step(keys)
    await third.flush(keys)
    await third.let_go(keys)
    await second.catch_up(keys)
    assert await client.exists(keys.archiver)
    found = await archived(blobs, namespace)
    assert found == await entries_of(client, keys)
    assert [row[0] for row in await archived(blobs, namespace, from_ms=25, to_ms=34)] == [
        f"{n}-0" for n in range(25, 35)
    ]
    assert len([one async for one in blobs.chunks.list_raw(f"archive/{namespace}")]) == 4
    blobs.close()
    await reading.aclose()


async def test_archiving_goes_on_after_the_log_was_flushed(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    async with here(valkey_url, namespace, noop, artifacts_url=str(tmp_path)) as place:
        await place.start(follows=(ArchiveFollower,))
        await place.ended(await place.submit("noop"))
        await caught_up(place, "archive")
        await place.log.client.delete(place.log.keys.partition(0).lifecycle)
        again = await place.submit("noop")
        await place.ended(again)
        await caught_up(place, "archive")
        assert again in {fields["job"] for _, fields in await archived(place.resources.blobs, namespace)}


async def _killed(*_: object) -> None:
    raise KilledError


async def test_the_archive_is_by_day_and_lets_old_ones_go(tmp_path: Path, namespace: str) -> None:
    day = archive.DAY_MS
    claim = "ab" * 32
    rows = [
        (f"{day - 1}-0", {"type": "submitted", "job": "0-a", "tenant": "t", "data": f'{{"v":1,"$claim":"{claim}"}}'}),
        (f"{day}-0", {"type": "completed", "job": "0-b", "tenant": "t"}),
        (f"{2 * day + 5}-0", {"type": "completed", "job": "0-a", "tenant": "t", "quoted": '"job":"0-b"'}),
    ]
    async with Blobs.open(str(tmp_path)) as blobs:
        keys = await archive.write(blobs.chunks, namespace, 0, rows)
        assert [key.split("/")[3] for key in keys] == ["1970-01-01", "1970-01-02", "1970-01-03"]
        assert await archive.namespaces(blobs.chunks) == [namespace]
        assert await archive.partitions(blobs.chunks, namespace) == [0]
        assert [one async for one in archive.claims(blobs.chunks, namespace, 0)] == [("t", claim)]
        of_a = archive.read(blobs.chunks, namespace, 0, jobs=frozenset({"0-a"}))
        assert [row async for row in of_a] == [rows[0], rows[2]]
        within = archive.batches(blobs.chunks, namespace, 0, from_ms=day, to_ms=2 * day)
        assert [one.key async for one in within] == [keys[1]]
        removed, size_bytes = await archive.expire(blobs.chunks, namespace, 0, before_ms=2 * day, dry_run=True)
        assert removed == 2
        assert size_bytes > 0
        assert await archived(blobs, namespace) == rows
        assert await archive.expire(blobs.chunks, namespace, 0, before_ms=2 * day) == (2, size_bytes)
        assert await archived(blobs, namespace) == rows[2:]
        assert [one async for one in archive.claims(blobs.chunks, namespace, 0)] == []


async def trim(client: Any, keys: PartitionKeys, **changes: Any) -> int:
    given = {"now_ms": 1_000_000, "max_bytes": 1 << 30, "max_age_s": 0, "required": retention.REQUIRED_GROUPS}
    return await retention.trim(client, keys, **{**given, **changes})


async def acknowledge(client: Any, keys: PartitionKeys, group: str, count: int, *, but: int = -1) -> None:
    """A member reads so many entries of a group and acknowledges them, all but one of them."""
    ((_, rows),) = await client.xreadgroup(group, "reader", {keys.lifecycle: ">"}, count=count)
    ids = [entry_id for entry_id, _ in rows]
    await client.xack(keys.lifecycle, group, *(one for at, one in enumerate(ids) if at != but))


async def first_ms(client: Any, keys: PartitionKeys) -> int:
    ((entry_id, _),) = await client.xrange(keys.lifecycle, count=1)
    return int(entry_id.partition(b"-")[0])


async def test_nothing_goes_that_a_required_group_still_needs(client: Any, namespace: str) -> None:
    keys = Keys(namespace).partition(0)
    assert await trim(client, keys) == 0  # no stream
    await fill(client, keys, range(1, 101))
    assert await trim(client, keys) == 0  # no group
    await client.xgroup_create(keys.lifecycle, "archive", id="0")
    await acknowledge(client, keys, "archive", 100)
    assert await trim(client, keys) == 0  # no history
    await client.xgroup_create(keys.lifecycle, "history", id="0")
    assert await trim(client, keys) == 0  # it has read nothing
    await acknowledge(client, keys, "history", 80, but=40)
    removed = await trim(client, keys)
    assert 30 <= removed <= 40
    assert await client.xlen(keys.lifecycle) == 100 - removed
    assert await first_ms(client, keys) == removed + 1
    await client.xack(keys.lifecycle, "history", "41-0")
    assert 70 <= removed + await trim(client, keys) <= 79  # of what it has read
    await acknowledge(client, keys, "history", 100)
    await trim(client, keys)
    assert 90 <= await first_ms(client, keys) <= 100


@pytest.fixture
async def kept(client: Any, namespace: str) -> PartitionKeys:
    """1,000 entries, one a second up to now, that both required groups have done with."""
    keys = Keys(namespace).partition(0)
    await fill(client, keys, range(1_000, 1_000_001, 1_000))
    for group in retention.REQUIRED_GROUPS:
        await client.xgroup_create(keys.lifecycle, group, id="0")
        await acknowledge(client, keys, group, 2_000)
    return keys


async def test_what_is_too_old_goes(client: Any, kept: PartitionKeys) -> None:
    assert await trim(client, kept, max_age_s=1_000) == 0
    removed = await trim(client, kept, max_age_s=400)
    assert 590 <= removed <= 599  # entries go by whole nodes
    assert 590_000 < await first_ms(client, kept) <= 600_000
    assert await trim(client, kept, max_age_s=400) == 0


async def test_what_is_too_much_goes_oldest_first(
    client: Any, kept: PartitionKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PER_CALL", 100)
    size_bytes = await client.memory_usage(kept.lifecycle, samples=0)
    assert await trim(client, kept, max_age_s=10_000, max_bytes=size_bytes * 2) == 0
    removed = await trim(client, kept, max_age_s=10_000, max_bytes=size_bytes // 4)
    assert 740 <= removed <= 760
    assert await client.memory_usage(kept.lifecycle, samples=0) < size_bytes * 0.27
    assert await first_ms(client, kept) == (removed + 1) * 1_000


async def test_a_foreign_group_that_missed_something_is_moved_and_told_so_once(
    client: Any, kept: PartitionKeys, store: Store
) -> None:
    before = {"new": "0-0", "behind": "100000-0", "has_all": "1000000-0"}
    for name, position in before.items():
        await client.xgroup_create(kept.lifecycle, name, id=position)
    await trim(client, kept, max_age_s=400)
    oldest = await first_ms(client, kept)
    # Trimmed up to the last entry that it has read: it missed nothing, now and later.
    await client.xgroup_create(kept.lifecycle, "just", id=f"{oldest - 1_000}-0")
    for _ in range(3):
        await trim(client, kept, max_age_s=400)
    moved = (await entries_of(client, kept))[-2:]
    assert {row["group"]: (row["type"], row["from"], row["to"]) for _, row in moved} == {
        name: ("group_moved", before[name], f"{oldest}-0") for name in ("new", "behind")
    }
    assert [row["type"] for _, row in await entries_of(client, kept)].count("group_moved") == 2
    for name in ("new", "behind", "just"):
        ((_, rows),) = await client.xreadgroup(name, "reader", {kept.lifecycle: ">"}, count=1)
        assert rows[0][0] == f"{oldest}-0".encode()
    ((_, rows),) = await client.xreadgroup("has_all", "reader", {kept.lifecycle: ">"}, count=9)
    assert [row[b"type"] for _, row in rows] == [b"group_moved"] * 2
    assert (await store.jobs.project(0, moved)).refused == ()


async def test_a_database_that_is_away_for_a_while_loses_nothing(
    valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    with running_postgres() as server:
        await asyncio.to_thread(asyncio.run, upgrade(server.url))
        async with here(valkey_url, namespace, noop, store_url=server.url, artifacts_url=str(tmp_path)) as place:
            worker = await place.start(follows=FOLLOWS)
            store = place.resources.store
            before = await place.submit("noop")
            await place.ended(before)
            await caught_up(place, "history")
            assert await history_equals_the_record(place, store, before) == "succeeded"
            await asyncio.to_thread(server.stop)
            during = [await place.submit("noop", n=n) for n in range(5)]
            for job_id in during:
                assert (await place.ended(job_id)).status == "succeeded"  # the work does not wait for it
            lifecycle = place.log.keys.partition(0).lifecycle

            async def is_behind() -> bool:
                return int((await place.log.client.xpending(lifecycle, "history"))["pending"]) > 0

            await place.until(is_behind, "a batch that was not kept")
            await caught_up(place, "archive")
            await trim(place.log.client, place.log.keys.partition(0), now_ms=int(time.time() * 1_000) + 60_000)
            ((oldest, _),) = await place.log.client.xrange(lifecycle, count=1)
            needed = (await place.log.client.xpending(lifecycle, "history"))["min"]
            assert tuple(map(int, oldest.split(b"-"))) <= tuple(map(int, needed.split(b"-")))
            await asyncio.to_thread(server.start)
            await caught_up(place, "history", "archive")
            for job_id in during:
                assert await history_equals_the_record(place, store, job_id) == "succeeded"
            past = await store.jobs.get(before, tenant="default")
            assert past is not None
            assert past.status == "succeeded"  # whatever of it was trimmed meanwhile
            assert worker.crash_reason is None
