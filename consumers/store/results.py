"""What a job's stages leave: contributions for compile, results, and the list of its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, or_, select, text, true, tuple_
from sqlalchemy.dialects.postgresql import insert

from consumers.store.cleaning import dump_json
from consumers.store.models import Contribution, JobArtifact, Result
from consumers.store.together import Key, Together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from datetime import datetime

    from consumers.store.database import Database

PAGE_ROWS: Final = 200


_PUT: Final = text("""
    INSERT INTO contributions AS kept (job_id, task, ordinal, tenant, revision, payload)
    SELECT job_id, task, ordinal, tenant, revision, payload FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS new(job_id text, task bigint, ordinal bigint, tenant text, revision bigint, payload jsonb)
    ON CONFLICT (job_id, task, ordinal) DO UPDATE SET revision = excluded.revision, payload = excluded.payload
        WHERE kept.revision <= excluded.revision AND kept.tenant = excluded.tenant
    RETURNING job_id, task, ordinal
""")

_TRIM: Final = text("""
    DELETE FROM contributions AS kept USING jsonb_to_recordset(CAST(:rows AS jsonb))
        AS to_do(job_id text, task bigint, count bigint, tenant text, revision bigint)
    WHERE kept.job_id = to_do.job_id AND kept.task = to_do.task AND kept.ordinal >= to_do.count
        AND kept.tenant = to_do.tenant AND kept.revision <= to_do.revision
""")


class Contributions:
    """What tasks collect for compile. Every method raises `TransientError` when the database is down.

    Tasks that collect at the same time share a transaction: a worker has many in hand, and each commit waits for the
    disk. Nobody waits for company: what is there is written at once, what comes meanwhile goes with the next.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._puts: Together[bool] = Together(self._put_all)
        self._trims: Together[None] = Together(self._trim_all)

    async def put(self, job_id: str, task: int, ordinal: int, payload: Any, *, tenant: str, revision: int) -> bool:
        """Keep a contribution; twice is once, and an older revision does not replace a newer.

        Args:
            job_id: Of the job.
            task: Of the task that collects.
            ordinal: Which of the task's contributions, from 0.
            payload: JSON.
            tenant: Whose.
            revision: Of the job, under which it was collected.

        Returns:
            False when a newer revision's was there.
        """
        row = {
            "job_id": job_id, "task": task, "ordinal": ordinal, "tenant": tenant, "revision": revision,
            "payload": payload,
        }  # fmt: skip
        return await self._puts.do((job_id, task, ordinal), row)

    async def trim(self, job_id: str, task: int, count: int, *, tenant: str, revision: int) -> None:
        """Remove what an earlier run of the task left beyond the `count` contributions of this one."""
        row = {"job_id": job_id, "task": task, "count": count, "tenant": tenant, "revision": revision}
        await self._trims.do((job_id, task, -1), row)

    async def _put_all(self, rows: dict[Key, dict[str, Any]]) -> dict[Key, bool]:
        async with self._database.at_once() as connection:
            written = await connection.execute(_PUT, {"rows": dump_json(list(rows.values()))})
            kept = {(row[0], row[1], row[2]) for row in written}
        return {key: key in kept for key in rows}

    async def _trim_all(self, rows: dict[Key, dict[str, Any]]) -> dict[Key, None]:
        async with self._database.at_once() as connection:
            await connection.execute(_TRIM, {"rows": dump_json(list(rows.values()))})
        return dict.fromkeys(rows)

    async def of(
        self, job_id: str, *, tenant: str, kinds: Collection[str] = (), tasks: Collection[int] | None = None
    ) -> AsyncIterator[Any]:
        """Payloads of a job, by task and ordinal; no transaction is open between two of them.

        Args:
            job_id: Of the job.
            tenant: Whose.
            kinds: Only those whose field ``kind`` is one of these; everything when there are none.
            tasks: Only of these tasks; of all when None.
        """
        after = (-1, -1)
        wanted = true() if tasks is None else Contribution.task.in_(tasks)
        while True:
            query = (
                select(Contribution.task, Contribution.ordinal, Contribution.payload)
                .where(
                    Contribution.job_id == job_id,
                    Contribution.tenant == tenant,
                    wanted,
                    tuple_(Contribution.task, Contribution.ordinal) > tuple_(*after),
                )
                .order_by(Contribution.task, Contribution.ordinal)
                .limit(PAGE_ROWS)
            )
            if kinds:
                query = query.where(Contribution.payload["kind"].astext.in_(sorted(kinds)))
            async with self._database.at_once() as connection:
                rows = list(await connection.execute(query))
            for row in rows:
                yield row.payload
            if len(rows) < PAGE_ROWS:
                return
            after = (rows[-1].task, rows[-1].ordinal)


class Results:
    """Results by revision. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, job_id: str, payload: Any, *, tenant: str, revision: int, expires_at: datetime | None = None
    ) -> None:
        """Keep the result of a revision; twice is once, and other revisions stay as they are."""
        new = insert(Result).values(
            job_id=job_id,
            revision=revision,
            tenant=tenant,
            payload=payload,
            size_bytes=len(dump_json(payload).encode()),
            expires_at=expires_at,
        )
        statement = new.on_conflict_do_update(
            index_elements=[Result.job_id, Result.revision],
            set_={name: new.excluded[name] for name in ("payload", "size_bytes", "expires_at")},
            where=Result.tenant == new.excluded.tenant,
        )
        async with self._database.begin() as session:
            await session.execute(statement)

    async def get(self, job_id: str, *, tenant: str, revision: int | None = None) -> Result | None:
        """The result of a revision, the latest when none is named; None when there is none or it expired."""
        query = select(Result).where(
            Result.job_id == job_id,
            Result.tenant == tenant,
            or_(Result.expires_at.is_(None), Result.expires_at > func.now()),
        )
        if revision is not None:
            query = query.where(Result.revision == revision)
        async with self._database.begin() as session:
            found = await session.scalars(query.order_by(Result.revision.desc()).limit(1))
            return found.one_or_none()


class Artifacts:
    """The files of jobs. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self,
        job_id: str,
        task: int,
        name: str,
        *,
        tenant: str,
        sha256: str,
        content_type: str,
        size_bytes: int,
        url: str | None = None,
    ) -> None:
        """Note a file of a task; the same name again replaces it.

        Args:
            job_id: Of the job.
            task: Of the task that made it.
            name: File name, distinct within the task.
            tenant: Whose.
            sha256: Where it is in the artifact store.
            content_type: As served.
            size_bytes: Its size.
            url: Where it came from, None for files of our own making.
        """
        new = insert(JobArtifact).values(
            job_id=job_id,
            task=task,
            name=name,
            tenant=tenant,
            sha256=sha256,
            content_type=content_type,
            size_bytes=size_bytes,
            url=url,
        )
        statement = new.on_conflict_do_update(
            index_elements=[JobArtifact.job_id, JobArtifact.task, JobArtifact.name],
            set_={name: new.excluded[name] for name in ("sha256", "content_type", "size_bytes", "url")},
            where=JobArtifact.tenant == new.excluded.tenant,
        )
        async with self._database.begin() as session:
            await session.execute(statement)

    async def of(self, job_id: str, *, tenant: str) -> list[JobArtifact]:
        """The files of a job by task and name."""
        query = (
            select(JobArtifact)
            .where(JobArtifact.job_id == job_id, JobArtifact.tenant == tenant)
            .order_by(JobArtifact.task, JobArtifact.name)
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query))
