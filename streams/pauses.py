"""Pauses: what an operator stopped, why, who and since when; durable, and seen by every worker within a second.

A stage is paused by not reading its streams. What is paused by flow, host or tenant is read and held: it waits in the
timers, without an attempt spent and without its job begun, and is woken when the pause ends.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, get_args

import orjson

from schemas.names import STAGES
from streams.errors import PermanentError
from streams.keys import Keys

PauseKind = Literal["stage", "flow", "host", "tenant"]
logger = logging.getLogger(__name__)

KINDS: Final[tuple[PauseKind, ...]] = get_args(PauseKind)

HELD_S: Final = (60.0, 120.0)
"""What is held looks again after a time in this range, should nobody wake it."""

LANDED_S: Final = 1.0
"""What was read of a stage just before it was paused is back in its stream after this."""

PAGE: Final = 500


class BadPause(PermanentError):  # noqa: N818 - it says what is wrong
    """There is nothing of this name to pause."""


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause.

    Attributes:
        by: Who asked for it.
        since_ms: Since when, milliseconds since the epoch.
    """

    kind: PauseKind
    name: str
    reason: str = ""
    by: str = ""
    since_ms: int = 0

    @property
    def scope(self) -> str:
        """What names it: ``stage:extract``."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Paused:
    """All pauses at a time, made for asking; pure."""

    by_scope: dict[str, Pause] = field(default_factory=dict)
    stages: frozenset[str] = frozenset()
    flows: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()

    @classmethod
    def of(cls, pauses: list[Pause]) -> Paused:
        """From the list."""
        names = {kind: frozenset(one.name for one in pauses if one.kind == kind) for kind in KINDS}
        return cls({one.scope: one for one in pauses}, names["stage"], names["flow"], names["host"], names["tenant"])

    def __bool__(self) -> bool:
        return bool(self.by_scope)

    def over(self, *, stage: str, flow: str, host: str = "", tenant: str = "") -> Pause | None:
        """The pause that holds an entry; None when none does."""
        for kind, name, names in (
            ("stage", stage, self.stages), ("flow", flow, self.flows),
            ("host", host, self.hosts), ("tenant", tenant, self.tenants),
        ):  # fmt: skip
            if name in names:
                return self.by_scope[f"{kind}:{name}"]
        return None


class Pauses:
    """A client of the pauses."""

    def __init__(self, client: Any, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def list(self) -> list[Pause]:
        """All, the oldest first. What somebody else wrote there and is no pause is passed over, with a warning."""
        found = []
        for scope, row in (await self._client.hgetall(self._keys.pauses)).items():
            try:
                found.append(Pause(**orjson.loads(row)))
            except (ValueError, TypeError):
                logger.warning("%s of %s is no pause: HDEL it, and use `millrace pause`", scope, self._keys.pauses)
        return sorted(found, key=lambda one: (one.since_ms, one.scope))

    async def add(self, kind: PauseKind, name: str, *, reason: str, by: str) -> Pause:
        """Pause; doing it again replaces reason and name, not since when.

        Raises:
            BadPause: There is no such stage, or the name cannot be one.
        """
        name = checked_name(kind, name)
        field_name = f"{kind}:{name}"
        known = await self._client.hget(self._keys.pauses, field_name)
        since_ms = orjson.loads(known)["since_ms"] if known else int(time.time() * 1_000)
        made = Pause(kind, name, reason, by, since_ms)
        await self._client.hset(self._keys.pauses, field_name, orjson.dumps(asdict(made)))
        await self._client.incr(self._keys.control)
        return made

    async def remove(self, kind: PauseKind, name: str) -> Pause | None:
        """Go on, and wake what was held; None when it was not paused."""
        field_name = f"{kind}:{checked_name(kind, name)}"
        known = await self._client.hget(self._keys.pauses, field_name)
        if known is None or not await self._client.hdel(self._keys.pauses, field_name):
            return None
        await self._client.incr(self._keys.control)
        await self.wake()
        return Pause(**orjson.loads(known))

    async def wake(self) -> int:
        """Let everything that a pause held look again now, by pages; answers how much that was."""
        woken = 0
        for keys in self._keys.all_partitions:
            cursor = 0
            while True:
                cursor, rows = await self._client.zscan(keys.timers, cursor, match="task/*", count=PAGE)
                members = [member for member, _ in rows]
                bodies = await self._client.hmget(keys.waiting, members) if members else []
                held = [m for m, body in zip(members, bodies, strict=True) if body and orjson.loads(body).get("held")]
                if held:
                    # Only earlier, and only what is still there: it may be promoted at this moment.
                    await self._client.zadd(keys.timers, dict.fromkeys(held, 1), xx=True, lt=True)
                    woken += len(held)
                if not cursor:
                    break
        return woken


def checked_name(kind: PauseKind, name: str) -> str:
    """The name as it is kept.

    Raises:
        BadPause: It cannot be one of its kind.
    """
    name = name.strip()
    if kind == "host":
        name = name.lower().rstrip(".")
    if kind == "stage" and name not in STAGES:
        raise BadPause(f"there is no stage {name[:100]!r}; stages are: {', '.join(STAGES)}", reason="bad_pause")
    if not name or len(name) > 255 or any(letter.isspace() for letter in name) or "/" in name:  # noqa: PLR2004 - DNS
        raise BadPause(f"{name[:100]!r} cannot be the name of a {kind}", reason="bad_pause")
    return name
