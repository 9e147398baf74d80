"""Limits that all workers share: how often something may begin, and how many may be at it.

A limit lives under ``<namespace>:{limit:KEY}:``, a hash tag of its own, so it is no part of a job's moves. Time is the
server's. A limit may admit fewer than it could until something runs out (a permit of a dead worker, the slot of a
cancelled task); it never admits more. Calls are safe to send twice.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from redis.exceptions import NoScriptError

from streams.scripts import Script

FORGET_MS: Final = 60_000
"""How long after its slot a task may come for it; then the slot is lost and it queues again."""

_SCRIPTS: Final = {
    "reserve": ("lib/clock",),
    "acquire": ("lib/clock", "limits/lib/permits"),
    "renew": ("lib/clock", "limits/lib/permits"),
    "release": ("lib/clock", "limits/lib/permits"),
}
"""Each script with the fragments before it."""

_KEY: Final = re.compile(r"[^{}\s]{1,200}")


@dataclass(frozen=True, slots=True)
class Rate:
    """How often.

    Attributes:
        per_s: Beginnings a second in the long run, > 0; 10 a minute is ``10 / 60``.
        burst: Beginnings at once after a pause, >= 1.
    """

    per_s: float
    burst: int = 1

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            ValueError: One is out of bounds.
        """
        if not (0 < self.per_s < math.inf and self.burst >= 1):
            raise ValueError(f"{self.per_s=} must be above 0 and {self.burst=} at least 1")

    @property
    def interval_ms(self) -> float:
        """Between two beginnings, rounded up to a microsecond."""
        return math.ceil(1_000_000 / self.per_s) / 1_000


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """How many at a time.

    Attributes:
        permits: >= 1.
        ttl_ms: A permit that is not renewed for so long is free again, > 0.
    """

    permits: int
    ttl_ms: int = 5_000

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            ValueError: One is out of bounds.
        """
        if self.permits < 1 or self.ttl_ms < 1:
            raise ValueError(f"{self.permits=} and {self.ttl_ms=} must be at least 1")

    @property
    def hold_ms(self) -> int:
        """How long a permit is kept for a waiter that was woken: it looks again within a `ttl_ms` anyway."""
        return 2 * self.ttl_ms


@dataclass(frozen=True, slots=True)
class Permit:
    """The answer to `Limits.acquire`.

    Attributes:
        granted: Whether the task may begin.
        wait_ms: If not, when to ask again unless woken before; 0 if granted.
        woken: Other tasks whose turn has come: run them to use their permits.
    """

    granted: bool
    wait_ms: int
    woken: tuple[str, ...]


class Limits:
    """A client of the limits. Every method raises redis-py's errors when the server is away.

    A `key` names what is limited (``host:example.com``, ``mail``): at most 200 characters, no braces, no white space.
    A `task` names who asks, the same over every delivery: a handler's ``ctx.idempotency_key``.
    """

    def __init__(self, client: Any, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def reserve(self, key: str, task: str, limit: Rate) -> int:
        """Ask to begin under a rate; milliseconds to wait, 0: begin now.

        The first call reserves the task's slot. Who must wait snoozes until then and asks again: the slot is still
        the task's. Beginning spends the slot; the same task then queues for its next one.

        Raises:
            ValueError: The key cannot be one.

        Source: ITU-T I.371, generic cell rate algorithm (virtual scheduling).
        """
        keys = self._keys(key, "rate", "slots")
        return int(await self._run("reserve", keys, [task, limit.interval_ms, limit.burst, FORGET_MS]))

    async def acquire(self, key: str, task: str, limit: ConcurrencyLimit) -> Permit:
        """Take one of a number of permits, or a place in the queue for one.

        A task that holds one already has it renewed. Permits that became free go to the queue in order, each kept for
        its waiter for `ConcurrencyLimit.hold_ms`; a waiter that does not come by then queues again.

        Raises:
            ValueError: The key cannot be one.
        """
        keys = self._keys(key, "permits", "waiting")
        reply = await self._run("acquire", keys, [task, limit.permits, limit.ttl_ms, limit.hold_ms])
        return Permit(reply[0] == 1, int(reply[1]), _names(reply[2:]))

    async def renew(self, key: str, task: str, limit: ConcurrencyLimit) -> bool:
        """Keep a permit; False when it has run out: stop, somebody else may have it.

        Raises:
            ValueError: The key cannot be one.
        """
        return bool(await self._run("renew", self._keys(key, "permits", "waiting"), [task, limit.ttl_ms]))

    async def release(self, key: str, task: str, limit: ConcurrencyLimit) -> tuple[str, ...]:
        """Give a permit, or a place in the queue, back.

        Returns:
            Tasks whose turn has come: they hold permits for `ConcurrencyLimit.hold_ms`, run them.

        Raises:
            ValueError: The key cannot be one.
        """
        keys = self._keys(key, "permits", "waiting")
        return _names(await self._run("release", keys, [task, limit.permits, limit.hold_ms]))

    async def waiting(self, key: str) -> int:
        """How many tasks queue for a permit.

        Raises:
            ValueError: The key cannot be one.
        """
        return int(await self._client.zcard(*self._keys(key, "waiting")))

    async def held(self, key: str) -> int:
        """How many permits are held; those that ran out a moment ago may be among them.

        Raises:
            ValueError: The key cannot be one.
        """
        return int(await self._client.zcard(*self._keys(key, "permits")))

    async def slots(self, key: str) -> int:
        """How many tasks have a slot under a rate and did not begin yet.

        Raises:
            ValueError: The key cannot be one.
        """
        return int(await self._client.zcard(*self._keys(key, "slots")))

    def _keys(self, key: str, *parts: str) -> list[str]:
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"{key!r} cannot name a limit: 1 to 200 characters without braces and white space")
        return [f"{self._namespace}:{{limit:{key}}}:{part}" for part in parts]

    async def _run(self, name: str, keys: list[str], args: list[Any]) -> Any:
        script = limit_script(name)
        try:
            return await self._client.evalsha(script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await self._client.eval(script.source, len(keys), *keys, *args)


@cache
def limit_script(name: str) -> Script:
    """One of the limits' scripts, its fragments before its own text.

    Raises:
        KeyError: There is no such script.
    """
    folder = files("streams") / "lua"
    fragments = [(folder / f"{part}.lua").read_text(encoding="utf-8") for part in _SCRIPTS[name]]
    shebang, _, rest = (folder / "limits" / f"{name}.lua").read_text(encoding="utf-8").partition("\n")
    source = "\n".join((shebang, *fragments, rest))
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def _names(reply: Any) -> tuple[str, ...]:
    return tuple(task.decode() for task in reply)
