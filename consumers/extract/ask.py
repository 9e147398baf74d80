"""Asking a language model for the statements that the reader did not find, or doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.filings.excerpts import Excerpt, excerpts
from consumers.filings.llm_answers import INSTRUCTIONS, ModelStatement, checked, reconciled
from consumers.llm import LlmError, MeteredLlm
from schemas.filings import STATEMENT_KINDS, ExtractedDocument, LlmUse, Statement, StatementKind

if TYPE_CHECKING:
    from consumers.context import StageContext


async def with_model(
    ctx: StageContext, llm: MeteredLlm, use: LlmUse, data: bytes, document: ExtractedDocument
) -> ExtractedDocument:
    """A document with what the model adds to it; as it was when the model does not answer.

    Args:
        ctx: Of the task.
        llm: The model.
        use: ``gaps``: only statements that were not found or carry flags; ``always``: all.
        data: The document's bytes.
        document: What was read.
    """
    wanted = wanted_of(document, use)
    if not wanted:
        return document
    ctx.progress("calling_llm", 50)
    added: list[Statement] = []
    pages: list[Excerpt] = await ctx.run_cpu(excerpts, data, wanted)
    for excerpt in pages:
        text = "\n\n".join(f"--- page {one.page} ---\n{one.text}" for one in excerpt.pages)
        try:
            said, usage = await llm.complete(
                ModelStatement, INSTRUCTIONS.format(kind=excerpt.kind.replace("_", " ")), text
            )
        except LlmError as error:
            ctx.log.warning("%s: %s was not asked of the language model: %s", document.url, excerpt.kind, error)
            break
        found = checked(excerpt.kind, said, excerpt.pages)
        ctx.log.info(
            "%s: the language model reads %d lines of the %s; %d values are not printed there and were rejected",
            document.url, len(found.statement.rows) if found.statement else 0, excerpt.kind, len(found.rejected),
            rejected=list(found.rejected[:10]), input_tokens=usage.input_tokens, output_tokens=usage.output_tokens,
            is_cached=usage.is_cached,
        )  # fmt: skip
        if found.statement is not None:
            added.append(found.statement)
    if not added:
        return document
    kinds = {statement.kind for statement in added}
    problems = tuple(one for one in document.problems if one.statement not in kinds)
    statements = reconciled(document.statements, added)
    return document.model_copy(update={"statements": statements, "problems": problems})


def wanted_of(document: ExtractedDocument, use: LlmUse) -> dict[StatementKind, tuple[int, ...]]:
    """Which statements to ask for, with the pages they were found on."""
    if document.classification.document_type not in {"annual_report", "quarterly_report"} or use == "never":
        return {}
    read = {statement.kind: statement for statement in document.statements}
    wanted: dict[StatementKind, tuple[int, ...]] = {}
    for kind in STATEMENT_KINDS:
        statement = read.get(kind)
        if statement is None:
            wanted[kind] = ()
        elif use == "always" or statement.flags:
            wanted[kind] = statement.pages
    return wanted
