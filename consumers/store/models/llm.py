"""What language models answered, and what it cost."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Numeric, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from consumers.store.models.base import Base


class LlmAnswer(Base):
    """An answer under the digest of everything that it depends on."""

    __tablename__ = "llm_answers"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str]
    answer: Mapped[Any] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class LlmCall(Base):
    """A question of a job; `cost_usd` is None when the model's prices are not known."""

    __tablename__ = "llm_calls"

    job_id: Mapped[str] = mapped_column(primary_key=True)
    task: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    model: Mapped[str]
    input_tokens: Mapped[int]
    output_tokens: Mapped[int]
    cost_usd: Mapped[Decimal | None] = mapped_column(Numeric)
    is_cached: Mapped[bool]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
