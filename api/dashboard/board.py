"""What the overview shows, and its pulse: one snapshot a second for everybody who watches.

There is one snapshot, and whoever is ready takes the newest: a slow browser skips some, holds nothing up, and costs
no memory. While nobody watches nothing is read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from api.control import pause_view
from api.figures import kept_of
from api.fleet import streams
from consumers.doctor.examine import at_a_glance
from consumers.worker.presence import presence
from schemas.names import STAGES
from streams.connect import AWAY
from streams.errors import MillraceError
from streams.pauses import Pauses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from api.services import Services

logger = logging.getLogger(__name__)

EVERY_S: Final = 0.8
WINDOW_S: Final = 60
RATE_S: Final = 10
"""Throughput is that of so many seconds."""
LOOKED_BACK: Final = 2_000
"""Lifecycle entries of a partition that the first snapshot reads at most."""
FINDINGS_S: Final = 10.0
_DONE: Final = {b"completed"}
_FAILED: Final = {b"dead_lettered"}


class Tally:
    """Entries done and failed by stage and second, for a minute."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, dict[str, list[int]]]] = deque(maxlen=WINDOW_S + 5)
        self._since: dict[str, list[int]] = {}

    def take(self, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        """Count a lifecycle entry."""
        kind = fields.get(b"type", b"")
        which = 0 if kind in _DONE else 1 if kind in _FAILED else -1
        if which < 0:
            return
        second = int(entry_id.partition(b"-")[0]) // 1_000
        stage = fields.get(b"stage", b"").decode("utf-8", "replace")
        if not self._seconds or self._seconds[-1][0] < second:
            self._seconds.append((second, {}))
        row = self._seconds[-1][1].setdefault(stage, [0, 0])
        row[which] += 1
        moved = self._since.setdefault(stage, [0, 0])
        moved[which] += 1

    def moved(self) -> dict[str, list[int]]:
        """Stage -> entries done and failed since this was asked last."""
        since, self._since = self._since, {}
        return since

    def window(self, stage: str, now_s: float, length_s: int) -> tuple[int, int]:
        """Entries of a stage done and failed in the last so many seconds."""
        done = failed = 0
        for second, rows in self._seconds:
            if second > now_s - length_s and stage in rows:
                done += rows[stage][0]
                failed += rows[stage][1]
        return done, failed

    def history(self, now_s: float) -> list[int]:
        """Entries done in each of the last `WINDOW_S` seconds, the oldest first."""
        sums = {second: sum(row[0] for row in rows.values()) for second, rows in self._seconds}
        last = int(now_s)
        return [sums.get(second, 0) for second in range(last - WINDOW_S + 1, last + 1)]


class Board:
    """The overview of an installation; an async context manager.

    Attributes:
        snapshot: The newest one; empty before the first.
        watchers: Browsers that watch now.
    """

    def __init__(self, services: Services) -> None:
        self.snapshot: dict[str, Any] = {}
        self.watchers = 0
        self.hub = services.hub
        self._services = services
        self._tally = Tally()
        self._taken_at = 0.0
        self._changed = asyncio.Event()
        self._lock = asyncio.Lock()
        self._pulse: asyncio.Task[None] | None = None
        self._findings: list[dict[str, Any]] = []
        self._findings_at = 0.0

    async def close(self) -> None:
        """Stop."""
        if self._pulse is not None:
            self._pulse.cancel()
            await asyncio.gather(self._pulse, return_exceptions=True)

    async def now(self) -> dict[str, Any]:
        """A snapshot that is no older than a second."""
        async with self._lock:
            if self._pulse is None and time.monotonic() - self._taken_at > EVERY_S:
                await self._look_back()
                await self._take()
        return self.snapshot

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        """Keep the pulse going."""
        self.watchers += 1
        if self._pulse is None:
            self._pulse = asyncio.create_task(self._beat(), name="dashboard pulse")
        try:
            yield
        finally:
            self.watchers -= 1
            if not self.watchers and self._pulse is not None:
                self._pulse.cancel()
                self._pulse = None

    async def next(self, timeout_s: float) -> dict[str, Any] | None:
        """The next snapshot; None when none came in time."""
        changed = self._changed
        try:
            async with asyncio.timeout(timeout_s):
                await changed.wait()
        except TimeoutError:
            return None
        return self.snapshot

    async def _beat(self) -> None:
        async with self._services.hub.all(self._tally.take):
            while True:
                began = time.monotonic()
                try:
                    await self._take()
                except (*AWAY, MillraceError) as error:
                    logger.warning("the overview cannot be read for now: %s", error)
                await asyncio.sleep(max(0.05, EVERY_S - (time.monotonic() - began)))

    async def _look_back(self) -> None:
        """The last minute, for who opens the page first."""
        tally = Tally()
        since_ms = int((time.time() - WINDOW_S) * 1_000)
        found: list[tuple[bytes, dict[bytes, bytes]]] = []
        for keys in self._services.keys.all_partitions:
            found += await self._services.client.xrevrange(keys.lifecycle, "+", since_ms, count=LOOKED_BACK)
        for entry_id, fields in sorted(found, key=lambda one: int(one[0].partition(b"-")[0])):
            tally.take(entry_id, fields)
        tally.moved()
        self._tally = tally

    async def _take(self) -> None:
        services = self._services
        rows = await streams(services)
        seconds, micros = await services.client.time()
        now_s = int(seconds) + int(micros) / 1e6
        dead = 0
        for keys in services.keys.all_partitions:
            dead += await services.client.xlen(keys.dlq)
        workers = await presence(services.client, services.keys)
        pauses = [pause_view(one) for one in await Pauses(services.client, services.keys).list()]
        await self._look(services)
        moved = self._tally.moved()
        stages = [_stage(name, rows, self._tally, moved, now_s) for name in STAGES]
        done = sum(one["done"] for one in stages)
        failed = sum(one["failed"] for one in stages)
        self.snapshot = {
            "at": now_s, "stages": stages, "history": self._tally.history(now_s),
            "per_s": round(sum(one["per_s"] for one in stages), 1),
            "failure_rate": round(100 * failed / (done + failed), 1) if done + failed else 0.0,
            "lag": sum(one["waiting"] for one in stages), "held": sum(one["held"] for one in stages),
            "oldest_s": max(one["oldest_s"] for one in stages), "dead": dead, "workers": len(workers),
            "slots": sum(sum(one["slots"].values()) for one in workers),
            "in_hand": sum(one["in_hand"] for one in workers),
            "alerts": await self._alerts(services), "pauses": pauses, "findings": self._findings,
        }  # fmt: skip
        self._taken_at = time.monotonic()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _alerts(self, services: Services) -> dict[str, Any]:
        """How many alerts fire, and whether nobody decides that any more."""
        kept = kept_of(services)
        firing = sum(one.is_firing for one in (await kept.alerts()).values())
        return {"firing": firing, "is_stale": bool(firing) and (await kept.state())["is_stale"]}

    async def _look(self, services: Services) -> None:
        if time.monotonic() - self._findings_at < FINDINGS_S and self._findings_at:
            return
        self._findings_at = time.monotonic()
        self._findings = [asdict(one) for one in await at_a_glance(services) if one.state != "ok"]


def _stage(
    name: str, rows: list[dict[str, Any]], tally: Tally, moved: dict[str, list[int]], now_s: float
) -> dict[str, Any]:
    mine = [row for row in rows if row["stage"] == name]
    done, failed = tally.window(name, now_s, WINDOW_S)
    done_now, _ = tally.window(name, now_s, RATE_S)
    return {
        "stage": name, "waiting": sum(row["lag"] for row in mine), "held": sum(row["pending"] for row in mine),
        "oldest_s": round(max((row["oldest_age_s"] for row in mine), default=0.0), 1), "done": done, "failed": failed,
        "per_s": round(done_now / RATE_S, 1),
        "failure_rate": round(100 * failed / (done + failed), 1) if done + failed else 0.0,
        "moved": moved.get(name, [0, 0]),
    }  # fmt: skip
