"""The live analytics on a real stream: windows, what a killed process costs, election, alerts."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from consumers.analytics import process
from consumers.analytics.keep import Kept, Silence
from consumers.analytics.process import Analytics
from consumers.analytics.rules import Alert
from schemas.settings import Settings
from streams.connect import connect
from streams.keys import Keys
from tests.support.api_place import until
from tests.support.servers import REPOSITORY

Entry = tuple[str, dict[str, str]]


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator[Any]:
    client = connect(valkey_url)
    yield client
    await client.aclose()


@asynccontextmanager
async def running(analytics: Analytics) -> AsyncIterator[Analytics]:
    await analytics.start()
    try:
        yield analytics
    finally:
        await asyncio.wait_for(analytics.stop(), 10)


def jobs(count: int, from_ms: int, seed: int) -> list[Entry]:
    """Jobs of two flows and some hosts, of which some tasks are retried and some die."""
    chance = random.Random(seed)  # noqa: S311 - repeatable
    entries: list[tuple[int, dict[str, str]]] = []
    for number in range(count):
        at = from_ms + number * 37
        base = {
            "job": f"0-{seed}x{number}",
            "flow": ("audit", "leads")[number % 2],
            "tenant": "default",
            "revision": "1",
        }
        data = orjson.dumps({"v": 1, "url": f"https://h{number % 3}.example/x"}).decode()
        entries.append((at, {**base, "type": "submitted", "task": "1", "stage": "crawl", "data": data}))
        ended = at + chance.randrange(1, 9_000)
        kind = chance.choice(("completed",) * 8 + ("dead_lettered", "retried"))
        entries.append((
            ended,
            {**base, "type": kind, "task": "1", "stage": "crawl", "started_at": str(ended - chance.randrange(1, 4_000)),
             "emitted": f'[{{"task":2,"stage":"extract","data":{data}}}]' if kind == "completed" else "[]"},
        ))  # fmt: skip
    entries.sort(key=lambda one: one[0])
    return [(f"{ms}-{at}", fields) for at, (ms, fields) in enumerate(entries)]


async def write(redis: Any, keys: Keys, entries: list[Entry]) -> None:
    pipe = redis.pipeline(transaction=False)
    for entry_id, fields in entries:
        pipe.xadd(keys.partition(0).lifecycle, fields, id=entry_id)
    await pipe.execute()


async def read(kept: Kept, entries: int) -> None:
    """Wait until so many entries are in what is shown."""

    async def is_read() -> bool:
        state = await kept.state()
        return bool(state.get("is_restored") and state["entries"] >= entries)

    await until(is_read)


async def over(kept: Kept, before_ms: int) -> dict[str, Any]:
    """The windows that were over by then."""
    found = {}
    for name in ("1m", "5m", "15m"):
        found[name] = [one for one in await kept.window(name) if one["to_ms"] <= before_ms]
    return found


async def test_windows_count_what_happened_by_stage_flow_and_host(valkey_url: str, redis: Any, namespace: str) -> None:
    keys = Keys(namespace)
    kept = Kept(redis, keys)
    from_ms = int(time.time() * 1_000) // 60_000 * 60_000 - 240_000
    entries = jobs(200, from_ms, 1)
    await write(redis, keys, entries)
    async with running(Analytics(Settings(namespace=namespace), valkey_url)):
        await read(kept, len(entries))
        windows = await kept.window("1m")
        state = await kept.state()
    rows = [row for window in windows for row in window["rows"]]
    kinds = [fields["type"] for _, fields in entries]
    for name, kind in (("done", "completed"), ("failed", "dead_lettered"), ("retried", "retried")):
        assert sum(row[name] for row in rows) == kinds.count(kind)
    assert sum(row["opened"] for row in rows) == 200 + kinds.count("completed")
    assert {(row["stage"], row["flow"], row["host"]) for row in rows if row["done"]} == {
        ("crawl", flow, f"h{n}.example") for flow in ("audit", "leads") for n in range(3)
    }
    first = [fields for entry_id, fields in entries if int(entry_id.split("-")[0]) < from_ms + 60_000]
    per_s = sum(row["per_s"] for row in windows[-1]["rows"])
    assert per_s == pytest.approx(sum(one["type"] == "completed" for one in first) / 60, rel=0.01)
    some = next(row for row in rows if row["done"] > 5)
    assert 0 < some["run_s"]["p50"] <= some["run_s"]["p95"] <= some["run_s"]["p99"] <= some["run_s"]["max"] <= 4.0
    assert some["whole_s"]["max"] <= 9.0
    assert sum(one["open"] for one in state["open"] if one["stage"] == "extract") == kinds.count("completed")
    assert not state["is_stale"]


@pytest.mark.chaos
async def test_after_a_kill_the_windows_are_those_of_a_process_that_was_not_killed(
    valkey_url: str, redis: Any, namespace: str
) -> None:
    keys = Keys(namespace)
    kept = Kept(redis, keys)
    now_ms = int(time.time() * 1_000)
    before, after = jobs(300, now_ms - 900_000, 1), jobs(300, now_ms - 200_000, 2)
    await write(redis, keys, before)
    command = (sys.executable, "-m", "tests.support.analytics_process", valkey_url, namespace)
    first = await asyncio.to_thread(subprocess.Popen, command, cwd=REPOSITORY)
    try:
        await read(kept, len(before))
        os.kill(first.pid, signal.SIGKILL)
    finally:
        first.kill()
        first.wait()
    await write(redis, keys, after)
    # The lease of the dead one is not waited for here; `test_one_of_two_leads` is about it.
    await redis.delete(f"{namespace}:analytics:lead", f"{namespace}:analytics")
    async with running(Analytics(Settings(namespace=namespace), valkey_url)):
        await read(kept, len(before) + len(after))
        restored = await over(kept, now_ms)
    await redis.delete(f"{namespace}:analytics")
    # One that has read all of it entry by entry, as it came.
    other = Keys(f"{namespace}b")
    async with running(Analytics(Settings(namespace=other.namespace), valkey_url)):
        for entries, total in ((before, len(before)), (after, len(before) + len(after))):
            await write(redis, other, entries)
            await read(Kept(redis, other), total)
        whole = await over(Kept(redis, other), now_ms)
    assert restored == whole
    assert sum(row["done"] for window in whole["1m"] for row in window["rows"]) > 300


async def test_one_of_two_leads_and_the_other_takes_over(
    valkey_url: str, redis: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LEASE_MS", 5_000)
    monkeypatch.setattr(process, "RENEW_S", 0.1)
    settings = Settings(namespace=namespace)
    first, second = Analytics(settings, valkey_url), Analytics(settings, valkey_url)

    async def leads(one: Analytics) -> bool:
        return one.leads

    async with running(second):
        await until(lambda: leads(second))
        async with running(first):
            assert not first.leads
            # As though the leader were stopped: its lease runs out, and it sees that another one leads.
            await redis.set(f"{namespace}:analytics:lead", first.name, px=5_000)
            await until(lambda: leads(first))
            await until(lambda: _not(second))
        await until(lambda: leads(second))


async def _not(one: Analytics) -> bool:
    return not one.leads


async def test_an_alert_fires_is_told_once_and_clears_and_silence_tells_nobody(
    valkey_url: str, redis: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "DECIDE_MS", 50)
    monkeypatch.setattr("consumers.analytics.rules.HOLD_MS", 0)
    monkeypatch.setattr("consumers.analytics.follow.FLUSH_S", 0.1)
    keys = Keys(namespace)
    kept = Kept(redis, keys)
    told: list[tuple[str, bool]] = []

    async def tell(alert: Alert, _: str) -> None:
        told.append((alert.key, alert.is_firing))

    async def is_told(count: int) -> bool:
        return len(told) >= count

    async def is_news(count: int) -> bool:
        return bool(await redis.xlen(kept.news) >= count)

    crawl = keys.partition(0).stream("crawl")
    for _ in range(4):
        await redis.xadd(crawl, {"job": ""})
    async with running(Analytics(Settings(namespace=namespace, alert_queue=3), valkey_url, tell)):
        await until(lambda: is_told(1))
        alert = (await kept.alerts())["queue_too_long crawl"]
        assert (alert.is_firing, alert.value, alert.said) == (True, 4, "4 entries wait at crawl")
        await redis.delete(crawl)
        await until(lambda: is_told(2))
        await kept.silence(Silence("queue_too_long", int(time.time() * 1_000) + 60_000, "test", "known"))
        for _ in range(4):
            await redis.xadd(crawl, {"job": ""})
        await until(lambda: is_news(3))
    assert told == [("queue_too_long crawl", True), ("queue_too_long crawl", False)]
    news = [fields for _, fields in await redis.xrange(kept.news)]
    assert [(one[b"type"], one[b"silenced"]) for one in news] == [
        (b"fired", b"0"),
        (b"cleared", b"0"),
        (b"fired", b"1"),
    ]
