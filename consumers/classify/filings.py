"""What a link leads to, before it is downloaded: from its address and text, else from its first bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING, Final

from selectolax.lexbor import LexborHTMLParser

from consumers.filings.classify import classify as class_of
from consumers.filings.job import asked, company_of
from consumers.filings.published import published_on
from consumers.filings.read_html import decode
from consumers.filings.report import kind_of_bytes
from consumers.net import urls
from consumers.net.errors import FetchRefusedError
from consumers.net.visit import DISALLOWED, visit
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from schemas.filings import ClassifiedDocument, FoundDocument
from schemas.filings_handled import Handled
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext
    from schemas.filings import Classification, FilingsSpec

HEAD_BYTES: Final = 64 * 1024
"""What is read of a document to tell what it is."""

SURE: Final = 0.5
"""Confidence under which a class is a guess."""

UNSURE: Final = "unsure"
"""The job's budget of documents that are downloaded though nothing says what they are; reading them tells."""

_HEAD_CHARS: Final = 4_000


@dataclass(frozen=True, slots=True)
class _Head:
    """The beginning of a document; `text` of HTML only."""

    content_type: str
    filename: str
    text: str


@stage(
    name="classify",
    accepts=FoundDocument,
    emits=("download",),
    policy=StagePolicy(
        soft_timeout_s=300, timeout_s=330, concurrency=4, retry=RetryPolicy(max_attempts=4, base_s=60, cap_s=300)
    ),
)
async def classify(found: FoundDocument, ctx: StageContext) -> Outcome:
    """Give a document its provisional class, and pass it on when the job asks for such ones."""
    spec = await asked(ctx)
    ctx.progress("classifying", 10)
    told = class_of(found.url, link_text=found.link_text, context=found.context)
    is_pdf = found.format == "pdf"
    if told.confidence < SURE or found.format == "unknown":
        try:
            head = await _head_of(found.url, ctx)
        except FetchRefusedError as error:
            if error.reason != DISALLOWED:
                raise
            ctx.log.info("left out: %s", error)
            return Done()
        is_pdf = head.content_type == "application/pdf"
        told = class_of(
            found.url, link_text=found.link_text, context=found.context, filename=head.filename, head=head.text
        )
        if not is_pdf and head.content_type != "text/html":
            ctx.log.info("left out: %s is %s", urls.redact(found.url), head.content_type)
            return Done()
    company_id = await company_of(ctx, spec)
    document = ClassifiedDocument(
        url=found.url,
        link_text=found.link_text,
        source_url=found.source_url,
        provisional=told,
        published_on=published_on(found.url, found.link_text, found.context),
        company_id=found.company_id,
    )
    ctx.progress("creating_document_records", 15)
    document_id, is_new = await ctx.store.documents.put_found(
        company_id, document, tenant=ctx.tenant, job_id=ctx.job_id
    )
    await ctx.collect(
        Handled(
            step="found", document_id=document_id, url=found.url, created=is_new, document_type=told.document_type,
            confidence=told.confidence, reasons=told.reasons, fiscal_year=told.fiscal_year,
        )
    )  # fmt: skip
    is_unsure = is_pdf and told.confidence < SURE and told.document_type not in spec.document_types
    why = "" if is_unsure else _not_asked_for(told, spec)
    if why:
        ctx.log.info("left out: %s %s", urls.redact(found.url), why, because=list(told.reasons[:3]))
        return Done()
    return Done((Emit("download", document, budget=UNSURE if is_unsure else ""),))


def _not_asked_for(told: Classification, spec: FilingsSpec) -> str:
    """Why the job has no use for a document; empty when it has.

    A year's figures also stand in the next year's report, as it restates them, so that report is wanted too. A count
    of years is left to compile: before all documents are known, nobody knows which are the latest.
    """
    if told.document_type not in spec.document_types:
        return f"is a {told.document_type}, which is not among document_types"
    year = told.fiscal_year
    if isinstance(spec.years, tuple) and year is not None and not {year, year - 1} & set(spec.years):
        return f"is of {year}, which is not among years"
    return ""


async def _head_of(url: str, ctx: StageContext) -> _Head:
    async with visit(ctx, url), ctx.fetch.stream(url, timeout_s=ctx.fetch.config.page_timeout_s) as answer:
        data = await answer.start(HEAD_BYTES)
        content_type = kind_of_bytes(data) or answer.head.content_type or "of no known type"
        message = Message()
        message["Content-Disposition"] = answer.head.headers.get("Content-Disposition", "")
        text = await asyncio.to_thread(_text_of, data) if content_type == "text/html" else ""
        return _Head(content_type, message.get_filename() or "", text)


def _text_of(data: bytes) -> str:
    tree = LexborHTMLParser(decode(data))
    tree.strip_tags(["script", "style"])
    title = tree.css_first("title")
    text = tree.body.text(separator="\n") if tree.body is not None else ""
    lines = (" ".join(line.split()) for line in text.splitlines())
    spoken = "\n".join(line for line in lines if line)
    return "\n".join(filter(None, (title.text().strip() if title is not None else "", spoken)))[:_HEAD_CHARS]
