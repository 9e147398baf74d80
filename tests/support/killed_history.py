"""A process that follows lifecycle into history and is killed, by its own hand, in the middle of it.

Arguments: URL of Redis, URL of PostgreSQL, namespace, batches until SIGKILL (0: it lives until all is projected),
``before`` or ``after`` the batch is committed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid

from consumers.store import Store
from consumers.worker.follow import HISTORY
from streams import groups
from streams.connect import connect
from streams.groups import Entries, GroupReader
from streams.keys import Keys, partition_of_key

groups.ORPHANED_MS = 50  # type: ignore[misc]  # what the dead left is taken over at once


async def main(redis_url: str, database_url: str, namespace: str, batches: int, when: str) -> None:
    """Follow."""
    client = connect(redis_url, single=True)
    keys = Keys(namespace)
    reader = GroupReader(client, [keys.partition(0).lifecycle], HISTORY, f"history-{uuid.uuid4().hex[:8]}")
    done = 0

    async with Store.connect(database_url) as store:

        async def handle(stream: str, entries: Entries) -> None:
            nonlocal done
            done += 1
            if done == batches and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            await store.jobs.project(partition_of_key(stream), entries)
            if done == batches:
                os.kill(os.getpid(), signal.SIGKILL)

        await reader.create_group()
        while True:
            handled = await reader.handle_next(handle, most=7, block_ms=10)
            handled += await reader.take_over(handle, most=7)
            (group,) = await client.xinfo_groups(keys.partition(0).lifecycle)
            if not handled and not group["pending"] and not group["lag"]:
                break
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]))
