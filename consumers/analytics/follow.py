"""Reading lifecycle into the windows: back as far as they reach, then along with what happens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mode import Service
from redis.exceptions import ResponseError

from consumers.agents import BrokerlessApp
from consumers.agents.pulled import PulledChannel
from consumers.analytics.cells import MEMORY_MS, PANE_MS, Cell, Counter, Place
from consumers.analytics.shown import REACH_MS
from consumers.analytics.windows import Windows, is_too_late
from streams.connect import AWAY, connect, is_cluster

if TYPE_CHECKING:
    from streams.keys import Keys

logger = logging.getLogger(__name__)

PAGE: Final = 2_000
BLOCK_MS: Final = 500
FLUSH_S: Final = 1.0
FLUSH_CELLS: Final = 5_000
AWAY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Tick:
    """What was read so far is in the windows."""

    now_ms: int


class Feed:
    """Hands what was counted to the agent, in order, and knows when the agent is done with it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[Place | None, Cell | Tick, int]] = asyncio.Queue()
        self.is_done = asyncio.Event()

    async def next_event(self, channel: PulledChannel) -> Any:
        """The next cell or tick."""
        place, value, at_ms = await self._queue.get()
        return channel.event(place, value, topic="lifecycle", timestamp_s=at_ms / 1_000)

    async def take_event(self, event: Any) -> None:
        """Nobody sends."""
        raise NotImplementedError(f"the analytics read lifecycle; {event!r} was sent")

    def put(self, place: Place | None, value: Cell | Tick, at_ms: int) -> None:
        """Add to what the agent is to see."""
        self._queue.put_nowait((place, value, at_ms))


class Follower(Service):
    """Reads the lifecycle of all partitions without a group, counts it, and feeds it to the agent once a second.

    Attributes:
        now_ms: The server's time of what is in the windows.
        entries: Read so far.
        late: Cells of panes that no window shows any more.
        is_caught_up: All that there was is read.
    """

    def __init__(self, app: BrokerlessApp, redis_url: str, keys: Keys, on_tick: Callable[[], Awaitable[None]]) -> None:
        self.windows = Windows(app)
        self.counter = Counter()
        self.now_ms = 0
        self.entries = 0
        self.late = 0
        self.is_caught_up = False
        self._feed = Feed()
        self._streams = [partition.lifecycle for partition in keys.all_partitions]
        self._client = connect(redis_url, timeout_s=BLOCK_MS / 1_000 + 5, resent=0)
        self._at: dict[str, str] = {}
        self._on_tick = on_tick
        channel = PulledChannel(app, source=self._feed)
        app.agent(channel, name="windows")(self._work)
        super().__init__()

    async def on_shutdown(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _work(self, stream: Any) -> None:
        """The agent: what was counted goes into the windows by its time."""
        async for event in stream.events():
            value = event.value
            if isinstance(value, Tick):
                self.windows.forget(value.now_ms)
                self.now_ms = value.now_ms
                self._feed.is_done.set()
                await self._on_tick()
            else:
                self.windows.add(event.key, value, event)

    @Service.task
    async def _follow(self) -> None:
        while not self.should_stop:
            try:
                await self._step()
            except (*AWAY, ResponseError) as error:
                logger.warning("lifecycle cannot be followed for now: %s", error)
                await self.sleep(AWAY_S)

    async def _step(self) -> None:
        if not self._at:
            begin_ms = await self._now_ms() - REACH_MS - MEMORY_MS - PANE_MS
            self._at = dict.fromkeys(self._streams, f"{begin_ms}-0")
        flush_at_s = time.monotonic() + FLUSH_S
        while time.monotonic() < flush_at_s and len(self.counter.panes) < FLUSH_CELLS:
            read = await self._read()
            if read == 0:
                self.is_caught_up = True
            if read < PAGE:
                await asyncio.sleep(max(0.0, min(0.1, flush_at_s - time.monotonic())))
        await self._flush()

    async def _read(self) -> int:
        groups = [[stream] for stream in self._streams] if is_cluster(self._client) else [self._streams]
        read = 0
        for streams in groups:
            block = BLOCK_MS if len(groups) == 1 and self.is_caught_up else None
            answer = await self._client.xread({one: self._at[one] for one in streams}, count=PAGE, block=block)
            for stream, rows in answer.items() if isinstance(answer, dict) else answer or ():
                entries = rows[0] if rows and rows[0] and isinstance(rows[0][0], list | tuple) else rows
                read += len(entries)
                self._count(entries)
                self._at[stream.decode()] = entries[-1][0].decode()
        self.entries += read
        return read

    def _count(self, entries: Any) -> None:
        count = self.counter.count
        for entry_id, fields in entries:
            try:
                count(int(entry_id[: entry_id.index(b"-")]), fields)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                logger.warning("lifecycle entry %r counts nothing: %r", entry_id, error)

    async def _flush(self) -> None:
        now_ms = await self._now_ms()
        for (pane_ms, place), cell in self.counter.take().items():
            if is_too_late(pane_ms, now_ms):
                self.late += 1
            else:
                self._feed.put(place, cell, pane_ms)
        self.counter.forget(now_ms - REACH_MS - PANE_MS)
        self.counter.expire(now_ms - MEMORY_MS)
        self._feed.is_done.clear()
        self._feed.put(None, Tick(now_ms), now_ms)
        await self._feed.is_done.wait()

    async def _now_ms(self) -> int:
        seconds, micros = await self._client.time()
        return int(seconds) * 1_000 + int(micros) // 1_000
