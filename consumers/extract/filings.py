"""Reading the statements of a downloaded document, in a subprocess that can be killed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consumers.extract.ask import with_model
from consumers.filings.job import asked, company_of
from consumers.filings.ocr import trait as ocr_trait
from consumers.filings.report import read_report
from consumers.llm import MeteredLlm
from consumers.memo import Memo
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from consumers.store.documents import document_id_of
from schemas.filings import DownloadedDocument, ExtractedDocument
from schemas.filings_handled import Handled
from streams.errors import PermanentError
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext

READ_WITH: Final = ("pypdfium2", "selectolax", "lxml", "openpyxl")
"""Libraries that decide what is read from a report."""


@stage(
    name="extract",
    accepts=DownloadedDocument,
    memo=Memo("consumers.filings", libraries=READ_WITH, traits=(ocr_trait,)),
    policy=StagePolicy(
        soft_timeout_s=1_650,
        timeout_s=1_800,
        concurrency=2,
        pool="heavy",
        memory_mb=2_048,
        retry=RetryPolicy(max_attempts=4, base_s=10, cap_s=300),
    ),
)
async def extract(document: DownloadedDocument, ctx: StageContext) -> Outcome:
    """Read one document; one that cannot be read goes on with the reason why."""
    ctx.progress("processing_pdf", 40)
    data = await ctx.blobs.read(document.sha256, tenant=ctx.tenant)
    extracted: ExtractedDocument = await ctx.run_cpu(read, data, document)
    spec = await asked(ctx)
    llm = MeteredLlm.of(ctx)
    if llm is not None and spec.llm != "never":
        extracted = await with_model(ctx, llm, spec.llm, data, extracted)
    for problem in extracted.problems:
        ctx.log.warning("%s: %s: %s", document.url, problem.reason, problem.detail, statement=problem.statement)
    ctx.progress("storing_extractions", 60)
    company_id = await company_of(ctx, spec)
    if not await ctx.store.documents.put_extracted(company_id, extracted, tenant=ctx.tenant):
        ctx.log.info("%s has other bytes by now; another job reads those", document.url)
    kind = extracted.classification
    await ctx.collect(
        Handled(
            step="extracted", document_id=document_id_of(company_id, document.url), url=document.url,
            document_type=kind.document_type, confidence=kind.confidence, reasons=kind.reasons,
            fiscal_year=kind.fiscal_year, sha256=document.sha256,
            statements_read=tuple(statement.kind for statement in extracted.statements), problems=extracted.problems,
        )
    )  # fmt: skip
    return Done()


def read(data: bytes, document: DownloadedDocument) -> ExtractedDocument:
    """What a document says; runs in the subprocess.

    Raises:
        PermanentError: ``missing_extra``: what reads such documents is not installed.
    """
    try:
        report = read_report(data, document.content_type, document.url, document.link_text)
    except ModuleNotFoundError as error:
        raise PermanentError(str(error), reason="missing_extra") from error
    return report.of(document).model_copy(update={"published_on": document.published_on})
