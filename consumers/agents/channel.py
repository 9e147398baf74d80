"""``stream_channel``: a Faust channel over any Redis stream, so that agents written for Faust run without Kafka.

An entry is acknowledged when the agent asks for the next one. One whose agent raised stays pending, is delivered again
when it has been idle long enough, and is dead-lettered after so many deliveries. While an agent works on an entry, its
lease is renewed.

How an agent's end is told from its success: Faust acknowledges an event when the iteration goes on *and* when the
iterator is closed, which is what an exception in the agent does to it. Then `GeneratorExit` is on its way, and the
acknowledgement means the opposite.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from faust.types import TP, Message
from mode import Service
from redis.exceptions import ResponseError

from consumers.agents.app import BrokerlessApp
from consumers.agents.pulled import PulledChannel
from streams.connect import AWAY, connect
from streams.held import Held, Member, dead_letters_of

if TYPE_CHECKING:
    from asyncio import Task

logger = logging.getLogger(__name__)

BLOCK_MS: Final = 1_000
AWAY_S: Final = 0.5
STOP_S: Final = 5.0

Decode = Callable[[dict[str, str]], Any]


def stream_channel(
    app: BrokerlessApp,
    stream: str,
    group: str,
    *,
    redis_url: str | None = None,
    decode: Decode | None = None,
    idle_s: float = 30.0,
    max_deliveries: int = 5,
    dead_letters: str | None = None,
) -> StreamChannel:
    """A channel over a stream. Give it to one agent; another agent that is to see every entry takes another group.

    Args:
        app: Starts and stops it.
        stream: Key of the stream; it is made when there is none.
        group: The consumer group, made from the first entry on when there is none.
        redis_url: Of the server; the application's when None.
        decode: Makes the value that the agent gets of an entry's fields; the fields themselves, text, when None.
            What it raises on is dead-lettered at once.
        idle_s: How long an entry that nobody works on stays where it is: what a retry waits, and what an agent that
            died costs. Work may take longer.
        max_deliveries: Deliveries after which an entry is dead-lettered.
        dead_letters: Key of the dead-letter stream, on a Cluster in the stream's slot; ``{stream}:dlq`` when None.

    Raises:
        ValueError: There is no address, or a bound makes no sense.
    """
    url = redis_url or app.redis_url
    if url is None:
        raise ValueError(f"where is the stream {stream!r}? give redis_url here, or to the application")
    if idle_s < 0.05 or max_deliveries < 1:  # noqa: PLR2004 - a script call takes some milliseconds
        raise ValueError("idle_s is 0.05 at least, max_deliveries 1")
    source = StreamSource(
        url, stream, group, decode or dict, idle_ms=int(idle_s * 1_000), max_deliveries=max_deliveries,
        dead_letters=dead_letters or dead_letters_of(stream),
    )  # fmt: skip
    app.also_start(source)
    return StreamChannel(app, source=source)


class StreamChannel(PulledChannel):
    """A channel over a Redis stream; `stream_channel` makes one. ``send(value={…})`` adds an entry."""

    source: StreamSource

    def __str__(self) -> str:
        return f"{self.source.stream} as {self.source.group}"


class HeldMessage(Message):
    """Tells its delivery of the acknowledgement, wherever in Faust that is made."""

    def __init__(self, on_acked: Callable[[bool], None], *arguments: Any, **options: Any) -> None:
        self._is_acked = False
        self._on_acked = on_acked
        super().__init__(*arguments, **options)

    @property
    def acked(self) -> bool:
        """Whether Faust has acknowledged it."""
        return self._is_acked

    @acked.setter
    def acked(self, value: bool) -> None:
        if value and not self._is_acked:
            self._is_acked = True
            self._on_acked(sys.exc_info()[0] is not GeneratorExit)


@dataclass(slots=True, eq=False)
class _InHand:
    held: Held
    worker: Task[Any] | None


class _Unreadable(Exception):  # noqa: N818 - it says what the entry is
    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__()


class StreamSource(Service):
    """Reads a stream for its channel and settles what agents are done with.

    Attributes:
        counts: Entries by what became of them here: acked, raised, buried, lost.
    """

    def __init__(
        self, url: str, stream: str, group: str, decode: Decode, *, idle_ms: int, max_deliveries: int, dead_letters: str
    ) -> None:
        self.stream, self.group = stream, group
        self.counts = {"acked": 0, "raised": 0, "buried": 0, "lost": 0}
        self._decode = decode
        self._idle_ms = idle_ms
        self._block_ms = max(1, min(BLOCK_MS, idle_ms // 2))
        self._client = connect(url)
        self._reading = connect(url, timeout_s=self._block_ms / 1_000 + 5, resent=0, single=True)
        consumer = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.member = Member(
            self._client, self._reading, stream, group, consumer, idle_ms=idle_ms, max_deliveries=max_deliveries,
            dead_letters=dead_letters,
        )  # fmt: skip
        self._in_hand: dict[str, _InHand] = {}
        self._settled: deque[tuple[Held, BaseException | None]] = deque()
        self._wake = asyncio.Event()
        self._is_ready = asyncio.Event()
        self._is_wanted = asyncio.Event()
        self._wanted = 0
        self._read: asyncio.Queue[Held] = asyncio.Queue()
        self._waiting: dict[str, Held] = {}
        self._looked_s = 0.0
        self._agents: Any = None
        self._watched: WeakSet[Task[Any]] = WeakSet()
        super().__init__()

    async def on_start(self) -> None:
        """Make the group, so that nothing that is added from now on is missed."""
        await self.member.create_group()
        self._is_ready.set()

    async def on_shutdown(self) -> None:
        """Settle what agents are done with; what they had not finished is delivered again, here or elsewhere."""
        try:
            async with asyncio.timeout(STOP_S):
                while self._settled:
                    await self._settle_next()
        except (TimeoutError, *AWAY) as error:
            logger.warning("%s: %d entries could not be settled: %r", self.stream, len(self._settled), error)
        await self._client.aclose()
        await self._reading.aclose()

    async def next_event(self, channel: PulledChannel) -> Any:
        """The next event for an agent. It asks no server itself: agents are cancelled, and a command is not to be."""
        self._agents = channel.app.agents
        while True:
            self._wanted += 1
            self._is_wanted.set()
            try:
                held = await self._read.get()
            finally:
                self._wanted -= 1
            if self._waiting.pop(held.entry_id, None) is None:
                continue  # lost while no agent was free
            try:
                value = self._decode(held.fields)
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing behind it waits
                self._in_hand[held.entry_id] = _InHand(held, None)
                self._settle(held, _Unreadable(error))
                continue
            return self._event(channel, held, value)

    @Service.task
    async def _read_on(self) -> None:
        """Read as many entries as agents wait for, and none ahead."""
        await self._is_ready.wait()
        while not self.should_stop:
            if self._wanted <= self._read.qsize():
                self._is_wanted.clear()
                await self._is_wanted.wait()
                continue
            held = await self._next()
            if held is not None:
                self._waiting[held.entry_id] = held
                self._read.put_nowait(held)

    async def take_event(self, event: Any) -> None:
        """Add an entry.

        Raises:
            TypeError: The value is no mapping of names to text, numbers or bytes.
        """
        value = event.value
        if not isinstance(value, Mapping) or not value:
            raise TypeError(f"an entry is a mapping of names to values, not {type(value).__name__}")
        await self._client.xadd(self.stream, dict(value))

    async def _next(self) -> Held | None:
        clock = asyncio.get_running_loop().time
        try:
            if clock() - self._looked_s >= self._idle_ms / 2_000:
                held = await self.member.take_over()
                if held is not None:
                    return held  # there may be more: look again next time
                self._looked_s = clock()
            return await self.member.read(self._block_ms)
        except AWAY as error:
            logger.warning("%s waits: %s", self.stream, error)
            await self.sleep(AWAY_S)
            return None

    def _event(self, channel: PulledChannel, held: Held, value: Any) -> Any:
        worker = asyncio.current_task()
        self._in_hand[held.entry_id] = _InHand(held, worker)
        if worker is not None and worker not in self._watched:
            self._watched.add(worker)
            worker.add_done_callback(self._agent_ended)
        partition = TP(self.stream, 0)
        message = HeldMessage(
            lambda is_done: self._on_acked(held, is_done), self.stream, 0, held.added_ms, held.added_ms / 1_000, 0,
            {"delivery": str(held.delivery).encode()}, held.entry_id, value, None, tp=partition,
        )  # fmt: skip
        return channel.event(held.entry_id, value, topic=self.stream, timestamp_s=0, message=message)

    def _on_acked(self, held: Held, is_done: bool) -> None:  # noqa: FBT001 - of a callback
        if is_done:
            self._settle(held, None)
        else:
            self._settle(held, self._crash_of(None) or asyncio.CancelledError())

    def _agent_ended(self, worker: Task[Any]) -> None:
        """What an agent's task had in hand when it ended is given up."""
        left = [one.held for one in self._in_hand.values() if one.worker is worker]
        if left:
            error = self._crash_of(worker) or asyncio.CancelledError()
            for held in left:
                self._settle(held, error)

    def _crash_of(self, worker: Task[Any] | None) -> BaseException | None:
        """What an agent of this channel raised last."""
        found = None
        for agent in self._agents.values() if self._agents is not None else ():
            for actor in agent._actors:  # noqa: SLF001 - Faust tells it nowhere else
                source = getattr(actor.stream.channel, "source", None)
                if source is self and actor.crash_reason is not None and worker in {None, actor.actor_task}:
                    found = actor.crash_reason
        return found

    def _settle(self, held: Held, error: BaseException | None) -> None:
        if self._in_hand.pop(held.entry_id, None) is not None:
            self._settled.append((held, error))
            self._wake.set()

    @Service.task
    async def _settle_all(self) -> None:
        while not self.should_stop:
            await self._wake.wait()
            self._wake.clear()
            while self._settled:
                try:
                    await self._settle_next()
                except AWAY as error:
                    logger.warning("%s: acknowledging waits: %s", self.stream, error)
                    await self.sleep(AWAY_S)

    async def _settle_next(self) -> None:
        held, error = self._settled[0]
        if error is None:
            self.counts["acked" if await self.member.acknowledge(held) else "lost"] += 1
        elif isinstance(error, _Unreadable):
            await self._bury(held, error.cause)
        elif not isinstance(error, asyncio.CancelledError):
            self.counts["raised"] += 1
            logger.error(
                "%s: the agent raised on entry %s, delivery %d of %d: %r", self.stream, held.entry_id, held.delivery,
                self.member.max_deliveries, error,
            )  # fmt: skip
            if held.delivery >= self.member.max_deliveries:
                await self._bury(held, error)
        self._settled.popleft()

    async def _bury(self, held: Held, error: BaseException) -> None:
        if await self.member.bury(held, type(error).__name__, str(error)):
            self.counts["buried"] += 1
            logger.error("%s: entry %s is dead-lettered: %r", self.stream, held.entry_id, error)

    @Service.task
    async def _renew(self) -> None:
        while not self.should_stop:
            await self.sleep(self._idle_ms / 4_000)
            in_hand = [one.held for one in self._in_hand.values()]
            held = [*in_hand, *(one for one, _ in self._settled), *self._waiting.values()]
            try:
                lost = await self.member.renew(held)
            except (*AWAY, ResponseError) as error:
                logger.warning("%s: leases are not renewed: %s", self.stream, error)
                continue
            for entry_id in lost:
                is_waiting = self._waiting.pop(entry_id, None) is not None
                if self._in_hand.pop(entry_id, None) is not None or is_waiting:
                    self.counts["lost"] += 1
                    logger.warning(
                        "%s: entry %s is with another consumer by now: this one was away for longer than %d ms",
                        self.stream, entry_id, self._idle_ms,
                    )  # fmt: skip
