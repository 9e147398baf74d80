"""A company's statements over the years, from all its documents; and the files that a spreadsheet opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson
from pydantic import BaseModel

from consumers.filings.companies import by_company
from consumers.filings.compile import compile_filings
from consumers.filings.export import csv_bytes, xlsx_bytes
from consumers.filings.job import asked, company_of
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from consumers.store import compile_company
from schemas.filings import ExtractedDocument, FilingsResult, FilingsSpec, Missing
from schemas.names import WORK_STAGES
from schemas.stages import CompileRequest
from streams.errors import PermanentError
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.context import Failure, StageContext

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV: Final = "text/csv"


class _Collected(BaseModel):
    """All that matters of what this job read: that it read something; compile reads the company's documents."""

    url: str


@stage(
    name="compile",
    accepts=CompileRequest,
    policy=StagePolicy(
        soft_timeout_s=1_650,
        timeout_s=1_800,
        concurrency=3,
        memory_mb=2_048,
        retry=RetryPolicy(max_attempts=3, base_s=10, cap_s=300),
    ),
)
async def compile_statements(_: CompileRequest, ctx: StageContext) -> Outcome:
    """Compile the company, name what is missing, and write the files."""
    ctx.progress("compiling_statement", 80)
    spec = await asked(ctx)
    company_id = await company_of(ctx, spec)
    missing = [told_of(failure) for failure in await ctx.failures() if failure.stage in WORK_STAGES]
    if not missing and not [url async for url in ctx.collected(_Collected)]:
        missing.append(_nothing_found(spec))

    async def compiled(documents: Sequence[ExtractedDocument]) -> FilingsResult:
        result: FilingsResult = await ctx.run_cpu(compile_documents, list(documents), spec, missing)
        return result

    result = await compile_company(ctx.store, company_id, compiled, tenant=ctx.tenant)
    ctx.progress("writing_files", 90)
    await _keep(ctx, "statements.xlsx", XLSX, await ctx.run_cpu(workbook, result))
    await _keep(ctx, "statements.csv", CSV, await ctx.run_cpu(csv_bytes, result))
    return Done(result=result, missing=tuple(_line(one) for one in result.missing))


def compile_documents(documents: list[ExtractedDocument], spec: FilingsSpec, missing: list[Missing]) -> FilingsResult:
    """Compile, each company for itself where the site has reports of several; runs in a subprocess.

    A caller who says which company it is means that all of the reports are that company's.
    """
    groups = (tuple(documents),) if spec.company is not None else by_company(documents)
    first, *others = [compile_filings(group, spec.company, spec.years) for group in groups]
    results = (first, *others)
    return FilingsResult(
        company=first.company,
        statements=tuple(statement for result in results for statement in result.statements),
        restatements=tuple(restatement for result in results for restatement in result.restatements),
        documents=tuple(document for result in results for document in result.documents),
        missing=tuple(dict.fromkeys([*missing, *(gap for result in results for gap in result.missing)])),
    )


def workbook(result: FilingsResult) -> bytes:
    """The XLSX; runs in a subprocess.

    Raises:
        PermanentError: ``missing_extra``: openpyxl is not installed.
    """
    try:
        return xlsx_bytes(result)
    except ModuleNotFoundError as error:
        raise PermanentError(str(error), reason="missing_extra") from error


def told_of(failure: Failure) -> Missing:
    """What the result lacks because a task of the job could not be finished."""
    payload = orjson.loads(failure.data)
    kind = payload.get("provisional") or {}
    what = "page" if failure.stage == "crawl" else kind.get("document_type") or "document"
    year = kind.get("fiscal_year")
    reason = f"{failure.reason}: {failure.error}" if failure.error else failure.reason
    return Missing(what=f"{what} {year}" if year else what, reason=reason, url=payload.get("url"))


def _nothing_found(spec: FilingsSpec) -> Missing:
    types = ", ".join(spec.document_types)
    return Missing(what=types, reason="not_found: the pages that were read link no such document", url=spec.url)


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
