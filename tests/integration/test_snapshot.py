"""A snapshot over the network, and a server that starts from it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from streams import snapshot
from streams.connect import connect
from streams.embedded.valkey import ValkeyServer
from streams.errors import PermanentError
from tests.support.servers import temporary_home

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def test_what_a_server_had_at_one_instant_comes_back(
    start_valkey: Callable[..., ValkeyServer], redis_server: str | None, tmp_path: Path
) -> None:
    client = connect(start_valkey().url)
    move = "redis.call('XADD', KEYS[1], '*', 'n', ARGV[1]); return redis.call('SET', KEYS[2], ARGV[1])"
    writing, taken = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        n = 0
        while not taken.is_set():
            await client.eval(move, 2, "{a}:stream", "{a}:last", n)
            n += 1
            if n == 100:
                writing.set()

    writer = asyncio.create_task(write())
    await writing.wait()
    assert await snapshot.take(client, tmp_path / "redis.rdb") == (tmp_path / "redis.rdb").stat().st_size
    taken.set()
    await writer
    written = await client.xlen("{a}:stream")
    await client.aclose()

    with temporary_home() as home:
        (home / "valkey").mkdir()
        snapshot.put_back(tmp_path / "redis.rdb", home / "valkey")
        with pytest.raises(PermanentError, match="has data"):
            snapshot.put_back(tmp_path / "redis.rdb", home / "valkey")
        server = ValkeyServer(home, {}, redis_server)
        await asyncio.to_thread(server.start)
        try:
            restored = connect(server.url)
            length = await restored.xlen("{a}:stream")
            # One move wrote both: the instant is between two moves, not within one.
            assert length == int(await restored.get("{a}:last")) + 1
            assert 100 <= length <= written
            await restored.xadd("{a}:stream", {"n": "more"})
            server.kill()
            await asyncio.to_thread(server.start)
            assert await restored.xlen("{a}:stream") == length + 1
            await restored.aclose()
        finally:
            server.stop()


async def test_a_user_that_may_not_sync_is_told(start_valkey: Callable[..., ValkeyServer], tmp_path: Path) -> None:
    server = start_valkey()
    admin = connect(server.url)
    await admin.execute_command("ACL", "SETUSER", "me", "on", ">pw", "~*", "+@all", "-@dangerous")
    client = connect(server.url.replace("redis://", "redis://me:pw@"))
    with pytest.raises(PermanentError, match=r"\+sync"):
        await snapshot.take(client, tmp_path / "redis.rdb")
    await admin.aclose()
    await client.aclose()
