"""Websites, audits and their reports without a database: see `consumers.store.memory`."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from consumers.store.audit_reports import AuditReports
from consumers.store.audits import Audits
from consumers.store.memory_filings import stored
from consumers.store.models import Audit, AuditIssue, AuditLink, AuditPage, AuditPart, AuditReport, Website, WontFix
from consumers.store.pages import Page
from consumers.store.websites import Websites, website_id_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from consumers.store.audits import NewIssue
    from consumers.store.database import Database


class MemoryWebsites(Websites):
    """Websites; nobody decided anything about them here."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._kept: dict[tuple[str, str], Website] = {}

    async def ensure(self, key: str, *, tenant: str, url: str) -> Website:
        """The website of an origin, made when it is not there."""
        website_id = website_id_of(tenant, key)
        new = Website(id=website_id, tenant=tenant, key=key, url=url, options={}, created_at=datetime.now(UTC))
        return self._kept.setdefault((tenant, website_id), new)

    async def get(self, website_id: str, *, tenant: str) -> Website | None:
        """A website, None when this tenant has no such one."""
        return self._kept.get((tenant, website_id))

    async def login(self, key: str, *, tenant: str) -> Mapping[str, str]:
        """The headers that open a site for us: none are kept here."""
        found = self._kept.get((tenant, website_id_of(tenant, key)))
        return (found.login if found is not None else None) or {}

    async def wont_fix(self, website_id: str, *, tenant: str) -> list[WontFix]:  # noqa: ARG002 - as of the real one
        """What is not to be fixed: nothing."""
        return []


class MemoryAudits(Audits):
    """Audits, each the first of its site: this process forgets them with its end."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._kept: dict[tuple[str, str], Audit] = {}
        self._pages: dict[tuple[str, str], list[AuditPage]] = {}
        self._issues: dict[tuple[str, str], list[AuditIssue]] = {}
        self._links: dict[tuple[str, str], list[AuditLink]] = {}
        self._parts: dict[tuple[str, str], dict[str, AuditPart]] = {}

    async def begin(self, job_id: str, website_id: str, url: str, *, tenant: str) -> None:
        """Make an audit known."""
        new = Audit(
            job_id=job_id, tenant=tenant, website_id=website_id, url=url, revision=0, created_at=datetime.now(UTC)
        )
        self._kept.setdefault((tenant, job_id), new)

    async def running_before(self, job_id: str, *, tenant: str) -> str | None:  # noqa: ARG002 - as of the real one
        """Nobody else is here."""
        return None

    async def get(self, job_id: str, *, tenant: str) -> Audit | None:
        """An audit, None when this tenant has no such one."""
        return self._kept.get((tenant, job_id))

    async def clear(self, job_id: str, revision: int, *, tenant: str) -> None:  # noqa: ARG002 - there is one revision
        """Remove what an unfinished compile wrote."""
        self._pages.pop((tenant, job_id), None)
        self._issues.pop((tenant, job_id), None)
        self._links.pop((tenant, job_id), None)

    async def add_pages(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write pages."""
        for row in rows:
            page = AuditPage(**{**row, "payload": stored(row["payload"])})
            self._pages.setdefault((page.tenant, page.job_id), []).append(page)

    async def add_issues(self, job_id: str, revision: int, issues: Sequence[NewIssue], *, tenant: str) -> None:
        """Write issues; with no audit before, each is among the first."""
        for one in issues:
            given = {name: getattr(one, name) for name in type(one).__dataclass_fields__}
            issue = AuditIssue(job_id=job_id, revision=revision, tenant=tenant, state="first", **given)
            self._issues.setdefault((tenant, job_id), []).append(issue)

    async def add_links(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write links that leave the site."""
        for row in rows:
            self._links.setdefault((row["tenant"], row["job_id"]), []).append(AuditLink(**row))

    async def links_to(self, site: str, *, tenant: str, limit: int = 200) -> list[AuditLink]:
        """Links from the tenant's other audits of this process."""
        found = [one for (whose, _), links in self._links.items() if whose == tenant for one in links]
        return [one for one in found if one.site == site][:limit]

    async def compare(self, job_id: str, revision: int, *, tenant: str) -> dict[str, int] | None:  # noqa: ARG002
        """There is no audit before."""
        return None

    async def fixed(self, job_id: str, *, tenant: str, limit: int = 50) -> list[AuditIssue]:  # noqa: ARG002
        """There is no audit before."""
        return []

    async def finish(
        self, job_id: str, revision: int, payload: dict[str, Any], *, tenant: str, finished_at: datetime
    ) -> None:
        """Show what was written."""
        audit = self._kept[tenant, job_id]
        audit.revision, audit.payload, audit.finished_at = revision, stored(payload), finished_at
        audit.score, audit.pages = payload["scores"]["overall"], payload["pages"]["crawled"]
        audit.issues = payload["issue_count"]

    async def pages(
        self, job_id: str, *, tenant: str, status: int | None = None, page_type: str | None = None,
        cursor: str | None = None, limit: int = 50,
    ) -> Page[AuditPage]:  # fmt: skip
        """Pages in the order in which they were found, all at once."""
        del cursor, limit
        kept = self._pages.get((tenant, job_id), [])
        return Page([one for one in kept if status in {None, one.status} and page_type in {None, one.page_type}], None)

    async def every_page(self, job_id: str, *, tenant: str) -> AsyncIterator[AuditPage]:
        """All pages."""
        for one in self._pages.get((tenant, job_id), []):
            yield one

    async def every_issue(self, job_id: str, *, tenant: str) -> AsyncIterator[AuditIssue]:
        """All issues, the worst first."""
        for one in sorted(self._issues.get((tenant, job_id), []), key=lambda issue: issue.ordinal):
            yield one

    async def known_page(self, job_id: str, url: str, *, tenant: str) -> AuditPage | None:
        """What an audit has of an address."""
        return next((one for one in self._pages.get((tenant, job_id), []) if one.url == url), None)

    async def has_validators(self, job_id: str, *, tenant: str) -> bool:  # noqa: ARG002 - as of the real one
        """There is no audit before."""
        return False

    async def put_part(self, job_id: str, kind: str, payload: dict[str, Any], *, tenant: str, measured_by: str) -> int:
        """Keep a measured part as its newest version."""
        parts = self._parts.setdefault((tenant, job_id), {})
        version = parts[kind].version + 1 if kind in parts else 1
        parts[kind] = AuditPart(
            job_id=job_id, kind=kind, version=version, tenant=tenant, measured_by=measured_by, payload=stored(payload),
            measured_at=datetime.now(UTC),
        )  # fmt: skip
        return version

    async def parts(self, job_id: str, *, tenant: str) -> dict[str, AuditPart]:
        """The newest version of each part."""
        return dict(sorted(self._parts.get((tenant, job_id), {}).items()))

    async def history(self, website_id: str, *, tenant: str, limit: int = 50) -> list[Audit]:
        """Finished audits of a website, newest first."""
        found = [
            one for (whose, _), one in self._kept.items()
            if whose == tenant and one.website_id == website_id and one.revision
        ]  # fmt: skip
        return sorted(found, key=lambda one: one.created_at, reverse=True)[:limit]


class MemoryAuditReports(AuditReports):
    """Reports by revision; nothing is shared from here."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._kept: dict[tuple[str, str], list[AuditReport]] = {}

    async def put(self, job_id: str, *, tenant: str, made_by: str, markdown: str, html: str, pdf: bytes) -> int:
        """Keep a report as the audit's newest."""
        kept = self._kept.setdefault((tenant, job_id), [])
        digest = hashlib.sha256(markdown.encode() + b"\0" + html.encode()).hexdigest()
        if not kept or (kept[-1].digest, kept[-1].made_by) != (digest, made_by):
            kept.append(
                AuditReport(
                    job_id=job_id, revision=len(kept) + 1, tenant=tenant, made_by=made_by, digest=digest,
                    markdown=markdown, html=html, pdf=pdf, created_at=datetime.now(UTC),
                )
            )  # fmt: skip
        return kept[-1].revision

    async def get(self, job_id: str, *, tenant: str, revision: int | None = None) -> AuditReport | None:
        """A report, the newest when no revision is named."""
        kept = self._kept.get((tenant, job_id), [])
        return next((one for one in reversed(kept) if revision in {None, one.revision}), None)
