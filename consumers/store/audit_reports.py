"""Reports of audits by revision, and the links that share them."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.orm import defer

from consumers.store.models import Audit, AuditReport, AuditShare

if TYPE_CHECKING:
    from datetime import datetime

    from consumers.store.database import Database


class AuditReports:
    """Reports and shares. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, job_id: str, *, tenant: str, made_by: str, markdown: str, html: str, pdf: bytes) -> int:
        """Keep a report as the audit's newest; the same as the newest makes no further revision.

        Returns:
            Its revision.
        """
        digest = hashlib.sha256(markdown.encode() + b"\0" + html.encode()).hexdigest()
        mine = (AuditReport.job_id == job_id, AuditReport.tenant == tenant)
        async with self._database.begin() as session:
            await session.execute(select(Audit.job_id).where(Audit.job_id == job_id).with_for_update())
            newest = await session.scalar(select(func.max(AuditReport.revision)).where(*mine)) or 0
            same = await session.scalar(
                select(AuditReport.revision).where(
                    *mine, AuditReport.revision == newest, AuditReport.digest == digest, AuditReport.made_by == made_by
                )
            )
            if same is not None:
                return same
            session.add(
                AuditReport(
                    job_id=job_id, revision=newest + 1, tenant=tenant, made_by=made_by, digest=digest,
                    markdown=markdown, html=html, pdf=pdf,
                )
            )  # fmt: skip
            return newest + 1

    async def get(self, job_id: str, *, tenant: str, revision: int | None = None) -> AuditReport | None:
        """A report, the newest when no revision is named."""
        query = select(AuditReport).where(AuditReport.job_id == job_id, AuditReport.tenant == tenant)
        if revision is not None:
            query = query.where(AuditReport.revision == revision)
        async with self._database.begin() as session:
            found: AuditReport | None = await session.scalar(query.order_by(AuditReport.revision.desc()).limit(1))
            return found

    async def list(self, job_id: str, *, tenant: str) -> list[AuditReport]:
        """The revisions of an audit's report without their contents, newest first."""
        query = (
            select(AuditReport)
            .where(AuditReport.job_id == job_id, AuditReport.tenant == tenant)
            .options(defer(AuditReport.markdown), defer(AuditReport.html), defer(AuditReport.pdf))
            .order_by(AuditReport.revision.desc())
            .limit(100)
        )
        async with self._database.begin() as session:
            return [*await session.scalars(query)]

    async def share(self, job_id: str, *, tenant: str, expires_at: datetime) -> str:
        """Make a link's token; only its digest is kept."""
        token = secrets.token_urlsafe(24)
        async with self._database.begin() as session:
            session.add(AuditShare(digest=_digest(token), job_id=job_id, tenant=tenant, expires_at=expires_at))
        return token

    async def shared(self, token: str) -> AuditShare | None:
        """What a token shares; None when there is no such one or it has expired."""
        query = select(AuditShare).where(AuditShare.digest == _digest(token), AuditShare.expires_at > func.now())
        async with self._database.begin() as session:
            found: AuditShare | None = await session.scalar(query)
            return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
