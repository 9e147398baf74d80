"""Which jobs a replay takes, page by page, oldest first; a page's cursor is where the next one goes on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from consumers.replays.gather import Chosen
from consumers.store.jobs import Wanted
from streams.keys import partition_of

if TYPE_CHECKING:
    from consumers.store import Store
    from consumers.store.models import Job
    from schemas.replays import ReplaySelection
    from streams.log import Log

PAGE: Final = 100
LETTERS: Final = 1_000
"""Dead letters that one command reads."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A page.

    Attributes:
        jobs: To replay.
        unknown: Ids that were named and that no ended job of the tenant has.
        next: Cursor of what follows; None at the end.
    """

    jobs: tuple[Chosen, ...]
    unknown: tuple[str, ...] = ()
    next: str | None = None


class Selection:
    """The jobs that a selection names.

    Args:
        until: Jobs from then on are not taken, so that a replay does not take what it submits itself.
    """

    def __init__(self, log: Log, store: Store, select: ReplaySelection, *, tenant: str, until: datetime) -> None:
        self._log = log
        self._store = store
        self._select = select
        ends = min(select.until, until) if select.until else until
        self._wanted = Wanted(
            tenant, select.flow, select.status, None if select.dlq else select.stage, select.since, ends
        )
        self._ids: list[str] | None = None

    async def count(self) -> int:
        """How many jobs it has; of named ones, how many were named."""
        ids = await self._named()
        if ids is not None:
            return len(ids)
        return await self._store.jobs.count_ended(self._wanted)

    async def page(self, cursor: str = "", limit: int = PAGE) -> Picked:
        """The next jobs.

        Args:
            cursor: `next` of the page before, or `cursor_of` the last job that was done with.
            limit: Most jobs.
        """
        ids = await self._named()
        if ids is not None:
            return await self._of_ids(ids, cursor, limit)
        after: tuple[datetime, str] | None = None
        if cursor:
            at_us, _, job_id = cursor.partition(" ")
            after = datetime.fromtimestamp(int(at_us) / 1_000_000, UTC), job_id
        jobs = await self._store.jobs.ended(self._wanted, after=after, limit=limit)
        chosen = tuple(map(_chosen, jobs))
        return Picked(chosen, next=self.cursor_of(chosen[-1]) if len(jobs) == limit else None)

    def cursor_of(self, job: Chosen) -> str:
        """Where to go on behind a job."""
        return job.job_id if self._ids is not None else f"{job.created_us} {job.job_id}"

    async def _of_ids(self, ids: list[str], cursor: str, limit: int) -> Picked:
        some = [job_id for job_id in ids if job_id > cursor][:limit]
        if not some:
            return Picked(())
        jobs = {job.job_id: job for job in await self._store.jobs.ended(replace(self._wanted, job_ids=tuple(some)))}
        chosen = {job_id: _chosen(job) for job_id, job in jobs.items()}
        if self._select.jobs:
            # What has just ended may not be in history yet.
            for job_id in set(some) - set(chosen):
                live = await self._live(job_id)
                if live is not None:
                    chosen[job_id] = live
        found = tuple(chosen[job_id] for job_id in some if job_id in chosen)
        unknown = tuple(job_id for job_id in some if job_id not in chosen) if self._select.jobs else ()
        return Picked(found, unknown, some[-1] if len(some) == limit else None)

    async def _live(self, job_id: str) -> Chosen | None:
        record = await self._log.job(job_id)
        if record is None or record.tenant != self._wanted.tenant or not record.number("finished_at"):
            return None
        fits = self._wanted.flow in {None, record.flow} and (
            not self._wanted.statuses or record.status in self._wanted.statuses
        )
        if not fits:
            return None
        return Chosen(
            job_id, record.flow, record.tenant, record.status, record.created_ms, record.number("finished_at")
        )

    async def _named(self) -> list[str] | None:
        """The ids that are named, or that have dead letters; None when the selection is by other things only."""
        if self._ids is None:
            ids: set[str] | None = set(map(self._valid, self._select.jobs)) if self._select.jobs else None
            if self._select.dlq:
                dead = await self._with_dead_letters()
                ids = dead if ids is None else ids & dead
            self._ids = sorted(ids) if ids is not None else None
        return self._ids

    @staticmethod
    def _valid(job_id: str) -> str:
        partition_of(job_id)
        return job_id

    async def _with_dead_letters(self) -> set[str]:
        found: set[str] = set()
        for keys in self._log.keys.all_partitions:
            after = "-"
            while rows := await self._log.client.xrange(keys.dlq, after, "+", count=LETTERS):
                found |= {raw[b"job"].decode() for _, raw in rows if self._is_of(raw)}
                after = f"({rows[-1][0].decode()}"
        return found

    def _is_of(self, raw: dict[bytes, bytes]) -> bool:
        stage, flow = self._select.stage, self._select.flow
        return bool(
            raw.get(b"job")
            and (stage is None or raw.get(b"stage") == stage.encode())
            and (flow is None or raw.get(b"flow") == flow.encode())
        )


def _chosen(job: Job) -> Chosen:
    finished = job.finished_at or job.created_at
    return Chosen(
        job.job_id, job.flow, job.tenant, job.status, int(job.created_at.timestamp() * 1_000),
        int(finished.timestamp() * 1_000), round(job.created_at.timestamp() * 1_000_000),
    )  # fmt: skip
