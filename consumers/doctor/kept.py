"""What the database and the artifact store keep: does each have what the other names?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, union

from consumers.doctor.finding import Finding
from consumers.store.models import Job
from consumers.store.models.base import Base

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consumers.doctor.examine import Patient
    from consumers.store import Store

FRESH: Final = timedelta(days=1)
"""Bytes are kept before the row that names them: what is younger may still get one."""
SETTLED: Final = timedelta(minutes=5)
"""History follows the log; a job that ended just now may be open in it."""
MOST_JOBS: Final = 10_000
PAGE: Final = 500
NAMED: Final = 3


async def referenced(store: Store) -> dict[str, set[str]]:
    """Tenant -> the digests that any table names in a column ``sha256``."""
    tables = [one for one in Base.metadata.sorted_tables if {"tenant", "sha256"} <= set(one.columns.keys())]
    query = union(*(select(one.c.tenant, one.c.sha256).where(one.c.sha256.is_not(None)) for one in tables))
    found: dict[str, set[str]] = {}
    async with store.database.begin() as session:
        for tenant, sha256 in await session.execute(query):
            found.setdefault(tenant, set()).add(sha256)
        for (tenant,) in await session.execute(select(Job.tenant).distinct()):
            found.setdefault(tenant, set())
    return found


async def blobs(patient: Patient) -> list[Finding]:
    """Bytes that a table names and the store lacks, and the other way round."""
    if patient.database is None:
        return []
    missing: list[str] = []
    left, left_bytes = 0, 0
    fresh = datetime.now(UTC) - FRESH
    wanted = await referenced(patient.database)
    for tenant, digests in wanted.items():
        there: set[str] = set()
        async for stored in patient.blobs.list(tenant=tenant):
            there.add(stored.key)
            if stored.key not in digests and stored.modified_at < fresh:
                left, left_bytes = left + 1, left_bytes + stored.size_bytes
        missing += sorted(digests - there)
    return judge_blobs(sum(map(len, wanted.values())), missing, left, left_bytes)


def judge_blobs(named: int, missing: Sequence[str], left: int, left_bytes: int) -> list[Finding]:
    """What the two say of each other."""
    findings: list[Finding] = []
    if missing:
        some = ", ".join(missing[:NAMED]) + (", …" if len(missing) > NAMED else "")
        findings.append(
            Finding(
                "blobs", "bad", f"{len(missing):,} of {named:,} that the database names are not in the store: {some}",
                "Bring them back from a backup (docs/backup.md), or submit those jobs again",
            )
        )  # fmt: skip
    if left:
        told = f"{left:,} ({left_bytes / 2**20:,.1f} MiB) are named by no table"
        findings.append(
            Finding("blobs", "note", told, "They are inputs that a replay may ask for; the clean-up ages them out")
        )
    return findings or [Finding("blobs", "ok", f"all {named:,} that the database names are there")]


async def lost_jobs(patient: Patient) -> list[Mapping[str, str]]:
    """Jobs that history has as open and the log does not know: the log lost them, or is from an older backup."""
    if patient.database is None:
        return []
    query = (
        select(Job.job_id, Job.tenant, Job.flow, Job.revision)
        .where(Job.finished_at.is_(None), Job.created_at < datetime.now(UTC) - SETTLED)
        .order_by(Job.created_at)
        .limit(MOST_JOBS)
    )
    async with patient.database.database.begin() as session:
        rows = [row._asdict() for row in await session.execute(query)]
    lost: list[Mapping[str, str]] = []
    for at in range(0, len(rows), PAGE):
        pipe = patient.client.pipeline(transaction=False)
        page = rows[at : at + PAGE]
        for row in page:
            pipe.exists(patient.keys.of_job(row["job_id"]).job(row["job_id"]))
        lost += [row for row, is_there in zip(page, await pipe.execute(), strict=True) if not is_there]
    return lost


def judge_lost(lost: Sequence[Mapping[str, str]]) -> Finding:
    """Jobs in history alone."""
    if not lost:
        return Finding("history", "ok", "every open job of it is in the log")
    names = ", ".join(row["job_id"] for row in lost[:NAMED]) + (", …" if len(lost) > NAMED else "")
    return Finding(
        "history", "bad", f"{len(lost):,} jobs are open in it and not in the log: {names}",
        "`./millrace doctor --fix` marks them failed; submit them again", "history",
    )  # fmt: skip
