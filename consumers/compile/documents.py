"""When every document of a job is read: the index of their vectors, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from consumers.embeddings import choose
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from schemas.documents import (
    DocumentsResult,
    DocumentsSpec,
    EmbeddingsGenerated,
    IndexedDocument,
    TextExtracted,
    settings_of,
)
from schemas.stages import CompileRequest
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from pydantic import BaseModel

    from consumers.context import Failure, StageContext


@stage(
    name="compile",
    accepts=CompileRequest,
    policy=StagePolicy(
        soft_timeout_s=1_500, timeout_s=1_800, concurrency=2, retry=RetryPolicy(max_attempts=4, base_s=10, cap_s=300)
    ),
)
async def compile_documents(_: CompileRequest, ctx: StageContext) -> Outcome:
    """Build the vectors' index; searches change to a new model when every passage has its vector."""
    ctx.progress("indexing", 90)
    spec = await ctx.spec(DocumentsSpec)
    collection = await ctx.store.collections.ensure(spec.collection, tenant=ctx.tenant)
    model = choose(collection, settings_of(collection.settings), ctx.settings).embedder.name
    documents = tuple([one async for one in ctx.collected(IndexedDocument)])
    dimension = await ctx.store.vectors.dimension_of(collection.id, model, tenant=ctx.tenant)
    if dimension:
        await ctx.store.vectors.ensure_index(model, dimension)
        waiting = await ctx.store.vectors.missing(collection.id, model, tenant=ctx.tenant)
        if waiting == 0 and collection.embedding != model:
            await ctx.store.collections.embedded_with(collection.id, model, dimension, tenant=ctx.tenant)
            await ctx.store.vectors.drop_others(collection.id, model, tenant=ctx.tenant)
        elif waiting:
            ctx.log.info("%d passages have no vector of %s yet; searches use the ones before", waiting, model)
    missing = tuple(_told(failure) for failure in await ctx.failures())
    alone = documents[0] if len(documents) == 1 and not missing else None
    if alone is not None and spec.only is not None:
        return Done(result=_letter(alone, spec))
    result = DocumentsResult(
        status=alone.status if alone else None,
        document_id=alone.document_id if alone else None,
        collection_id=collection.id,
        collection=collection.name,
        embedding=model,
        documents=documents,
        text_length=sum(one.text_length for one in documents),
        chunks_created=sum(one.chunks_created for one in documents),
        embeddings_generated=sum(one.embeddings_generated for one in documents),
        cost={"calls": sum(one.calls for one in documents), "tokens": sum(one.tokens for one in documents)},
    )
    return Done(result=result, missing=missing)


def _letter(one: IndexedDocument, spec: DocumentsSpec) -> BaseModel:
    """The result of one step for one document, as clients of the task queue before Millrace know it."""
    if spec.only == "text":
        return TextExtracted(
            status=one.status, document_id=one.document_id, text_length=one.text_length,
            chunks_created=one.chunks_created,
        )  # fmt: skip
    return EmbeddingsGenerated(
        status="indexed" if one.status == "extracted" else one.status, document_id=one.document_id,
        embeddings_generated=one.embeddings_generated,
    )  # fmt: skip


def _told(failure: Failure) -> str:
    payload = orjson.loads(failure.data)
    named = (payload.get(field) for field in ("name", "url", "upload", "document_id"))
    what = next(filter(None, named), "a source")
    return f"{what}: {failure.reason}" + (f": {failure.error}" if failure.error else "")
