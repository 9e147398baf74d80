"""Where schedules are kept: three keys of one hash tag in Redis, read by every process that may tick.

``<namespace>:{schedules}:all``    hash, tenant/name -> the schedule, JSON
``<namespace>:{schedules}:due``    sorted set, version/tenant/name -> when it ticks next, milliseconds
``<namespace>:{schedules}:state``  hash, tenant/name -> what became of the last tick, JSON

A change writes a new version, so a process that ticks the old one at the same time cannot set back the new one's time.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from consumers.schedules.ticks import next_tick
from schemas.schedules import ScheduleChange
from streams.connect import transaction
from streams.errors import MillraceError
from streams.keys import Keys


class NoSuchSchedule(MillraceError):  # noqa: N818 - it says what is wrong
    """This tenant has no schedule of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no schedule {name[:64]!r}; `./millrace schedule list` lists those that there are")


class Kept(BaseModel):
    """A schedule as it is kept.

    Attributes:
        anchor_ms: From which intervals are counted.
        version: Changes with every change.
        is_edited: A built-in one that somebody changed: its new defaults are not taken over.
    """

    model_config = ConfigDict(frozen=True)

    tenant: str
    name: str
    plan: ScheduleChange
    anchor_ms: int
    version: str = ""
    is_paused: bool = False
    pause_reason: str = ""
    is_built_in: bool = False
    is_edited: bool = False

    @property
    def anchor(self) -> datetime:
        """From which intervals are counted."""
        return datetime.fromtimestamp(self.anchor_ms / 1_000, UTC)

    @property
    def field(self) -> str:
        """Its field in the hashes."""
        return f"{self.tenant}/{self.name}"

    @property
    def member(self) -> str:
        """Its member of the sorted set."""
        return f"{self.version}/{self.field}"


@dataclass(frozen=True, slots=True)
class State:
    """What became of the last tick.

    Attributes:
        tick_ms, job_id: The tick that was submitted last, and its job.
        missed: Ticks that were left out before it.
        error: Why the last tick could not be submitted.
    """

    tick_ms: int = 0
    job_id: str = ""
    missed: int = 0
    error: str = ""


class Book:
    """The schedules. Every method raises redis-py's errors when the server is away."""

    def __init__(self, client: Any, keys: Keys) -> None:
        self._client = client
        self._all = keys.schedules("all")
        self._due = keys.schedules("due")
        self._state = keys.schedules("state")

    async def now(self) -> datetime:
        """The server's clock: processes whose own clocks differ tick as one."""
        seconds, micros = await self._client.time()
        return datetime.fromtimestamp(int(seconds) + int(micros) / 1_000_000, UTC)

    async def get(self, tenant: str, name: str) -> Kept:
        """A schedule.

        Raises:
            NoSuchSchedule: This tenant has none of this name.
        """
        row = await self._client.hget(self._all, f"{tenant}/{name}")
        if row is None:
            raise NoSuchSchedule(name)
        return Kept.model_validate_json(row)

    async def find(self, field: str) -> Kept | None:
        """A schedule by its field."""
        row = await self._client.hget(self._all, field)
        return None if row is None else Kept.model_validate_json(row)

    async def of(self, tenant: str) -> list[Kept]:
        """A tenant's schedules, by name."""
        rows = await self._client.hgetall(self._all)
        mine = [row for field, row in rows.items() if field.startswith(f"{tenant}/".encode())]
        return sorted(map(Kept.model_validate_json, mine), key=lambda one: one.name)

    async def put(self, schedule: Kept, now: datetime) -> Kept:
        """Keep a schedule in place of an earlier one of its name; it ticks next behind `now`, unless it is paused."""
        before = await self.find(schedule.field)
        kept = schedule.model_copy(update={"version": uuid.uuid4().hex[:12]})
        at = None if kept.is_paused else next_tick(kept.plan, kept.anchor, now)
        pipe = await transaction(self._client)
        pipe.hset(self._all, kept.field, kept.model_dump_json())
        if before is not None:
            pipe.zrem(self._due, before.member)
        if at is not None:
            pipe.zadd(self._due, {kept.member: _ms(at)})
        await pipe.execute()
        return kept

    async def remove(self, schedule: Kept) -> None:
        """Forget a schedule; jobs that it has submitted run on."""
        pipe = await transaction(self._client)
        pipe.hdel(self._all, schedule.field)
        pipe.hdel(self._state, schedule.field)
        pipe.zrem(self._due, schedule.member)
        await pipe.execute()

    async def next_at(self, schedules: list[Kept]) -> list[datetime | None]:
        """When each ticks next."""
        scores = await self._client.zmscore(self._due, [one.member for one in schedules]) if schedules else []
        return [None if score is None else datetime.fromtimestamp(score / 1_000, UTC) for score in scores]

    async def due(self, now: datetime, most: int = 100) -> list[tuple[Kept, datetime]]:
        """Schedules whose time has come, with the first tick that is due; the longest overdue first."""
        rows = await self._client.zrange(
            self._due, "-inf", _ms(now), byscore=True, offset=0, num=most, withscores=True
        )  # fmt: skip
        found = []
        for member, score in rows:
            _, _, field = member.decode().partition("/")
            schedule = await self.find(field)
            if schedule is None or schedule.member != member.decode() or schedule.is_paused:
                await self._client.zrem(self._due, member)  # an earlier version's
            else:
                found.append((schedule, datetime.fromtimestamp(score / 1_000, UTC)))
        return found

    async def advance(self, schedule: Kept, at: datetime | None) -> None:
        """Note when it ticks next; later than before, or nothing happens."""
        if at is None:
            await self._client.zrem(self._due, schedule.member)
        else:
            await self._client.zadd(self._due, {schedule.member: _ms(at)}, xx=True, gt=True)

    async def note(self, schedule: Kept, state: State) -> None:
        """Keep what became of a tick."""
        row = {"tick_ms": state.tick_ms, "job_id": state.job_id, "missed": state.missed, "error": state.error[:2_000]}
        await self._client.hset(self._state, schedule.field, orjson.dumps(row))

    async def states(self, schedules: list[Kept]) -> list[State]:
        """What became of each one's last tick."""
        rows = await self._client.hmget(self._state, [one.field for one in schedules]) if schedules else []
        return [State() if row is None else State(**orjson.loads(row)) for row in rows]


def _ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1_000)
