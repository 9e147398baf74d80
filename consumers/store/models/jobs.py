"""History: what lifecycle said about each job, and the jobs' logs."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Computed, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from consumers.store.models.base import Base

JOB_WORDS: Final = (
    "to_tsvector('simple'::regconfig, regexp_replace((COALESCE(error, ''::text) || ' '::text) || "
    "COALESCE(spec::text, ''::text), '[[:space:]!-/:-@\\[-`{-~]+'::text, ' '::text, 'g'::text))"
)
"""What a job is found by: the words of its error and arguments, addresses taken apart. As the server says it."""


class Job(Base):
    """A job as lifecycle tells it.

    Attributes:
        revision: The highest one seen.
        attempts: The most that any of its tasks needed.
        missing: How many things its result lacks, dead letters not counted.
        parent: The job whose ``then`` submitted this one.
        origin, replay: The job that this one repeats, and the replay that it is a part of.
        changed_revision: With `changed_ms` and `changed_seq`, the revision and the lifecycle entry that set
            `status`; the highest wins, whatever the order in which they are projected.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_tenant_created", "tenant", "created_at", "job_id"),
        Index("ix_jobs_tenant_status_created", "tenant", "status", "created_at", "job_id"),
        Index("ix_jobs_replay", "replay", postgresql_where=text("replay IS NOT NULL")),
        Index("ix_jobs_finished_at", "finished_at"),
        Index("ix_jobs_words", text(JOB_WORDS), postgresql_using="gin"),
    )

    job_id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    flow: Mapped[str]
    status: Mapped[str]
    revision: Mapped[int]
    lane: Mapped[str | None]
    spec: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    trace_id: Mapped[str | None]
    error: Mapped[str | None]
    attempts: Mapped[int]
    missing: Mapped[int | None] = mapped_column(JSONB(none_as_null=True))
    parent: Mapped[str | None]
    origin: Mapped[str | None]
    replay: Mapped[str | None]
    changed_revision: Mapped[int]
    changed_ms: Mapped[int]
    changed_seq: Mapped[int]


class TaskEvent(Base):
    """One move, as its lifecycle entry tells it; those that end a delivery carry its start.

    Attributes:
        entry_ms: With `entry_seq`, the id of the entry in the lifecycle stream of the job's partition.
        attempt: The policy's count, while `delivery` is Redis's.
        opened: Number and stage of each task that the move opened; None for none.
    """

    __tablename__ = "task_events"
    __table_args__ = (
        Index("ix_task_events_worker", "tenant", "worker", "job_id", postgresql_where=text("worker IS NOT NULL")),
    )

    job_id: Mapped[str] = mapped_column(primary_key=True)
    entry_ms: Mapped[int] = mapped_column(primary_key=True)
    entry_seq: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    type: Mapped[str]
    at: Mapped[datetime] = mapped_column(Computed("to_timestamp(entry_ms / 1000.0)", persisted=True))
    started_at: Mapped[datetime | None]
    revision: Mapped[int | None]
    task: Mapped[int | None]
    stage: Mapped[str | None]
    attempt: Mapped[int | None]
    delivery: Mapped[int | None]
    worker: Mapped[str | None]
    status: Mapped[str | None]
    reason: Mapped[str | None]
    opened: Mapped[list[Any] | None]

    @property
    def entry_id(self) -> str:
        """The id as Redis writes it."""
        return f"{self.entry_ms}-{self.entry_seq}"


class JobLog(Base):
    """A line of a job's log.

    Attributes:
        seq: Rises within a job in the order of commit, so that a reader who follows misses none.
    """

    __tablename__ = "job_logs"

    job_id: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    tenant: Mapped[str]
    at: Mapped[datetime]
    level: Mapped[str]
    message: Mapped[str]
    fields: Mapped[dict[str, Any] | None]
    trace_id: Mapped[str | None]
    task: Mapped[int | None]
    stage: Mapped[str | None]
    attempt: Mapped[int | None]


class JobLogTotal(Base):
    """How much a job has logged, what was left out included; its row lock puts the writers of a job in order."""

    __tablename__ = "job_log_totals"

    job_id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    lines: Mapped[int]
    size_bytes: Mapped[int]
