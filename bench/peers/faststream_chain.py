"""FastStream: a subscriber a stage on six Redis streams, each of which publishes to the next; acknowledged after."""

from __future__ import annotations

import logging
from typing import Any

import uvloop
from clock import STAGES, Chain
from faststream import AckPolicy, FastStream
from faststream.redis import RedisBroker, StreamSub

chain = Chain("faststream", "consumer groups, acknowledged after the handler, 128 at once a stage, uvloop")
broker = RedisBroker(chain.url, logger=None)
streams = [f"{chain.prefix}:{stage}" for stage in STAGES]


def declare(at: int) -> None:
    """The subscriber of a stage."""

    async def step(n: int) -> None:
        chain.starts()
        if at + 1 < len(STAGES):
            await broker.publish(n + 1, stream=streams[at + 1])
        else:
            chain.ends()

    source: Any = StreamSub(streams[at], group="chain", consumer="one", last_id=">", max_records=128)
    broker.subscriber(stream=source, ack_policy=AckPolicy.ACK, max_workers=128)(step)


for stage in range(len(STAGES)):
    declare(stage)

app = FastStream(broker, logger=None)


@app.after_startup
async def fill() -> None:
    """Fill when the groups are there: they begin at the end of their streams."""
    for number in range(chain.jobs):
        await broker.publish(number, stream=streams[0])


async def main() -> None:
    """Work until all jobs are through."""
    await app.run()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    uvloop.run(main())
