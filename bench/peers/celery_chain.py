"""Celery: six tasks, each of which sends the next; acknowledged late, prefetching, in the worker's own process."""

from __future__ import annotations

from typing import Any

from celery import Celery
from clock import STAGES, Chain

chain = Chain("celery", "acks_late, reject_on_worker_lost, solo pool (fastest for tasks this short), prefetch 128")
app = Celery("chain", broker=chain.url)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_queue="chain",
    worker_prefetch_multiplier=128,
    broker_transport_options={"global_keyprefix": f"{chain.prefix}:"},
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


def declare(at: int) -> Any:
    """The task of a stage."""

    @app.task(name=STAGES[at])
    def step(n: int) -> None:
        chain.starts()
        if at + 1 < len(STAGES):
            tasks[at + 1].delay(n + 1)
        else:
            chain.ends()

    return step


tasks = [declare(at) for at in range(len(STAGES))]

if __name__ == "__main__":
    with app.producer_pool.acquire(block=True) as producer:
        for number in range(chain.jobs):
            tasks[0].apply_async((number,), producer=producer)
    app.worker_main(
        ["worker", "--pool", "solo", "--concurrency", "1", "--loglevel", "ERROR", "--without-gossip",
         "--without-mingle", "--without-heartbeat"]
    )  # fmt: skip
