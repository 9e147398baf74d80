"""What happens, as it happens: one follower of the lifecycle streams a process, and many waiters.

The follower reads without a group and only while somebody waits. Each waiter has a bounded queue: one that does not
keep up is dropped with a reason, and never slows the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from redis.exceptions import ResponseError

from streams.connect import AWAY, connect, is_cluster
from streams.errors import TransientError

if TYPE_CHECKING:
    from streams.keys import Keys

logger = logging.getLogger(__name__)

BLOCK_MS: Final = 1_000
PAGE: Final = 1_000
QUEUE: Final = 1_000
"""Entries that wait for one client at most."""
READY_S: Final = 5.0
AWAY_S: Final = (0.1, 2.0)


@dataclass(frozen=True, slots=True)
class LiveEntry:
    """A lifecycle entry of one job."""

    entry_id: str
    fields: dict[str, str]

    @property
    def place(self) -> tuple[int, int]:
        """Its id, to compare."""
        return place_of(self.entry_id)


def place_of(entry_id: str) -> tuple[int, int]:
    """An entry id as two numbers.

    Raises:
        ValueError: It is not ``<milliseconds>-<sequence>``.
    """
    ms, _, seq = entry_id.partition("-")
    if not (ms.isascii() and ms.isdigit() and seq.isascii() and seq.isdigit() and len(ms) + len(seq) < 40):  # noqa: PLR2004
        raise ValueError(f"{entry_id[:60]!r} is not an entry id such as 1700000000000-0")
    return int(ms), int(seq)


class Subscription:
    """The entries of one job from now on.

    Attributes:
        dropped: Why nothing more comes; None while all is well.
    """

    def __init__(self, most: int = QUEUE) -> None:
        self.dropped: str | None = None
        self._most = most
        self._entries: deque[LiveEntry] = deque()
        self._wake = asyncio.Event()

    async def next(self, timeout_s: float) -> LiveEntry | None:
        """The next entry; None when none came in time, or none will (`dropped`)."""
        if not self._entries and self.dropped is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
        if self._entries:
            entry = self._entries.popleft()
            if not self._entries and self.dropped is None:
                self._wake.clear()
            return entry
        return None

    def put(self, entry: LiveEntry) -> bool:
        """Queue an entry; False when there is no room, which ends this subscription."""
        if len(self._entries) >= self._most:
            self.drop(f"the client is too slow: more than {self._most} events waited for it")
            return False
        self._entries.append(entry)
        self._wake.set()
        return True

    def drop(self, reason: str) -> None:
        """End it."""
        self.dropped = self.dropped or reason
        self._wake.set()


Listener = Callable[[bytes, dict[bytes, bytes]], None]
"""Is given every lifecycle entry as it was read; must be quick."""


class Hub:
    """Follows lifecycle and hands each job's entries to those who wait for it; an async context manager.

    Attributes:
        slow_clients: Clients dropped since the start because they did not keep up.
    """

    def __init__(self, redis_url: str, keys: Keys) -> None:
        self.slow_clients = 0
        self._redis_url = redis_url
        self._keys = keys
        self._by_job: dict[bytes, set[Subscription]] = {}
        self._listeners: set[Listener] = set()
        self._wanted = asyncio.Event()
        self._followers: list[_Follower] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._closed: str | None = None

    @property
    def waiters(self) -> int:
        """Clients that wait now, and those who want all."""
        return sum(map(len, self._by_job.values())) + len(self._listeners)

    @property
    def closed(self) -> str | None:
        """Why nobody is told anything any more; None while the server runs."""
        return self._closed

    @property
    def is_closed(self) -> bool:
        """Whether the server stops, so that nobody is to be kept waiting."""
        return self._closed is not None

    async def __aenter__(self) -> Self:
        streams = [keys.lifecycle for keys in self._keys.all_partitions]
        client = connect(self._redis_url, timeout_s=BLOCK_MS / 1_000 + 5, resent=0)
        # On a Cluster one command reads one slot.
        groups = [[stream] for stream in streams] if is_cluster(client) else [streams]
        self._client = client
        for group in groups:
            follower = _Follower(client, group, self)
            self._followers.append(follower)
            self._tasks.append(asyncio.create_task(follower.run(), name=f"live {group[0]}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close("the server is shutting down")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    def close(self, reason: str) -> None:
        """End every wait, now and later: so that a server can stop."""
        self._closed = reason
        for waiting in self._by_job.values():
            for subscription in waiting:
                subscription.drop(reason)

    @asynccontextmanager
    async def of(self, job_id: str) -> AsyncIterator[Subscription]:
        """Subscribe to a job: what happens after this returns is in the subscription.

        Raises:
            TransientError: Redis is away.
        """
        subscription = Subscription()
        if self._closed:
            subscription.drop(self._closed)
        job = job_id.encode()
        self._by_job.setdefault(job, set()).add(subscription)
        self._wanted.set()
        try:
            try:
                async with asyncio.timeout(READY_S):
                    for follower in self._followers:
                        await follower.is_placed.wait()
            except TimeoutError:
                raise TransientError("Redis does not answer, so nothing can be followed", reason="log_away") from None
            yield subscription
        finally:
            waiting = self._by_job[job]
            waiting.discard(subscription)
            if not waiting:
                del self._by_job[job]
            self._rest()

    @asynccontextmanager
    async def all(self, listener: Listener) -> AsyncIterator[None]:
        """Hand every entry of every job to a listener, from now on."""
        self._listeners.add(listener)
        self._wanted.set()
        try:
            yield
        finally:
            self._listeners.discard(listener)
            self._rest()

    def _rest(self) -> None:
        if not self._by_job and not self._listeners:
            self._wanted.clear()

    def wanted(self) -> asyncio.Event:
        """Set while somebody waits."""
        return self._wanted

    def dispatch(self, entry_id: bytes, raw: dict[bytes, bytes]) -> None:
        """Hand an entry to those who wait for its job, and to those who want all."""
        for listener in self._listeners:
            listener(entry_id, raw)
        waiting = self._by_job.get(raw.get(b"job", b""))
        if not waiting:
            return
        entry = LiveEntry(entry_id.decode(), _texts(raw))
        for subscription in waiting:
            if subscription.dropped is None and not subscription.put(entry):
                self.slow_clients += 1


class _Follower:
    """Reads some lifecycle streams while somebody waits."""

    def __init__(self, client: Any, streams: list[str], hub: Hub) -> None:
        self.is_placed = asyncio.Event()
        self._client = client
        self._streams = streams
        self._hub = hub
        self._at: dict[str, str] = {}
        self._is_unsure = False

    async def run(self) -> None:
        wait_s = AWAY_S[0]
        while True:
            if not self._hub.wanted().is_set():
                self.is_placed.clear()
                self._at = {}
            await self._hub.wanted().wait()
            try:
                if not self._at:
                    self._at = await self._ends()
                    self.is_placed.set()
                if self._is_unsure:
                    await self._step_back()
                await self._read()
                wait_s = AWAY_S[0]
            except AWAY as error:
                logger.warning("lifecycle cannot be followed for now: %s", error)
                self._is_unsure = True
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, AWAY_S[1])
            except Exception:
                logger.exception("lifecycle cannot be followed")
                await asyncio.sleep(AWAY_S[1])

    async def _ends(self) -> dict[str, str]:
        pipe = self._client.pipeline(transaction=False)
        for stream in self._streams:
            pipe.xrevrange(stream, count=1)
        ends = await pipe.execute()
        return {
            stream: rows[0][0].decode() if rows else "0-0" for stream, rows in zip(self._streams, ends, strict=True)
        }

    async def _step_back(self) -> None:
        """After an outage: a new master may have less than was read, and a clock behind the old one's."""
        ends = await self._ends()
        self._at = {stream: min(at, ends[stream], key=place_of) for stream, at in self._at.items()}
        self._is_unsure = False

    async def _read(self) -> None:
        try:
            answer = await self._client.xread(self._at, count=PAGE, block=BLOCK_MS)
        except ResponseError as error:
            if not str(error).startswith("UNBLOCKED"):
                raise
            raise ConnectionError("the server became a replica") from error
        for stream, rows in answer.items() if isinstance(answer, dict) else answer or ():
            entries = rows[0] if rows and rows[0] and isinstance(rows[0][0], list | tuple) else rows
            for entry_id, raw in entries:
                self._hub.dispatch(entry_id, raw)
            self._at[stream.decode()] = entries[-1][0].decode()


def _texts(raw: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode("utf-8", "replace") for name, value in raw.items()}
