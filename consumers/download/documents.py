"""Bringing a file into the artifact store and the collection."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from consumers.net.visit import visit
from consumers.outcome import Done, Emit, Outcome, Reject
from consumers.stage import stage
from schemas.documents import ClassifiedFile, DocumentsSpec, StoredFile
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext

MAX_BYTES: Final = 256 * 1024 * 1024
"""The largest document that is kept."""


@stage(
    name="download",
    accepts=ClassifiedFile,
    emits=("extract",),
    policy=StagePolicy(
        soft_timeout_s=900, timeout_s=930, concurrency=4, retry=RetryPolicy(max_attempts=4, base_s=60, cap_s=300)
    ),
)
async def download(file: ClassifiedFile, ctx: StageContext) -> Outcome:
    """Fetch a file, or take the one that was uploaded."""
    spec = await ctx.spec(DocumentsSpec)
    collection = await ctx.store.collections.ensure(spec.collection, tenant=ctx.tenant)
    ctx.progress("downloading", 20)
    if file.upload is not None:
        upload = await ctx.store.collections.upload(file.upload, tenant=ctx.tenant)
        if upload is None:
            return Reject("unknown_upload", f"there is no upload {file.upload}; send the file to /api/v1/uploads again")
        name, sha256, size_bytes, kind = upload.name, upload.sha256, upload.size_bytes, upload.kind
    else:
        assert file.url is not None  # noqa: S101 - the one or the other, as classify made it
        async with visit(ctx, file.url), ctx.fetch.stream(file.url, max_bytes=MAX_BYTES) as answer:
            served = answer.head.content_type or "application/octet-stream"
            artifact = await ctx.blobs.put(answer.chunks(), tenant=ctx.tenant, content_type=served)
        sha256, size_bytes, kind = artifact.sha256, artifact.size_bytes, file.expected or ""
        name = PurePosixPath(unquote(urlsplit(file.url).path)).name or urlsplit(file.url).hostname or "document"
    document = await ctx.store.collected.put(
        collection.id, sha256, tenant=ctx.tenant, name=name[-200:], url=file.url, size_bytes=size_bytes, kind=kind,
    )  # fmt: skip
    return Done((Emit("extract", StoredFile(document_id=document.id)),))
