"""What the live analytics cost: how many lifecycle entries a second they keep up with, and what the server has to do.

``.venv/bin/python bench/analytics.py [--entries 200000] [--rate 3000] [--seconds 10]``

Two figures, on a server of its own. *Alone*: a stream of jobs' entries (six stages, eight hosts) is read back from its
begin; entries a second by the wall and by the CPU of the reading process. *Beside the stages*: entries are added at a
rate, as the stages' scripts do, with and without the analytics that follow; what more the server's main thread does is
what the stages lose, as a share of a core. CPU seconds are counted, so a busy machine does not spoil them.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[1]))

from consumers.analytics.keep import Kept
from consumers.analytics.process import Analytics
from schemas.names import STAGES
from schemas.settings import Settings
from streams.connect import connect
from streams.embedded.valkey import ValkeyServer
from streams.keys import Keys

TOGETHER = 500


def life(number: int, at_ms: int) -> list[dict[str, Any]]:
    """The entries of one job: submitted, then a completion a stage."""
    url = f"https://h{number % 8}.example/page/{number}"
    data = orjson.dumps({"v": 1, "url": url, "depth": 1}).decode()
    base = {"job": f"0-{number:020x}", "flow": "audit", "tenant": "default", "revision": 1}
    entries = [
        {"type": "submitted", **base, "task": 1, "stage": "crawl", "traceparent": "00-" + "0" * 52, "data": data}
    ]
    for task, stage in enumerate(STAGES, 1):
        told = {"type": "completed", **base, "task": task, "stage": stage, "worker": "w-1", "started_at": at_ms - 40}
        if task < len(STAGES):
            told["emitted"] = f'[{{"task":{task + 1},"stage":"{STAGES[task]}","data":{data}}}]'
        entries.append(told)
    return entries


async def fill(redis: Any, key: str, count: int, *, rate: float = 0.0) -> None:
    """Add so many entries, at a rate when one is given."""
    began_s, added, number = time.perf_counter(), 0, 0
    while added < count:
        pipe = redis.pipeline(transaction=False)
        batch = 0
        while batch < (TOGETHER if not rate else max(7, int(rate / 20))):
            for entry in life(number, int(time.time() * 1_000)):
                pipe.xadd(key, entry)
                batch += 1
            number += 1
        await pipe.execute()
        added += batch
        if rate:
            await asyncio.sleep(max(0.0, began_s + added / rate - time.perf_counter()))


async def alone(redis: Any, url: str, entries: int) -> dict[str, float]:
    """Read a stream back."""
    settings = Settings(namespace="alone")
    await fill(redis, Keys("alone").partition(0).lifecycle, entries)
    kept, analytics = Kept(redis, Keys("alone")), Analytics(settings, url)
    cpu_s, began_s = _cpu_s(), time.perf_counter()
    await analytics.start()
    while (await kept.state()).get("entries", 0) < entries or not (await kept.state())["is_restored"]:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    took_s, cpu_s = time.perf_counter() - began_s, _cpu_s() - cpu_s
    await analytics.stop()
    await redis.delete(Keys("alone").partition(0).lifecycle)
    return {
        "entries": entries,
        "wall_s": took_s,
        "cpu_s": cpu_s,
        "per_s": entries / took_s,
        "per_cpu_s": entries / cpu_s,
    }


async def beside(redis: Any, url: str, rate: float, seconds: float) -> dict[str, float]:
    """Follow entries as they are added, and see what more the server does."""

    async def server_s() -> float:
        info = await redis.info("cpu")
        return float(info["used_cpu_user_main_thread"]) + float(info["used_cpu_sys_main_thread"])

    found = {}
    for name in ("without", "with"):
        keys = Keys(name)
        analytics = Analytics(Settings(namespace=name), url) if name == "with" else None
        if analytics is not None:
            await analytics.start()
            await asyncio.sleep(1.0)
        before_s, began_s = await server_s(), time.perf_counter()
        await fill(redis, keys.partition(0).lifecycle, int(rate * seconds), rate=rate)
        took_s = time.perf_counter() - began_s
        found[name] = (await server_s() - before_s) / took_s
        if analytics is not None:
            await analytics.stop()
        await redis.delete(keys.partition(0).lifecycle)
    return {"rate": rate, **found, "more": found["with"] - found["without"]}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main(entries: int, rate: float, seconds: float) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(Path(folder), {"appendfsync": "everysec"})
        server.start()
        redis: Any = connect(server.url)
        try:
            one = await alone(redis, server.url, entries)
            print(f"alone: {entries:,} entries in {one['wall_s']:.1f} s: {one['per_s']:,.0f}/s by the wall, "
                  f"{one['per_cpu_s']:,.0f} a CPU second")  # fmt: skip
            two = await beside(redis, server.url, rate, seconds)
            print(f"beside, at {rate:,.0f}/s: the server's main thread {two['without']:.1%} of a core without, "
                  f"{two['with']:.1%} with: {two['more']:+.1%}")  # fmt: skip
        finally:
            await redis.aclose()
            server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--rate", type=float, default=3_000)
    parser.add_argument("--seconds", type=float, default=10)
    given = parser.parse_args()
    asyncio.run(main(given.entries, given.rate, given.seconds))
