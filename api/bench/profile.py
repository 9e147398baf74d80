"""Where the time of a transition goes: on the server by command and script, and what each costs by itself."""

from __future__ import annotations

import time
import uuid
from typing import Any, Final

from redis.exceptions import ResponseError

from api.bench.ground import Ground
from api.bench.rounds import Shape, pipeline

LOOPS: Final = 10_000
BEST_OF: Final = 5
SHARE: Final = 0.02
"""Commands below this share of the server's time are told together."""


def _call(command: str, key: int, *arguments: str) -> str:
    said = ", ".join(f"'{one}'" for one in arguments)
    return f"redis.call('{command}', KEYS[{key}], {said})"


JOB: Final = ("job", "0-5f2a9c0b7d1e4f60a1b2", "flow", "noop")
SINGLE: Final = {
    "record, 12 fields read": _call(
        "HMGET", 1, "status", "revision", "next", "work", "tail", "flow", "tenant", "options", "task.2",
        "classify.open", "classify.done", "download.open",
    ),
    "record, 6 fields written, 1 removed": _call(
        "HSET", 1, "next", "3", "classify.open", "0", "classify.done", "1", "download.open", "1", "task.3",
        "download 1763650000000-10", "work", "1",
    ) + " " + _call("HDEL", 1, "task.3"),
    "next entry added, 6 fields": _call(
        "XADD", 2, "*", *JOB, "task", "2", "attempt", "1", "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "data", '{"v":1}',
    ),
    "lifecycle entry added, 10 fields": _call(
        "XADD", 3, "*", "type", "completed", *JOB, "tenant", "default", "revision", "1", "task", "2", "stage",
        "classify", "worker", "host-1-a", "started_at", "1763650000000", "emitted",
        '[{"task":3,"stage":"download","data":{"v":1}}]',
    ),
}  # fmt: skip
"""What `complete` does for an entry, one by one, with what the append-only file takes of it."""


async def profile(ground: Ground, _: dict[str, Any]) -> dict[str, Any]:
    """One pipeline run by the server's own account, and each command of a transition by itself.

    A script's time includes that of the commands in it; what it takes beyond those is Lua and the way between both.
    Outside of commands are the append-only file with its fsync, the sockets and the memory.
    """
    ground.told("where the time goes")
    before, cpu_before = await _commands(ground), await ground.cpu_s()
    found = await pipeline(ground, Shape())
    after, cpu_after = await _commands(ground), await ground.cpu_s()
    per = {
        name: (usec - before.get(name, 0.0)) / found.transitions
        for name, usec in after.items()
        if usec > before.get(name, 0.0)
    }
    scripts_us = per.pop("evalsha", 0.0) + per.pop("eval", 0.0)
    read_us = per.pop("xreadgroup", 0.0)
    server_us = (cpu_after - cpu_before) / found.transitions * 1e6
    by_cost = sorted(per.items(), key=lambda one: -one[1])
    inside = sum(us for name, us in per.items() if name not in {"info", "scan", "unlink", "del", "xrange"})
    small = {name for name, us in per.items() if us < SHARE * server_us}
    return {
        "profile": {
            "transitions": found.transitions,
            "server_us": round(server_us, 2),
            "worker_us": found.cpu_us_per_transition,
            "reading_us": round(read_us, 2),
            "scripts_us": round(scripts_us, 2),
            "of_scripts": {
                **{name: round(us, 2) for name, us in by_cost if name not in small},
                "lua": round(max(0.0, scripts_us - inside), 2),
            },
            "outside_us": round(max(0.0, server_us - scripts_us - read_us), 2),
            "single_us": await _single(ground),
        }
    }


async def _commands(ground: Ground) -> dict[str, float]:
    """Command -> microseconds so far, of the whole server."""
    stats = await ground.client.info("commandstats")
    return {name.removeprefix("cmdstat_"): float(one["usec"]) for name, one in stats.items()}


async def _single(ground: Ground) -> dict[str, float]:
    name = f"bench-{uuid.uuid4().hex[:12]}:{{0}}:"
    keys = [f"{name}job", f"{name}classify", f"{name}lifecycle"]
    record = {"status": "running", "revision": 1, "next": 3, "work": 1, "tail": 0, "flow": "noop", "tenant": "default",
              "lane": "normal", "spec": "{}", "created_at": 1763650000000, "crawl.open": 0, "crawl.done": 1,
              "classify.open": 1, "task.2": "classify 1763650000000-10"}  # fmt: skip
    found: dict[str, float] = {}
    try:
        for what, body in SINGLE.items():
            script = f"for _ = 1, {LOOPS} do {body} end return 1"
            took_s = []
            for _ in range(BEST_OF):
                await ground.client.delete(*keys)
                await ground.client.hset(keys[0], mapping=record)
                began_s = time.perf_counter()
                await ground.client.eval(script, len(keys), *keys)
                took_s.append(time.perf_counter() - began_s)
            found[what] = round(min(took_s) / LOOPS * 1e6, 2)
    except ResponseError:
        return {}
    finally:
        await ground.client.delete(*keys)
    return found
