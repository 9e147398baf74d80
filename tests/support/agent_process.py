"""A process whose Faust agent adds up what a stream has, slowly enough to be killed in the middle of it.

Arguments: URL of Redis, stream, group, idle seconds. Each entry's ``n`` goes into the set ``<stream>:seen``; how often
it was worked on into the hash ``<stream>:times``.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

from consumers.agents import BrokerlessApp, stream_channel
from streams.connect import connect


async def main(url: str, stream: str, group: str, idle_s: float) -> None:
    """Run the agent until told to stop."""
    app = BrokerlessApp("adder", redis_url=url)
    redis: Any = connect(url)

    @app.agent(stream_channel(app, stream, group, idle_s=idle_s), concurrency=3)
    async def add(entries: Any) -> None:
        async for entry in entries:
            await redis.hincrby(f"{stream}:times", entry["n"], 1)
            await asyncio.sleep(0.005)
            await redis.sadd(f"{stream}:seen", entry["n"])

    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await app.start()
    await told.wait()
    await app.stop()
    await redis.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
