"""Companies, their documents, and the statements read from them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from consumers.store.models.base import Base


class Company(Base):
    """A company whose filings are read.

    Attributes:
        key: What identifies it within the tenant, as its site's host.
        running_job: The job that reads its site, or was the last to; one at a time does.
    """

    __tablename__ = "companies"
    __table_args__ = (Index("ix_companies_tenant_key", "tenant", "key", unique=True),)

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    key: Mapped[str]
    name: Mapped[str | None]
    ticker: Mapped[str | None]
    url: Mapped[str | None]
    running_job: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Document(Base):
    """A document by its address.

    Attributes:
        status: ``found``, ``downloaded``, ``extracted`` (committed: compile reads it), or ``refused`` with `reason`.
        provisional: The class by address and link text, `confirmed` the one by content; both are kept.
        extracted: What was read, without the statements, which have rows of their own.
        extracted_digest: Of everything that was read, the statements included.
        found: How it was found: ``link_text``, ``source_url``, ``context``, ``final_url``, and ``provisional``, the
            whole class with its reasons.
        published_on: As its link or address says.
        found_by: The job that made the record.
        duplicate_of: The document with the same bytes that is read in its place.
    """

    __tablename__ = "documents"
    __table_args__ = (
        CheckConstraint("status IN ('found', 'downloaded', 'extracted', 'refused')", name="status"),
        Index("ix_documents_company_id", "company_id", "id"),
        Index("ix_documents_tenant", "tenant", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    flow: Mapped[str]
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    url: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str | None]
    sha256: Mapped[str | None]
    content_type: Mapped[str | None]
    size_bytes: Mapped[int | None]
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    provisional: Mapped[str | None]
    confirmed: Mapped[str | None]
    fiscal_year: Mapped[int | None]
    period_end: Mapped[date | None]
    extracted: Mapped[dict[str, Any] | None]
    extracted_digest: Mapped[str | None]
    found: Mapped[dict[str, Any] | None]
    published_on: Mapped[date | None]
    duplicate_of: Mapped[str | None]
    found_by: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class DocumentStatement(Base):
    """A statement as one document prints it."""

    __tablename__ = "statements"

    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    kind: Mapped[str]
    currency: Mapped[str | None]
    unit_multiplier: Mapped[int]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)


class CompiledStatements(Base):
    """A company's statements over all its documents.

    Attributes:
        revision: Rises when the set of documents changes; the highest is the latest.
        digest: Of the set of documents it was compiled from.
        payload: The whole result.
    """

    __tablename__ = "compiled_statements"

    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    digest: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    compiled_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class CompiledValue(Base):
    """One value of a company's latest compiled statements: a line in a period.

    Attributes:
        ordinal: The line's place in its statement.
        unit: ``amount`` is in units of `unit_multiplier` times `currency`; ``per_share`` and ``shares`` are as printed.
        sha256: The document that says so, on `page`.
        company: Whose, where a site has the reports of several; else "".
        is_corrected: It is a person's.
    """

    __tablename__ = "compiled_values"

    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"), primary_key=True)
    company: Mapped[str] = mapped_column(primary_key=True)
    frequency: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True, doc='ISO 4217, "" when no document says')
    row_key: Mapped[str] = mapped_column(primary_key=True)
    period_end: Mapped[date] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    ordinal: Mapped[int]
    label: Mapped[str]
    unit: Mapped[str]
    unit_multiplier: Mapped[int]
    value: Mapped[Decimal] = mapped_column(Numeric)
    sha256: Mapped[str]
    page: Mapped[int]
    restated: Mapped[bool]
    is_corrected: Mapped[bool]


class CellCorrection(Base):
    """A person's word on a cell of a company's compiled statements.

    Attributes:
        company: As in `CompiledValue`.
        printed: What the documents printed when it was made.
        made_by: Name of the API key, or of the command line's user.
        withdrawn_at: When it ceased to hold.
    """

    __tablename__ = "corrections"
    __table_args__ = (Index("ix_corrections_company_id", "company_id", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    tenant: Mapped[str]
    company: Mapped[str]
    frequency: Mapped[str]
    kind: Mapped[str]
    currency: Mapped[str]
    row_key: Mapped[str]
    period_end: Mapped[date]
    value: Mapped[Decimal] = mapped_column(Numeric)
    printed: Mapped[Decimal | None] = mapped_column(Numeric)
    reason: Mapped[str]
    made_by: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    withdrawn_by: Mapped[str | None]
    withdrawn_at: Mapped[datetime | None]


class CrawledPage(Base):
    """A page as it was read last, for a conditional GET.

    Attributes:
        version: Of what finds links; what another version found is not used.
        leads: What the page led to, as the crawl stage emits it.
    """

    __tablename__ = "crawled_pages"

    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"), primary_key=True)
    url: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    version: Mapped[int]
    leads: Mapped[Any] = mapped_column(JSONB)
    read_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
