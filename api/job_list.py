"""The list of jobs: history by page, with what Redis knows better laid over it.

History follows lifecycle by some milliseconds. Jobs that it does not have yet are found at lifecycle's end: what was
submitted behind the place that history has reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from redis.exceptions import ResponseError

from api.views import live_view, past_view
from consumers.store.pages import Page, read_cursor, write_cursor
from streams.record import JobRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.services import Services
    from consumers.store.models import Job
    from schemas.jobs import JobView
    from streams.keys import PartitionKeys

MAINTENANCE: Final = "maintenance"
HISTORY_GROUP: Final = "history"
OVERLAP_MS: Final = 10_000
"""Entries that history has read may not be committed yet."""
SEARCHED: Final = 5_000
"""Lifecycle entries of a partition that are searched at most."""
PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a job is in the list."""

    created_at: datetime
    job_id: str
    past: Job | None

    @property
    def key(self) -> tuple[datetime, str]:
        return self.created_at, self.job_id


async def page_of_jobs(
    services: Services,
    tenant: str,
    *,
    flow: str | None,
    status: str | None,
    cursor: str | None,
    limit: int,
    replay: str | None = None,
) -> Page[JobView]:
    """Jobs of a tenant, newest first.

    Maintenance has a job every half minute: its jobs are listed only when its flow is asked for. A status filter is
    applied to history and again to the live state, so a page may have fewer items than `limit`.

    Raises:
        BadCursorError: The cursor is not one that a list gave.
    """
    before: tuple[datetime, str] | None = None
    if cursor is not None:
        at, job_id = read_cursor(cursor, datetime, str)
        assert isinstance(at, datetime) and isinstance(job_id, str)  # noqa: S101, PT018 - read as these
        before = at, job_id
    hidden = None if flow else MAINTENANCE
    past, places = None, {}
    if services.database is not None:
        past = await services.database.jobs.page(
            tenant=tenant, flow=flow, but_flow=hidden, status=status, replay=replay, cursor=cursor, limit=limit
        )
        places = {job.job_id: _Place(job.created_at, job.job_id, job) for job in past.items}
    for place in await _not_in_history(services, tenant, flow, replay, before):
        places.setdefault(place.job_id, place)
    ordered = sorted(places.values(), key=lambda place: place.key, reverse=True)
    shown = ordered[:limit]
    views = [
        view
        for view in await _views(services, shown)
        if status in {None, view.status} and flow in {None, view.flow} and view.flow != hidden
    ]
    has_more = len(ordered) > limit or (past is not None and past.next is not None)
    return Page(views, write_cursor(*shown[-1].key) if has_more and shown else None)


async def _views(services: Services, places: Sequence[_Place]) -> list[JobView]:
    pipe = services.client.pipeline(transaction=False)
    for place in places:
        pipe.hgetall(services.keys.of_job(place.job_id).job(place.job_id))
    records = await pipe.execute() if places else []
    views = []
    for place, fields in zip(places, records, strict=True):
        if fields:
            views.append(live_view(JobRecord.of(place.job_id, fields), place.past))
        elif place.past is not None:
            views.append(past_view(place.past))
    return views


async def _not_in_history(
    services: Services, tenant: str, flow: str | None, replay: str | None, before: tuple[datetime, str] | None
) -> list[_Place]:
    found: list[_Place] = []
    for keys in services.keys.all_partitions:
        oldest = await _reached(services, keys)
        newest = f"{int(before[0].timestamp() * 1_000) + 1}" if before is not None else "+"
        for _ in range(SEARCHED // PAGE):
            rows = await services.client.xrevrange(keys.lifecycle, newest, oldest, count=PAGE)
            for entry_id, raw in rows:
                born = raw.get(b"type") in {b"submitted", b"adopted"} and raw.get(b"tenant") == tenant.encode()
                told = None if replay is None else raw.get(b"replay", b"").decode()
                is_wanted = flow in {None, raw[b"flow"].decode()} and (flow or raw[b"flow"] != MAINTENANCE.encode())
                if born and is_wanted and told == replay:
                    at = datetime.fromtimestamp(int(entry_id.partition(b"-")[0]) / 1_000, UTC)
                    place = _Place(at, raw[b"job"].decode(), None)
                    if before is None or place.key < before:
                        found.append(place)
            if len(rows) < PAGE:
                break
            newest = f"({rows[-1][0].decode()}"
    return found


async def _reached(services: Services, keys: PartitionKeys) -> str:
    """The entry id up to which history has all; where nothing projects history, ``-``."""
    try:
        groups = await services.client.xinfo_groups(keys.lifecycle)
    except ResponseError:  # no such stream yet
        return "-"
    for group in groups:
        if group["name"] == HISTORY_GROUP.encode():
            seen = int(group["last-delivered-id"].partition(b"-")[0])
            return str(max(0, seen - OVERLAP_MS))
    return "-"
