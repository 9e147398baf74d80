"""Reading a document, cutting it into passages and embedding them: found by words first, then by likeness."""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING, Final

from consumers.documents.errors import DocumentRefused
from consumers.documents.limits import ReadLimits
from consumers.documents.scans import trait as scans_trait
from consumers.documents.work import READER_VERSION, ReadDocument, packed, read_and_cut
from consumers.embeddings import Embedding, choose
from consumers.memo import Memo
from consumers.outcome import Done, Outcome, Snooze
from consumers.stage import stage
from consumers.store.passages import NewPassage
from schemas.documents import CollectionSettings, DocumentsSpec, IndexedDocument, StoredFile, settings_of
from streams.errors import PermanentError
from streams.policy import RateLimit, RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.context import StageContext
    from consumers.store.models import CollectedDocument, Collection

BATCH: Final = 256
"""Passages whose vectors are written at a time."""

ASKED: Final = RateLimit("embeddings", 600, 60)
"""Batches that all workers together ask of the endpoint."""


@stage(
    name="extract",
    accepts=StoredFile,
    memo=Memo(
        "consumers.documents", traits=(scans_trait,),
        libraries=("pypdfium2", "python-docx", "python-pptx", "openpyxl", "trafilatura", "semantic-text-splitter"),
    ),
    policy=StagePolicy(
        soft_timeout_s=1_500, timeout_s=1_800, concurrency=2, pool="heavy", memory_mb=1_536,
        retry=RetryPolicy(max_attempts=4, base_s=60, cap_s=300),
    ),
)  # fmt: skip
async def extract(file: StoredFile, ctx: StageContext) -> Outcome:
    """Index one document, unless it is indexed as it would be now."""
    document = await ctx.store.collected.get(file.document_id, tenant=ctx.tenant)
    if document is None:
        ctx.log.info("document %s was deleted meanwhile", file.document_id)
        return Done()
    collection = await ctx.store.collections.get(document.collection_id, tenant=ctx.tenant)
    assert collection is not None  # noqa: S101 - its documents go with it
    settings = settings_of(collection.settings)
    spec = await ctx.spec(DocumentsSpec)
    embedding = choose(collection, settings, ctx.settings)
    wanted = f"{READER_VERSION}/{settings.chunk_chars}/{settings.overlap_chars}"
    is_read = _is_read(document, wanted, spec, ctx.job_id)
    is_embedded = document.status == "indexed" and collection.embedding == embedding.embedder.name
    if is_read and not spec.reindex and (is_embedded or spec.only == "text") and document.job_id != ctx.job_id:
        await ctx.collect(_indexed(document, "unchanged", 0, 0))
        return Done()
    if not is_read:
        ctx.progress("extracting text", 40)
        read = await _read(document, settings, ctx)
        if not await _write(document, read, wanted, ctx):
            return Done()
        fresh = await ctx.store.collections.get(document.collection_id, tenant=ctx.tenant)
        embedding = choose(fresh or collection, settings, ctx.settings)
    if spec.only != "text":
        ctx.progress("embedding", 70)
        wait_s = await _embed(document, embedding, ctx)
        if wait_s:
            return Snooze(wait_s, "waiting for limit embeddings")
        await _embedded(document, collection, embedding.embedder.name, ctx)
    done = await ctx.store.collected.get(document.id, tenant=ctx.tenant)
    if done is not None:
        created = done.chunk_count if done.job_id == ctx.job_id else 0
        status, vectors = ("extracted", 0) if spec.only == "text" else ("indexed", done.chunk_count)
        await ctx.collect(_indexed(done, status, created, vectors, embedding))
    return Done()


def _is_read(document: CollectedDocument, wanted: str, spec: DocumentsSpec, job_id: str) -> bool:
    """Whether a document's text is there as it is wanted.

    Raises:
        PermanentError: ``not_extracted``: only its vectors are asked for, and there is no text.
    """
    has_text = document.status in {"extracted", "indexed"}
    if spec.only == "vectors":
        if not has_text:
            raise PermanentError(
                f"{document.name} is {document.status}, and only what was read can be embedded: read it first",
                reason="not_extracted",
            )
        return True
    # What this very job has read it does not read again, as after waiting for the endpoint.
    is_asked_again = document.id in spec.documents and document.job_id != job_id
    return has_text and document.read_with == wanted and not is_asked_again


async def _embedded(document: CollectedDocument, collection: Collection, model: str, ctx: StageContext) -> None:
    """Note that a document has all of its vectors; the first of a collection are what it is searched by."""
    if collection.embedding is None:
        dimension = await ctx.store.vectors.dimension(document.id, model, tenant=ctx.tenant)
        if dimension:
            await ctx.store.collections.embedded_with(collection.id, model, dimension, tenant=ctx.tenant)
    await ctx.store.vectors.complete(document, model)


async def _read(document: CollectedDocument, settings: CollectionSettings, ctx: StageContext) -> ReadDocument:
    body = await ctx.blobs.read(document.sha256, tenant=ctx.tenant)
    try:
        read: ReadDocument = await ctx.run_cpu(
            read_and_cut, body, document.name, settings.chunk_chars, settings.overlap_chars, ReadLimits().max_pages
        )
    except DocumentRefused as error:
        await ctx.store.collected.refused(document.id, f"{error.reason}: {error}", tenant=ctx.tenant)
        raise
    if not read.chunks:
        await ctx.store.collected.refused(document.id, "no_text: nothing in it can be read", tenant=ctx.tenant)
        raise DocumentRefused(
            f"{document.name} has no text that can be read ({'; '.join(read.cut) or 'it is empty'}); a scan needs OCR",
            reason="no_text",
        )
    return read


async def _write(document: CollectedDocument, read: ReadDocument, wanted: str, ctx: StageContext) -> bool:
    """Make the document searchable by its words; False when it was deleted meanwhile."""
    text = await ctx.blobs.put(read.text.encode(), tenant=ctx.tenant, content_type="text/plain; charset=utf-8")
    passages = [
        NewPassage(one.start, one.end, one.text, one.first_page, one.last_page, one.section, mark)
        for one, mark in zip(read.chunks, read.fingerprints, strict=True)
    ]
    is_first = document.read_with is None
    written = await ctx.store.passages.replace(
        document, passages, configuration=read.configuration, kind=read.kind, title=read.title,
        language=read.language, page_count=read.page_count, text_length=len(read.text), text_sha256=text.sha256,
        cut=list(read.cut), read_with=wanted, job_id=ctx.job_id,
    )  # fmt: skip
    if written and is_first:
        await ctx.store.passages.count_features(
            document.collection_id, packed(read.counts), len(read.chunks), tenant=ctx.tenant
        )
    return written


async def _embed(document: CollectedDocument, embedding: Embedding, ctx: StageContext) -> float:
    """Write the vectors that are not there yet; seconds to wait when the endpoint's rate says so."""
    store, model = ctx.store.vectors, embedding.embedder.name
    texts = await ctx.store.passages.texts(document.id, tenant=ctx.tenant)
    for first in range(0, len(texts), BATCH):
        part = texts[first : first + BATCH]
        if embedding.is_asked:
            vectors, wait_s = await _asked(part, embedding, ctx, f"{document.id}/{first}")
            if wait_s:
                return wait_s
        else:
            vectors = await embedding.embedder.embed(part)
        await store.put(document, model, vectors, first=first)
    return 0.0


async def _asked(
    texts: Sequence[str], embedding: Embedding, ctx: StageContext, what: str
) -> tuple[list[list[float]], float]:
    """Vectors from an endpoint, which is not asked twice for the same text."""
    store, embedder = ctx.store.vectors, embedding.embedder
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    known = await store.cached(embedder.name, digests, tenant=ctx.tenant)
    missing = [at for at, digest in enumerate(digests) if digest not in known]
    if missing:
        wait_s = await ctx.reserve(ASKED, what)
        if wait_s:
            return [], wait_s
        answered = await embedder.embed([texts[at] for at in missing])
        new = {digests[at]: array("f", vector).tobytes() for at, vector in zip(missing, answered, strict=True)}
        await store.cache(embedder.name, new, tenant=ctx.tenant)
        known |= new
    return [array("f", known[digest]).tolist() for digest in digests], 0.0


def _indexed(
    document: CollectedDocument, status: str, created: int, vectors: int, embedding: Embedding | None = None
) -> IndexedDocument:
    return IndexedDocument.model_validate(
        {
            "status": status, "document_id": document.id, "name": document.name, "url": document.url,
            "kind": document.kind, "text_length": document.text_length or 0, "pages": document.page_count,
            "chunks_created": created, "embeddings_generated": vectors, "cut": tuple(document.cut or ()),
            "calls": embedding.embedder.calls if embedding else 0,
            "tokens": embedding.embedder.tokens if embedding else 0,
        }
    )  # fmt: skip
