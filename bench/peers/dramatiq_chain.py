"""Dramatiq: six actors, each of which sends the next; acknowledged after the actor, its default middleware."""

from __future__ import annotations

import threading
from typing import Any

import dramatiq
from clock import STAGES, Chain
from dramatiq.brokers.redis import RedisBroker

chain = Chain("dramatiq", "acknowledged after the actor (its way), 8 threads (its default), default middleware")
broker = RedisBroker(url=chain.url, namespace=chain.prefix)
dramatiq.set_broker(broker)


def declare(at: int) -> Any:
    """The actor of a stage."""

    @dramatiq.actor(actor_name=STAGES[at], queue_name="chain")
    def step(n: int) -> None:
        chain.starts()
        if at + 1 < len(STAGES):
            actors[at + 1].send(n + 1)
        else:
            chain.ends()

    return step


actors = [declare(at) for at in range(len(STAGES))]

if __name__ == "__main__":
    for number in range(chain.jobs):
        actors[0].send(number)
    dramatiq.Worker(broker, worker_threads=8).start()
    threading.Event().wait()
