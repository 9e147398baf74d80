"""Everything that is kept anywhere of what jobs were about: to see that something is nowhere any more."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard
from sqlalchemy import text

from streams.archiver import Archiver, raw_ranges
from streams.connect import connect

if TYPE_CHECKING:
    from consumers.store import Store
    from consumers.worker.worker import Worker


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder, unpacked."""
    found: dict[str, bytes] = {}
    for file in folder.rglob("*"):
        if file.is_file():
            body = file.read_bytes()
            packed = body[:4] == b"\x28\xb5\x2f\xfd"
            found[str(file)] = zstandard.ZstdDecompressor().decompressobj().decompress(body) if packed else body
    return found


async def everything(client: Any, namespace: str, store: Store, folder: Path) -> dict[str, bytes]:
    """Redis by key, files below a folder, and the database by table."""
    found: dict[str, bytes] = files(folder)
    async for key in client.scan_iter(match=f"{namespace}:*"):
        match await client.type(key):
            case b"stream":
                found[key.decode()] = repr(await client.xrange(key)).encode()
            case b"hash":
                found[key.decode()] = repr(await client.hgetall(key)).encode()
            case b"set":
                found[key.decode()] = repr(await client.smembers(key)).encode()
            case b"list":
                found[key.decode()] = repr(await client.lrange(key, 0, -1)).encode()
            case _:
                pass
    async with store.database.begin() as session:
        tables = await session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        for table in tables.all():
            rows = await session.execute(text(f"SELECT t::text FROM {table} t"))  # noqa: S608 - the database's names
            found[table] = "\n".join(row[0] for row in rows).encode()
    return found


async def archived(worker: Worker, redis_url: str) -> None:
    """Archive all of lifecycle; it stays in Redis too."""
    client = raw_ranges(connect(redis_url, single=True))
    archiver = Archiver(client, worker.resources.blobs.chunks, worker.keys.namespace, "by hand", max_bytes=1 << 30)
    for keys in worker.keys.all_partitions:
        await archiver.catch_up(keys)
        await archiver.let_go(keys)
    await client.aclose()


async def history_has_read(worker: Worker) -> None:
    """Wait until history has acknowledged all of lifecycle."""
    lifecycle = worker.keys.partition(0).lifecycle
    async with asyncio.timeout(20):
        while True:
            last = (await worker.client.xrevrange(lifecycle, count=1))[0][0]
            groups = {one["name"]: one for one in await worker.client.xinfo_groups(lifecycle)}
            if groups[b"history"]["last-delivered-id"] == last and not groups[b"history"]["pending"]:
                return
            await asyncio.sleep(0.02)
