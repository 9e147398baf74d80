"""Purge: cancel every job that has something open at a stage, of a flow or of a tenant."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from redis.exceptions import ResponseError

from schemas.names import LANES, POOLS, STAGES
from streams.errors import Refused
from streams.keys import PartitionKeys, partition_of
from streams.log import Log
from streams.reader import GROUP

PAGE: Final = 100
"""Entries that one XRANGE asks for: each may have 64 KiB of payload."""
TIMERS_PAGE: Final = 500
AT_ONCE: Final = 16
"""Jobs that are cancelled at a time."""


@dataclass(frozen=True, slots=True)
class PurgeFilter:
    """Which open work is meant; what is left empty does not matter, something must be named."""

    stage: str = ""
    flow: str = ""
    tenant: str = ""

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {value}"
            for name, value in (("stage", self.stage), ("flow", self.flow), ("tenant", self.tenant))
            if value
        )


@dataclass(slots=True)
class Purged:
    """What a purge found, or did.

    Attributes:
        jobs: Concerned; when it was done, those that were cancelled.
        entries: By stage: what of them was open there.
        strays: Entries of no job; a purge by stage or flow removes them.
        over: Jobs that had ended before: only a notification of theirs is open, which is sent.
    """

    jobs: set[str] = field(default_factory=set)
    entries: Counter[str] = field(default_factory=Counter)
    strays: int = 0
    over: int = 0


@dataclass(frozen=True, slots=True)
class _Open:
    """Something open: in a stream, or (no stream) in the timers."""

    job: str
    flow: str
    stage: str
    stream: str = ""
    entry_id: str = ""


class Purge:
    """Purges the partitions of a log."""

    def __init__(self, log: Log, pools: Iterable[str] = POOLS) -> None:
        self._log = log
        self._pools = sorted({*POOLS, *pools})

    async def count(self, chosen: PurgeFilter) -> Purged:
        """What a purge would concern."""
        found = Purged()
        async for page in self._pages(chosen):
            for one in page:
                if one.job:
                    found.jobs.add(one.job)
                    found.entries[one.stage] += 1
                else:
                    found.strays += 1
        return found

    async def run(
        self, chosen: PurgeFilter, *, reason: str, kill: bool = False, told: Callable[[Purged], None] = lambda _: None
    ) -> Purged:
        """Cancel the jobs concerned, and remove entries of no job.

        Args:
            reason: Kept with each job.
            kill: Running handlers are killed instead of told.
            told: Is told how far it is after every page.
        """
        done = Purged()
        seen: set[str] = set()
        async for page in self._pages(chosen):
            for one in page:
                done.entries[one.stage] += bool(one.job)
            fresh = sorted({one.job for one in page if one.job} - seen)
            seen.update(fresh)
            for start in range(0, len(fresh), AT_ONCE):
                jobs = fresh[start : start + AT_ONCE]
                for job, is_cancelled in zip(
                    jobs, await asyncio.gather(*(self._cancel(job, reason, kill=kill) for job in jobs)), strict=True
                ):
                    if is_cancelled:
                        done.jobs.add(job)
                    else:
                        done.over += 1
            for one in page:
                if not one.job:
                    done.strays += await self._remove(one)
            told(done)
        return done

    async def _cancel(self, job: str, reason: str, *, kill: bool) -> bool:
        try:
            await self._log.cancel(job, reason=reason, kill=kill)
        except (Refused, ValueError):  # over, or its record is gone, or it never was one: its entry is a stray
            return False
        return True

    async def _remove(self, stray: _Open) -> int:
        pipe = self._log.client.pipeline(transaction=False)
        pipe.xack(stray.stream, GROUP, stray.entry_id)
        pipe.xdel(stray.stream, stray.entry_id)
        _, removed = await pipe.execute()
        return int(removed)

    async def _pages(self, chosen: PurgeFilter) -> AsyncGenerator[list[_Open]]:
        for keys in self._log.keys.all_partitions:
            for stage in STAGES:
                if chosen.stage in {"", stage}:
                    for pool in self._pools:
                        for lane in LANES:
                            async for page in self._of_stream(keys.stream(stage, pool, lane), stage):
                                yield await self._meant(chosen, page)
            async for page in self._of_timers(keys):
                yield await self._meant(chosen, page)

    async def _of_stream(self, stream: str, stage: str) -> AsyncGenerator[list[_Open]]:
        low = "-"
        while True:
            try:
                rows: list[Any] = await self._log.client.xrange(stream, low, "+", PAGE)
            except ResponseError:
                return
            yield [
                _Open(_text(fields, b"job"), _text(fields, b"flow"), stage, stream, entry_id.decode())
                for entry_id, fields in rows
            ]
            if len(rows) < PAGE:
                return
            low = "(" + rows[-1][0].decode()

    async def _of_timers(self, keys: PartitionKeys) -> AsyncGenerator[list[_Open]]:
        cursor = 0
        while True:
            cursor, rows = await self._log.client.zscan(keys.timers, cursor, match="task/*", count=TIMERS_PAGE)
            members = [member for member, _ in rows]
            bodies = await self._log.client.hmget(keys.waiting, members) if members else []
            found = []
            for member, body in zip(members, bodies, strict=True):
                if body is not None:
                    value = orjson.loads(body)
                    found.append(_Open(member.decode().split("/")[1], value["flow"], value["stage"]))
            yield found
            if not cursor:
                return

    async def _meant(self, chosen: PurgeFilter, page: list[_Open]) -> list[_Open]:
        meant = [one for one in page if chosen.stage in {"", one.stage} and chosen.flow in {"", one.flow}]
        if not chosen.tenant:
            return meant
        tenants = await self._log.tenants_of([one.job for one in meant if _is_job(one.job)])
        return [one for one in meant if tenants.get(one.job) == chosen.tenant]


def _text(fields: dict[bytes, bytes], name: bytes) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")


def _is_job(job_id: str) -> bool:
    try:
        partition_of(job_id)
    except ValueError:
        return False
    return True
