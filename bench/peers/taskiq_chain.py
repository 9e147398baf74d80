"""taskiq on its Redis-streams broker: six tasks, each of which kicks the next; acknowledged when executed."""

from __future__ import annotations

from typing import Any

import uvloop
from clock import STAGES, Chain
from taskiq.acks import AcknowledgeType
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

chain = Chain("taskiq-redis", "RedisStreamBroker, acknowledged when executed, 128 tasks at once, uvloop")
broker = RedisStreamBroker(url=chain.url, queue_name=chain.prefix, consumer_group_name="chain", consumer_id="0")


def declare(at: int) -> Any:
    """The task of a stage."""

    @broker.task(task_name=STAGES[at])
    async def step(n: int) -> None:
        chain.starts()
        if at + 1 < len(STAGES):
            await tasks[at + 1].kiq(n + 1)
        else:
            chain.ends()

    return step


tasks = [declare(at) for at in range(len(STAGES))]


async def main() -> None:
    """Fill, then work."""
    await broker.startup()
    for number in range(chain.jobs):
        await tasks[0].kiq(number)
    await run_receiver_task(broker, max_async_tasks=128, ack_time=AcknowledgeType.WHEN_EXECUTED)


if __name__ == "__main__":
    uvloop.run(main())
