"""A company's statements over the years, from all its documents; and the files that a spreadsheet opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from pydantic import RootModel

from consumers.filings.files import FILES
from consumers.filings.handled import summed_up
from consumers.filings.job import asked, company_of, named
from consumers.filings.news import news_of
from consumers.filings.whole import compile_documents
from consumers.memo import Memo
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from consumers.store import compile_company
from schemas.filings import CompileCompany, ExtractedDocument, FilingsSpec
from schemas.filings_handled import Unread
from schemas.filings_result import Correction, FilingsResult, LlmSpent, Missing
from schemas.names import WORK_STAGES
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consumers.context import Failure, StageContext
    from consumers.filings.corrections import CellPlace


@stage(
    name="compile",
    accepts=CompileCompany,
    memo=Memo("consumers.filings", libraries=("openpyxl", "pyarrow")),
    policy=StagePolicy(
        soft_timeout_s=1_650,
        timeout_s=1_800,
        concurrency=3,
        memory_mb=2_048,
        retry=RetryPolicy(max_attempts=3, base_s=10, cap_s=300),
    ),
)
async def compile_statements(_: CompileCompany, ctx: StageContext) -> Outcome:
    """Compile the company, name what is missing, and write the files."""
    ctx.progress("normalizing_line_items", 75)
    spec = await asked(ctx)
    company_id = await company_of(ctx, spec)
    company = await named(ctx, spec, company_id)
    collected = [one.root async for one in ctx.collected(Collected)]
    handled = summed_up(collected)
    missing = [told_of(failure) for failure in await ctx.failures() if failure.stage in WORK_STAGES]
    before = await _before(ctx, company_id)
    known = before is not None and bool(before.documents)
    if not missing and not known and not any(one.sha256 for one in handled.documents):
        missing.append(_nothing_found(spec, [Unread.model_validate(one) for one in collected if "unread" in one]))

    async def compiled(
        documents: Sequence[ExtractedDocument], corrections: Mapping[CellPlace, Correction]
    ) -> FilingsResult:
        ctx.progress("compiling_statement", 80)
        result: FilingsResult = await ctx.run_cpu(
            compile_documents, list(documents), company, spec.years, missing, dict(corrections)
        )
        return result.model_copy(update={"company_id": company_id})

    result = await compile_company(ctx.store, company_id, compiled, tenant=ctx.tenant)
    spent = await ctx.store.llm.spent(ctx.job_id, tenant=ctx.tenant)
    result = result.model_copy(
        update={
            "discovered_count": handled.discovered_count,
            "created_count": handled.created_count,
            "downloaded_count": handled.downloaded_count,
            "news": news_of(before, result) if before is not None else None,
            "llm": LlmSpent(
                calls=spent.calls, input_tokens=spent.input_tokens, output_tokens=spent.output_tokens,
                cost_usd=float(spent.cost_usd) if spent.cost_usd is not None else None,
            ) if spent.calls else None,
        }
    )  # fmt: skip
    for name, (content_type, write) in FILES.items():
        await _keep(ctx, name, content_type, await ctx.run_cpu(write, result))
    return Done(result=result, missing=tuple(_line(one) for one in result.missing))


class Collected(RootModel[dict[str, Any]]):
    """Whatever a task collected."""


async def _before(ctx: StageContext, company_id: str) -> FilingsResult | None:
    """The compile before this job's; the same one however often the task is delivered."""
    revision = ctx.checkpointed
    if revision is None:
        latest = await ctx.store.companies.compiled(company_id, tenant=ctx.tenant)
        revision = latest.revision if latest is not None else 0
        await ctx.checkpoint(revision)
    if not revision:
        return None
    kept = await ctx.store.companies.compiled(company_id, tenant=ctx.tenant, revision=revision)
    return FilingsResult.model_validate(kept.payload) if kept is not None else None


def told_of(failure: Failure) -> Missing:
    """What the result lacks because a task of the job could not be finished."""
    payload = orjson.loads(failure.data)
    kind = payload.get("provisional") or {}
    what = "page" if failure.stage == "crawl" else kind.get("document_type") or "document"
    year = kind.get("fiscal_year")
    reason = f"{failure.reason}: {failure.error}" if failure.error else failure.reason
    return Missing(what=f"{what} {year}" if year else what, reason=reason, url=payload.get("url"))


def _nothing_found(spec: FilingsSpec, unread: Sequence[Unread]) -> Missing:
    reason = "not_found: the pages that were read link no such document"
    if unread:
        reason += f"; {unread[0].unread} may list them by script, and was not read in a browser: {unread[0].reason}"
    return Missing(what=", ".join(spec.document_types), reason=reason, url=spec.url)


def _line(missing: Missing) -> str:
    return f"{missing.what}: {missing.reason}" + (f" ({missing.url})" if missing.url else "")


async def _keep(ctx: StageContext, name: str, content_type: str, data: bytes) -> None:
    artifact = await ctx.blobs.put(data, tenant=ctx.tenant, content_type=content_type)
    await ctx.store.artifacts.put(
        ctx.job_id,
        ctx.task,
        name,
        tenant=ctx.tenant,
        sha256=artifact.sha256,
        content_type=content_type,
        size_bytes=artifact.size_bytes,
    )
