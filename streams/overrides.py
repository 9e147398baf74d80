"""Limits as operators set them at run time: ``<namespace>:limits``, a hash of limit name -> JSON.

Every worker reads it at most once a second, so a change holds within a second. What is not there is as declared.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from streams.keys import Keys
from streams.policy import AtOnce, Limit, RateLimit

logger = logging.getLogger(__name__)

FRESH_S: Final = 1.0
"""How long what was read is taken for true."""


@dataclass(frozen=True, slots=True)
class Override:
    """What a limit is set to.

    Attributes:
        count: In place of the declared one, >= 1.
        per_s: In place of the declared one; None leaves that. Limits of how many at once have none.
    """

    count: int
    per_s: float | None = None

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            ValueError: One is out of bounds.
        """
        if self.count < 1:
            raise ValueError(f"a limit of {self.count}: it must be at least 1; pause the stage to stop it")
        if self.per_s is not None and not 0 < self.per_s < math.inf:
            raise ValueError(f"a limit per {self.per_s} s: it must be above 0")


class Overrides:
    """A client of the hash. Every method raises redis-py's errors when the server is away."""

    def __init__(self, client: Any, keys: Keys, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._key = keys.limits
        self._clock = clock
        self._read_s = -math.inf
        self._known: dict[str, Override] = {}

    async def all(self) -> dict[str, Override]:
        """Every override, by the limit's name; what cannot be read is left out, and logged."""
        found = {}
        for name, row in (await self._client.hgetall(self._key)).items():
            try:
                found[name.decode()] = Override(**orjson.loads(row))
            except (TypeError, ValueError) as error:
                logger.warning("limit %s is set to something that is no limit (%s); as declared", name, error)
        return found

    async def set(self, name: str, override: Override) -> None:
        """Set a limit."""
        row = {"count": override.count} | ({"per_s": override.per_s} if override.per_s is not None else {})
        await self._client.hset(self._key, name, orjson.dumps(row))

    async def clear(self, name: str) -> bool:
        """Have a limit as it is declared; False when it was."""
        return bool(await self._client.hdel(self._key, name))

    async def applied(self, limit: Limit) -> Limit:
        """A declared limit as it holds now."""
        now = self._clock()
        if now - self._read_s >= FRESH_S:
            self._known, self._read_s = await self.all(), now
        return with_override(limit, self._known.get(limit.name))


def with_override(limit: Limit, override: Override | None) -> Limit:
    """A limit as an operator set it."""
    if override is None:
        return limit
    if isinstance(limit, AtOnce):
        return replace(limit, count=override.count)
    return replace(limit, count=override.count, per_s=override.per_s or limit.per_s)


def declared(limits: list[Limit]) -> dict[str, Limit]:
    """Limits by name; of several declarations under one name the strictest stands for all."""
    found: dict[str, Limit] = {}
    for limit in limits:
        known = found.get(limit.name)
        if known is None or _pace(limit) < _pace(known):
            found[limit.name] = limit
    return found


def _pace(limit: Limit) -> float:
    return limit.count / limit.per_s if isinstance(limit, RateLimit) else float(limit.count)
