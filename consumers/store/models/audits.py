"""Websites and their audits: pages, issues, measured parts, reports, and who may see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from consumers.store.models.base import Base


class Website(Base):
    """A site that is audited.

    Attributes:
        key: Its origin without ``www.``: one website a tenant and origin.
        options: Defaults of its audits, as of a spec; and the names that a report carries (white label).
        login: Headers that open it for us (``Authorization`` or ``Cookie``); never part of an answer.
        last_audit: Job id of its newest finished audit.
    """

    __tablename__ = "websites"
    __table_args__ = (Index("ix_websites_tenant_key", "tenant", "key", unique=True),)

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    key: Mapped[str]
    url: Mapped[str]
    name: Mapped[str | None]
    options: Mapped[dict[str, Any]] = mapped_column(JSONB)
    login: Mapped[dict[str, Any] | None]
    last_audit: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Audit(Base):
    """An audit of a website.

    Attributes:
        revision: Of the job whose pages and issues are shown; 0 while none was compiled.
        previous: Job id of the audit it is compared with.
        payload: The compiled result.
    """

    __tablename__ = "audits"
    __table_args__ = (
        Index("ix_audits_tenant_created", "tenant", "created_at", "job_id"),
        Index("ix_audits_website_id_created", "website_id", "created_at"),
    )

    job_id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    website_id: Mapped[str] = mapped_column(ForeignKey("websites.id", ondelete="CASCADE"))
    url: Mapped[str]
    revision: Mapped[int]
    previous: Mapped[str | None]
    score: Mapped[float | None]
    pages: Mapped[int | None]
    issues: Mapped[int | None]
    payload: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class AuditPage(Base):
    """A page of an audit.

    Attributes:
        digest: SHA-256 of its address, hex: what it is found by.
        payload: What was read from it and every finding on it.
    """

    __tablename__ = "audit_pages"
    __table_args__ = (Index("ix_audit_pages_job_id_revision_digest", "job_id", "revision", "digest"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("audits.job_id", ondelete="CASCADE"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    url: Mapped[str]
    digest: Mapped[str]
    status: Mapped[int]
    page_type: Mapped[str]
    is_indexable: Mapped[bool]
    depth: Mapped[int]
    title: Mapped[str]
    issues: Mapped[int]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)


class AuditIssue(Base):
    """One finding of an audit.

    Attributes:
        fingerprint: Of rule and page: the same in every audit of the site.
        state: ``new`` or ``persisting`` against the audit before, ``first`` without one.
    """

    __tablename__ = "audit_issues"
    __table_args__ = (
        Index("ix_audit_issues_job_id_revision_fingerprint", "job_id", "revision", "fingerprint"),
        Index("ix_audit_issues_job_id_revision_rule", "job_id", "revision", "rule"),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("audits.job_id", ondelete="CASCADE"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    rule: Mapped[str]
    category: Mapped[str]
    severity: Mapped[str]
    url: Mapped[str]
    evidence: Mapped[str]
    fingerprint: Mapped[str]
    state: Mapped[str]
    is_ignored: Mapped[bool]


class AuditLink(Base):
    """A link that leaves a site, for who asks which sites link to another.

    Attributes:
        site: Registrable domain that it leads to.
    """

    __tablename__ = "audit_links"
    __table_args__ = (Index("ix_audit_links_tenant_site", "tenant", "site"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("audits.job_id", ondelete="CASCADE"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    site: Mapped[str]
    url: Mapped[str]
    target: Mapped[str]
    anchor: Mapped[str]
    nofollow: Mapped[bool]


class AuditPart(Base):
    """Something measured beside the crawl: PageSpeed, keywords, rankings, backlinks, visibility, competitors.

    Attributes:
        version: Rises when it is measured again; the highest is shown, the others are its history.
    """

    __tablename__ = "audit_parts"

    job_id: Mapped[str] = mapped_column(ForeignKey("audits.job_id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    measured_by: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    measured_at: Mapped[datetime] = mapped_column(server_default=func.now())


class AuditReport(Base):
    """A report, one row a revision of it.

    Attributes:
        made_by: ``millrace``, or ``caller`` for a supplied Markdown.
        digest: Of what it was made from; the same again makes no further revision.
    """

    __tablename__ = "audit_reports"

    job_id: Mapped[str] = mapped_column(ForeignKey("audits.job_id", ondelete="CASCADE"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    made_by: Mapped[str]
    digest: Mapped[str]
    markdown: Mapped[str]
    html: Mapped[str]
    pdf: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class AuditShare(Base):
    """A link that shows an audit's report to whoever has it, until it expires.

    Attributes:
        digest: SHA-256 of the token, hex; the token itself is not kept.
    """

    __tablename__ = "audit_shares"

    digest: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("audits.job_id", ondelete="CASCADE"))
    tenant: Mapped[str]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class WontFix(Base):
    """An issue that a site's owner has decided to live with.

    Attributes:
        url: The page; empty for every page of the site.
    """

    __tablename__ = "audit_wont_fix"

    website_id: Mapped[str] = mapped_column(ForeignKey("websites.id", ondelete="CASCADE"), primary_key=True)
    rule: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    reason: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
