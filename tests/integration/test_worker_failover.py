"""A master that dies, found out by Sentinel or by the Cluster itself, and a slot that moves: work goes on."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from api.chaos.history import examine
from consumers.noop import flow as noop
from streams.connect import AWAY, connect
from streams.errors import Refused
from streams.meter import Counted, add, read
from tests.support import topologies
from tests.support.chaos_local import Here, here

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.redis

PARTITIONS = 16
GOES_ON_WITHIN_S = 15.0
"""After a master was lost; nobody helps."""
SLACK = 2.0
"""For machines that others use too; the figure is printed."""


async def insist(place: Here, attempt: Callable[[], Awaitable[Any]], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while True:
            try:
                await attempt()
            except (*AWAY, Refused):
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize("kind", ["sentinel", "cluster"])
async def test_work_goes_on_soon_after_a_master_died_and_no_worker_is_deaf(
    kind: str, redis_server: str | None, namespace: str, tmp_path: Path
) -> None:
    started = (
        topologies.watched(redis_server) if kind == "sentinel" else topologies.cluster(redis_server, replicas=True)
    )
    with started as servers:
        given: dict[str, Any] = {"partitions": PARTITIONS, "home": tmp_path, "lease_ms": 2_000}
        async with here(servers.url, namespace, noop, **given) as place:
            workers = [await place.start() for _ in range(2)]
            for partition in range(PARTITIONS):
                await place.submit("noop", job_id=f"{partition}-before")
            for partition in range(PARTITIONS):
                await place.ended(f"{partition}-before")

            await asyncio.to_thread(servers.lose_master)
            died_s = time.monotonic()

            async def goes_on(partition: int, name: str = "after") -> None:
                job = f"{partition}-{name}"
                await insist(place, lambda: place.submit("noop", job_id=job), 60)
                await place.ended(job, timeout_s=60)

            await asyncio.gather(*(goes_on(partition) for partition in range(PARTITIONS)))
            took_s = time.monotonic() - died_s
            # One of them by itself now: had it gone deaf, it would leave what comes.
            await workers[0].drain()
            began_s = time.monotonic()
            await asyncio.gather(*(goes_on(partition, "alone") for partition in range(PARTITIONS)))
            alone_s = time.monotonic() - began_s
            print(f"\n{kind}: work went on {took_s:.1f} s after its master died; one worker alone: {alone_s:.1f} s")
            assert took_s <= GOES_ON_WITHIN_S * SLACK
            assert alone_s <= GOES_ON_WITHIN_S * SLACK
            assert not any(worker.crashed for worker in place.workers)
            # What no replica had acknowledged may be gone; it is told apart.
            gone = f"0-{'0' * 20}"
            history = await examine(
                place.log.client, place.log.keys, [*place.accepted, gone], unacknowledged={*place.accepted, gone}
            )  # fmt: skip
            assert history.broken == []
            assert history.count("unreplicated") >= 1
            print(f"{history.count('unreplicated') - 1} of {len(place.accepted)} were lost by the failover")


async def test_a_slot_that_moves_takes_its_work_along(redis_server: str | None, namespace: str, tmp_path: Path) -> None:
    with topologies.cluster(redis_server) as cluster:
        given: dict[str, Any] = {"partitions": PARTITIONS, "home": tmp_path, "lease_ms": 2_000}
        async with here(cluster.url, namespace, noop, **given) as place:
            await place.start()
            moved = range(0, PARTITIONS, 5)
            jobs: list[str] = []

            async def load() -> None:
                for n in range(30):
                    for partition in moved:
                        jobs.append(f"{partition}-job.{n}")
                        await insist(place, lambda: place.submit("noop", job_id=jobs[-1]), 20)

            loading = asyncio.create_task(load())
            await place.until(lambda: len(place.signals) > 50, "work")
            for partition in moved:
                key = place.log.keys.partition(partition).lifecycle
                await asyncio.to_thread(cluster.move_slot_of, key)
            await loading
            for job in jobs:
                assert (await place.ended(job, timeout_s=30)).status == "succeeded"
            assert not any(worker.crashed for worker in place.workers)
            place.accepted = list(dict.fromkeys(place.accepted))
            await place.check()


async def test_a_transaction_waits_for_no_lock_of_another_loop(redis_server: str | None, namespace: str) -> None:
    """redis-py queues it in a thread with a loop of its own: while others learnt the slots anew, that crashed."""
    with topologies.cluster(redis_server) as cluster:
        client = connect(cluster.url)
        try:
            await client.initialize()
            client._initialize = True  # as after a failover
            counted = {("crawl", "noop", "default"): Counted(deliveries=1)}
            adding = (add(client, f"{namespace}:metrics", counted) for _ in range(3))
            await asyncio.gather(client.initialize(), *adding)
            (found,) = (await read(client, f"{namespace}:metrics")).values()
            assert found.deliveries == 3
        finally:
            await client.aclose()
