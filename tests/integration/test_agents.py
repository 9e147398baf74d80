"""Faust agents on Redis streams: acknowledged when done, delivered again when they raised, dead-lettered at the end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from consumers.agents import BrokerlessApp, NoBrokerError, StreamChannel, stream_channel
from streams.connect import connect
from streams.held import Held, Member, dead_letters_of
from tests.support.api_place import until
from tests.support.servers import REPOSITORY

GROUP = "billing"


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator[Any]:
    client = connect(valkey_url)
    yield client
    await client.aclose()


@pytest.fixture
def app(valkey_url: str) -> BrokerlessApp:
    return BrokerlessApp("tests", redis_url=valkey_url)


@asynccontextmanager
async def running(app: BrokerlessApp) -> AsyncIterator[None]:
    await app.start()
    try:
        yield
    finally:
        await asyncio.wait_for(app.stop(), 10)


async def pending(redis: Any, stream: str) -> int:
    return int((await redis.xpending(stream, GROUP))["pending"])


async def add(redis: Any, stream: str, *numbers: int) -> None:
    for n in numbers:
        await redis.xadd(stream, {"n": n})


async def test_what_was_added_before_the_agent_is_worked_on_in_order_and_acknowledged(
    app: BrokerlessApp, redis: Any, namespace: str
) -> None:
    await add(redis, namespace, 1, 2, 3)
    seen: list[tuple[str, str]] = []
    all_seen = asyncio.Event()

    @app.agent(stream_channel(app, namespace, GROUP))
    async def bill(entries: Any) -> None:
        async for key, entry in entries.items():
            seen.append((key, entry["n"]))
            if len(seen) == 4:
                all_seen.set()

    async with running(app):
        await add(redis, namespace, 4)
        await asyncio.wait_for(all_seen.wait(), 10)
        ids = [entry_id.decode() for entry_id, _ in await redis.xrange(namespace)]
        # The last one is in hand until the agent asks for the next: which it does at once.
        await until(lambda: _is(pending(redis, namespace), 0))
    assert seen == list(zip(ids, "1234", strict=True))


async def test_an_agent_that_raises_gets_the_entry_again_then_it_is_dead_lettered(
    app: BrokerlessApp, redis: Any, namespace: str
) -> None:
    tries: list[str] = []
    channel = stream_channel(app, namespace, GROUP, idle_s=0.1, max_deliveries=3)

    @app.agent(channel)
    async def bill(entries: Any) -> None:
        async for entry in entries:
            tries.append(entry["n"])
            if entry["n"] == "1":
                raise ValueError("no such customer")

    await add(redis, namespace, 1, 2, 3)
    dead_key = dead_letters_of(namespace)
    async with running(app):
        await until(lambda: _is(redis.xlen(dead_key), 1))
        await until(lambda: _is(pending(redis, namespace), 0))
    assert (tries.count("1"), sorted(tries)) == (3, ["1", "1", "1", "2", "3"])
    ((_, dead),) = await redis.xrange(dead_key)
    told = {name.decode(): value.decode() for name, value in dead.items()}
    assert (told["cause"], told["error"], told["deliveries"]) == ("ValueError", "no such customer", "3")
    assert (told["stream"], told["group"]) == (namespace, GROUP)
    assert orjson.loads(told["fields"]) == {"n": "1"}
    assert channel.source.counts == {"acked": 2, "raised": 3, "buried": 1, "lost": 0}


async def test_a_batch_is_acknowledged_as_a_whole_or_not_at_all(app: BrokerlessApp, redis: Any, namespace: str) -> None:
    batches: list[list[str]] = []
    channel = stream_channel(app, namespace, GROUP, idle_s=0.2, max_deliveries=5)

    @app.agent(channel)
    async def bill(entries: Any) -> None:
        async for batch in entries.take(3, within=0.1):
            batches.append([entry["n"] for entry in batch])
            if len(batches) == 1:
                raise ValueError("not now")

    await add(redis, namespace, 1, 2, 3)
    async with running(app):
        await until(lambda: _is(_acked(channel), 3))
        assert await pending(redis, namespace) == 0
    assert sorted(batches[0]) == ["1", "2", "3"]
    assert sorted(n for batch in batches[1:] for n in batch) == ["1", "2", "3"]


async def test_work_that_takes_longer_than_the_idle_time_is_not_given_to_anybody_else(
    valkey_url: str, redis: Any, namespace: str
) -> None:
    apps = [BrokerlessApp(f"tests-{n}", redis_url=valkey_url) for n in range(2)]
    worked: list[int] = []
    for number, one in enumerate(apps):

        @one.agent(stream_channel(one, namespace, GROUP, idle_s=0.2))
        async def bill(entries: Any, number: int = number) -> None:
            async for _ in entries:
                worked.append(number)
                await asyncio.sleep(0.8)

    await add(redis, namespace, 1)
    async with running(apps[0]), running(apps[1]):
        await until(lambda: _is(_len(worked), 1))
        await until(lambda: _is(pending(redis, namespace), 0))
    assert len(worked) == 1


async def test_an_entry_that_cannot_be_read_is_dead_lettered_at_once(
    app: BrokerlessApp, redis: Any, namespace: str
) -> None:
    seen: list[int] = []

    def number(fields: dict[str, str]) -> int:
        return int(fields["n"])

    @app.agent(stream_channel(app, namespace, GROUP, decode=number))
    async def bill(entries: Any) -> None:
        async for n in entries:
            seen.insert(len(seen), n)

    await redis.xadd(namespace, {"n": "one"})
    await add(redis, namespace, 2)
    async with running(app):
        await until(lambda: _is(_len(seen), 1))
    assert seen == [2]
    ((_, dead),) = await redis.xrange(dead_letters_of(namespace))
    assert dead[b"cause"] == b"ValueError"


async def test_a_channel_can_be_sent_to_and_there_is_no_broker(app: BrokerlessApp, redis: Any, namespace: str) -> None:
    channel = stream_channel(app, namespace, GROUP)
    got: asyncio.Queue[Any] = asyncio.Queue()

    @app.agent(channel)
    async def bill(entries: Any) -> None:
        async for entry in entries:
            got.put_nowait(entry)

    async with running(app):
        await channel.send(value={"n": "7"})
        assert await asyncio.wait_for(got.get(), 10) == {"n": "7"}
        with pytest.raises(TypeError, match="mapping"):
            await channel.send(value="seven")
        with pytest.raises(NoBrokerError):
            await app.topic("orders").send(value=b"7")


async def test_a_window_table_counts_by_the_time_of_the_entry(app: BrokerlessApp, redis: Any, namespace: str) -> None:
    table = app.Table("sums", default=int).tumbling(60.0)
    done = asyncio.Event()

    @app.agent(stream_channel(app, namespace, GROUP))
    async def bill(entries: Any) -> None:
        async for entry in entries:
            table["all"] += int(entry["n"])
            if entry["n"] == "9":
                done.set()

    for ms, n in ((1_790_000_040_000, 1), (1_790_000_099_999, 2), (1_790_000_100_000, 9)):
        await redis.xadd(namespace, {"n": n}, id=f"{ms}-0")
    async with running(app):
        await asyncio.wait_for(done.wait(), 10)
    assert sorted((window[0], total) for (_, window), total in table.table.data.items()) == [
        (1_790_000_040.0, 3), (1_790_000_100.0, 9)
    ]  # fmt: skip


async def test_a_consumer_that_was_away_too_long_cannot_acknowledge_or_renew(
    valkey_url: str, redis: Any, namespace: str
) -> None:
    def member(name: str) -> Member:
        return Member(
            redis, redis, namespace, GROUP, name, idle_ms=1, max_deliveries=2, dead_letters=dead_letters_of(namespace)
        )

    first, second = member("first"), member("second")
    await first.create_group()
    await add(redis, namespace, 1)
    held = await first.read(10)
    assert held is not None
    await asyncio.sleep(0.01)
    taken = await second.take_over()
    assert taken is not None
    assert (taken.entry_id, taken.delivery, taken.fields) == (held.entry_id, 2, {"n": "1"})
    assert await first.renew([held]) == {held.entry_id}
    assert not await first.acknowledge(held)
    assert not await first.bury(held, "late", "")
    assert not await second.acknowledge(Held(held.entry_id, {}, 1))  # a delivery of before
    assert await second.renew([taken]) == set()
    await asyncio.sleep(0.01)
    # Twice delivered is enough: whoever looks buries it, once.
    assert await first.take_over() is None
    assert await second.take_over() is None
    ((_, dead),) = await redis.xrange(dead_letters_of(namespace))
    assert (dead[b"cause"], dead[b"deliveries"]) == (b"abandoned", b"2")
    assert await pending(redis, namespace) == 0


@pytest.mark.chaos
async def test_nothing_is_lost_when_agents_are_killed(valkey_url: str, redis: Any, namespace: str) -> None:
    numbers = range(120)
    await add(redis, namespace, *numbers)
    command = (sys.executable, "-m", "tests.support.agent_process", valkey_url, namespace, GROUP, "0.3")
    first = await asyncio.to_thread(subprocess.Popen, command, cwd=REPOSITORY)
    second: subprocess.Popen[bytes] | None = None
    try:
        await until(lambda: _at_least(redis.scard(f"{namespace}:seen"), 20))
        os.kill(first.pid, signal.SIGKILL)
        second = await asyncio.to_thread(subprocess.Popen, command, cwd=REPOSITORY)
        await until(lambda: _is(redis.scard(f"{namespace}:seen"), len(numbers)), 40)
        await until(lambda: _is(pending(redis, namespace), 0))
        second.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(second.wait, 15) == 0
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait()
    assert await redis.xlen(dead_letters_of(namespace)) == 0
    times = {int(n): int(count) for n, count in (await redis.hgetall(f"{namespace}:times")).items()}
    # Only what the dead one had in hand, three at most, was worked on twice.
    assert sorted(times) == list(numbers)
    assert sum(times.values()) <= len(numbers) + 3


async def test_the_agent_of_the_documentation_runs(valkey_url: str, redis: Any, namespace: str) -> None:
    text = (REPOSITORY / "docs" / "faust.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    source = next(block for block in blocks if "stream_channel" in block)
    source = source.replace("redis://localhost:6379", valkey_url).replace('"orders"', f'"{namespace}"')
    program: dict[str, Any] = {"__name__": "documented"}
    exec(compile(source, "docs/faust.md", "exec"), program)  # noqa: S102 - our own documentation
    for customer, amount in (("ada", 3), ("bob", 4), ("ada", 5)):
        await redis.xadd(namespace, {"customer": customer, "amount": amount})
    async with running(program["app"]):
        await until(lambda: _is(redis.xinfo_groups(namespace), 1, len))
        await until(lambda: _is(pending(redis, namespace), 0))
        await until(lambda: _is(_totals(program), {"ada": 8, "bob": 4}))


async def _totals(program: dict[str, Any]) -> dict[str, int]:
    return {key: total for (key, _), total in program["spent"].table.data.items()}


async def _acked(channel: StreamChannel) -> int:
    return channel.source.counts["acked"]


async def _len(found: list[Any]) -> int:
    return len(found)


async def _is(asked: Awaitable[Any], wanted: Any, by: Callable[[Any], Any] = lambda found: found) -> bool:
    return bool(by(await asked) == wanted)


async def _at_least(asked: Awaitable[int], wanted: int) -> bool:
    return await asked >= wanted
