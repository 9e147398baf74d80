"""Limits that all workers share, as a worker takes them: before a handler runs, kept while it does, given back after.

Permits first, rates last, the slowest rate very last: what is granted and then not used is lost to all. Who must wait
is snoozed: to the reserved slot of a rate, or until a permit is given back, which wakes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

from consumers.outcome import Snooze
from consumers.worker.hand import HeldPermit, InHand
from streams.connect import AWAY, is_cluster
from streams.keys import Keys, PartitionKeys
from streams.limits import ConcurrencyLimit, Limits, Rate
from streams.overrides import Overrides
from streams.policy import AtOnce, Limit, RateLimit, limit_key, waiting_for

logger = logging.getLogger(__name__)

IN_HAND_S: Final = 0.25
"""A slot that is so near is waited for in hand: who came a little late would else be snoozed a second time."""

LONG_MS: Final = 2_000
"""Before a task waits longer for its slot, an earlier one is looked for whose task was cancelled."""

LOOKS_AGAIN_S: Final = 30.0
"""When a waiter that nobody woke looks for a permit itself."""

CALLED_FOR_S: Final = 3.0
"""How long a waiter whose snooze is on its way is called; it comes by itself later, should that not arrive."""

AWAY_PAUSE_S: Final = 0.2

AT_ONCE: Final = 16
"""Tasks that ask for their limits at a time: each takes a connection meanwhile."""


@dataclass(slots=True)
class _Queue:
    """A limit that tasks were seen to wait for here."""

    limit: ConcurrencyLimit
    looked_s: float


@dataclass(frozen=True, slots=True)
class _Call:
    """A waiter whose turn has come, and that is not in the timers yet."""

    limit: ConcurrencyLimit
    until_s: float


class Limiter:
    """The limits of one worker."""

    def __init__(
        self,
        client: Any,
        keys: Keys,
        *,
        ttl_ms: int,
        clock: Callable[[], float],
        on_lost: Callable[[InHand], None],
        promote: Callable[[PartitionKeys, list[str]], Awaitable[None]],
    ) -> None:
        self._client = client
        self._keys = keys
        self._limits = Limits(client, keys.namespace)
        self._overrides = Overrides(client, keys, clock)
        self._ttl_ms = ttl_ms
        self._clock = clock
        self._on_lost = on_lost
        self._promote = promote
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._holders: set[InHand] = set()
        self._queues: dict[str, _Queue] = {}
        self._called: dict[tuple[str, str], _Call] = {}
        self._renewal: asyncio.Task[None] | None = None

    async def take(self, one: InHand, payload: object) -> Snooze | None:
        """Take every limit of an entry's policy; a snooze when one of them says wait.

        Waits for a server that is away or full: that is no failed attempt either. Whatever it ends in, `release` gives
        back what it took.
        """
        task = f"{one.entry.job}/{one.entry.task}"
        while True:
            try:
                async with self._gate:
                    snooze = await self._take(one, task, payload)
            except (*AWAY, RedisError) as error:
                logger.warning("the log is away or full, a task waits for its limits: %s", error)
                await asyncio.sleep(AWAY_PAUSE_S)
                continue
            if snooze is not None and snooze.delay_s <= IN_HAND_S:
                await asyncio.sleep(snooze.delay_s)
                continue
            return snooze

    @staticmethod
    def concerns(one: InHand, payload: object) -> bool:
        """Whether any limit of an entry's policy holds for what it is about."""
        return any(limit_key(limit, payload) is not None for limit in one.policy.limits)

    async def reserve(self, limit: RateLimit, task: str) -> float:
        """Seconds until a task may begin under a rate, 0 for now; ask again then."""
        while True:
            wait_s = await self._reserve(limit.name, await self._overrides.applied(limit), task)
            if wait_s == 0 or wait_s > IN_HAND_S:
                return wait_s
            await asyncio.sleep(wait_s)

    async def release(self, one: InHand) -> None:
        """Give an entry's permits back, and wake who waited for them; one that cannot be given back runs out."""
        self._holders.discard(one)
        permits, one.permits = one.permits, []
        for permit in permits:
            try:
                woken = await self._limits.release(permit.key, permit.task, permit.limit)
                await self._wake(permit.key, permit.limit, woken)
            except (*AWAY, RedisError) as error:
                logger.warning("permit %s is not given back, or nobody is told, it runs out: %s", permit.key, error)

    def keep(self, now_s: float) -> None:
        """Renew the permits that are held; stop who may have lost one. Does not wait for the answers."""
        for one in [one for one in self._holders if now_s - one.permits_kept_s > self._ttl_ms / 1_000]:
            self._lost(one)  # not renewed in time: by now somebody else may have it
        if (self._holders or self._queues or self._called) and (self._renewal is None or self._renewal.done()):
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
                wait_s = await self._reserve(key, limit, task)
                if wait_s:
                    return Snooze(wait_s, waiting_for(limit.name))
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
        await self._wake(key, shared, permit.woken)
        return permit.granted

    async def _reserve(self, key: str, limit: Limit, task: str) -> float:
        assert isinstance(limit, RateLimit)  # noqa: S101 - an override keeps the kind
        rate = Rate(limit.count / limit.per_s)
        wait_ms = await self._limits.reserve(key, task, rate)
        if wait_ms > LONG_MS and await self._limits.take_over(key, task, self._gone):
            wait_ms = await self._limits.reserve(key, task, rate)
        return wait_ms / 1_000

    async def _gone(self, tasks: list[str]) -> set[str]:
        """Of these tasks, those that are not open any more."""
        pipe = self._client.pipeline(transaction=False)
        for task in tasks:
            job_id, number = task.split("/")[:2]
            pipe.hexists(self._keys.of_job(job_id).job(job_id), f"task.{number}")
        return {task for task, is_open in zip(tasks, await pipe.execute(), strict=True) if not is_open}

    async def _keep(self, now_s: float) -> None:
        try:
            due = [one for one in self._holders if now_s - one.permits_kept_s >= self._ttl_ms / 4_000]
            await asyncio.gather(*map(self._renew, due))
            for (key, task), call in list(self._called.items()):
                if now_s > call.until_s:
                    del self._called[key, task]
                else:
                    await self._wake(key, call.limit, (task,))
            for key, queue in list(self._queues.items()):
                if now_s - queue.looked_s >= self._ttl_ms / 1_000:
                    queue.looked_s = now_s
                    await self._look_after(key, queue)
        except (*AWAY, RedisError) as error:
            logger.warning("the log is away or full, permits are not renewed: %s", error)

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
        await self._wake(key, queue.limit, await self._limits.release(key, "-", queue.limit))
        if not await self._limits.waiting(key):
            del self._queues[key]

    async def _wake(self, key: str, limit: ConcurrencyLimit, tasks: tuple[str, ...]) -> None:
        """Make snoozed tasks due now; the permit of one that is gone (its job was cancelled) goes to the next."""
        turn = deque(tasks)
        while turn:
            task = turn.popleft()
            job_id, _, number = task.partition("/")
            keys = self._keys.of_job(job_id)
            if await self._client.hexists(keys.job(job_id), f"task.{number}"):
                member = f"task/{job_id}/{number}"
                if await self._client.zscore(keys.timers, member) is None:
                    # It was told to wait, and its snooze is on its way: it is called again when that has arrived.
                    self._called.setdefault((key, task), _Call(limit, self._clock() + CALLED_FOR_S))
                    continue
                self._called.pop((key, task), None)
                await self._client.zadd(keys.timers, {member: await self._now_ms(keys.timers)}, xx=True, lt=True)
                await self._promote(keys, [member])  # at once: the timers are looked at some times a second
            else:
                self._called.pop((key, task), None)
                turn.extend(await self._limits.release(key, task, limit))

    async def _now_ms(self, key: str) -> int:
        """The clock of the server that has a key."""
        node = {"target_nodes": self._client.get_node_from_key(key)} if is_cluster(self._client) else {}
        seconds, micros = await self._client.execute_command("TIME", **node)
        return int(seconds) * 1_000 + int(micros) // 1_000


def _turn(keyed: tuple[Limit, str | None]) -> tuple[int, float]:
    limit, _ = keyed
    return (0, 0.0) if isinstance(limit, AtOnce) else (1, limit.per_s / limit.count)
