"""A worker process of the documents flow, to be killed: settings as JSON, the URLs of Redis and PostgreSQL."""

from __future__ import annotations

import sys

import orjson
import uvloop

from consumers.documents.flow import flow
from consumers.flow import Flows
from consumers.resources import SharedResources
from consumers.worker.worker import Worker
from schemas.settings import Settings


async def work(settings: Settings, redis_url: str, database_url: str) -> None:
    """Work until somebody ends it."""
    async with SharedResources(settings, database_url) as resources:
        worker = Worker(settings, redis_url=redis_url, flows=Flows([flow]), resources=resources)
        await worker.start()
        await worker.wait_until_stopped()


if __name__ == "__main__":
    uvloop.run(work(Settings.model_validate(orjson.loads(sys.argv[1])), sys.argv[2], sys.argv[3]))
