"""streaq: six tasks, each of which enqueues the next; at least once by its streams, results not kept."""

from __future__ import annotations

import logging
from typing import Any

from clock import STAGES, Chain
from streaq import Worker

chain = Chain("streaq", "at least once (its streams), 128 tasks at once, results not kept, uvloop")
worker: Worker[None] = Worker(
    redis_url=chain.url, queue_name=chain.prefix, concurrency=128, handle_signals=False,
    anyio_kwargs={"use_uvloop": True},
)  # fmt: skip


def declare(at: int) -> Any:
    """The task of a stage."""

    @worker.task(name=STAGES[at], ttl=0, silent=True)
    async def step(n: int) -> None:
        chain.starts()
        if at + 1 < len(STAGES):
            await tasks[at + 1].enqueue(n + 1)
        else:
            chain.ends()

    return step


tasks = [declare(at) for at in range(len(STAGES))]


async def main() -> None:
    """Fill, then work."""
    async with worker:
        await worker.enqueue_many([tasks[0].enqueue(number) for number in range(chain.jobs)])
    await worker.run_async()


if __name__ == "__main__":
    import anyio

    logging.disable(logging.WARNING)
    anyio.run(main, backend_options={"use_uvloop": True})
