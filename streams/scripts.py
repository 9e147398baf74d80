"""The moves as Lua: one file each under ``lua/``, joined with the shared fragments of ``lua/lib/`` at load."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final

from redis.exceptions import NoScriptError

FRAGMENTS: Final = (
    "args", "clock", "fence", "lifecycle", "job", "tasks", "limit", "emissions", "join", "delay", "open",
)  # fmt: skip
"""In the order in which they are joined: each uses only those before it."""

MOVES: Final = (
    "submit", "adopt", "start", "emit", "complete", "retry", "snooze", "dead_letter", "redrive", "drop",
    "heartbeat", "release", "reclaim", "cancel", "promote", "expire", "trim", "reject", "replay", "spill", "unspill",
)  # fmt: skip


class Code(IntEnum):
    """What a script answers for an entry. Refusals are negative."""

    OK = 0
    DROPPED = 1
    DUPLICATE = 2
    KILL = 3
    NOT_PENDING = -2
    SUPERSEDED = -3
    UNKNOWN_JOB = -4
    UNKNOWN_TASK = -5
    CONFLICT = -6
    CLOSED = -7
    NOT_FOUND = -8
    IS_WIDE = -9
    QUARANTINED = -10
    FULL = -11


@dataclass(frozen=True, slots=True)
class Script:
    """A move's text and its digest."""

    name: str
    source: str
    sha: str


@cache
def script(name: str) -> Script:
    """The script of a move, with the fragments that it uses before its own text.

    Raises:
        KeyError: There is no such move.
    """
    if name not in MOVES:
        raise KeyError(name)
    folder = files("streams") / "lua"
    body = (folder / f"{name}.lua").read_text(encoding="utf-8")
    shebang, _, rest = body.partition("\n")
    fragments = [(folder / "lib" / f"{part}.lua").read_text(encoding="utf-8") for part in FRAGMENTS]
    source = "\n".join((shebang, *fragments, rest))
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


async def run(client: Any, name: str, keys: list[str], args: list[Any]) -> Any:
    """Make one move. A server that has forgotten the script (restart, failover, SCRIPT FLUSH) is given it again.

    Raises:
        redis.exceptions.RedisError: The server is away, refuses (out of memory) or the script failed.
    """
    move = script(name)
    try:
        return await client.evalsha(move.sha, len(keys), *keys, *args)
    except NoScriptError:
        return await client.eval(move.source, len(keys), *keys, *args)
