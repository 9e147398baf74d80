"""A worker process of the leads flow, to be killed: URLs of Redis and PostgreSQL, namespace, folder."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from consumers.leads.flow import flow
from tests.support.flow_place import place


async def main(redis_url: str, database_url: str, namespace: str, folder: str) -> None:
    """Work until killed."""
    async with place(
        redis_url, database_url, Path(folder), flow=flow, namespace=namespace, allow_hosts=("127.0.0.0/8",),
        lease_ms=1_000,
    ):  # fmt: skip
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
