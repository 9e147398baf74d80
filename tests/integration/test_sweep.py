"""Claim checks are let go when nothing refers to them, and never before."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis.asyncio as redis

from streams import archive
from streams.blobs import Blobs
from streams.errors import PermanentError
from streams.keys import Keys
from streams.sweep import Swept, sweep_archive, sweep_claims

DAYS_AGO = time.time() - 3 * 86_400
PLACES = ("stream", "pool", "dlq", "waiting", "parked", "lifecycle", "archive")


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Any]:
    async with redis.Redis.from_url(valkey_url) as connected:
        yield connected


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[Blobs]:
    async with Blobs.open(str(tmp_path)) as opened:
        yield opened


async def put(blobs: Blobs, folder: Path, what: str, tenant: str = "t") -> str:
    """A claim check of three days ago."""
    sha = await blobs.chunks.put_claim(what.encode() * 100, tenant=tenant)
    age(folder, sha, tenant)
    return sha


def age(folder: Path, sha: str, tenant: str = "t") -> None:
    os.utime(folder / "claims" / tenant / sha[:2] / sha, (DAYS_AGO, DAYS_AGO))


def claim(sha: str) -> str:
    return f'{{"v":1,"$claim":"{sha}","size_bytes":70000}}'


async def refer(client: Any, blobs: Blobs, keys: Keys, place: str, sha: str) -> None:
    """Let something refer to a claim check."""
    of = keys.partition(3)  # a partition that is not configured any more
    fields = {"job": "3-j", "task": "1", "flow": "f", "data": claim(sha)}
    match place:
        case "stream":
            await client.xadd(of.stream("download"), fields)
        case "pool":
            await client.xadd(of.stream("extract", "heavy", "high"), fields)
        case "dlq":
            await client.xadd(of.dlq, fields)
        case "waiting":
            await client.hset(of.waiting, "task/3-j/1", orjson.dumps({"stage": "crawl", "data": claim(sha)}))
        case "parked":
            await client.rpush(of.parked("3-j", "crawl"), orjson.dumps([2, "f", "", claim(sha)]))
        case "lifecycle":
            await client.xadd(of.lifecycle, {"type": "completed", "emitted": f'[{{"task":2,"data":{claim(sha)}}}]'})
        case _:
            row = {"type": "submitted", "job": "0-a", "tenant": "t", "data": claim(sha)}
            await archive.write(blobs.chunks, keys.namespace, 0, [(f"{int(DAYS_AGO * 1_000)}-0", row)])


async def test_what_anything_refers_to_stays(client: Any, blobs: Blobs, namespace: str, tmp_path: Path) -> None:
    keys = Keys(namespace)
    used = {place: await put(blobs, tmp_path, place) for place in PLACES}
    for place, sha in used.items():
        await refer(client, blobs, keys, place, sha)
    loose = await put(blobs, tmp_path, "loose")
    others = await put(blobs, tmp_path, "loose", tenant="other")
    young = await blobs.chunks.put_claim(b"young", tenant="t")
    lost = "0a" * 32
    await refer(client, blobs, keys, "dlq", lost)

    told = await sweep_claims(client, keys, blobs.chunks, dry_run=True)
    assert (told.claims, told.referred, told.young, told.removed) == (10, 7, 1, 2)
    assert told.missing == [lost]
    assert await blobs.chunks.get_claim(loose, tenant="t")

    age(tmp_path, loose)
    swept = await sweep_claims(client, keys, blobs.chunks)
    assert (swept.removed, swept.removed_bytes, sorted(swept.removed_samples)) == (
        2, told.removed_bytes, sorted([loose, others]),
    )  # fmt: skip
    for sha in (*used.values(), young):
        assert await blobs.chunks.get_claim(sha, tenant="t")
    assert (await sweep_claims(client, keys, blobs.chunks)).removed == 0


async def test_what_is_put_again_while_a_sweep_runs_stays(
    client: Any, blobs: Blobs, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, removed = await put(blobs, tmp_path, "again"), await put(blobs, tmp_path, "removed")
    chunks = blobs.chunks
    drop = chunks.drop_claim

    async def put_before(sha256: str, *, tenant: str, older_than: datetime) -> bool:
        if sha256 == again:
            assert await chunks.put_claim(b"again" * 100, tenant="t") == again
        return await drop(sha256, tenant=tenant, older_than=older_than)

    monkeypatch.setattr(chunks, "drop_claim", put_before)
    swept = await sweep_claims(client, Keys(namespace), chunks)
    assert (swept.removed, swept.young) == (1, 1)
    assert await chunks.get_claim(again, tenant="t") == b"again" * 100
    # Even what went in the moment in which it was put again comes back when it is read, for a day.
    assert await chunks.get_claim(removed, tenant="t") == b"removed" * 100
    age(tmp_path, removed)
    assert (await sweep_claims(client, Keys(namespace), chunks)).removed == 1
    later = datetime.now(UTC) + timedelta(days=3)
    emptied = await sweep_claims(client, Keys(namespace), chunks, now=later, grace_s=10 * 86_400)
    assert emptied.emptied == 0
    assert (await sweep_claims(client, Keys(namespace), chunks, now=later, grace_s=86_400)).emptied >= 1
    with pytest.raises(PermanentError, match="not in the artifact store"):
        await chunks.get_claim(removed, tenant="t")


async def test_a_store_that_others_use_too_is_left_alone(
    client: Any, blobs: Blobs, namespace: str, tmp_path: Path
) -> None:
    await put(blobs, tmp_path, "loose")
    await archive.write(blobs.chunks, "shadow", 0, [("1-0", {"type": "submitted"})])
    swept = await sweep_claims(client, Keys(namespace), blobs.chunks)
    assert isinstance(swept, Swept)
    assert swept.removed == 0
    assert "shadow" in swept.refused


async def test_the_archive_goes_by_age(blobs: Blobs, namespace: str) -> None:
    now = datetime.now(UTC)
    for days in (100, 10):
        at_ms = int((now - timedelta(days=days)).timestamp() * 1_000)
        await archive.write(blobs.chunks, namespace, 2, [(f"{at_ms}-0", {"type": "submitted", "job": "2-a"})])
    told = await sweep_archive(blobs.chunks, namespace, max_age_s=90 * 86_400, dry_run=True)
    assert (told.batches, told.size_bytes > 0) == (1, True)
    swept = await sweep_archive(blobs.chunks, namespace, max_age_s=90 * 86_400)
    assert (swept.batches, swept.size_bytes) == (1, told.size_bytes)
    assert (await sweep_archive(blobs.chunks, namespace, max_age_s=90 * 86_400)).batches == 0
