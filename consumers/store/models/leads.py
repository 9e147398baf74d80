"""The lead book: leads, what they are known by, their timeline, and who is kept out."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Float, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from consumers.store.models.base import Base


class Lead(Base):
    """A business that somebody may call.

    Attributes:
        job_id: The job that found it first; `last_job_id` the one that found it last.
        payload: As of `schemas.leads.FoundLead`.
        reasons: As of `schemas.leads.Reason`.
    """

    __tablename__ = "leads"
    __table_args__ = (
        CheckConstraint("status IN ('new', 'called', 'interested', 'converted', 'do_not_contact')", name="status"),
        Index("ix_leads_tenant_score", "tenant", "score", "id"),
        Index("ix_leads_tenant_created_at", "tenant", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    name: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="new")
    owner: Mapped[str | None]
    follow_up_on: Mapped[date | None]
    score: Mapped[int]
    rating: Mapped[float | None] = mapped_column(Float)
    reviews: Mapped[int | None]
    source: Mapped[str]
    job_id: Mapped[str]
    last_job_id: Mapped[str]
    payload: Mapped[dict[str, Any]]
    reasons: Mapped[list[Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class LeadKey(Base):
    """What a lead is known by; see `consumers.leads.identity.keys_of`."""

    __tablename__ = "lead_keys"
    __table_args__ = (Index("ix_lead_keys_tenant_key", "tenant", "key"),)

    lead_id: Mapped[str] = mapped_column(ForeignKey("leads.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]


class LeadEvent(Base):
    """A line of a lead's timeline: a note, or a change of a field."""

    __tablename__ = "lead_events"
    __table_args__ = (Index("ix_lead_events_lead_id", "lead_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    lead_id: Mapped[str] = mapped_column(ForeignKey("leads.id", ondelete="CASCADE"))
    tenant: Mapped[str]
    kind: Mapped[str]
    actor: Mapped[str]
    text: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class LeadBlock(Base):
    """A line of a tenant's blacklist."""

    __tablename__ = "lead_blocks"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class LeadSuppression(Base):
    """Somebody who was erased, as a hash; see `consumers.leads.identity.suppression_hash`."""

    __tablename__ = "lead_suppressions"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
