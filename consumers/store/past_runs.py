"""What ended jobs of a flow needed, for estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from consumers.store.models import Job, LlmCall, TaskEvent

if TYPE_CHECKING:
    from consumers.store.database import Database

LATEST = 100
"""Jobs that are looked at."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """An ended job.

    Attributes:
        entries: Stage -> tasks that were completed there.
        cost_usd: None when it asked a model whose prices are not known.
    """

    spec: Any
    took_s: float
    entries: Mapping[str, int]
    cost_usd: Decimal | None


class PastRuns:
    """Of the jobs in history. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, flow: str, *, tenant: str) -> list[PastRun]:
        """The newest jobs of a flow that succeeded, wholly or in part; replays, which reuse work, are left out."""
        jobs = (
            select(Job.job_id, Job.spec, Job.started_at, Job.finished_at)
            .where(
                Job.tenant == tenant, Job.flow == flow, Job.status.in_(("succeeded", "partial")),
                Job.started_at.is_not(None), Job.finished_at.is_not(None), Job.origin.is_(None),
            )
            .order_by(Job.created_at.desc())
            .limit(LATEST)
        )  # fmt: skip
        async with self._database.begin() as session:
            rows = (await session.execute(jobs)).all()
            ids = [row.job_id for row in rows]
            done = await session.execute(
                select(TaskEvent.job_id, TaskEvent.stage, func.count())
                .where(TaskEvent.job_id.in_(ids), TaskEvent.type == "completed")
                .group_by(TaskEvent.job_id, TaskEvent.stage)
            )
            paid = await session.execute(
                select(
                    LlmCall.job_id, func.sum(LlmCall.cost_usd),
                    func.bool_or(LlmCall.cost_usd.is_(None) & ~LlmCall.is_cached),
                )
                .where(LlmCall.job_id.in_(ids), LlmCall.tenant == tenant)
                .group_by(LlmCall.job_id)
            )  # fmt: skip
        entries: dict[str, dict[str, int]] = {}
        for job_id, stage, count in done:
            entries.setdefault(job_id, {})[stage or ""] = count
        costs = {job_id: None if is_unknown else cost or Decimal(0) for job_id, cost, is_unknown in paid}
        return [
            PastRun(
                row.spec, max(0.0, (row.finished_at - row.started_at).total_seconds()), entries.get(row.job_id, {}),
                costs.get(row.job_id, Decimal(0)),
            )
            for row in rows
        ]  # fmt: skip
