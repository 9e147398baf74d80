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
from consumers.store.jobs import is_id, words_of
from consumers.store.pages import Page, read_cursor, write_cursor
from streams.record import JobRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

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
TOGETHER: Final = 100
"""Records that are read in one pipeline."""
_BIRTHS: Final = frozenset({b"submitted", b"adopted"})


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs; what is None does not matter.

    Attributes:
        since, until: Created between these, `until` not included.
        worker: That had work at this worker; history knows.
        words: With an id that begins so, or with every one of these words in the error or the arguments.
    """

    flow: str | None = None
    status: str | None = None
    replay: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    worker: str | None = None
    words: str | None = None


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
    services: Services, tenant: str, wanted: JobFilter, *, cursor: str | None, limit: int
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
    hidden = None if wanted.flow else MAINTENANCE
    past, places = None, {}
    if services.database is not None:
        past = await services.database.jobs.page(
            tenant=tenant, flow=wanted.flow, but_flow=hidden, status=wanted.status, replay=wanted.replay,
            since=wanted.since, until=wanted.until, worker=wanted.worker, words=wanted.words, cursor=cursor,
            limit=limit,
        )  # fmt: skip
        places = {job.job_id: _Place(job.created_at, job.job_id, job) for job in past.items}
    if wanted.worker is None:
        for place in await _not_in_history(services, tenant, wanted, before):
            places.setdefault(place.job_id, place)
    ordered = sorted(places.values(), key=lambda place: place.key, reverse=True)
    if past is not None and past.next is not None:
        # Behind history's page are jobs of history that are not here.
        end = past.items[-1].created_at, past.items[-1].job_id
        ordered = [place for place in ordered if place.key >= end]
    found: list[JobView] = []
    looked = 0
    async for view in _views(services, ordered):
        looked += 1
        if view is not None and _is_so(wanted, view, hidden):
            found.append(view)
            if len(found) == limit:
                break
    has_more = len(ordered) > looked or (past is not None and past.next is not None)
    return Page(found, write_cursor(*ordered[looked - 1].key) if has_more and looked else None)


def _is_so(wanted: JobFilter, view: JobView, hidden: str | None) -> bool:
    """Whether a job's live state fits, which nothing before knew."""
    return wanted.status in {None, view.status} and wanted.flow in {None, view.flow} and view.flow != hidden


async def _views(services: Services, places: Sequence[_Place]) -> AsyncIterator[JobView | None]:
    """Each place's job as it is now; None for one that is gone."""
    for start in range(0, len(places), TOGETHER):
        page = places[start : start + TOGETHER]
        pipe = services.client.pipeline(transaction=False)
        for place in page:
            pipe.hgetall(services.keys.of_job(place.job_id).job(place.job_id))
        for place, fields in zip(page, await pipe.execute(), strict=True):
            if fields:
                yield live_view(JobRecord.of(place.job_id, fields), place.past)
            else:
                yield past_view(place.past) if place.past is not None else None


async def _not_in_history(
    services: Services, tenant: str, wanted: JobFilter, before: tuple[datetime, str] | None
) -> list[_Place]:
    found: list[_Place] = []
    for keys in services.keys.all_partitions:
        oldest = await _reached(services, keys)
        newest = f"{int(before[0].timestamp() * 1_000) + 1}" if before is not None else "+"
        for _ in range(SEARCHED // PAGE):
            rows = await services.client.xrevrange(keys.lifecycle, newest, oldest, count=PAGE)
            for entry_id, raw in rows:
                if raw.get(b"type") not in _BIRTHS or raw.get(b"tenant") != tenant.encode():
                    continue
                at = datetime.fromtimestamp(int(entry_id.partition(b"-")[0]) / 1_000, UTC)
                place = _Place(at, raw[b"job"].decode(), None)
                if _fits(wanted, place, raw) and (before is None or place.key < before):
                    found.append(place)
            if len(rows) < PAGE:
                break
            newest = f"({rows[-1][0].decode()}"
    return found


def _fits(wanted: JobFilter, place: _Place, raw: Mapping[bytes, bytes]) -> bool:
    """Whether a job that was just submitted is among those that are wanted, as far as its first entry tells."""
    flow = raw[b"flow"].decode()
    if (flow != wanted.flow) if wanted.flow else (flow == MAINTENANCE):
        return False
    if wanted.replay is not None and raw.get(b"replay", b"").decode() != wanted.replay:
        return False
    if (wanted.since and place.created_at < wanted.since) or (wanted.until and place.created_at >= wanted.until):
        return False
    if wanted.words is None:
        return True
    if is_id(wanted.words):
        return place.job_id.startswith(wanted.words.strip())
    asked, told = words_of(wanted.words), words_of(raw.get(b"spec", b"").decode("utf-8", "replace"))
    return bool(asked) and all(any(word.startswith(one) for word in told) for one in asked)


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
