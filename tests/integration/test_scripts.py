"""The scripts on servers that are out of memory, forgetful, or a Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio
from redis.exceptions import OutOfMemoryError

from schemas.names import JobId
from streams import scripts
from streams.keys import Keys
from streams.log import Log, NewJob
from streams.moves import RELEASED, Beat, Completion, Death, PutBack
from streams.scripts import Code
from streams.states import JobStatus
from tests.integration.model.routes import SmallWindows
from tests.integration.model.scenarios import SCENARIOS
from tests.integration.model.server import Server
from tests.integration.model.staging import letters_of, out, seen, take
from tests.integration.model.walk import walk
from tests.integration.model.world import World, claim_of, new_job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from streams.embedded.valkey import ValkeyServer

WORKER = "w1"


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(valkey_url) as connected:
        yield connected


def a_job(name: str = "a") -> NewJob:
    return NewJob(JobId(f"0-{name}"), "f", b'{"v":1}', b"{}", "00-t")


def held_for_oom(world: World, expires_at_ms: int) -> list[Any]:
    """Seven running tasks of one job, a dead letter, a delayed task, a foreign entry and a job about to expire."""
    world.submit(new_job("a"))
    first = world.read(WORKER, streams=["crawl"])
    world.start(WORKER, *first)
    world.emit(WORKER, first[0], 1, *out("download", 3), *out("extract", 2), *out("classify"))
    held = [*first, *take(world)]
    dead, late, *kept = [e for e in held if e.job == "0-a" and e.name.stage == "download"]
    world.dead_letter(WORKER, Death(dead, "http_403"))
    world.put_back(WORKER, "retry", PutBack(late, 0, "down"))
    world.put("crawl", {"flow": "f", "data": '{"v":1}'})
    world.submit(new_job("b", lane="high", expires_at_ms=expires_at_ms))
    return [*first, *kept, *[e for e in held if e.name.stage in {"extract", "classify"}]]


def test_out_of_memory_refuses_new_work_and_lets_what_is_there_end(
    start_valkey: Callable[..., ValkeyServer], namespace: str
) -> None:
    world = World(Server(start_valkey(appendfsync="no").url), namespace)
    first, kept, *others = held_for_oom(world, world.model.now + 1)
    world.advance(2)
    (foreign,) = world.read(WORKER, streams=["crawl"])
    expiring = claim_of(world.model.jobs["0-b"], 1)
    assert expiring is not None
    letter = letters_of(world.model.jobs["0-a"], "download")
    delayed = [member for member in world.model.timers if member.startswith("task/")]
    world.server.redis.config_set("maxmemory", 1)

    for refused in (
        lambda: world.submit(new_job("c")),
        lambda: world.promote(*delayed),
        lambda: world.adopt(WORKER, foreign, "0-x"),
        lambda: world.redrive(*letter),
    ):
        with pytest.raises(OutOfMemoryError):
            refused()
        world.check()

    one, two, three = others
    assert world.heartbeat(WORKER, Beat(first, 5.0, "x", b"1")) == [Code.OK]
    world.start(WORKER, first)
    world.emit(WORKER, first, 7, *out("download", 2))
    world.complete(WORKER, Completion(first, is_touched=True))
    world.put_back(WORKER, "snooze", PutBack(one, 5, "busy"))
    world.put_back(WORKER, "retry", PutBack(two, 5, "down"))
    world.dead_letter(WORKER, Death(kept, "http_403"))
    world.release(WORKER, three)
    world.reclaim("w2", seen(three, RELEASED))
    assert world.expire("0-b", expiring) == Code.OK
    assert world.cancel(world.model.jobs["0-a"], JobStatus.CANCELLED) == Code.OK
    world.trim(1.0, 5, ())

    world.server.redis.config_set("maxmemory", 0)
    assert world.submit(new_job("c")) == [Code.OK]


def test_on_a_cluster_no_move_crosses_slots(start_valkey: Callable[..., ValkeyServer], namespace: str) -> None:
    server = Server(start_valkey(cluster_enabled="yes", appendfsync="no", cluster_config_file="nodes.conf").url)
    server.redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
    while b"cluster_state:ok" not in server.redis.execute_command("CLUSTER", "INFO"):
        pass
    for number, run in enumerate(SCENARIOS):
        run(World(server, f"{namespace}-{number}"))
    walk(World(server, namespace), 1, 100)


async def test_a_server_that_forgot_the_scripts_is_given_them_again(
    client: redis.asyncio.Redis, namespace: str
) -> None:
    log = Log(client, Keys(namespace), SmallWindows(), record_ttl_s=60)
    assert await log.submit(a_job())
    await client.script_flush()
    assert not await log.submit(a_job()), "the same submission"
    assert (await client.script_exists(scripts.script("submit").sha))[0]


async def test_time_is_the_servers_in_milliseconds(client: redis.asyncio.Redis, namespace: str) -> None:
    log = Log(client, Keys(namespace), SmallWindows(), record_ttl_s=60)

    async def now_ms() -> int:
        seconds, micros = await client.time()
        return int(seconds) * 1_000 + int(micros) // 1_000

    before = await now_ms()
    await log.submit(a_job())
    record = await log.job("0-a")
    assert record is not None
    assert before <= record.created_ms <= await now_ms()


@pytest.mark.parametrize("dead_id", ["", "0", "x-1-1", "0-1", "0-1-1-1", "0--1", "²-1-1", f"0-{'9' * 30}-1", "0-1-1"])
async def test_a_dead_letter_that_is_not_there_is_none(
    client: redis.asyncio.Redis, namespace: str, dead_id: str
) -> None:
    log = Log(client, Keys(namespace), SmallWindows(), record_ttl_s=60)
    assert await log.dead_letter(dead_id) is None
    assert await log.redrive([dead_id]) == [Code.NOT_FOUND]


async def test_dead_letters_of_all_partitions_come_newest_first(client: redis.asyncio.Redis, namespace: str) -> None:
    keys = Keys(namespace, 2)
    log = Log(client, keys, SmallWindows(), record_ttl_s=60)
    for partition, entry_id in ((0, "5-1"), (1, "7-0"), (0, "9-0")):
        await client.xadd(keys.partition(partition).dlq, {"job": "x"}, id=entry_id)
    assert [letter.dead_id for letter in await log.dead_letters(limit=2)] == ["0-9-0", "1-7-0"]


async def test_a_dead_letter_from_outside_is_not_redriven(client: redis.asyncio.Redis, namespace: str) -> None:
    keys = Keys(namespace)
    log = Log(client, keys, SmallWindows(), record_ttl_s=60)
    one = keys.partition(0)
    args = [keys.events, "5-1", "bad_json", "no JSON", "{}", 60]
    dead_id = await scripts.run(client, "reject", [*one.fixed, one.rejected("5-1")], args)
    assert await log.redrive([f"0-{dead_id.decode()}"]) == [Code.UNKNOWN_JOB]
