"""A language model for one job: what was asked before is not asked again, and the job's cap holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import orjson
from pydantic import ValidationError

from consumers.llm.client import Answer, Usage
from consumers.llm.errors import LlmBudgetSpentError

if TYPE_CHECKING:
    from consumers.context import StageContext
    from consumers.llm.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Spent:
    """What a job has used so far."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal | None = None

    @property
    def tokens(self) -> int:
        """Of both kinds."""
        return self.input_tokens + self.output_tokens


class Answers(Protocol):
    """Where answers and what they cost are kept; `consumers.store.llm.LlmAnswers`."""

    async def get(self, digest: str, *, tenant: str) -> object | None:
        """An answer as JSON; None when it was not asked before."""
        ...

    async def put(self, digest: str, answer: object, *, tenant: str, model: str) -> None:
        """Keep an answer."""
        ...

    async def note(self, job_id: str, task: int, digest: str, usage: Usage, *, tenant: str, model: str) -> None:
        """Count a call on a job; twice is once."""
        ...

    async def spent(self, job_id: str, *, tenant: str) -> Spent:
        """What a job has used so far."""
        ...

    async def spent_this_month(self, tenant: str) -> Spent:
        """What all jobs of a tenant have used in this calendar month, UTC."""
        ...


@dataclass(frozen=True, slots=True)
class MeteredLlm:
    """`consumers.llm.client.Llm` for one task of one job."""

    endpoint: Endpoint
    answers: Answers
    job_id: str
    task: int
    tenant: str

    @classmethod
    def of(cls, ctx: StageContext) -> MeteredLlm | None:
        """The model for a handler; None when the operator named none."""
        endpoint = ctx.llm
        return None if endpoint is None else cls(endpoint, ctx.store.llm, ctx.job_id, ctx.task, ctx.tenant)

    async def complete(self, model_cls: type[Answer], instructions: str, data: str) -> tuple[Answer, Usage]:
        """Ask, unless the same was answered before; see `Llm.complete`."""
        name = self.endpoint.name
        digest = _digest(name, model_cls, instructions, data)
        known = await self.answers.get(digest, tenant=self.tenant)
        if known is not None:
            try:
                value = model_cls.model_validate(known)
            except ValidationError:
                pass  # of another version of the shape
            else:
                usage = Usage(is_cached=True)
                await self.answers.note(self.job_id, self.task, digest, usage, tenant=self.tenant, model=name)
                return value, usage
        await self._check_budget()
        value, usage = await self.endpoint.complete(model_cls, instructions, data)
        await self.answers.put(digest, value.model_dump(mode="json"), tenant=self.tenant, model=name)
        await self.answers.note(self.job_id, self.task, digest, usage, tenant=self.tenant, model=name)
        return value, usage

    async def _check_budget(self) -> None:
        settings = self.endpoint.settings
        spent = await self.answers.spent(self.job_id, tenant=self.tenant)
        if spent.tokens >= settings.llm_job_tokens:
            raise LlmBudgetSpentError(
                f"job {self.job_id} has used {spent.tokens:,} tokens of a language model, its cap is "
                f"{settings.llm_job_tokens:,} (MILLRACE_LLM_JOB_TOKENS); the rest is done without"
            )
        cap = settings.llm_job_cost
        if cap is not None and spent.cost_usd is not None and spent.cost_usd >= cap:
            raise LlmBudgetSpentError(
                f"job {self.job_id} has spent ${spent.cost_usd:.4f} on a language model, its cap is ${cap} "
                "(MILLRACE_LLM_JOB_COST); the rest is done without"
            )
        await self._check_tenant()

    async def _check_tenant(self) -> None:
        tokens, cost = self.endpoint.settings.llm_tenant_tokens, self.endpoint.settings.llm_tenant_cost
        if tokens is None and cost is None:
            return
        spent = await self.answers.spent_this_month(self.tenant)
        if tokens is not None and spent.tokens >= tokens:
            raise LlmBudgetSpentError(
                f"the jobs of tenant {self.tenant} have used {spent.tokens:,} tokens of a language model this month, "
                f"their cap is {tokens:,} (MILLRACE_LLM_TENANT_TOKENS); the rest is done without"
            )
        if cost is not None and spent.cost_usd is not None and spent.cost_usd >= cost:
            raise LlmBudgetSpentError(
                f"the jobs of tenant {self.tenant} have spent ${spent.cost_usd:.4f} on a language model this month, "
                f"their cap is ${cost} (MILLRACE_LLM_TENANT_COST); the rest is done without"
            )


def _digest(name: str, model_cls: type[Answer], instructions: str, data: str) -> str:
    """Of everything an answer depends on: model, shape, instructions and content."""
    shape = orjson.dumps(model_cls.model_json_schema(), option=orjson.OPT_SORT_KEYS).decode()
    return hashlib.sha256(f"{name}\0{shape}\0{instructions}\0{data}".encode()).hexdigest()
