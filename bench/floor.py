"""The floor: what six consumer groups in a chain cost by themselves, with nothing of Millrace in it.

One process reads the six streams with one XREADGROUP, runs an asyncio task an entry that decodes and encodes its
payload, and closes all that ended since the last call with one script: XACK, XDEL and, but for the last stage, XADD.
There is no fence, no job, no lifecycle, no lease and no trace. `millrace bench` runs it beside the pipeline, on the
same server, and says what share of it the pipeline reaches.

`floor_per_s` counts until the reader has returned, whose last wait for more takes up to 200 ms; a run must be long
beside that. `floor_busy_per_s` counts until the last entry was closed.

It prints one JSON line. Keys: ``floor:{0}:*``, deleted before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import Any, Final

import orjson
import redis.asyncio as redis
import uvloop

STAGES: Final = ("crawl", "classify", "download", "extract", "compile", "notify")
STREAMS: Final = tuple(f"floor:{{0}}:{stage}" for stage in STAGES)
GROUP: Final = "floor"
CLOSE: Final = """
-- ARGV: per entry its stream, its id, the stream it goes on to or '', its payload there
for i = 1, #ARGV, 4 do
  redis.call('XACK', ARGV[i], 'floor', ARGV[i + 1])
  redis.call('XDEL', ARGV[i], ARGV[i + 1])
  if ARGV[i + 2] ~= '' then redis.call('XADD', ARGV[i + 2], '*', 'data', ARGV[i + 3]) end
end
return #ARGV / 4
"""
GIVE_UP_S: Final = 120.0


class Floor:
    """One run: `slots` entries in hand at most, until every job passed all stages."""

    def __init__(self, url: str, jobs: int, slots: int) -> None:
        self.jobs = jobs
        self.slots = slots
        self.transitions = jobs * len(STREAMS)
        self._reader: Any = redis.Redis.from_url(url, single_connection_client=True, socket_timeout=30)
        self._writer: Any = redis.Redis.from_url(url, single_connection_client=True, socket_timeout=30)
        self._next = dict(zip(STREAMS, (*STREAMS[1:], ""), strict=True))
        self._handled: list[Any] = []
        self._running: set[asyncio.Task[None]] = set()
        self._has_handled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._closed = 0
        self._closed_at = 0.0

    async def run(self) -> dict[str, float]:
        """Fill the first stream, then time its way through the six."""
        await self._fill()
        began, cpu_began = time.perf_counter(), time.process_time()
        async with asyncio.timeout(GIVE_UP_S), asyncio.TaskGroup() as both:
            both.create_task(self._close())
            both.create_task(self._read())
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
        await self._reader.delete(*STREAMS)
        await self._reader.aclose()
        await self._writer.aclose()
        return {
            "floor_per_s": round(self.transitions / took_s),
            "floor_busy_per_s": round(self.transitions / (self._closed_at - began)),
            "cpu_us_per_transition": round(cpu_s / self.transitions * 1e6, 1),
            "transitions": self.transitions,
        }

    async def _fill(self) -> None:
        await self._reader.delete(*STREAMS)
        for stream in STREAMS:
            await self._reader.xgroup_create(stream, GROUP, id="0", mkstream=True)
        for first in range(0, self.jobs, 500):
            pipe = self._writer.pipeline(transaction=False)
            for n in range(first, min(first + 500, self.jobs)):
                pipe.xadd(STREAMS[0], {"data": orjson.dumps({"v": 1, "job": f"0-{n:08x}", "n": n})})
            await pipe.execute()

    async def _read(self) -> None:
        streams = dict.fromkeys(STREAMS, ">")
        while self._closed < self.transitions:
            # COUNT is per stream, so there may be more in hand than slots.
            count = max(1, self.slots - len(self._running))
            answer = await self._reader.xreadgroup(GROUP, "c1", streams, count=count, block=200)
            for stream, rows in answer.items() if isinstance(answer, dict) else answer or ():
                key = stream.decode()
                for entry_id, fields in rows[0] if rows and isinstance(rows[0], list) else rows:
                    task = asyncio.create_task(self._handle(key, entry_id, fields))
                    self._running.add(task)
                    task.add_done_callback(self._ended)
            while len(self._running) > self.slots // 2:
                self._has_room.clear()
                await self._has_room.wait()

    async def _handle(self, stream: str, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        payload = orjson.loads(fields[b"data"])
        payload["n"] += 1
        self._handled += (stream, entry_id, self._next[stream], orjson.dumps(payload))
        self._has_handled.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if len(self._running) <= self.slots // 2:
            self._has_room.set()

    async def _close(self) -> None:
        sha = await self._writer.script_load(CLOSE)
        while self._closed < self.transitions:
            await self._has_handled.wait()
            self._has_handled.clear()
            batch, self._handled = self._handled, []
            self._closed += await self._writer.evalsha(sha, 0, *batch)
        self._closed_at = time.perf_counter()


async def floor(url: str, jobs: int, slots: int) -> dict[str, float]:
    """Measure the floor once.

    Raises:
        TimeoutError: It did not end within two minutes.
    """
    return await Floor(url, jobs, slots).run()


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--url", default="redis://127.0.0.1:6379/0")
    cli.add_argument("--jobs", type=int, default=5_000)
    cli.add_argument("--slots", type=int, default=128)
    given = cli.parse_args()
    sys.stdout.write(orjson.dumps(uvloop.run(floor(given.url, given.jobs, given.slots))).decode() + "\n")
