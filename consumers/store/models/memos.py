"""What stages computed, and which jobs had it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, func
from sqlalchemy.orm import Mapped, mapped_column

from consumers.store.models.base import Base


class MemoEntry(Base):
    """A result under the key of everything that it depends on.

    Attributes:
        body: zstd; JSON when `is_json`, else the bytes that were returned.
        took_ms: How long it took to compute.
    """

    __tablename__ = "memo"
    __table_args__ = (Index("ix_memo_used_at", "used_at"),)

    tenant: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    is_json: Mapped[bool]
    body: Mapped[bytes]
    took_ms: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[datetime] = mapped_column(server_default=func.now())


class MemoUse(Base):
    """That a task computed or reused a result; `saved_ms` is 0 when it computed it."""

    __tablename__ = "memo_uses"
    __table_args__ = (Index("ix_memo_uses_tenant_key", "tenant", "key"),)

    job_id: Mapped[str] = mapped_column(primary_key=True)
    task: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    stage: Mapped[str]
    is_reused: Mapped[bool]
    saved_ms: Mapped[int]
