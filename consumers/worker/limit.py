"""Limits that all workers share, as a worker takes them: before a handler runs, kept while it does, given back after.

Permits first, rates last, the slowest rate very last: what is granted and then not used is lost to all. Who must wait
is snoozed: to the reserved slot of a rate, or until a permit is given back, which wakes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from consumers.outcome import Snooze
from consumers.worker.hand import HeldPermit, InHand
from streams.connect import AWAY, is_cluster
from streams.keys import Keys
from streams.limits import ConcurrencyLimit, Limits, Rate
from streams.overrides import Overrides
from streams.policy import AtOnce, Limit, RateLimit, limit_key, waiting_for

logger = logging.getLogger(__name__)

IN_HAND_MS: Final = 250
"""A slot that is so near is waited for in hand: who came a little late would else be snoozed a second time."""

LOOKS_AGAIN_S: Final = 30.0
"""When a waiter that nobody woke looks for a permit itself."""

AWAY_PAUSE_S: Final = 0.2


@dataclass(slots=True)
class _Queue:
    """A limit that tasks were seen to wait for here."""

    limit: ConcurrencyLimit
    looked_s: float


class Limiter:
    """The limits of one worker."""

    def __init__(
        self, client: Any, keys: Keys, *, ttl_ms: int, clock: Callable[[], float], on_lost: Callable[[InHand], None]
    ) -> None:
        self._client = client
        self._keys = keys
        self._limits = Limits(client, keys.namespace)
        self._overrides = Overrides(client, keys, clock)
        self._ttl_ms = ttl_ms
        self._clock = clock
        self._on_lost = on_lost
        self._holders: set[InHand] = set()
        self._queues: dict[str, _Queue] = {}
        self._renewal: asyncio.Task[None] | None = None

    async def take(self, one: InHand, payload: object) -> Snooze | None:
        """Take every limit of an entry's policy; a snooze when one of them says wait.

        Waits for a server that is away: that is no failed attempt either.
        """
        task = f"{one.entry.job}/{one.entry.task}"
        while True:
            try:
                snooze = await self._take(one, task, payload)
            except AWAY as error:
                logger.warning("the log is away, a task waits for its limits: %s", error)
                await asyncio.sleep(AWAY_PAUSE_S)
                continue
            if snooze is not None:
                await self.release(one)
            return snooze

    async def reserve(self, limit: RateLimit, task: str) -> float:
        """Seconds until a task may begin under a rate, 0 for now; ask again then."""
        return await self._reserve(limit.name, await self._overrides.applied(limit), task) / 1_000

    async def release(self, one: InHand) -> None:
        """Give an entry's permits back, and wake who waited for them; one that cannot be given back runs out."""
        self._holders.discard(one)
        permits, one.permits = one.permits, []
        for permit in permits:
            try:
                await self._wake(await self._limits.release(permit.key, permit.task, permit.limit))
            except AWAY as error:
                logger.warning("permit %s is not given back, it runs out: %s", permit.key, error)

    def keep(self, now_s: float) -> None:
        """Renew the permits that are held; stop who may have lost one. Does not wait for the answers."""
        for one in [one for one in self._holders if now_s - one.permits_kept_s > self._ttl_ms / 1_000]:
            self._lost(one)  # not renewed in time: by now somebody else may have it
        if (self._holders or self._queues) and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.create_task(self._keep(now_s))

    async def close(self) -> None:
        """Renew nothing more."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

    async def _take(self, one: InHand, task: str, payload: object) -> Snooze | None:
        applied = [await self._overrides.applied(limit) for limit in one.policy.limits]
        keyed = [(limit, limit_key(limit, payload)) for limit in applied]
        for limit, key in sorted(keyed, key=_turn):
            if key is None:
                continue
            if isinstance(limit, AtOnce):
                if not await self._acquire(one, key, task, limit):
                    return Snooze(LOOKS_AGAIN_S, waiting_for(limit.name))
            else:
                wait_ms = await self._reserve(key, limit, task)
                if wait_ms:
                    return Snooze(wait_ms / 1_000, waiting_for(limit.name))
        return None

    async def _acquire(self, one: InHand, key: str, task: str, limit: AtOnce) -> bool:
        shared = ConcurrencyLimit(limit.count, self._ttl_ms)
        sent_s = self._clock()
        permit = await self._limits.acquire(key, task, shared)
        if permit.granted:
            if not any(held.key == key for held in one.permits):
                one.permits.append(HeldPermit(key, task, shared))
            one.permits_kept_s = sent_s if len(one.permits) == 1 else min(one.permits_kept_s, sent_s)
            self._holders.add(one)
        else:
            self._queues.setdefault(key, _Queue(shared, sent_s)).limit = shared
        await self._wake(permit.woken)
        return permit.granted

    async def _reserve(self, key: str, limit: Limit, task: str) -> int:
        assert isinstance(limit, RateLimit)  # noqa: S101 - an override keeps the kind
        rate = Rate(limit.count / limit.per_s)
        while True:
            wait_ms = await self._limits.reserve(key, task, rate)
            if wait_ms == 0 or wait_ms > IN_HAND_MS:
                return wait_ms
            await asyncio.sleep(wait_ms / 1_000)

    async def _keep(self, now_s: float) -> None:
        try:
            due = [one for one in self._holders if now_s - one.permits_kept_s >= self._ttl_ms / 4_000]
            await asyncio.gather(*map(self._renew, due))
            for key, queue in list(self._queues.items()):
                if now_s - queue.looked_s >= self._ttl_ms / 1_000:
                    queue.looked_s = now_s
                    await self._look_after(key, queue)
        except AWAY as error:
            logger.warning("the log is away, permits are not renewed: %s", error)

    async def _renew(self, one: InHand) -> None:
        sent_s = self._clock()
        for permit in list(one.permits):
            if not await self._limits.renew(permit.key, permit.task, permit.limit) and permit in one.permits:
                self._lost(one)
                return
        one.permits_kept_s = sent_s

    def _lost(self, one: InHand) -> None:
        logger.warning("a permit of %s/%s ran out; it is given back", one.entry.job, one.entry.task)
        self._holders.discard(one)
        self._on_lost(one)

    async def _look_after(self, key: str, queue: _Queue) -> None:
        """Hand on what ran out with its holder: nobody else would wake those who wait for it."""
        await self._wake(await self._limits.release(key, "-", queue.limit))
        if not await self._limits.waiting(key):
            del self._queues[key]

    async def _wake(self, tasks: tuple[str, ...]) -> None:
        """Make snoozed tasks due now."""
        for task in tasks:
            job_id, _, number = task.partition("/")
            timers = self._keys.of_job(job_id).timers
            node = {"target_nodes": self._client.get_node_from_key(timers)} if is_cluster(self._client) else {}
            seconds, micros = await self._client.execute_command("TIME", **node)
            now_ms = int(seconds) * 1_000 + int(micros) // 1_000
            await self._client.zadd(timers, {f"task/{job_id}/{number}": now_ms}, xx=True, lt=True)


def _turn(keyed: tuple[Limit, str | None]) -> tuple[int, float]:
    limit, _ = keyed
    return (0, 0.0) if isinstance(limit, AtOnce) else (1, limit.per_s / limit.count)
