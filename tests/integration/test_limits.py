"""Limits on a real server: against a pure model under random interleavings, and by many tasks at once."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoScriptError

from streams import limits
from streams.connect import connect
from streams.limits import FORGET_MS, ConcurrencyLimit, Limits, Permit, Rate, limit_script

LUA = Path(limits.__file__).parent / "lua"
SCRIPTS = ("acquire", "release", "renew", "reserve")
START_MS = 1_700_000_000_000
CLOCK = """
local function now_ms()
  return tonumber(redis.call('GET', string.match(KEYS[1], '^.*}:') .. 'clock'))
end
local server = redis
local redis = {call = function(command, ...)
  if command == 'PEXPIRE' then return 1 end
  return server.call(command, ...)
end}
"""
"""The test's clock; and no key expires by the server's, which goes on meanwhile."""


class ModelPermits:
    """What acquire, renew and release say, in plain Python."""

    def __init__(self, limit: ConcurrencyLimit) -> None:
        self.limit = limit
        self.held: dict[str, int] = {}
        self.waiting: list[str] = []

    def acquire(self, task: str, now: int) -> Permit:
        self._drop(now)
        woken: list[str] = []
        if task not in self.held:
            if task not in self.waiting:
                self.waiting.append(task)
            woken = self._hand_over(now)
        others = tuple(one for one in woken if one != task)
        if task in self.held:
            self.held[task] = now + self.limit.ttl_ms
            return Permit(granted=True, wait_ms=0, woken=others)
        return Permit(granted=False, wait_ms=min(self.held.values()) - now, woken=others)

    def renew(self, task: str, now: int) -> bool:
        self._drop(now)
        if task in self.held:
            self.held[task] = now + self.limit.ttl_ms
        return task in self.held

    def release(self, task: str, now: int) -> tuple[str, ...]:
        self._drop(now)
        self.held.pop(task, None)
        if task in self.waiting:
            self.waiting.remove(task)
        return tuple(self._hand_over(now))

    def _drop(self, now: int) -> None:
        self.held = {task: until for task, until in self.held.items() if until > now}

    def _hand_over(self, now: int) -> list[str]:
        woken = []
        while self.waiting and len(self.held) < self.limit.permits:
            woken.append(self.waiting.pop(0))
            self.held[woken[-1]] = now + self.limit.hold_ms
        return woken


class ModelRate:
    """What reserve says, in plain Python, in whole microseconds."""

    def __init__(self, limit: Rate) -> None:
        self.interval = round(limit.interval_ms * 1_000)
        self.tolerance = (limit.burst - 1) * self.interval
        self.reserved = self.admitted = 0
        self.slots: dict[str, int] = {}

    def reserve(self, task: str, now_ms: int) -> int:
        now = now_ms * 1_000
        slot = self.slots.get(task)
        if slot is None or now - slot > FORGET_MS * 1_000:
            slot = max(self.reserved, now) - self.tolerance
            self.reserved = max(self.reserved, now) + self.interval
        slot = max(slot, self.admitted - self.tolerance)
        if slot <= now:
            self.slots.pop(task, None)
            self.admitted = max(self.admitted, now) + self.interval
            return 0
        self.slots[task] = slot
        return math.ceil((slot - now) / 1_000)


class Clocked:
    """A client whose limit scripts take their time from a key."""

    def __init__(self, client: Any) -> None:
        self._client = client
        clock = (LUA / "lib" / "clock.lua").read_text(encoding="utf-8")
        self._sources = {}
        for name in SCRIPTS:
            script = limit_script(name)
            assert clock in script.source
            self._sources[script.sha] = script.source.replace(clock, CLOCK)

    async def evalsha(self, sha: str, count: int, *args: Any) -> Any:
        return await self._client.eval(self._sources[sha], count, *args)


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Any]:
    connected = connect(valkey_url)
    yield connected
    await connected.aclose()


@pytest.fixture
def set_clock(client: Any, namespace: str) -> Callable[[str, int], Any]:
    async def set_to(key: str, now_ms: int) -> None:
        await client.set(f"{namespace}:{{limit:{key}}}:clock", now_ms)

    return set_to


@pytest.mark.parametrize("seed", range(12))
async def test_permits_agree_with_the_model_and_are_never_too_many(
    client: Any, namespace: str, set_clock: Callable[[str, int], Any], seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - a seed reproduces the run
    limit = ConcurrencyLimit(dice.randint(1, 4), ttl_ms=dice.randint(5, 40))
    tasks = [f"0-job/{n}" for n in range(dice.randint(2, 9))]
    model, clocked = ModelPermits(limit), Limits(Clocked(client), namespace)
    working: dict[str, int] = {}  # task -> until when it may work: what it was told last
    now = START_MS
    for _ in range(250):
        now += dice.choice((0, 0, 1, 3, 10, 60))
        await set_clock("k", now)
        task = dice.choice(tasks)
        for _ in range(dice.choice((1, 1, 1, 2))):  # a client may send again
            move = dice.choice(("acquire", "acquire", "renew", "release"))
            if move == "acquire":
                permit = await clocked.acquire("k", task, limit)
                assert permit == model.acquire(task, now)
                if permit.granted:
                    working[task] = now + limit.ttl_ms
                else:
                    assert working.get(task, 0) <= now
            elif move == "renew":
                renewed = await clocked.renew("k", task, limit)
                assert renewed == model.renew(task, now)
                if renewed and task in working:
                    working[task] = now + limit.ttl_ms
                else:
                    working.pop(task, None)
            else:
                assert await clocked.release("k", task, limit) == model.release(task, now)
                working.pop(task, None)
            assert sum(until > now for until in working.values()) <= limit.permits


@pytest.mark.parametrize("seed", range(12))
async def test_a_rate_agrees_with_the_model_and_is_never_exceeded(
    client: Any, namespace: str, set_clock: Callable[[str, int], Any], seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - a seed reproduces the run
    limit = Rate(dice.choice((0.5, 2, 7, 30, 400)), burst=dice.randint(1, 4))
    tasks = [f"0-job/{n}" for n in range(8)]
    model, clocked = ModelRate(limit), Limits(Clocked(client), namespace)
    due: dict[str, int] = {}
    began: list[int] = []
    now = START_MS
    for _ in range(250):
        late = dice.choice((0, 0, 1, 50, 2_000)) if dice.random() < 0.9 else dice.choice((10_000, 70_000))
        task = min(due, key=lambda one: due[one]) if due and dice.random() < 0.5 else dice.choice(tasks)
        now = max(now, due.pop(task, now)) + late if dice.random() < 0.6 else now + dice.choice((0, 0, 1, 20))
        await set_clock("r", now)
        wait_ms = await clocked.reserve("r", task, limit)
        assert wait_ms == model.reserve(task, now)
        if wait_ms:
            due[task] = now + wait_ms
        else:
            began.append(now)
    assert len(began) > 30
    for first, start in enumerate(began):
        for count, end in enumerate(began[first:], 1):
            assert count <= limit.burst + (end - start) / limit.interval_ms


async def test_a_task_that_comes_at_its_slot_waits_once(
    client: Any, namespace: str, set_clock: Callable[[str, int], Any]
) -> None:
    clocked, limit = Limits(Clocked(client), namespace), Rate(1)
    await set_clock("r", START_MS)
    waits = {f"t{n}": await clocked.reserve("r", f"t{n}", limit) for n in range(5)}
    assert list(waits.values()) == [0, 1_000, 2_000, 3_000, 4_000]
    for task, wait_ms in waits.items():
        await set_clock("r", START_MS + wait_ms)
        if wait_ms:
            assert await clocked.reserve("r", task, limit) == 0


async def test_nothing_is_kept_of_limits_that_nobody_uses(
    client: Any, namespace: str, set_clock: Callable[[str, int], Any]
) -> None:
    plain = Limits(client, namespace)
    await plain.reserve("r", "a", Rate(5))
    await plain.reserve("r", "b", Rate(5))
    await plain.acquire("c", "a", ConcurrencyLimit(1, ttl_ms=20_000))
    await plain.acquire("c", "b", ConcurrencyLimit(1, ttl_ms=20_000))
    keys = [key async for key in client.scan_iter(f"{namespace}:*")]
    assert len(keys) == 4
    assert [key for key in keys if await client.pttl(key) < 0] == []


async def test_many_tasks_at_once_never_hold_more_than_there_are(client: Any, namespace: str) -> None:
    plain, limit = Limits(client, namespace), ConcurrencyLimit(3, ttl_ms=20_000)
    turn: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
    working, most, done = 0, 0, 0

    async def work(task: str) -> None:
        nonlocal working, most, done
        while not (permit := await plain.acquire("site", task, limit)).granted:
            wake(permit.woken)
            await turn[task].wait()
        wake(permit.woken)
        working += 1
        most = max(most, working)
        assert await plain.renew("site", task, limit)
        working -= 1
        done += 1
        wake(await plain.release("site", task, limit))

    def wake(woken: tuple[str, ...]) -> None:
        for task in woken:
            turn[task].set()

    await asyncio.gather(*(work(f"0-job/{n}") for n in range(60)))
    assert (most, done) == (3, 60)


async def test_scripts_are_given_again_to_a_server_that_forgot_them(client: Any, namespace: str) -> None:
    class Forgetful:
        """Another client cannot make the shared server forget its scripts."""

        async def evalsha(self, *_: Any) -> Any:
            raise NoScriptError

        eval = staticmethod(client.eval)

    assert await Limits(Forgetful(), namespace).reserve("r", "a", Rate(1)) == 0


async def test_what_cannot_be_a_limit_is_refused(client: Any, namespace: str) -> None:
    with pytest.raises(ValueError, match="cannot name a limit"):
        await Limits(client, namespace).reserve("a}b", "t", Rate(1))
    with pytest.raises(ValueError, match="per_s"):
        Rate(0)
    with pytest.raises(ValueError, match="permits"):
        ConcurrencyLimit(0)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_what_it_takes_and_returns(name: str) -> None:
    lines = (LUA / "limits" / f"{name}.lua").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#!lua")
    assert lines[1].startswith(f"-- {name}: ")
    for part in ("-- KEYS ", "-- ARGV ", "-- RETURN "):
        assert any(line.startswith(part) for line in lines)
    script = limit_script(name)
    assert script.sha == hashlib.sha1(script.source.encode(), usedforsecurity=False).hexdigest()
