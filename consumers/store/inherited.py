"""What a replayed job takes over from its origin: contributions, files, dead letters, a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert

from consumers.store.cleaning import clean_text
from consumers.store.models import Contribution, InheritedFailure, JobArtifact, Result

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Insert
    from sqlalchemy.orm import InstrumentedAttribute

    from consumers.store.database import Database

AT_ONCE: Final = 10_000
"""Task numbers in one statement at most."""


@dataclass(frozen=True, slots=True)
class UpstreamFailure:
    """A dead letter that a replayed job does not run again."""

    task: int
    stage: str
    reason: str
    error: str
    data: str


class Inherited:
    """Copies, never moves: the origin's rows stay as they are. Twice is once.

    Every method raises `TransientError` when the database is down.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def contributions(self, origin: str, tasks: Sequence[int], *, tenant: str) -> int:
        """How many contributions of some tasks are still kept."""
        count = 0
        async with self._database.begin() as session:
            for start in range(0, len(tasks), AT_ONCE):
                of = Contribution.task.in_(tasks[start : start + AT_ONCE])
                query = select(func.count()).where(Contribution.job_id == origin, Contribution.tenant == tenant, of)
                count += await session.scalar(query) or 0
        return count

    async def take(
        self,
        job_id: str,
        origin: str,
        tasks: Sequence[int],
        failures: Sequence[UpstreamFailure] = (),
        *,
        tenant: str,
        with_result: bool = False,
    ) -> None:
        """Give a new job what its origin's upstream tasks left.

        Args:
            job_id: Of the new job.
            origin: The job that it repeats.
            tasks: Numbers of the origin's tasks that are not run again.
            failures: Their dead letters.
            tenant: Whose both are.
            with_result: The origin's latest result too, as revision 1: nothing will compile.
        """
        async with self._database.begin() as session:
            for start in range(0, len(tasks), AT_ONCE):
                some = tasks[start : start + AT_ONCE]
                await session.execute(
                    _copied(job_id, origin, tenant, Contribution.task.in_(some), _CONTRIBUTION, Contribution)
                )
                await session.execute(_copied(job_id, origin, tenant, JobArtifact.task.in_(some), _FILE, JobArtifact))
            for one in failures:
                row = {"job_id": job_id, "task": one.task, "tenant": tenant, "stage": one.stage}
                said = {name: clean_text(getattr(one, name)) for name in ("reason", "error", "data")}
                await session.execute(insert(InheritedFailure).values(**row, **said).on_conflict_do_nothing())
            if with_result:
                latest = (
                    select(
                        literal(job_id), literal(1), Result.tenant, Result.payload, Result.size_bytes, Result.expires_at
                    )
                    .where(Result.job_id == origin, Result.tenant == tenant)
                    .order_by(Result.revision.desc())
                    .limit(1)
                )
                names = ["job_id", "revision", "tenant", "payload", "size_bytes", "expires_at"]
                await session.execute(insert(Result).from_select(names, latest).on_conflict_do_nothing())

    async def failures(self, job_id: str, *, tenant: str) -> list[UpstreamFailure]:
        """The dead letters that a job took over, by task."""
        query = (
            select(InheritedFailure)
            .where(InheritedFailure.job_id == job_id, InheritedFailure.tenant == tenant)
            .order_by(InheritedFailure.task)
        )
        async with self._database.begin() as session:
            rows = await session.scalars(query)
            return [UpstreamFailure(row.task, row.stage, row.reason, row.error, row.data) for row in rows]


_CONTRIBUTION: Final = ("task", "ordinal", "tenant", "payload")
_FILE: Final = ("task", "name", "tenant", "sha256", "content_type", "size_bytes", "url")


def _copied(
    job_id: str,
    origin: str,
    tenant: str,
    of: ColumnElement[bool],
    names: tuple[str, ...],
    model: type[Contribution | JobArtifact],
) -> Insert:
    columns: list[InstrumentedAttribute[object]] = [getattr(model, name) for name in names]
    fixed: list[ColumnElement[Any]] = [literal(job_id), *([literal(1)] if model is Contribution else [])]
    chosen: list[Any] = [*fixed, *columns]
    rows = select(*chosen).where(model.job_id == origin, model.tenant == tenant, of)
    into = ["job_id", *(["revision"] if model is Contribution else []), *names]
    return insert(model).from_select(into, rows).on_conflict_do_nothing()
