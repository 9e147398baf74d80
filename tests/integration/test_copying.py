"""Entries of any stream into another one: whole, at a pace, gone on with where it was interrupted."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as redis

from streams.copying import CannotCopy, Copy, begin, carry_out
from streams.keys import Keys


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Any]:
    async with redis.Redis.from_url(valkey_url) as connected:
        yield connected


@pytest.fixture
async def source(client: Any, namespace: str) -> str:
    """A foreign stream of 1,200 entries; some of what is in it is no text."""
    key = f"{namespace}-foreign"
    pipe = client.pipeline(transaction=False)
    for n in range(1, 1_201):
        pipe.xadd(key, {b"n": n, b"\xff\x00": b"\xfe"}, id=f"{n}-0")
    await pipe.execute()
    return key


async def copy_all(client: Any, keys: Keys, copy: Copy, *, per_s: float = 1e9, **how: bool) -> Copy:
    copy = await begin(client, keys, copy, resume=how.get("resume", False), force=how.get("force", False))
    async for at in carry_out(client, keys, copy, per_s=per_s):
        copy = at
    return copy


async def test_all_or_a_part_as_it_is(client: Any, namespace: str, source: str) -> None:
    keys, into = Keys(namespace), f"{namespace}-into"
    assert (await copy_all(client, keys, Copy(source, into))).copied == 1_200
    assert [row[1] for row in await client.xrange(into)] == [row[1] for row in await client.xrange(source)]
    await client.delete(into)
    assert (await copy_all(client, keys, Copy(source, into, "5", "9-0"))).copied == 5
    assert not [key async for key in client.scan_iter(f"{namespace}:copies:*")]
    # What comes in meanwhile is not followed: a copy into its own source ends.
    assert (await copy_all(client, keys, Copy(source, source), force=True)).copied == 1_200
    assert await client.xlen(source) == 2_400


async def test_what_was_interrupted_goes_on_and_adds_nothing_twice(client: Any, namespace: str, source: str) -> None:
    keys, copy = Keys(namespace), Copy(source, f"{{{namespace}}}-into")
    begun = await begin(client, keys, copy, resume=False, force=False)
    async for at in carry_out(client, keys, begun, per_s=1e9):
        if at.copied == 1_000:
            break
    await client.xadd(source, {"n": "later"})
    with pytest.raises(CannotCopy, match=r"interrupted after 1000-0 \(1000 entries\): go on with --resume"):
        await begin(client, keys, copy, resume=False, force=False)
    assert (await copy_all(client, keys, copy, resume=True)).copied == 1_200
    assert [int(raw[b"n"]) for _, raw in await client.xrange(copy.into)] == list(range(1, 1_201))
    with pytest.raises(CannotCopy, match="was interrupted"):
        await begin(client, keys, copy, resume=True, force=False)


async def test_it_keeps_its_pace(client: Any, namespace: str, source: str) -> None:
    began = time.monotonic()
    copy = Copy(source, f"{namespace}-into", "-", "200-0")
    assert (await copy_all(client, Keys(namespace), copy, per_s=200)).copied == 200
    assert time.monotonic() - began >= 0.5


async def test_what_would_do_harm_is_refused(client: Any, namespace: str, source: str) -> None:
    keys = Keys(namespace)
    await client.set(f"{namespace}-text", "x")
    for copy, said in (
        (Copy(source, source), "read and written at once"),
        (Copy(source, keys.partition(0).lifecycle), "Millrace's own book"),
        (Copy(source, f"{namespace}-text"), "is no stream"),
        (Copy(f"{namespace}-text", "into"), "holds a string"),
        (Copy(f"{namespace}-none", "into"), "there is no stream"),
        (Copy(source, "into", "here"), "no entry id"),
    ):
        with pytest.raises(CannotCopy, match=said):
            await begin(client, keys, copy, resume=False, force=False)
