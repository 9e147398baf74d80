"""What language models answered and what it cost, by tenant and job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from consumers.llm.metered import Spent
from consumers.store.models import LlmAnswer, LlmCall

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from consumers.llm.client import Usage
    from consumers.store.database import Database


class LlmAnswers:
    """`consumers.llm.metered.Answers`. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, digest: str, *, tenant: str) -> Any | None:
        """An answer as JSON; None when it was not asked before."""
        query = select(LlmAnswer.answer).where(LlmAnswer.tenant == tenant, LlmAnswer.digest == digest)
        async with self._database.begin() as session:
            return await session.scalar(query)

    async def put(self, digest: str, answer: Any, *, tenant: str, model: str) -> None:
        """Keep an answer; another to the same question replaces it."""
        new = insert(LlmAnswer).values(tenant=tenant, digest=digest, model=model, answer=answer)
        statement = new.on_conflict_do_update(
            index_elements=[LlmAnswer.tenant, LlmAnswer.digest], set_={"answer": new.excluded.answer}
        )
        async with self._database.begin() as session:
            await session.execute(statement)

    async def note(self, job_id: str, task: int, digest: str, usage: Usage, *, tenant: str, model: str) -> None:
        """Count a call on a job; twice is once."""
        new = insert(LlmCall).values(
            job_id=job_id, task=task, digest=digest, tenant=tenant, model=model, input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens, cost_usd=usage.cost_usd, is_cached=usage.is_cached,
        )  # fmt: skip
        async with self._database.begin() as session:
            await session.execute(new.on_conflict_do_nothing())

    async def spent(self, job_id: str, *, tenant: str) -> Spent:
        """What a job has used so far."""
        return await self._sum(LlmCall.job_id == job_id, LlmCall.tenant == tenant)

    async def spent_this_month(self, tenant: str) -> Spent:
        """What all jobs of a tenant have used in this calendar month, UTC."""
        month = func.date_trunc("month", func.now(), "UTC")
        return await self._sum(LlmCall.tenant == tenant, LlmCall.at >= month)

    async def _sum(self, *of: ColumnElement[bool]) -> Spent:
        query = select(
            func.count(), func.sum(LlmCall.input_tokens), func.sum(LlmCall.output_tokens), func.sum(LlmCall.cost_usd)
        ).where(*of)
        async with self._database.begin() as session:
            calls, tokens_in, tokens_out, cost = (await session.execute(query)).one()
        return Spent(calls, int(tokens_in or 0), int(tokens_out or 0), cost)
