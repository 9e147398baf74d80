"""Fetching documents into the artifact store, and only those that changed since the company's last job."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from consumers.filings.job import asked, company_of
from consumers.filings.report import kind_of_bytes
from consumers.net.errors import FetchRefusedError
from consumers.net.visit import DISALLOWED, visit
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from schemas.filings import ClassifiedDocument, DownloadedDocument
from schemas.filings_handled import Handled
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from consumers.context import StageContext
    from consumers.net.responses import Download
    from consumers.store.models import Document

MAX_BYTES: Final = 128 * 1024 * 1024
"""The largest document that is kept; annual reports rarely pass 40 MB."""

_SNIFFED_BYTES: Final = 2_048
_NAME_CHARS: Final = 100


@stage(
    name="download",
    accepts=ClassifiedDocument,
    emits=("extract",),
    policy=StagePolicy(
        soft_timeout_s=900, timeout_s=930, concurrency=4, retry=RetryPolicy(max_attempts=4, base_s=60, cap_s=300)
    ),
)
async def download(document: ClassifiedDocument, ctx: StageContext) -> Outcome:
    """Fetch one document, or learn that the copy of an earlier job is still good."""
    spec = await asked(ctx)
    company_id = await company_of(ctx, spec)
    documents = ctx.store.documents
    _, is_new = await documents.put_found(company_id, document, tenant=ctx.tenant, job_id=ctx.job_id)
    known = await _known(company_id, document.url, ctx)
    ctx.progress("downloading_file", 25)
    try:
        downloaded = await _fetch(document, known, ctx)
    except FetchRefusedError as error:
        if error.reason == DISALLOWED:
            ctx.log.info("left out: %s", error)
            return Done()
        await ctx.store.documents.put_refused(company_id, document.url, error.reason, tenant=ctx.tenant)
        raise
    document_id = await documents.put_downloaded(company_id, downloaded, tenant=ctx.tenant)
    twin = await documents.twin(company_id, document_id, downloaded.sha256, tenant=ctx.tenant, job_id=ctx.job_id)
    if twin is not None or (known is not None and known.duplicate_of is not None):
        await documents.put_duplicate(document_id, twin.id if twin is not None else None, tenant=ctx.tenant)
    await ctx.store.artifacts.put(
        ctx.job_id,
        ctx.task,
        _name(downloaded),
        tenant=ctx.tenant,
        sha256=downloaded.sha256,
        content_type=downloaded.content_type,
        size_bytes=downloaded.size_bytes,
        url=downloaded.url,
    )
    await ctx.collect(
        Handled(
            step="downloaded", document_id=document_id, url=document.url, created=is_new,
            document_type=document.provisional.document_type, fiscal_year=document.provisional.fiscal_year,
            file_path=_place(downloaded.sha256, ctx), sha256=downloaded.sha256,
            size_bytes=downloaded.size_bytes, content_type=downloaded.content_type,
            not_modified=downloaded.not_modified, duplicate_of=twin.id if twin is not None else None,
        )
    )  # fmt: skip
    if twin is not None:
        ctx.log.info("%s has the bytes of %s, which is read in its place", document.url, twin.url)
        return Done()
    if spec.watch and known is not None and known.status == "extracted" and known.sha256 == downloaded.sha256:
        ctx.log.info("%s has not changed", document.url)
        return Done()
    return Done((Emit("extract", downloaded),))


def _place(sha256: str, ctx: StageContext) -> str:
    """The file in the artifact store: a path, or an address of S3."""
    return f"{ctx.settings.artifacts_location.rstrip('/')}/{ctx.blobs.path_of(sha256, tenant=ctx.tenant)}"


async def _known(company_id: str, url: str, ctx: StageContext) -> Document | None:
    """What an earlier job has of this address, if its bytes are still there."""
    known = await ctx.store.documents.at(company_id, url, tenant=ctx.tenant)
    if known is None or known.sha256 is None or not await ctx.blobs.exists(known.sha256, tenant=ctx.tenant):
        return None
    return known


async def _fetch(document: ClassifiedDocument, known: Document | None, ctx: StageContext) -> DownloadedDocument:
    etag, last_modified = (known.etag, known.last_modified) if known is not None else (None, None)
    async with (
        visit(ctx, document.url),
        ctx.fetch.stream(document.url, max_bytes=MAX_BYTES, etag=etag, last_modified=last_modified) as answer,
    ):
        head = answer.head
        if known is not None and known.sha256 is not None and head.not_modified:
            sha256, size_bytes, content_type = known.sha256, known.size_bytes or 0, known.content_type or ""
        else:
            content_type, body = await _sniffed(answer)
            artifact = await ctx.blobs.put(body, tenant=ctx.tenant, content_type=content_type)
            sha256, size_bytes = artifact.sha256, artifact.size_bytes
        return DownloadedDocument(
            url=document.url,
            final_url=head.url,
            sha256=sha256,
            size_bytes=size_bytes,
            content_type=content_type,
            etag=head.etag or etag,
            last_modified=head.last_modified or last_modified,
            not_modified=head.not_modified,
            link_text=document.link_text,
            source_url=document.source_url,
            provisional=document.provisional,
            published_on=document.published_on,
            company_id=document.company_id,
        )


async def _sniffed(answer: Download) -> tuple[str, AsyncIterator[bytes]]:
    """The type that the first bytes tell, else the served one; and the whole body."""
    chunks = answer.chunks()
    start = b""
    async for piece in chunks:
        start += piece
        if len(start) >= _SNIFFED_BYTES:
            break
    kind = kind_of_bytes(start) or answer.head.content_type or "application/octet-stream"
    return kind, _rejoined(start, chunks)


async def _rejoined(start: bytes, rest: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    yield start
    async for piece in rest:
        yield piece


def _name(document: DownloadedDocument) -> str:
    """A file name for people: the last part of the address, with the suffix of its type."""
    stem = PurePosixPath(unquote(urlsplit(document.final_url).path)).name or "document"
    suffix = {"application/pdf": ".pdf", "text/html": ".html"}.get(document.content_type, "")
    return (stem if stem.lower().endswith(suffix) else stem + suffix)[-_NAME_CHARS:]
