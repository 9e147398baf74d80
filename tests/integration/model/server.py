"""The scripts on a real server, with a clock that the test sets, and a look at everything they keep."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from redis import Redis

from streams import scripts

T = TypeVar("T")

LUA: Final = Path(scripts.__file__).parent / "lua"

DECLARED: Final = """
local server, declared = redis, {}
for _, key in ipairs(KEYS) do declared[key] = true end
local function checked(command, ...)
  local key = command == 'XINFO' and select(2, ...) or select(1, ...)
  if command == 'TIME' or declared[key] then return end
  error(command .. ' of a key that is not in KEYS: ' .. tostring(key))
end
local redis = {
  call = function(...) checked(...) return server.call(...) end,
  pcall = function(...) checked(...) return server.pcall(...) end,
}
"""
"""Refuses a key that the caller did not declare, which on a Cluster would work only by luck."""

CLOCK: Final = """
local function now_ms()
  return tonumber(server.call('GET', string.sub(LIFECYCLE, 1, PREFIX_LENGTH) .. 'clock'))
end
"""

DUMP: Final = """
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local kind, value, more = redis.call('TYPE', key).ok, false, false
  if kind == 'stream' then
    value = redis.call('XRANGE', key, key == ARGV[1] .. 'lifecycle' and ARGV[2] or '-', '+')
    more = redis.pcall('XPENDING', key, 'millrace', '-', '+', 1000)
    if more.err then more = {} end
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'hash' then
    value = redis.call('HGETALL', key)
    more = redis.call('TTL', key)
  elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  else value = redis.call('GET', key) end
  if kind == 'set' or kind == 'string' then more = redis.call('TTL', key) end
  found[#found + 1] = {string.sub(key, #ARGV[1] + 1), kind, value, more}
end
return found
"""


@cache
def lua_file(name: str) -> str:
    """A file of the scripts: ``complete`` or ``lib/join``."""
    return (LUA / f"{name}.lua").read_text(encoding="utf-8")


def joined(move: str, changed: Mapping[str, str]) -> str:
    """A move's whole source as `streams.scripts` joins it, with the test's clock and some files changed."""

    def file(name: str) -> str:
        return changed.get(name) or lua_file(name)

    shebang, _, rest = file(move).partition("\n")
    fragments = [CLOCK if part == "clock" else file(f"lib/{part}") for part in scripts.FRAGMENTS]
    return "\n".join((shebang, DECLARED, *fragments, rest))


class Server:
    """An async client's face over a plain connection: every call is answered before it returns.

    Args:
        changed: Text of script files (``complete``, ``lib/join``) that differs from the shipped one.
    """

    def __init__(self, url: str, changed: Mapping[str, str] | None = None) -> None:
        self.redis: Any = Redis.from_url(url)
        self.redis.config_set("stream-node-max-entries", 1)  # trimming is exact
        load = self.redis.script_load
        self._shas = {scripts.script(move).sha: load(joined(move, changed or {})) for move in scripts.MOVES}
        self._dump = load(DUMP)

    async def evalsha(self, sha: str, count: int, *args: Any) -> Any:
        """Run the test's version of a script."""
        return self.redis.evalsha(self._shas[sha], count, *args)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.redis, name)

        async def call(*args: Any, **options: Any) -> Any:
            return method(*args, **options)

        return call

    def dump(self, prefix: str, lifecycle_after: str) -> list[list[Any]]:
        """Every key under a prefix: name, type, value, and pending entries or time to live."""
        found: list[list[Any]] = self.redis.evalsha(self._dump, 0, prefix, f"({lifecycle_after}")
        return found

    def forget(self, prefix: str) -> None:
        """Remove every key under a prefix."""
        for key in self.redis.scan_iter(f"{prefix}*", count=1_000):
            self.redis.unlink(key)


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("it waited")
