"""A process that runs a job on a Worker, the live analytics and an agent.

It prints, as JSON, whom it connected to and what of aiokafka it built.

Arguments: URL of Redis, namespace, folder for artifacts.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection

from consumers.agents import BrokerlessApp, stream_channel
from consumers.analytics.keep import Kept
from consumers.analytics.process import Analytics
from consumers.flow import Flows
from consumers.noop import flow
from consumers.resources import SharedResources
from consumers.submit import submit
from consumers.worker.worker import Worker
from schemas.jobs import JobRequest
from schemas.settings import Settings
from streams.connect import connect
from streams.keys import Keys
from streams.states import ENDED
from tests.support.api_place import until

CLIENTS = (
    aiokafka.AIOKafkaConsumer,
    aiokafka.AIOKafkaProducer,
    AIOKafkaAdminClient,
    AIOKafkaClient,
    AIOKafkaConnection,
)

connected: set[str] = set()
built: list[str] = []


def watch(event: str, args: tuple[Any, ...]) -> None:
    """Note every connection, whoever makes it."""
    if event == "socket.connect":
        connected.add(str(args[1]))


def watch_building(client: Any) -> None:
    """Note every object of a class."""
    original = client.__init__

    def noted(self: Any, *args: Any, **options: Any) -> None:
        built.append(client.__name__)
        original(self, *args, **options)

    client.__init__ = noted


async def analyse(settings: Settings, redis_url: str) -> None:
    """Run the live analytics until they have shown what happened."""
    redis: Any = connect(redis_url)
    kept = Kept(redis, Keys(settings.namespace))
    analytics = Analytics(settings, redis_url)
    await analytics.start()

    async def is_shown() -> bool:
        return bool(await kept.window("1m"))

    await until(is_shown)
    await analytics.stop()
    await redis.aclose()


async def agree(namespace: str, redis_url: str) -> None:
    """Run an agent over a stream until it has had an entry."""
    app = BrokerlessApp("watched", redis_url=redis_url)
    channel = stream_channel(app, f"{namespace}:orders", "watched")
    had = asyncio.Event()

    @app.agent(channel)
    async def have(entries: Any) -> None:
        async for _ in entries:
            had.set()

    await app.start()
    await channel.send(value={"n": "1"})
    await asyncio.wait_for(had.wait(), 20)
    await app.stop()


async def main(redis_url: str, namespace: str, artifacts: str) -> None:
    """Run a job to its end."""
    settings = Settings(namespace=namespace, artifacts_url=artifacts)
    async with SharedResources(settings, None) as resources:
        worker = Worker(settings, redis_url=redis_url, flows=Flows([flow]), resources=resources)
        settled = asyncio.Event()
        worker.signals.listen(lambda name, _: settled.set() if name == "settled" else None)
        await worker.start()
        job_id = (await submit(worker.jobs, worker.flows, JobRequest(flow="noop", spec={}))).job_id
        while (record := await worker.jobs.job(job_id)) is None or record.status not in ENDED:
            settled.clear()
            await asyncio.wait_for(settled.wait(), 20)
        status = record.status
        await worker.drain()
    await analyse(settings, redis_url)
    await agree(namespace, redis_url)
    print(json.dumps({"status": status, "connected": sorted(connected), "built": built}))


if __name__ == "__main__":
    sys.addaudithook(watch)
    for one in CLIENTS:
        watch_building(one)
    asyncio.run(main(*sys.argv[1:]))
