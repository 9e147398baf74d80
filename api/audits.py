"""Audits and websites as the API shows them, and what asking for one becomes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, model_validator

from api.look import find, no_such_job
from api.problems import Problem
from api.submission import accept
from api.views import API, links_of
from consumers.audit.frontier import site_key
from consumers.audit.report.model import WhiteLabel
from schemas.audit import AuditSpec, Glob, WebUrl, Words
from schemas.jobs import Asked, JobRequest, NotifySpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from api.auth import Caller
    from api.look import Found
    from api.services import Services
    from consumers.store.models import Audit, AuditIssue, AuditPage, Website
    from schemas.jobs import JobAccepted

PARTS: Final = (
    "pages", "issues", "fix_plan", "pagespeed", "keywords", "rankings", "backlinks", "visibility", "competitors",
    "reports", "report.md", "report.html", "report.pdf",
)  # fmt: skip

PAGE_COLUMNS: Final = (
    "url", "status", "type", "indexable", "depth", "title", "issues", "failure", "size_bytes", "ttfb_ms", "found_on",
)  # fmt: skip
ISSUE_COLUMNS: Final = ("rule", "category", "severity", "url", "evidence", "state", "wont_fix")


class Login(Asked):
    """What opens a staging site: basic auth, or a cookie. Kept with the website, shown to nobody."""

    username: Annotated[str, Field(max_length=200, pattern=r"^[^:\r\n]*$")] | None = None
    password: SecretStr | None = None
    cookie: SecretStr | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Login:
        if (self.cookie is None) == (self.username is None) or (self.username is None) != (self.password is None):
            raise ValueError("give either username and password, or cookie")
        if self.cookie is not None and any(ord(char) < 32 for char in self.cookie.get_secret_value()):  # noqa: PLR2004
            raise ValueError("cookie has control characters")
        return self

    def headers(self) -> dict[str, str]:
        """What is sent to the website."""
        if self.cookie is not None:
            return {"Cookie": self.cookie.get_secret_value()}
        secret = self.password.get_secret_value() if self.password is not None else ""
        token = base64.b64encode(f"{self.username}:{secret}".encode()).decode()
        return {"Authorization": f"Basic {token}"}


class AuditRequest(AuditSpec):
    """The body of ``POST /audits``: the spec of a job, and who is told.

    Attributes:
        login_with: Kept with the website before the job is submitted; the job itself never carries it.
    """

    login_with: Login | None = None
    notify: NotifySpec | None = None
    priority: str | int = "normal"


class WebsiteOptions(Asked):
    """Defaults of a website's audits, and whose its reports are."""

    max_pages: Annotated[int, Field(ge=1, le=50_000)] | None = None
    max_depth: Annotated[int, Field(ge=0, le=100)] | None = None
    include: tuple[Glob, ...] | None = None
    exclude: tuple[Glob, ...] | None = None
    render: Literal["auto", "never", "always"] | None = None
    competitors: Annotated[tuple[WebUrl, ...], Field(max_length=5)] | None = None
    brand: Words | None = None
    category: Words | None = None
    keywords: Annotated[tuple[Words, ...], Field(max_length=50)] | None = None
    questions: Annotated[tuple[Words, ...], Field(max_length=20)] | None = None
    report: WhiteLabel | None = None


class WebsiteRequest(Asked):
    """The body of ``POST /websites`` and ``PUT /websites/{id}``; `login` null takes a kept one away."""

    url: WebUrl
    name: Annotated[str, Field(max_length=200)] | None = None
    options: WebsiteOptions = WebsiteOptions()
    login: Login | None = None


class CrawlRequest(Asked):
    """The body of ``POST /websites/{id}/crawl``; may be left out. `fast` leaves out what others measure."""

    max_pages: Annotated[int, Field(ge=1, le=50_000)] | None = None
    fast: bool = False
    notify: NotifySpec | None = None


async def submit_audit(
    services: Services, asked: AuditRequest, caller: Caller, *, identity: str, traceparent: str | None
) -> JobAccepted:
    """Submit an audit; a login goes to the website, never into the job.

    Raises:
        Problem: As `api.submission.accept`.
    """
    given = asked.model_dump(mode="json", exclude={"login_with", "notify", "priority"}, exclude_defaults=True)
    if asked.login_with is not None:
        given["login"] = True
    request = JobRequest(flow="audit", spec={"url": asked.url, **given}, notify=asked.notify, priority=asked.priority)
    if asked.login_with is not None:
        website = await services.store.websites.ensure(site_key(asked.url), tenant=caller.tenant, url=asked.url)
        await services.store.websites.change(website.id, tenant=caller.tenant, login=asked.login_with.headers())
    return await accept(services, request, caller, identity=identity, traceparent=traceparent)


async def crawl_website(
    services: Services, website: Website, asked: CrawlRequest, caller: Caller, *, identity: str
) -> JobAccepted:
    """Submit an audit of a website by its own options."""
    options = {name: value for name, value in website.options.items() if name != "report" and value is not None}
    spec: dict[str, Any] = {"url": website.url, **options, "login": website.login is not None}
    if asked.max_pages is not None:
        spec["max_pages"] = asked.max_pages
    if asked.fast:
        spec |= {"external_intel": False, "report": False, "pagespeed": False}
    request = JobRequest(flow="audit", spec=spec, notify=asked.notify)
    return await accept(services, request, caller, identity=identity)


async def audit_of(services: Services, audit_id: str, tenant: str) -> Audit:
    """A finished audit.

    Raises:
        Problem: There is none, or it has no result so far.
    """
    audit = await services.store.audits.get(audit_id, tenant=tenant)
    if audit is not None and audit.revision:
        return audit
    found = await find(services, audit_id, tenant)
    if found.view.flow != "audit":
        raise no_such_job(audit_id)
    raise Problem(
        "no-result", f"audit {audit_id} has no result: it is {found.view.status}; GET {API}/audits/{audit_id} shows it"
    )


def website_view(website: Website) -> dict[str, Any]:
    """A website; of its login only that there is one."""
    place = f"{API}/websites/{website.id}"
    return {
        "website_id": website.id, "url": website.url, "name": website.name, "options": website.options,
        "has_login": website.login is not None, "last_audit": website.last_audit, "created_at": website.created_at,
        "links": {"self": place, **{name: f"{place}/{name}" for name in ("crawl", "history", "wont_fix")}},
    }  # fmt: skip


def audit_links(audit_id: str) -> dict[str, str]:
    """Where an audit and its parts are found."""
    place = f"{API}/audits/{audit_id}"
    return {"self": place, "job": links_of(audit_id)["self"], **{part: f"{place}/{part}" for part in PARTS}}


def audit_row(audit: Audit) -> dict[str, Any]:
    """An audit in a list."""
    return {
        "audit_id": audit.job_id, "website_id": audit.website_id, "url": audit.url, "score": audit.score,
        "pages": audit.pages, "issues": audit.issues, "previous": audit.previous, "created_at": audit.created_at,
        "finished_at": audit.finished_at, "links": audit_links(audit.job_id),
    }  # fmt: skip


def audit_view(found: Found | None, audit: Audit | None, audit_id: str) -> dict[str, Any]:
    """An audit with its job: what runs, how far it is, and what it found."""
    job = found.view if found is not None else None
    shown: dict[str, Any] = audit_row(audit) if audit is not None else {"audit_id": audit_id}
    shown["links"] = audit_links(audit_id)
    if job is not None:
        shown |= {
            "status": job.status, "progress": job.progress, "stages": job.stages, "revision": job.revision,
            "error": job.error, "created_at": job.created_at, "started_at": job.started_at,
            "finished_at": job.finished_at,
        }  # fmt: skip
    else:
        shown["status"] = "succeeded"
    shown["result"] = audit.payload if audit is not None else None
    return shown


def page_view(page: AuditPage, *, whole: bool = False) -> dict[str, Any]:
    """A page of an audit; `whole` with the signals that were kept of it."""
    payload = page.payload
    signals = payload.get("page", {})
    shown = {
        "url": page.url, "status": page.status, "type": page.page_type, "indexable": page.is_indexable,
        "depth": page.depth, "title": page.title, "issues": page.issues, "failure": signals.get("failure", ""),
        "size_bytes": signals.get("size_bytes", 0), "ttfb_ms": signals.get("ttfb_ms"),
        "redirects": signals.get("redirects", []), "found_on": payload.get("found_on", ""),
        "via": payload.get("via", ""), "reused": payload.get("reused", False),
        "rendered": payload.get("rendered", False), "findings": payload.get("findings", []),
    }  # fmt: skip
    return shown | ({"signals": signals, "links": payload.get("links", [])} if whole else {})


def issue_view(issue: AuditIssue) -> dict[str, Any]:
    """One finding."""
    return {
        "rule": issue.rule, "category": issue.category, "severity": issue.severity, "url": issue.url,
        "evidence": issue.evidence, "state": issue.state, "wont_fix": issue.is_ignored,
    }  # fmt: skip


async def page_rows(pages: AsyncIterator[AuditPage]) -> AsyncIterator[Sequence[Any]]:
    """Pages as rows of a table."""
    async for page in pages:
        yield _cells(page_view(page), PAGE_COLUMNS)


async def issue_rows(issues: AsyncIterator[AuditIssue]) -> AsyncIterator[Sequence[Any]]:
    """Issues as rows of a table."""
    async for issue in issues:
        yield _cells(issue_view(issue), ISSUE_COLUMNS)


def _cells(shown: Mapping[str, Any], columns: Sequence[str]) -> list[Any]:
    return [("yes" if value else "no") if isinstance(value := shown[name], bool) else value for name in columns]
