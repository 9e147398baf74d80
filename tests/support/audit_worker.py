"""A worker process for audits, as fast as it can; killed by the test that started it.

Arguments: URL of Redis, of PostgreSQL, namespace, folder, ``host:port`` that may be reached.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.flow_place import audit_place


async def main(redis_url: str, database_url: str, namespace: str, folder: str, place: str) -> None:
    """Work until killed."""
    running = audit_place(
        redis_url, database_url, Path(folder), namespace=namespace, allow_hosts=(place,), lease_ms=1_000
    )
    async with running:
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
