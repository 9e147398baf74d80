"""Erasing what jobs left behind of somebody or something: rows that mention it go, or lose what does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from sqlalchemy import delete, select, update

from consumers.store.memos import Memos
from consumers.store.models import Contribution, Delivery, InheritedFailure, Job, JobLog, Result
from streams.mentions import ERASED_DATA, ERASED_TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from consumers.store.database import Database
    from streams.mentions import Mentions

JOBS_AT_A_TIME: Final = 20
"""Jobs whose rows one transaction looks through."""


class Erasing:
    """Erases in the rows of jobs. Raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(self, jobs: Sequence[str], mentions: Mentions, *, tenant: str) -> dict[str, int]:
        """Erase what mentions some words: twice is once.

        Contributions and log lines go as a whole; of results, specs, failures and deliveries what mentions the words.
        The jobs' files are the flow's to erase: what is in them is not known here.

        Args:
            jobs: Whose rows are looked at.
            mentions: What is to go.
            tenant: Whose jobs.

        Returns:
            Rows changed or removed, by table.
        """
        counts: dict[str, int] = {}
        for start in range(0, len(jobs), JOBS_AT_A_TIME):
            some = list(jobs[start : start + JOBS_AT_A_TIME])
            async with self._database.begin() as session:
                for told in (
                    await _removed(session, Contribution, ("payload",), some, mentions, tenant),
                    await _removed(session, JobLog, ("message", "fields"), some, mentions, tenant),
                    await _changed(session, Result, ("payload",), some, mentions, tenant),
                    await _changed(session, Job, ("spec", "error"), some, mentions, tenant),
                    await _changed(session, InheritedFailure, ("data", "error"), some, mentions, tenant),
                    await _changed(session, Delivery, ("target", "last_error"), some, mentions, tenant),
                ):
                    counts[told[0]] = counts.get(told[0], 0) + told[1]
            counts["memo"] = counts.get("memo", 0) + await Memos(self._database).erase(some, mentions, tenant=tenant)
        return {name: count for name, count in counts.items() if count}


async def _removed(
    session: AsyncSession, table: Any, columns: tuple[str, ...], jobs: list[str], mentions: Mentions, tenant: str
) -> tuple[str, int]:
    """Remove rows that mention it."""
    keys, rows = await _rows(session, table, columns, jobs, tenant)
    count = 0
    for key, values in rows:
        if any(value is not None and mentions.value(value) for value in values):
            await session.execute(delete(table).where(*(one == is_ for one, is_ in zip(keys, key, strict=True))))
            count += 1
    return table.__tablename__, count


async def _changed(
    session: AsyncSession, table: Any, columns: tuple[str, ...], jobs: list[str], mentions: Mentions, tenant: str
) -> tuple[str, int]:
    """Take what mentions it out of rows."""
    keys, rows = await _rows(session, table, columns, jobs, tenant)
    count = 0
    for key, values in rows:
        kept = [_kept(name, value, mentions) for name, value in zip(columns, values, strict=True)]
        if kept != list(values):
            where = (one == is_ for one, is_ in zip(keys, key, strict=True))
            await session.execute(update(table).where(*where).values(dict(zip(columns, kept, strict=True))))
            count += 1
    return table.__tablename__, count


def _kept(column: str, value: Any, mentions: Mentions) -> Any:
    if value is None or not mentions.value(value):
        return value
    if column == "spec":
        return mentions.spec(value)
    if column == "data":
        return ERASED_DATA
    if mentions.is_everything and not isinstance(value, str):
        return orjson.loads(ERASED_DATA)
    return mentions.without(value) if not isinstance(value, str) else ERASED_TEXT


async def _rows(
    session: AsyncSession, table: Any, columns: tuple[str, ...], jobs: list[str], tenant: str
) -> tuple[list[Any], list[tuple[tuple[Any, ...], tuple[Any, ...]]]]:
    """Primary key and some columns of the rows of jobs."""
    keys = list(table.__table__.primary_key.columns)
    query = select(*keys, *(getattr(table, name) for name in columns)).where(
        table.job_id.in_(jobs), table.tenant == tenant
    )
    found = [(tuple(row[: len(keys)]), tuple(row[len(keys) :])) for row in await session.execute(query)]
    return keys, found
