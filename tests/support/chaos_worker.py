"""A worker process for tests: ``chaos_worker.py EVENTS_FD CONFIG``; CONFIG is JSON, see `Config`.

What happens is written to EVENTS_FD, a JSON line an event.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from dataclasses import dataclass
from typing import Any

import orjson
import uvloop

from consumers.resources import SharedResources
from consumers.supervisor import Role, Supervisor
from consumers.worker.worker import Worker, WorkerOptions
from schemas.names import POOLS
from schemas.settings import Settings
from streams.connect import connect
from streams.keys import Keys
from streams.moves import Moves
from streams.reader import Reader
from streams.reclaimer import Reclaimer
from tests.support.chaos_flow import FLOWS, journal


@dataclass(frozen=True, slots=True)
class Config:
    """How the worker runs.

    Attributes:
        supervised: So many workers under a supervisor, which gives back what a dead one held. 0: this process is one.
    """

    redis_url: str
    namespace: str
    lease_ms: int = 5_000
    concurrency: int = 64
    drain_s: float = 10.0
    supervised: int = 0

    @property
    def settings(self) -> Settings:
        """The settings that a worker reads."""
        return Settings(namespace=self.namespace, lease_ms=self.lease_ms, drain_s=self.drain_s)


async def work(config: Config, name: str) -> int:
    """Be a worker until SIGTERM; 3 when it crashed."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with SharedResources(config.settings, None, owner=name) as resources:
        options = WorkerOptions(name=name, concurrency=config.concurrency)
        worker = Worker(config.settings, redis_url=config.redis_url, flows=FLOWS, resources=resources, options=options)
        journal.worker = worker.name
        worker.signals.listen(_tell)
        await worker.start()
        crashed = asyncio.create_task(worker.wait_until_stopped())
        await asyncio.wait({crashed, asyncio.create_task(told.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if not told.is_set():
            journal.tell("crashed", reason=repr(worker.crash_reason))
            return 3
        await worker.drain()
        journal.tell("drained", counts=worker.committer.counts, refused=worker.committer.refused)
    return 0


def _tell(name: str, values: tuple[Any, ...]) -> None:
    if name in {"ready", "lease.lost"}:
        journal.tell(name)


async def disown(config: Config, name: str) -> None:
    """Give back what a dead worker held."""
    keys, client = Keys(config.namespace), connect(config.redis_url)
    streams = Reader(client, client, keys, name, pools=POOLS).streams
    moves = Moves(client, "supervisor", FLOWS, config.settings.record_ttl_s)
    reclaimer = Reclaimer(client, moves, streams, lease_ms=config.lease_ms, interval_s=1.0)
    freed = await reclaimer.disown(name)
    await client.aclose()
    journal.tell("disowned", died=name, freed=freed)


def main() -> int:
    """Run as the command line says."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(name)s %(message)s")
    journal.fd = int(sys.argv[1])
    os.set_inheritable(journal.fd, False)  # noqa: FBT003 - its only way
    config = Config(**orjson.loads(sys.argv[2]))
    if not config.supervised:
        return uvloop.run(work(config, ""))
    role = Role(
        "worker",
        config.supervised,
        lambda name: uvloop.run(work(config, name)),
        on_death=lambda name: uvloop.run(disown(config, name)),
    )
    return Supervisor([role], grace_s=15).run()


if __name__ == "__main__":
    sys.exit(main())
