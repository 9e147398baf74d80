"""A server that dies, stalls, forgets scripts or loses answers while work is going on."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
from typing import TYPE_CHECKING

import orjson
import pytest

from api.chaos.proxy import proxied
from streams.connect import AWAY
from streams.scripts import MOVES, script

if TYPE_CHECKING:
    from streams.embedded.valkey import ValkeyServer
    from tests.support.chaos import Stage

pytestmark = pytest.mark.chaos


async def _submit_until_accepted(stage: Stage, name: str, over: asyncio.Event) -> None:
    """As a client does that makes its own job id: the same submission again until it is answered."""
    while not over.is_set():
        try:
            await stage.submit("patient", job_id=name, width=5, work="mixed")
        except AWAY:
            continue
        return


@pytest.mark.slow
async def test_a_killed_server_loses_nothing_and_no_work_is_stolen(stage: Stage, server: ValkeyServer) -> None:
    for _ in range(2):
        await stage.start(lease_ms=2_000)
    long = [await stage.submit(work="sleep", seconds=9.0) for _ in range(4)]
    await stage.wait(4, event="began")

    over = asyncio.Event()

    async def submit_until_over() -> None:
        for n in itertools.count():
            if over.is_set():
                return
            await _submit_until_accepted(stage, f"load-{n}", over)
            await asyncio.sleep(0.005)

    load = asyncio.create_task(submit_until_over())
    try:
        for down_s in (0.0, 2.5):  # shorter and longer than the lease
            await stage.wait(stage.count(event="notified") + 20, event="notified")
            await asyncio.to_thread(server.kill)
            # The outage is the point here: nothing could be waited for.
            await asyncio.sleep(down_s)
            await asyncio.to_thread(server.start)
        await stage.wait(stage.count(event="notified") + 20, event="notified")
    finally:
        # Not by a cancellation: the client may take it for the connection's end, and try again.
        over.set()
        await load
    await stage.ended()
    executions = stage.executions()
    assert {executions[job, 2] for job in long} == {1}, "long work was stolen from a live worker"
    await stage.check()
    print(f"\n{len(stage.accepted)} jobs accepted, none lost; {stage.count(event='lease.lost')} leases lost")


async def test_lost_connections_scripts_and_time(stage: Stage) -> None:
    """SCRIPT FLUSH, CLIENT KILL of everybody and CLIENT PAUSE, while jobs run."""
    for _ in range(2):
        await stage.start(lease_ms=2_000)
    client = stage.log.client
    for n in range(6):
        for _ in range(10):
            await stage.submit("patient", width=5, work="mixed")
        await client.script_flush()
        if n % 2:
            await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        if n == 3:
            await client.execute_command("CLIENT", "PAUSE", 3_000, "ALL")
        await stage.wait(n * 6, event="notified")
    await stage.ended()
    types = await stage.check()
    assert types["dead_lettered"] == 60


async def test_answers_cut_off_after_the_server_acted(stage: Stage) -> None:
    seed = random.randrange(1 << 32)  # noqa: S311 - dice
    print(f"\nseed {seed}")
    dice = random.Random(seed)  # noqa: S311 - dice
    shas = [script(move).sha.encode() for move in MOVES]
    async with proxied(stage.redis_url) as proxy:
        await stage.start(redis_url=proxy.url, lease_ms=1_500)
        proxy.cut_answer = lambda chunk: any(sha in chunk for sha in shas) and dice.random() < 0.3
        for _ in range(40):
            await stage.submit("patient", width=5, work="mixed")
        await stage.ended()
        assert proxy.cuts > 10
    types = await stage.check()
    print(f"{proxy.cuts} answers cut off, {types['reclaimed']} entries reclaimed")
    assert types["dead_lettered"] == 40


@pytest.mark.parametrize(
    "move", ["complete", "retry", "snooze", "dead_letter", "emit", "start", "heartbeat", "promote"]
)
async def test_each_move_cut_off_once(stage: Stage, move: str) -> None:
    async with proxied(stage.redis_url) as proxy:
        await stage.start(redis_url=proxy.url)
        sha = script(move).sha.encode()
        proxy.cut_answer = lambda chunk: proxy.cuts == 0 and sha in chunk
        job = await stage.submit("patient", width=5, work="mixed")
        (record,) = await stage.ended(job)
        assert proxy.cuts == 1
    assert record.status == "partial"
    types = await stage.check()
    assert (types["retried"], types["snoozed"], types["dead_lettered"], types["reclaimed"]) == (1, 1, 1, 0)


async def test_a_renewal_whose_answer_never_comes_is_sent_again_in_time(stage: Stage) -> None:
    """The connection stays open and silent, as in a network that lost its state."""
    async with proxied(stage.redis_url) as proxy:
        sha = script("heartbeat").sha.encode()
        await stage.start(redis_url=proxy.url, lease_ms=2_000)
        job = await stage.submit(work="sleep", seconds=9.0)
        await stage.wait(event="began")
        await stage.start(lease_ms=2_000)
        proxy.mute = lambda chunk: proxy.muted == 0 and sha in chunk
        await stage.ended(job)
        assert proxy.muted >= 1
    assert set(stage.executions().values()) == {1}
    assert stage.count(event="lease.lost") == 0
    await stage.check()


async def test_a_worker_killed_while_it_adopts_leaves_the_entry_to_others(stage: Stage) -> None:
    async with proxied(stage.redis_url) as proxy:
        sha = script("adopt").sha.encode()
        proxy.hold_request = lambda chunk: sha in chunk
        victim = await stage.start(redis_url=proxy.url, lease_ms=1_500)
        stream = stage.log.keys.partition(0).stream("download")
        step = orjson.dumps({"v": 1, "n": 0, "spec": {}})
        await stage.log.client.xadd(stream, {"flow": "chaos", "data": step})
        await proxy.held.wait()
        victim.signal(signal.SIGKILL)
        await victim.ended()
    await stage.start(lease_ms=1_500)
    (notified,) = await stage.wait(event="notified", timeout_s=15)
    stage.accepted.append(notified["job"])
    await stage.ended()
    types = await stage.check()
    assert types["adopted"] == 1


async def test_a_rolling_restart_under_load_costs_no_crash(stage: Stage) -> None:
    """Workers are told to go while others come: what they leave runs at once, and nothing counts as a crash."""
    leaving = await stage.start(drain_s=0.1)
    for _ in range(3):
        coming = await stage.start(drain_s=0.1)
        for _ in range(20):
            await stage.submit(width=6, work="linger", seconds=5.0)
        await stage.wait(10, event="began", worker=leaving.name)
        leaving.signal(signal.SIGTERM)
        assert await leaving.ended() == 0
        leaving = coming
    await stage.ended(timeout_s=20)
    types = await stage.check()
    assert types["reclaimed"] == 0
    assert types["released"] > 0
    print(f"\n{types['released']} entries were given back by those that left")
