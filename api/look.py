"""Looking jobs up: live records first, history where those are gone; a tenant sees its own only."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from api.live import LiveEntry, place_of
from api.problems import Problem
from api.views import is_over, live_view, past_view
from consumers.store.pages import write_cursor
from schemas.jobs import ENDED
from streams.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from api.services import Services
    from consumers.store.models import Job
    from schemas.jobs import JobView
    from streams.record import JobRecord

logger = logging.getLogger(__name__)

HEARTBEAT_S: Final = 15.0
PAST_WITHIN_S: Final = 1.0
"""What history may add to a live job is waited for no longer than this."""
SETTLED_MS: Final = 60_000
"""So long after its end, history has all of a job, by an index; the lifecycle stream would have to be searched."""
PAGE: Final = 1_000


class Dropped(Exception):  # noqa: N818 - it says what happened
    """The stream of a job's events ends before the job does."""


@dataclass(frozen=True, slots=True)
class Found:
    """A job of the caller's tenant.

    Attributes:
        record: Its live record; None when only history has it.
        past: Its row in history; None when that was not asked, is away, or does not have it yet.
    """

    job_id: str
    tenant: str
    record: JobRecord | None
    past: Job | None

    @property
    def view(self) -> JobView:
        """As it is shown."""
        if self.record is not None:
            return live_view(self.record, self.past)
        assert self.past is not None  # noqa: S101 - `find` makes no other
        return past_view(self.past)

    @property
    def has_ended(self) -> bool:
        """Whether its status is final."""
        return self.view.status in ENDED


def no_such_job(job_id: str) -> Problem:
    """What a job that is not there, or another tenant's, is answered with."""
    return Problem("not-found", f"there is no job {job_id[:120]!r}; GET /api/v1/jobs lists those that there are")


async def find(services: Services, job_id: str, tenant: str) -> Found:
    """A job of a tenant.

    Raises:
        Problem: ``not-found``.
        TransientError: There is no live record, and history is away.
    """
    try:
        record = await services.log.job(job_id)
    except ValueError:
        raise no_such_job(job_id) from None
    if record is not None and record.tenant != tenant:
        raise no_such_job(job_id)
    past: Job | None = None
    if record is None and services.database is not None:
        past = await services.database.jobs.get(job_id, tenant=tenant)
    elif services.database is not None:
        with suppress(TransientError, TimeoutError):
            async with asyncio.timeout(PAST_WITHIN_S):
                past = await services.database.jobs.get(job_id, tenant=tenant)
    if record is None and past is None:
        raise no_such_job(job_id)
    return Found(job_id, tenant, record, past)


async def wait_for_end(services: Services, job_id: str, tenant: str, timeout_s: float) -> Found:
    """The job when it has ended, or as it is when the time is over; follows its events meanwhile."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout_s
    async with services.hub.of(job_id) as happens:
        found = await find(services, job_id, tenant)
        while not found.has_ended and happens.dropped is None and (left_s := deadline - clock()) > 0:
            entry = await happens.next(left_s)
            if entry is not None and entry.fields.get("status") in ENDED:
                found = await find(services, job_id, tenant)
    return found if found.has_ended else await find(services, job_id, tenant)


async def follow(services: Services, found: Found, after: tuple[int, int]) -> AsyncGenerator[LiveEntry | None]:
    """A job's events after a place, those of the past first, until it is over; None now and then as a heartbeat.

    Raises:
        Dropped: The client is too slow, or the server stops; what was missed is had by asking again with the last id.
    """
    async with services.hub.of(found.job_id) as happens:
        async for entry in entries_of(services, found, after):
            after = entry.place
            yield entry
        looks = True
        while True:
            if looks and await _is_over(services, found.job_id):
                # What came between the first search and this look.
                async for entry in entries_of(services, found, after):
                    yield entry
                return
            heard = await happens.next(HEARTBEAT_S)
            if heard is None and happens.dropped is not None:
                raise Dropped(happens.dropped)
            looks = heard is None or heard.fields.get("status") in ENDED or heard.fields.get("stage") == "notify"
            if heard is None:
                yield None
            elif heard.place > after:
                after = heard.place
                yield heard


async def entries_of(services: Services, found: Found, after: tuple[int, int] = (0, 0)) -> AsyncGenerator[LiveEntry]:
    """What happened to a job after a place, oldest first: from lifecycle, and from history what that has no longer."""
    record = found.record
    finished_ms = record.number("finished_at") if record is not None else 0
    if record is None or (finished_ms and time.time() * 1_000 - finished_ms > SETTLED_MS):
        is_known = False
        async for entry in _past(services, found, after):
            is_known = True
            yield entry
        if is_known or record is None:
            return
    keys = services.keys.of_job(found.job_id)
    oldest = await services.client.xrange(keys.lifecycle, count=1)
    kept_from = place_of(oldest[0][0].decode()) if oldest else (1 << 62, 0)
    after = max(after, (record.created_ms - 1, 0))
    if kept_from > after and kept_from > (record.created_ms, 0):
        async for entry in _past(services, found, after):
            if entry.place >= kept_from:
                break
            after = entry.place
            yield entry
    async for entry in _kept(services, found.job_id, after):
        yield entry


async def _kept(services: Services, job_id: str, after: tuple[int, int]) -> AsyncGenerator[LiveEntry]:
    lifecycle, job = services.keys.of_job(job_id).lifecycle, job_id.encode()
    while True:
        rows = await services.client.xrange(lifecycle, f"({after[0]}-{after[1]}", "+", count=PAGE)
        for entry_id, raw in rows:
            if raw.get(b"job") == job:
                fields = {name.decode(): value.decode("utf-8", "replace") for name, value in raw.items()}
                yield LiveEntry(entry_id.decode(), fields)
        if len(rows) < PAGE:
            return
        after = place_of(rows[-1][0].decode())


async def _past(services: Services, found: Found, after: tuple[int, int]) -> AsyncGenerator[LiveEntry]:
    if services.database is None:
        return
    cursor: str | None = write_cursor(*after)
    while cursor is not None:
        page = await services.database.jobs.events(found.job_id, tenant=found.tenant, cursor=cursor, limit=PAGE)
        for event in page.items:
            told: dict[str, Any] = {
                "type": event.type, "job": event.job_id, "flow": found.view.flow, "revision": event.revision,
                "task": event.task, "stage": event.stage, "attempt": event.attempt, "delivery": event.delivery,
                "worker": event.worker, "status": event.status, "reason": event.reason,
                "started_at": int(event.started_at.timestamp() * 1_000) if event.started_at else None,
                "emitted": _emitted(event.opened),
            }  # fmt: skip
            yield LiveEntry(event.entry_id, {name: str(value) for name, value in told.items() if value is not None})
        cursor = page.next


def _emitted(opened: list[Any] | None) -> str | None:
    if not opened:
        return None
    return orjson.dumps([{"task": task, "stage": stage} for task, stage in opened]).decode()


async def _is_over(services: Services, job_id: str) -> bool:
    record = await services.log.job(job_id)
    return record is None or is_over(record)
