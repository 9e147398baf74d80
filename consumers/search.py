"""Searching a collection: by words, by likeness, fused; the same for the API and the command line."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from consumers.documents import hashed, rank
from consumers.embeddings import choose
from consumers.embeddings.local import LOCAL
from consumers.store.searching import Filters
from schemas.documents import EmbeddingChoice, Passage, SearchRequest, settings_of

if TYPE_CHECKING:
    from consumers.store import Store
    from consumers.store.models import Collection
    from consumers.store.searching import FoundPassage, Place
    from schemas.settings import Settings

WEIGHTS: Final = {"exact": 100.0, "text": 1.0, "vector": 1.0}
"""Of the ways of searching: a passage that has the very words comes first."""

MODEL_FREE_WEIGHT: Final = 0.6
"""Of likeness without a model, which is likeness of words and no more."""

LOOKED_AT: Final = 6_000
"""Passages that the words of a query may occur in, all together; the commonest only rank what has others."""

MORE: Final = 4
"""Passages asked of each way, as a multiple of what is answered: some are folded."""


async def search(store: Store, operator: Settings, collection: Collection, request: SearchRequest) -> list[Passage]:
    """The passages of a collection that answer a query, best first.

    Raises:
        ValueError: `since` or `until` is no instant.
        TransientError: The database or the embedding endpoint is away.
        PermanentError: The collection's embedding model is not configured here.
    """
    query = rank.words_in_order(request.query)
    filters = Filters(request.documents, request.kinds, _instant(request.since), _instant(request.until))
    most = min(200, max(50, request.limit * MORE))
    lists, weights = await _ways(store, operator, collection, request, _Asked(query, filters, most))
    ordered = rank.fused(lists, weights)[:most]
    tenant = collection.tenant
    prints = await store.searching.fingerprints([place for place, _, _ in ordered], tenant=tenant)
    scored = [(place, score, by) for place, score, by in ordered if place in prints]
    into = rank.folded([prints[place] for place, _, _ in scored]) if request.fold else list(range(len(scored)))
    heads = [at for at, target in enumerate(into) if at == target][: request.limit]
    found = await store.searching.load([scored[at][0] for at in heads], tenant=tenant)
    shown = []
    for at in heads:
        place, score, found_by = scored[at]
        twins = [scored[of][0] for of in range(len(scored)) if into[of] == at and of != at]
        if place in found:
            shown.append(_passage(found[place], score, found_by, twins, request))
    return shown


@dataclass(frozen=True, slots=True)
class _Asked:
    query: str
    filters: Filters
    most: int


async def _ways(
    store: Store, operator: Settings, collection: Collection, request: SearchRequest, asked: _Asked
) -> tuple[dict[str, list[Place]], dict[str, float]]:
    """What each way of searching finds, all at the same time, and how much each counts."""
    tenant, most = collection.tenant, asked.most
    by_phrase = store.searching.by_phrase(collection.id, asked.query, asked.filters, tenant=tenant, limit=most)
    if request.query.strip().startswith('"') and request.query.strip().endswith('"'):
        return {"exact": await by_phrase}, WEIGHTS
    words = hashed.telling_words(asked.query, collection.frequencies, collection.counted, LOOKED_AT)
    exact, by_words, by_vector = await asyncio.gather(
        by_phrase,
        store.searching.by_words(collection.id, words, asked.filters, tenant=tenant, limit=most),
        _by_vector(store, operator, collection, asked),
    )
    likeness = MODEL_FREE_WEIGHT if collection.embedding == hashed.NAME else WEIGHTS["vector"]
    return {"exact": exact, "text": by_words, "vector": by_vector}, {**WEIGHTS, "vector": likeness}


async def _by_vector(store: Store, operator: Settings, collection: Collection, asked: _Asked) -> list[Place]:
    vector = await _vector(asked.query, collection, operator)
    if vector is None or collection.embedding is None:
        return []
    return await store.searching.by_vector(
        collection.id, vector, collection.embedding, asked.filters, tenant=collection.tenant, limit=asked.most
    )


async def _vector(query: str, collection: Collection, operator: Settings) -> list[float] | None:
    """The query as a vector of the model that is searched; None for one that is only being built."""
    if collection.embedding is None:
        return None
    # Which need not be the one that the settings name: that may be on its way.
    if collection.embedding == hashed.NAME:
        chosen = EmbeddingChoice()
    elif collection.embedding.startswith(LOCAL):
        chosen = EmbeddingChoice(provider="local")
    else:
        chosen = EmbeddingChoice(provider="endpoint", model=collection.embedding)
    settings = settings_of(collection.settings).model_copy(update={"embedding": chosen})
    embedder = choose(collection, settings, operator).embedder
    if embedder.name != collection.embedding:
        return None
    (vector,) = await embedder.embed([query])
    return vector if any(vector) else None


def _passage(
    one: FoundPassage, score: float, found_by: tuple[str, ...], twins: list[tuple[str, int]], request: SearchRequest
) -> Passage:
    passage, document = one.passage, one.document
    image = None
    if document.kind == "pdf" and passage.first_page is not None:
        image = f"/api/v1/documents/{document.id}/pages/{passage.first_page}.png?chunk={passage.ordinal}"
    return Passage(
        document_id=document.id, document=document.name, kind=document.kind, url=document.url, ordinal=passage.ordinal,
        text=passage.text, start=passage.start, end=passage.end, first_page=passage.first_page,
        last_page=passage.last_page, section=passage.section, score=round(score, 6), found_by=found_by,
        highlights=rank.highlights(passage.text, request.query), folded=tuple(twins), image=image,
    )  # fmt: skip


def _instant(said: str | None) -> datetime | None:
    if said is None:
        return None
    at = datetime.fromisoformat(said)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
