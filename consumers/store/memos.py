"""What stages computed, by the key of everything that it depends on; a tenant has its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import zstandard
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from consumers.store.models import Job, MemoEntry, MemoUse
from schemas.memo import MemoStage, MemoView

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from consumers.store.database import Database
    from streams.mentions import Mentions

MAX_BYTES: Final = 16 * 2**20
"""A larger result is computed again."""

ROWS_AT_A_TIME: Final = 100


@dataclass(frozen=True, slots=True)
class Remembered:
    """A result as it was sent; `took_s` is what it cost to compute."""

    is_json: bool
    body: bytes
    took_s: float


class Memos:
    """Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: str, *, tenant: str, job_id: str, task: int, stage: str) -> Remembered | None:
        """A result, and note that the task had it; None when it is not there."""
        mine = (MemoEntry.tenant == tenant, MemoEntry.key == key)
        async with self._database.begin() as session:
            found = await session.scalar(select(MemoEntry).where(*mine))
            if found is None:
                return None
            use = insert(MemoUse).values(
                job_id=job_id, task=task, key=key, tenant=tenant, stage=stage, is_reused=True, saved_ms=found.took_ms
            )
            await session.execute(use.on_conflict_do_nothing())
            await session.execute(update(MemoEntry).where(*mine).values(used_at=func.now()))
        body = zstandard.decompress(found.body, max_output_size=MAX_BYTES)
        return Remembered(found.is_json, body, found.took_ms / 1_000)

    async def put(self, key: str, result: Remembered, *, tenant: str, job_id: str, task: int, stage: str) -> None:
        """Keep what a task computed; one that is too large is not kept."""
        if len(result.body) > MAX_BYTES:
            return
        took_ms = round(result.took_s * 1_000)
        new = insert(MemoEntry).values(
            tenant=tenant, key=key, is_json=result.is_json, body=zstandard.compress(result.body), took_ms=took_ms
        )
        use = insert(MemoUse).values(
            job_id=job_id, task=task, key=key, tenant=tenant, stage=stage, is_reused=False, saved_ms=0
        )
        async with self._database.begin() as session:
            await session.execute(new.on_conflict_do_nothing())
            await session.execute(use.on_conflict_do_nothing())

    async def of_job(self, job_id: str, *, tenant: str) -> MemoView:
        """What it did for a job."""
        return await self._saved(MemoUse.job_id == job_id, MemoUse.tenant == tenant)

    async def of_replay(self, replay_id: str, *, tenant: str) -> MemoView:
        """What it did for the jobs of a replay, those that history has."""
        jobs = select(Job.job_id).where(Job.replay == replay_id, Job.tenant == tenant)
        return await self._saved(MemoUse.job_id.in_(jobs), MemoUse.tenant == tenant)

    async def _saved(self, *of: ColumnElement[bool]) -> MemoView:
        query = (
            select(MemoUse.stage, MemoUse.is_reused, func.count(), func.sum(MemoUse.saved_ms))
            .where(*of)
            .group_by(MemoUse.stage, MemoUse.is_reused)
        )
        async with self._database.begin() as session:
            rows = list(await session.execute(query))
        stages: dict[str, dict[str, int]] = {}
        for stage, is_reused, count, _ in rows:
            stages.setdefault(stage, {})["reused" if is_reused else "computed"] = count
        return MemoView(
            computed=sum(count for _, is_reused, count, _ in rows if not is_reused),
            reused=sum(count for _, is_reused, count, _ in rows if is_reused),
            saved_s=sum(saved_ms for *_, saved_ms in rows) / 1_000,
            stages={stage: MemoStage(**counts) for stage, counts in stages.items()},
        )

    async def remove_unused(self, before: datetime, *, dry_run: bool) -> int:
        """Remove what no task has used since an instant, of all tenants; or count it."""
        is_old = MemoEntry.used_at < before
        async with self._database.begin() as session:
            if dry_run:
                return int(await session.scalar(select(func.count()).select_from(MemoEntry).where(is_old)) or 0)
            done = await session.execute(delete(MemoEntry).where(is_old))
        return int(getattr(done, "rowcount", 0))

    async def erase(self, jobs: Sequence[str], mentions: Mentions, *, tenant: str) -> int:
        """Remove what these jobs had that mentions some words, or that cannot be searched. Returns how much."""
        keys = select(MemoUse.key).where(MemoUse.job_id.in_(jobs), MemoUse.tenant == tenant).distinct()
        async with self._database.begin() as session:
            wanted = list(await session.scalars(keys))
        removed = 0
        for start in range(0, len(wanted), ROWS_AT_A_TIME):
            some = wanted[start : start + ROWS_AT_A_TIME]
            query = select(MemoEntry).where(MemoEntry.tenant == tenant, MemoEntry.key.in_(some))
            async with self._database.begin() as session:
                hit = [one.key for one in await session.scalars(query) if _says(one, mentions)]
                await session.execute(delete(MemoEntry).where(MemoEntry.tenant == tenant, MemoEntry.key.in_(hit)))
            removed += len(hit)
        return removed


def _says(entry: Any, mentions: Mentions) -> bool:
    if not entry.is_json:
        return True
    body = zstandard.decompress(entry.body, max_output_size=MAX_BYTES)
    return mentions.may_be_in(body) and mentions.text(body.decode("utf-8", "replace"))
