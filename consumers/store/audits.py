"""Audits: pages and issues by job and revision, the comparison with the audit before, measured parts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, String, and_, bindparam, delete, exists, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from consumers.store.cleaning import dump_json
from consumers.store.models import Audit, AuditIssue, AuditLink, AuditPage, AuditPart, Job, Website
from consumers.store.pages import Page, checked_limit, read_cursor, write_cursor
from schemas.jobs import ENDED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence
    from datetime import datetime

    from consumers.store.database import Database

BATCH_ROWS: Final = 500
ORDINALS: Final = 10**9
"""Ordinals of issues: so many for each severity, the worst first, each in the order of the crawl."""
STALE_S: Final = 4_500
"""An audit that has not ended by then never will: it has a time limit."""


@dataclass(frozen=True, slots=True)
class NewIssue:
    """An issue on its way to the store: the columns of `AuditIssue` that differ within a revision."""

    ordinal: int
    rule: str
    category: str
    severity: str
    url: str
    evidence: str
    fingerprint: str
    is_ignored: bool


@dataclass(frozen=True, slots=True)
class ChangedPage:
    """What is kept of a page after rules were put to it again."""

    ordinal: int
    payload: dict[str, Any]
    issues: int


_ADD_ISSUES: Final = text("""
    INSERT INTO audit_issues
        (job_id, revision, tenant, ordinal, rule, category, severity, url, evidence, fingerprint, is_ignored, state)
    SELECT :job, :revision, :tenant, found.*, CASE
        WHEN before.job_id IS NULL THEN 'first'
        WHEN EXISTS (SELECT FROM audit_issues AS old WHERE old.job_id = before.job_id
            AND old.revision = before.revision AND old.fingerprint = found.fingerprint) THEN 'persisting'
        ELSE 'new' END
    FROM unnest(CAST(:ordinal AS bigint[]), CAST(:rule AS text[]), CAST(:category AS text[]),
        CAST(:severity AS text[]), CAST(:url AS text[]), CAST(:evidence AS text[]), CAST(:fingerprint AS text[]),
        CAST(:is_ignored AS boolean[]))
        AS found(ordinal, rule, category, severity, url, evidence, fingerprint, is_ignored)
    LEFT JOIN audits AS mine ON mine.job_id = :job AND mine.tenant = :tenant
    LEFT JOIN audits AS before ON before.job_id = mine.previous AND before.tenant = :tenant
    ON CONFLICT DO NOTHING
""").bindparams(
    bindparam("job", type_=String), bindparam("tenant", type_=String), bindparam("revision", type_=BigInteger)
)  # fmt: skip


def page_digest(url: str) -> str:
    """What a page is found by."""
    return hashlib.sha256(url.encode()).hexdigest()


class Audits:
    """Audits of tenants. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, job_id: str, website_id: str, url: str, *, tenant: str) -> None:
        """Make an audit known; it compares with the website's newest finished one. Twice is once."""
        previous = select(Website.last_audit).where(Website.id == website_id).scalar_subquery()
        new = insert(Audit).values(
            job_id=job_id, tenant=tenant, website_id=website_id, url=url, revision=0, previous=previous
        )
        async with self._database.begin() as session:
            await session.execute(new.on_conflict_do_nothing())

    async def running_before(self, job_id: str, *, tenant: str) -> str | None:
        """An audit of the same website that began earlier and has not ended; None when there is none."""
        mine = aliased(Audit)
        earlier = (Audit.created_at < mine.created_at) | (
            (Audit.created_at == mine.created_at) & (Audit.job_id < mine.job_id)
        )
        query = (
            select(Audit.job_id)
            .join(mine, mine.website_id == Audit.website_id)
            .outerjoin(Job, Job.job_id == Audit.job_id)
            .where(
                mine.job_id == job_id,
                mine.tenant == tenant,
                earlier,
                Audit.revision == 0,
                Audit.created_at > func.now() - timedelta(seconds=STALE_S),
                func.coalesce(Job.status, "running").not_in(sorted(ENDED)),
            )
            .limit(1)
        )
        async with self._database.begin() as session:
            found: str | None = await session.scalar(query)
            return found

    async def get(self, job_id: str, *, tenant: str) -> Audit | None:
        """An audit, None when this tenant has no such one."""
        async with self._database.begin() as session:
            found = await session.scalars(select(Audit).where(Audit.job_id == job_id, Audit.tenant == tenant))
            return found.one_or_none()

    async def page(
        self, *, tenant: str, website_id: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Audit]:
        """Audits of a tenant, newest first.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        query = select(Audit).where(Audit.tenant == tenant).order_by(Audit.created_at.desc(), Audit.job_id.desc())
        if website_id is not None:
            query = query.where(Audit.website_id == website_id)
        if cursor is not None:
            from datetime import datetime as instant  # noqa: PLC0415 - for its class only

            at, job_id = read_cursor(cursor, instant, str)
            query = query.where((Audit.created_at < at) | ((Audit.created_at == at) & (Audit.job_id < job_id)))
        async with self._database.begin() as session:
            found = list(await session.scalars(query.limit(checked_limit(limit) + 1)))
        more = len(found) > limit
        found = found[:limit]
        return Page(found, write_cursor(found[-1].created_at, found[-1].job_id) if more else None)

    async def clear(self, job_id: str, revision: int, *, tenant: str) -> None:
        """Remove what an unfinished compile of a revision wrote."""
        async with self._database.begin() as session:
            for model in (AuditPage, AuditIssue, AuditLink):
                await session.execute(
                    delete(model).where(model.job_id == job_id, model.revision == revision, model.tenant == tenant)
                )

    async def add_pages(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write pages of a revision; they show when it is finished."""
        await self._add(AuditPage, rows)

    async def add_issues(self, job_id: str, revision: int, issues: Sequence[NewIssue], *, tenant: str) -> None:
        """Write issues of a revision, each marked by whether the audit before had it; they show when it is finished."""
        for start in range(0, len(issues), BATCH_ROWS):
            some = issues[start : start + BATCH_ROWS]
            given: dict[str, Any] = {
                name: [getattr(one, name) for one in some] for name in NewIssue.__dataclass_fields__
            }
            async with self._database.at_once() as connection:
                await connection.execute(_ADD_ISSUES, {**given, "job": job_id, "revision": revision, "tenant": tenant})

    async def add_links(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write links that leave the site."""
        await self._add(AuditLink, rows)

    async def links_to(self, site: str, *, tenant: str, limit: int = 200) -> list[AuditLink]:
        """Links from the tenant's other sites, of their newest audits, one a page and target."""
        query = (
            select(AuditLink)
            .join(Audit, and_(Audit.job_id == AuditLink.job_id, Audit.revision == AuditLink.revision))
            .join(Website, and_(Website.id == Audit.website_id, Website.last_audit == Audit.job_id))
            .where(AuditLink.tenant == tenant, AuditLink.site == site)
            .order_by(AuditLink.job_id, AuditLink.ordinal)
            .limit(limit)
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query))

    async def _add(self, model: type[Any], rows: Sequence[dict[str, Any]]) -> None:
        table = model.__tablename__
        statement = text(
            f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, CAST(:rows AS jsonb)) "  # noqa: S608 - a table of ours
            "ON CONFLICT DO NOTHING"
        )
        for start in range(0, len(rows), BATCH_ROWS):
            async with self._database.begin() as session:
                await session.execute(statement, {"rows": dump_json(list(rows[start : start + BATCH_ROWS]))})

    async def compare(self, job_id: str, revision: int, *, tenant: str) -> dict[str, int] | None:
        """Count a revision's issues against those of the audit before.

        Returns:
            How many are ``new``, ``persisting`` and ``fixed``; None when there is no audit before.
        """
        async with self._database.begin() as session:
            before = aliased(Audit)
            previous = await session.scalar(
                select(before).join(Audit, Audit.previous == before.job_id).where(
                    Audit.job_id == job_id, Audit.tenant == tenant, before.tenant == tenant
                )
            )  # fmt: skip
            if previous is None:
                return None
            # Rows that were written a moment ago are not in the planner's statistics: it would loop over both.
            await session.execute(text("SET LOCAL enable_nestloop = off"))
            old, now = aliased(AuditIssue), AuditIssue
            counted = await session.execute(
                select(now.state, func.count())
                .where(now.job_id == job_id, now.revision == revision)
                .group_by(now.state)
            )
            states: dict[str, int] = {row[0]: row[1] for row in counted}
            fixed = await session.scalar(
                select(func.count()).select_from(old).where(
                    old.job_id == previous.job_id, old.revision == previous.revision,
                    ~exists().where(
                        now.job_id == job_id, now.revision == revision, now.fingerprint == old.fingerprint
                    ),
                )
            )  # fmt: skip
            return {"new": states.get("new", 0), "persisting": states.get("persisting", 0), "fixed": fixed or 0}

    async def fixed(self, job_id: str, *, tenant: str, limit: int = 50) -> list[AuditIssue]:
        """Issues of the audit before that an audit no longer has."""
        old, now = aliased(AuditIssue), aliased(AuditIssue)
        before = aliased(Audit)
        gone = ~exists().where(
            now.job_id == Audit.job_id, now.revision == Audit.revision, now.fingerprint == old.fingerprint
        )
        query = (
            select(old)
            .select_from(Audit)
            .join(before, Audit.previous == before.job_id)
            .join(old, and_(old.job_id == before.job_id, old.revision == before.revision))
            .where(Audit.job_id == job_id, Audit.tenant == tenant, before.tenant == tenant, gone)
            .order_by(old.ordinal)
            .limit(limit)
        )
        async with self._database.begin() as session:
            await session.execute(text("SET LOCAL enable_nestloop = off"))  # as in `compare`
            return list(await session.scalars(query))

    async def finish(
        self, job_id: str, revision: int, payload: dict[str, Any], *, tenant: str, finished_at: datetime
    ) -> None:
        """Show a revision's pages and issues, and drop those of others; an older one never replaces a newer."""
        mine = (Audit.job_id == job_id, Audit.tenant == tenant)
        async with self._database.begin() as session:
            website_id = await session.scalar(
                update(Audit)
                .where(*mine, Audit.revision <= revision)
                .values(
                    revision=revision,
                    payload=payload,
                    score=payload["scores"]["overall"],
                    pages=payload["pages"]["crawled"],
                    issues=payload["issue_count"],
                    finished_at=finished_at,
                )
                .returning(Audit.website_id)
            )
            if website_id is None:
                return
            for model in (AuditPage, AuditIssue, AuditLink):
                await session.execute(delete(model).where(model.job_id == job_id, model.revision < revision))
            newest = (
                select(Audit.job_id)
                .where(Audit.website_id == website_id, Audit.revision > 0)
                .order_by(Audit.created_at.desc())
                .limit(1)
            )
            await session.execute(
                update(Website).where(Website.id == website_id).values(last_audit=newest.scalar_subquery())
            )

    async def change(
        self, job_id: str, revision: int, payload: dict[str, Any], *, tenant: str, page: ChangedPage | None = None
    ) -> None:
        """Replace the payload of a finished audit, and one of its pages; nothing when a newer revision is shown."""
        mine = (Audit.job_id == job_id, Audit.tenant == tenant, Audit.revision == revision)
        values = {"payload": payload, "score": payload["scores"]["overall"], "issues": payload["issue_count"]}
        async with self._database.begin() as session:
            found = await session.scalar(update(Audit).where(*mine).values(**values).returning(Audit.job_id))
            if found is None or page is None:
                return
            its = (AuditPage.job_id == job_id, AuditPage.revision == revision, AuditPage.ordinal == page.ordinal)
            await session.execute(update(AuditPage).where(*its).values(payload=page.payload, issues=page.issues))

    async def withdraw(self, job_id: str, revision: int, rules: Collection[str], *, tenant: str) -> int:
        """Remove the issues of some rules, which are put again.

        Returns:
            An ordinal within each severity after which none is taken.
        """
        mine = (AuditIssue.job_id == job_id, AuditIssue.revision == revision, AuditIssue.tenant == tenant)
        async with self._database.begin() as session:
            await session.execute(delete(AuditIssue).where(*mine, AuditIssue.rule.in_(sorted(rules))))
            found: int | None = await session.scalar(select(func.max(AuditIssue.ordinal % ORDINALS)).where(*mine))
            return found or 0

    async def pages(
        self,
        job_id: str,
        *,
        tenant: str,
        status: int | None = None,
        page_type: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[AuditPage]:
        """Pages of an audit in the order in which they were found.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        query = _shown(AuditPage, job_id, tenant)
        if status is not None:
            query = query.where(AuditPage.status == status)
        if page_type is not None:
            query = query.where(AuditPage.page_type == page_type)
        return await self._ordinal_page(AuditPage, query, cursor, limit)

    async def issues(
        self,
        job_id: str,
        *,
        tenant: str,
        rule: str | None = None,
        severity: str | None = None,
        category: str | None = None,
        state: str | None = None,
        url: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[AuditIssue]:
        """Issues of an audit, the worst first.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        query = _shown(AuditIssue, job_id, tenant)
        for column, wanted in (
            (AuditIssue.rule, rule),
            (AuditIssue.severity, severity),
            (AuditIssue.category, category),
            (AuditIssue.state, state),
            (AuditIssue.url, url),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        return await self._ordinal_page(AuditIssue, query, cursor, limit)

    async def every_page(self, job_id: str, *, tenant: str) -> AsyncIterator[AuditPage]:
        """All pages, with flat memory."""
        cursor: str | None = None
        while True:
            found = await self.pages(job_id, tenant=tenant, cursor=cursor, limit=BATCH_ROWS)
            for one in found.items:
                yield one
            if (cursor := found.next) is None:
                return

    async def every_issue(self, job_id: str, *, tenant: str) -> AsyncIterator[AuditIssue]:
        """All issues, with flat memory."""
        cursor: str | None = None
        while True:
            found = await self.issues(job_id, tenant=tenant, cursor=cursor, limit=BATCH_ROWS)
            for one in found.items:
                yield one
            if (cursor := found.next) is None:
                return

    async def _ordinal_page(self, model: Any, query: Any, cursor: str | None, limit: int) -> Page[Any]:
        if cursor is not None:
            query = query.where(model.ordinal > read_cursor(cursor, int)[0])
        async with self._database.begin() as session:
            found = list(await session.scalars(query.order_by(model.ordinal).limit(checked_limit(limit) + 1)))
        more = len(found) > limit
        found = found[:limit]
        return Page(found, write_cursor(found[-1].ordinal) if more else None)

    async def known_page(self, job_id: str, url: str, *, tenant: str) -> AuditPage | None:
        """What an audit has of an address; None when it was not read there."""
        query = _shown(AuditPage, job_id, tenant).where(AuditPage.digest == page_digest(url)).limit(1)
        async with self._database.begin() as session:
            found: AuditPage | None = await session.scalar(query)
            return found

    async def has_validators(self, job_id: str, *, tenant: str) -> bool:
        """Whether any page of an audit came with an ETag or a Last-Modified: else asking again by them is no use."""
        if not job_id:
            return False
        found = _shown(AuditPage, job_id, tenant).where(
            (AuditPage.payload["etag"].astext.is_not(None)) | (AuditPage.payload["last_modified"].astext.is_not(None))
        )
        async with self._database.begin() as session:
            return await session.scalar(found.limit(1)) is not None

    async def put_part(self, job_id: str, kind: str, payload: dict[str, Any], *, tenant: str, measured_by: str) -> int:
        """Keep a measured part as its newest version; the same job's again replaces its own.

        Args:
            job_id: Of the audit.
            kind: One of `schemas.audit.PARTS`.
            payload: JSON.
            tenant: Whose.
            measured_by: Job id and revision that measured it.

        Returns:
            The version.
        """
        mine = (AuditPart.job_id == job_id, AuditPart.kind == kind, AuditPart.tenant == tenant)
        async with self._database.begin() as session:
            await session.execute(select(Audit.job_id).where(Audit.job_id == job_id).with_for_update())
            known = await session.scalar(select(AuditPart).where(*mine, AuditPart.measured_by == measured_by))
            if known is not None:
                known.payload = payload
                return known.version
            version = (await session.scalar(select(func.max(AuditPart.version)).where(*mine)) or 0) + 1
            session.add(
                AuditPart(
                    job_id=job_id, kind=kind, version=version, tenant=tenant, measured_by=measured_by, payload=payload
                )
            )
            return version

    async def parts(self, job_id: str, *, tenant: str) -> dict[str, AuditPart]:
        """The newest version of each part."""
        query = (
            select(AuditPart)
            .where(AuditPart.job_id == job_id, AuditPart.tenant == tenant)
            .order_by(AuditPart.kind, AuditPart.version)
        )
        async with self._database.begin() as session:
            return {one.kind: one for one in await session.scalars(query)}

    async def part_history(self, website_id: str, kind: str, *, tenant: str, limit: int = 50) -> list[AuditPart]:
        """A part over time, over all audits of a website, newest first."""
        query = (
            select(AuditPart)
            .join(Audit, Audit.job_id == AuditPart.job_id)
            .where(Audit.website_id == website_id, AuditPart.kind == kind, AuditPart.tenant == tenant)
            .order_by(AuditPart.measured_at.desc())
            .limit(limit)
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query))

    async def history(self, website_id: str, *, tenant: str, limit: int = 50) -> list[Audit]:
        """Finished audits of a website, newest first: its score over time."""
        query = (
            select(Audit)
            .where(Audit.website_id == website_id, Audit.tenant == tenant, Audit.revision > literal(0))
            .order_by(Audit.created_at.desc())
            .limit(limit)
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query))


def _shown(model: Any, job_id: str, tenant: str) -> Any:
    return (
        select(model)
        .join(Audit, and_(Audit.job_id == model.job_id, Audit.revision == model.revision))
        .where(model.job_id == job_id, model.tenant == tenant)
    )
