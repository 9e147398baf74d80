"""Finding passages: by a phrase, by words, by likeness. Each way answers places, best first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, text, tuple_

from consumers.store.models import CollectedDocument, PassageRow
from consumers.store.vectors import MAX_INDEXED_DIMENSION, checked, indexed_as

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from consumers.store.database import Database

SEARCHED: Final = 50
"""Passages that each way of searching contributes at most."""

PER_WORD: Final = 4_000
"""Passages looked at for one word: counting them costs 2 us each, and takes no look into them."""

RANKED: Final = 100
"""Passages of one language whose words are looked at: unpacking them costs 20 us each."""

EF_SEARCH: Final = 100
"""How widely the index of vectors is searched. Source: pgvector README."""

Place = tuple[str, int]
"""A document's id and the ordinal of its passage."""

_CONFIGURATIONS: Final = text("""
    WITH RECURSIVE found AS (
        (SELECT configuration FROM collected_documents WHERE collection_id = :collection
         ORDER BY configuration LIMIT 1)
        UNION ALL
        SELECT (SELECT d.configuration FROM collected_documents d
                WHERE d.collection_id = :collection AND d.configuration > found.configuration
                ORDER BY d.configuration LIMIT 1)
        FROM found WHERE found.configuration IS NOT NULL)
    SELECT configuration FROM found WHERE configuration IS NOT NULL
""")
"""The languages of a collection, one step of an index each, however many documents it has."""

_OF = "p.collection_id = :collection AND p.tenant = :tenant AND p.configuration = CAST(:configuration AS regconfig)"
_READ = "d.status IN ('extracted', 'indexed')"

_WORDS: Final = """
    WITH asked AS (
        SELECT to_tsquery(CAST(:configuration AS regconfig), one.word) AS query, max(one.weight) AS weight
        FROM unnest(CAST(:words AS text[]), CAST(:weights AS float8[])) AS one (word, weight)
        GROUP BY 1),
    hits AS (
        SELECT found.document_id, found.ordinal, sum(asked.weight) AS weight
        FROM asked CROSS JOIN LATERAL (
            SELECT p.document_id, p.ordinal FROM passages p {join}
            WHERE p.words @@ asked.query AND {of}{filters} LIMIT {per_word}) AS found
        GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT {ranked})
    SELECT hits.document_id, hits.ordinal,
           hits.weight * (1 + ts_rank(p.words, to_tsquery(CAST(:configuration AS regconfig), :any_of), 1)) AS score
    FROM hits JOIN passages p ON p.document_id = hits.document_id AND p.ordinal = hits.ordinal
    JOIN collected_documents d ON d.id = hits.document_id
    WHERE {read} ORDER BY score DESC, hits.document_id, hits.ordinal LIMIT :most
"""
"""Which of the words a passage has, by their weights, is counted from the index alone; the best are looked into."""

_PHRASE: Final = """
    SELECT p.document_id, p.ordinal, ts_rank(p.words, phraseto_tsquery(CAST(:configuration AS regconfig), :phrase), 1)
    FROM passages p JOIN collected_documents d ON d.id = p.document_id
    WHERE p.words @@ phraseto_tsquery(CAST(:configuration AS regconfig), :phrase) AND {of} AND {read}{filters}
    AND strpos(regexp_replace(lower(p.text), '\\s+', ' ', 'g'), lower(:phrase)) > 0
    LIMIT 500
"""

_VECTOR: Final = """
    SELECT v.document_id, v.ordinal FROM passage_vectors v JOIN collected_documents d ON d.id = v.document_id
    WHERE v.model = '{model}' AND v.collection_id = :collection AND v.tenant = :tenant AND {read}{filters}
    ORDER BY {stored} <=> {asked} LIMIT :most
"""
"""The index is on this very expression; written out, for the planner to see that they are the same."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents of a collection are searched; empty ones leave nothing out."""

    documents: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage and its document."""

    passage: PassageRow
    document: CollectedDocument


class Searching:
    """Searches passages. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_words(
        self, collection_id: str, words: Mapping[str, float], filters: Filters, *, tenant: str, limit: int = SEARCHED
    ) -> list[Place]:
        """Passages that have any of the words, best first.

        Args:
            collection_id: Which collection is searched.
            words: Each with its weight: how much it tells passages apart. Those of weight 0 only rank what has others.
            filters: Which of its documents.
            tenant: Whose.
            limit: Most passages.
        """
        counted = {word: weight for word, weight in words.items() if weight and word.isalnum()}
        if not counted:
            return []
        clauses, values = _filter_sql(filters)
        statement = _WORDS.format(
            join="JOIN collected_documents d ON d.id = p.document_id" if clauses else "", of=_OF, filters=clauses,
            read=_READ, per_word=PER_WORD, ranked=max(RANKED, limit),
        )  # fmt: skip
        any_of = " | ".join(word for word in words if word.isalnum())
        values |= {"words": list(counted), "weights": list(counted.values()), "any_of": any_of}
        return await self._by_language(statement, values | {"most": limit}, collection_id, tenant, limit)

    async def by_phrase(
        self, collection_id: str, phrase: str, filters: Filters, *, tenant: str, limit: int = SEARCHED
    ) -> list[Place]:
        """Passages that hold these words as they are written, but for case and blanks, best first."""
        if not phrase:
            return []
        clauses, values = _filter_sql(filters)
        statement = _PHRASE.format(of=_OF, read=_READ, filters=clauses)
        return await self._by_language(statement, values | {"phrase": phrase}, collection_id, tenant, limit)

    async def _by_language(
        self, statement: str, values: dict[str, Any], collection_id: str, tenant: str, limit: int
    ) -> list[Place]:
        found: dict[Place, float] = {}
        of = {"collection": collection_id, "tenant": tenant}
        async with self._database.begin() as session:
            # The planner takes a look through all passages for cheap: it does not count what unpacking them costs.
            await session.execute(text("SET LOCAL enable_seqscan = off"))
            for configuration in (await session.scalars(_CONFIGURATIONS, of)).all():
                rows = await session.execute(text(statement), {**values, **of, "configuration": configuration})
                found |= {(row[0], int(row[1])): float(row[2]) for row in rows}
        return sorted(found, key=lambda place: (-found[place], place))[:limit]

    async def by_vector(
        self, collection_id: str, vector: Sequence[float], model: str, filters: Filters, *, tenant: str,
        limit: int = SEARCHED,
    ) -> list[Place]:  # fmt: skip
        """Passages by the likeness of their vectors, best first."""
        dimension = len(vector)
        clauses, values = _filter_sql(filters)
        is_indexed = dimension <= MAX_INDEXED_DIMENSION
        stored, asked = (
            (indexed_as("v.vector", dimension), f"CAST(:vector AS halfvec({dimension}))")
            if is_indexed
            else ("v.vector", f"CAST(:vector AS vector({dimension}))")
        )
        statement = _VECTOR.format(model=checked(model), read=_READ, filters=clauses, stored=stored, asked=asked)
        values |= {
            "collection": collection_id, "tenant": tenant, "most": limit, "vector": str([float(x) for x in vector]),
        }  # fmt: skip
        async with self._database.begin() as session:
            await _set(session, {"hnsw.iterative_scan": "relaxed_order", "hnsw.ef_search": str(EF_SEARCH)})
            return [(row[0], int(row[1])) for row in await session.execute(text(statement), values)]

    async def fingerprints(self, places: Iterable[Place], *, tenant: str) -> dict[Place, int]:
        """By which near-duplicates are told, of the passages at these places."""
        wanted = list(places)
        query = select(PassageRow.document_id, PassageRow.ordinal, PassageRow.fingerprint).where(
            PassageRow.tenant == tenant, tuple_(PassageRow.document_id, PassageRow.ordinal).in_(wanted)
        )
        async with self._database.begin() as session:
            found = {(row[0], int(row[1])): int(row[2]) for row in await session.execute(query)}
        return {place: found[place] for place in wanted if place in found}

    async def load(self, places: Iterable[Place], *, tenant: str) -> dict[Place, FoundPassage]:
        """The passages at these places, with their documents."""
        wanted = list(places)
        query = (
            select(PassageRow, CollectedDocument)
            .join(CollectedDocument, CollectedDocument.id == PassageRow.document_id)
            .where(PassageRow.tenant == tenant, tuple_(PassageRow.document_id, PassageRow.ordinal).in_(wanted))
        )
        async with self._database.begin() as session:
            found = [FoundPassage(row[0], row[1]) for row in await session.execute(query)]
        rows = {(one.passage.document_id, int(one.passage.ordinal)): one for one in found}
        return {place: rows[place] for place in wanted if place in rows}


async def _set(session: AsyncSession, settings: Mapping[str, str]) -> None:
    """Settings of this transaction, in one round trip."""
    calls = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    await session.execute(text(f"SELECT {calls}"))


def _filter_sql(filters: Filters) -> tuple[str, dict[str, Any]]:
    clauses, values = "", {}
    for name, operator, value in (
        ("id", "= ANY(:documents)", list(filters.documents)),
        ("kind", "= ANY(:kinds)", list(filters.kinds)),
        ("created_at", ">= :since", filters.since),
        ("created_at", "< :until", filters.until),
    ):
        if value:
            clauses += f" AND d.{name} {operator}"
            values[operator.partition(":")[2].rstrip(")")] = value
    return clauses, values
