"""Searching a collection: by words, by likeness, fused; the same for the API and the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from consumers.documents import hashed, rank
from consumers.embeddings import choose
from consumers.embeddings.local import LOCAL
from consumers.store.passages import Filters
from schemas.documents import EmbeddingChoice, Passage, SearchRequest, settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.store import Store
    from consumers.store.models import Collection
    from consumers.store.passages import FoundPassage
    from schemas.settings import Settings

WEIGHTS: Final = {"exact": 100.0, "text": 1.0, "vector": 1.0}
"""Of the ways of searching: a passage that has the very words comes first."""

MODEL_FREE_WEIGHT: Final = 0.6
"""Of likeness without a model, which is likeness of words and no more."""

FEW: Final = 500
"""Passages that the words of a query may occur in, all together; the commonest words are left out beyond."""

MORE: Final = 4
"""Passages asked of each way, as a multiple of what is answered: some are folded."""


async def search(store: Store, operator: Settings, collection: Collection, request: SearchRequest) -> list[Passage]:
    """The passages of a collection that answer a query, best first.

    Raises:
        ValueError: `since` or `until` is no instant.
        TransientError: The database or the embedding endpoint is away.
        PermanentError: The collection's embedding model is not configured here.
    """
    tenant, query = collection.tenant, rank.words_in_order(request.query)
    filters = Filters(request.documents, request.kinds, _instant(request.since), _instant(request.until))
    most = min(200, max(50, request.limit * MORE))
    is_phrase = request.query.strip().startswith('"') and request.query.strip().endswith('"')
    lists = {"exact": await store.passages.by_phrase(collection.id, query, filters, tenant=tenant, limit=most)}
    weights = dict(WEIGHTS)
    if not is_phrase:
        words = hashed.telling_words(query, collection.frequencies, FEW)
        lists["text"] = await store.passages.by_words(collection.id, words, filters, tenant=tenant, limit=most)
        vector = await _vector(query, collection, operator)
        if vector is not None and collection.embedding is not None:
            lists["vector"] = await store.passages.by_vector(
                collection.id, vector, collection.embedding, filters, tenant=tenant, limit=most
            )
        if collection.embedding == hashed.NAME:
            weights["vector"] = MODEL_FREE_WEIGHT
    ordered = rank.fused(lists, weights)
    found = await store.passages.load([place for place, _, _ in ordered[:most]], tenant=tenant)
    scored = [(found[place], score, by) for place, score, by in ordered[:most] if place in found]
    return _passages(scored, request)


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


def _passages(scored: Sequence[tuple[FoundPassage, float, tuple[str, ...]]], request: SearchRequest) -> list[Passage]:
    into = rank.folded([one.passage.fingerprint for one, _, _ in scored]) if request.fold else list(range(len(scored)))
    heads = [at for at, target in enumerate(into) if at == target][: request.limit]
    shown = []
    for at in heads:
        one, score, found_by = scored[at]
        twins = [scored[of][0].passage for of in range(len(scored)) if into[of] == at and of != at]
        shown.append(_passage(one, score, found_by, [(twin.document_id, int(twin.ordinal)) for twin in twins], request))
    return shown


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
