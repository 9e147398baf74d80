"""What the stages of a job leave behind."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from consumers.store.models.base import Base


class Contribution(Base):
    """What a task collected for compile; `ordinal` counts within the task."""

    __tablename__ = "contributions"

    job_id: Mapped[str] = mapped_column(primary_key=True)
    task: Mapped[int] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    revision: Mapped[int]
    payload: Mapped[Any] = mapped_column(JSONB)


class Result(Base):
    """The result of one revision of a job; the highest revision is the latest."""

    __tablename__ = "results"
    __table_args__ = (Index("ix_results_expires_at", "expires_at"),)

    job_id: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    payload: Mapped[Any] = mapped_column(JSONB)
    size_bytes: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]


class JobArtifact(Base):
    """A file of a job; the bytes are in the artifact store under `sha256`."""

    __tablename__ = "artifacts"
    __table_args__ = (Index("ix_artifacts_tenant_sha256", "tenant", "sha256"),)

    job_id: Mapped[str] = mapped_column(primary_key=True)
    task: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    sha256: Mapped[str]
    content_type: Mapped[str]
    size_bytes: Mapped[int]
    url: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class InheritedFailure(Base):
    """A dead letter of a job's origin that the job, a replay, does not run again."""

    __tablename__ = "inherited_failures"

    job_id: Mapped[str] = mapped_column(primary_key=True)
    task: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    stage: Mapped[str]
    reason: Mapped[str]
    error: Mapped[str]
    data: Mapped[str]


class Delivery(Base):
    """A notification to one addressee.

    Attributes:
        status: ``pending``, ``sent``, ``failed`` (given up), or ``unknown`` (begun, and its end was not seen).
        attempts: How often it was begun.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'sent', 'failed', 'unknown')", name="status"),
        Index("ix_deliveries_job_id", "job_id"),
        Index("ix_deliveries_tenant_channel_created", "tenant", "channel", "created_at", "idempotency_key"),
    )

    idempotency_key: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str]
    revision: Mapped[int]
    tenant: Mapped[str]
    channel: Mapped[str]
    target: Mapped[str]
    status: Mapped[str]
    attempts: Mapped[int]
    last_error: Mapped[str | None]
    deadline_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class Suppression(Base):
    """An address that gets no mail.

    Attributes:
        address: In small letters.
        reason: ``bounced``, or what an operator wrote.
        detail: What the mail server said.
    """

    __tablename__ = "suppressions"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    detail: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
