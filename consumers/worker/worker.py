"""A worker: a tree of services that reads, runs, renews, reclaims and settles as one consumer."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import uuid
from collections import ChainMap
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from mode import Service
from redis.exceptions import OutOfMemoryError

from consumers.execute import Middleware
from consumers.flow import Flows
from consumers.resources import SharedResources
from consumers.store.logs import LogShipper
from consumers.submit import follow_up
from consumers.worker.adopt import Adopter
from consumers.worker.context import Workbench
from consumers.worker.control import Control
from consumers.worker.execute import Executor
from consumers.worker.hand import Hand, InHand, Stop
from consumers.worker.lease import LeaseKeeper
from consumers.worker.limit import Limiter
from consumers.worker.meter import Meter
from consumers.worker.presence import Presence
from consumers.worker.read import ReadLoop
from consumers.worker.settle import Abandoned, Committer, Released
from consumers.worker.signals import Signals
from consumers.worker.sweep import ReclaimLoop, TimerLoop, sweep_interval_s
from schemas.names import STAGES, StageName
from schemas.settings import Settings
from streams.connect import connect
from streams.frontier import Frontier
from streams.keys import Keys, PartitionKeys
from streams.log import Log
from streams.moves import Moves
from streams.reader import DOORBELL_MS, Reader
from streams.reclaimer import Reclaimer
from streams.timers import PAGE, Timers

logger = logging.getLogger(__name__)

POOL_SLOTS: Final = {"heavy": 2, "browser": 1, "mail": 10}
"""Slots of the pools that need more than an event loop; ``default`` has `Settings.concurrency`."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What one worker does.

    Attributes:
        name: Consumer name; never used twice. Empty: one is made.
        pools: Pools it has the requirements of.
        concurrency: Slots of the default pool; None: the setting.
        follows: Services that run beside the stages, made when the worker starts (ingest, history).
    """

    name: str = ""
    pools: tuple[str, ...] = ("default", "heavy", "mail")
    stages: tuple[StageName, ...] = STAGES
    concurrency: int | None = None
    middleware: tuple[Middleware, ...] = ()
    follows: tuple[Callable[[Worker], Service], ...] = field(default=())


def _settle_heap() -> None:
    """Keep the garbage collector away from what was imported: looking through that took a sixth of a busy worker.

    What is there by now stays for the process's life; what comes later is collected as ever, a little less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def consumer_name() -> str:
    """A name that no other process start has."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Worker(Service):
    """One consumer. `start` it in a running loop; `drain` stops it gracefully."""

    def __init__(
        self,
        settings: Settings,
        *,
        redis_url: str,
        flows: Flows,
        resources: SharedResources,
        options: WorkerOptions | None = None,
        signals: Signals | None = None,
    ) -> None:
        self.settings = settings
        self.options = options or WorkerOptions()
        self.name = self.options.name or consumer_name()
        self.flows = flows
        self.resources = resources
        self.signals = signals or Signals()
        self.keys = Keys(settings.namespace, settings.partitions)
        self.redis_url = redis_url
        self.client = connect(redis_url)
        self.is_draining = False
        names = {pool: f"millrace-bell:{pool}:{self.name}".replace(" ", "-") for pool in self.options.pools}
        self._bells = {
            name: connect(redis_url, timeout_s=DOORBELL_MS / 1_000 + 5, resent=0, single=True, name=name)
            for name in names.values()
        }
        self.readers = {
            pool: Reader(
                self.client, self._bells[name], self.keys, self.name, pools=(pool,), stages=self.options.stages
            )
            for pool, name in names.items()
        }
        self._bell_names = names
        self.jobs = Log(
            self.client, self.keys, flows, record_ttl_s=settings.record_ttl_s, wait_replicas=settings.wait_replicas,
            max_redrives=settings.max_redrives, max_backlog=settings.max_backlog,
        )  # fmt: skip
        self.moves = Moves(self.client, self.name, flows, settings.record_ttl_s)
        # A connection of its own, and an answer that does not come is asked for again well within the lease.
        self._lease_client = connect(redis_url, timeout_s=max(0.5, settings.lease_ms / 3_000), single=True)
        self.is_spent = asyncio.Event()
        """It should be replaced: who runs it drains it, and a supervisor starts another."""
        super().__init__()

    def on_init_dependencies(self) -> Iterable[Any]:
        """The services, in the order in which they start."""
        settings, options = self.settings, self.options
        slots = {
            pool: (options.concurrency or settings.concurrency) if pool == "default" else POOL_SLOTS.get(pool, 2)
            for pool in options.pools
        }
        self.hand = Hand(slots, self.flows, asyncio.get_event_loop().time, self.flows.bounds())
        self.control = Control(self)
        self.presence = Presence(self)
        self.shipper = LogShipper(self.resources.store.logs) if self.resources.has_store else None
        self.committer = Committer(self.moves, self.jobs, self.hand, self.signals)
        self.hand.give_back = lambda one: self.committer.put(one, Released())
        self.limiter = Limiter(
            self.client, self.keys, ttl_ms=settings.lease_ms, clock=asyncio.get_event_loop().time,
            on_lost=self._give_up, promote=self._promote,
        )  # fmt: skip
        self.frontier = Frontier(
            self.client, self.keys, self.flows, lambda: self.resources.blobs.chunks,
            in_memory=settings.parked_in_memory,
        )  # fmt: skip
        bench = Workbench(
            self.resources, self.jobs, self.moves, self.shipper, self._nudge, self.limiter, self.frontier
        )  # fmt: skip
        self.executor = Executor(
            bench, self.flows, self.hand, self.committer, Adopter(self.moves, self.flows), self.signals, self.control,
            options.middleware,
        )  # fmt: skip
        self.keeper = LeaseKeeper(
            Moves(self._lease_client, self.name, self.flows, settings.record_ttl_s), self.hand, self.committer,
            self.signals, lease_ms=settings.lease_ms,
            on_time_limit=self.executor.fail_job, on_hard_limit=self._settle_without, announce=self.executor.announce,
            keep_permits=self.limiter.keep,
        )  # fmt: skip
        streams = ChainMap(*(dict(reader.streams) for reader in self.readers.values()))
        reclaimer = Reclaimer(
            self.client, self.moves, streams, lease_ms=settings.lease_ms,
            interval_s=sweep_interval_s(settings.lease_ms),
        )  # fmt: skip
        self.reclaiming = ReclaimLoop(reclaimer, self.hand, self.signals, lease_ms=settings.lease_ms)
        self.timers = Timers(
            self.client, self.jobs, self.flows, lambda job, body: follow_up(self.jobs, self.flows, job, body),
            self.frontier,
        )  # fmt: skip
        self.reading = [
            ReadLoop(reader, self.hand, pool, self._bell_names[pool]) for pool, reader in self.readers.items()
        ]
        return [
            self.committer,
            self.keeper,
            self.executor,
            self.reclaiming,
            TimerLoop(self.timers, self.keys, self.signals),
            self.presence,
            self.control,
            Meter(self),
            *(make(self) for make in options.follows),
            *self.reading,
        ]

    async def on_start(self) -> None:
        """Before anything is read: every stream has its group, and what expired while nobody was there has ended."""
        for reader in self.readers.values():
            # A full server refuses to create even what exists; should one be missing, the reader creates it then.
            with suppress(OutOfMemoryError):
                await reader.create_groups()
        await self.control.read()
        with suppress(OutOfMemoryError):
            for keys in self.keys.all_partitions:
                while await self.timers.promote_due(keys) == PAGE:
                    continue
        if self.shipper is not None:
            self.shipper.start()

    async def on_started(self) -> None:
        """Say that it is ready."""
        _settle_heap()
        logger.info("worker %s reads %s", self.name, ", ".join(self.options.pools))
        self.signals.send("ready", self.name)

    async def drain(self, grace_s: float | None = None) -> None:
        """Stop reading, let what runs finish within the grace, give the rest back, then stop."""
        grace_s = self.settings.drain_s if grace_s is None else grace_s
        self.is_draining = True
        await self._stop_taking()
        running = len(self.hand.entries)
        if running:
            logger.info("draining: %d entries in hand have %g s to finish", running, grace_s)
        try:
            await asyncio.wait_for(self.hand.is_idle.wait(), grace_s)
        except TimeoutError:
            logger.info("%d entries in hand did not finish in time and are given back", len(self.hand.entries))
        await self.stop()

    async def on_stop(self) -> None:
        """Take nothing more, and give back what is in hand."""
        await self._stop_taking()
        await self._give_back()

    async def _stop_taking(self) -> None:
        await asyncio.gather(*(loop.stop_reading() for loop in self.reading), self.reclaiming.stop_taking())

    async def on_shutdown(self) -> None:
        """Close what was opened."""
        await self.limiter.close()
        await self.frontier.close()
        if self.shipper is not None:
            await self.shipper.stop()
        await self.client.aclose()
        for client in (self._lease_client, *self._bells.values()):
            await client.aclose()

    async def _give_back(self) -> None:
        left = list(self.hand.entries.values())
        for one in left:
            one.stop = one.stop or Stop.DRAIN
            if one.task is not None and not one.is_settling:
                one.task.cancel(Stop.DRAIN.value)
            elif not one.is_settling:
                self.committer.put(one, Released())
        tasks = [one.task for one in left if one.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)
        for one in list(self.hand.entries.values()):
            if not one.is_settling:
                self.committer.put(one, Released())
        try:
            await asyncio.wait_for(self.committer.is_flushed.wait(), 5.0)
        except TimeoutError:
            logger.warning("%d entries could not be given back: their leases will run out", len(self.hand.entries))

    async def _promote(self, keys: PartitionKeys, members: list[str]) -> None:
        await self.timers.promote(keys, members)

    def _give_up(self, one: InHand) -> None:
        self.keeper.give_up(one)

    def _nudge(self) -> None:
        self.keeper.nudge()

    def _settle_without(self, one: InHand) -> None:
        self.committer.put(one, self.executor.stopped(one) if one.stop is not Stop.LOST else Abandoned())


__all__ = ["Worker", "WorkerOptions", "consumer_name"]
