"""Passages and their vectors: written all at once for a document, searched by words and by likeness."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from consumers.store.models import CachedVector, CollectedDocument, Collection, PassageRow, PassageVector
from consumers.store.models.documents import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Select

    from consumers.store.database import Database

MAX_INDEXED_DIMENSION: Final = 2_000
"""HNSW takes no longer vectors; longer ones are compared one by one. Source: pgvector README."""

SEARCHED: Final = 50
"""Passages that each way of searching contributes at most."""

CANDIDATES: Final = 500
"""Passages of one language that are ranked at most: unpacking the words of each costs 20 us."""

_SEARCHABLE: Final = ("extracted", "indexed")
_MODEL: Final = re.compile(r"[A-Za-z0-9._:/@+-]{1,200}")

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class NewPassage:
    """A passage to be written; as `consumers.documents.chunks.Chunk`, with its fingerprint."""

    start: int
    end: int
    text: str
    first_page: int | None
    last_page: int | None
    section: str | None
    fingerprint: int


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


class Passages:
    """Passages of collections. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace(
        self, document: CollectedDocument, passages: Sequence[NewPassage], *, configuration: str, **values: Any
    ) -> bool:
        """Write what was read of a document: from now on it is found by its words. All or nothing; twice is once.

        Args:
            document: Whose passages.
            passages: In order.
            configuration: PostgreSQL's text search configuration.
            values: Columns of the document: ``kind``, ``title``, ``language``, ``page_count``, ``text_length``,
                ``text_sha256``, ``cut``, ``read_with``, ``job_id``.

        Returns:
            False when the document was deleted meanwhile: nothing was written.
        """
        rows = [
            {
                "document_id": document.id, "ordinal": ordinal, "tenant": document.tenant,
                "collection_id": document.collection_id, "start": one.start, "end": one.end,
                "first_page": one.first_page, "last_page": one.last_page, "section": one.section, "text": one.text,
                "fingerprint": one.fingerprint, "configuration": configuration,
            }
            for ordinal, one in enumerate(passages)
        ]  # fmt: skip
        noted = (
            update(CollectedDocument)
            .where(CollectedDocument.id == document.id, CollectedDocument.tenant == document.tenant)
            .values(status="extracted", reason=None, configuration=configuration, chunk_count=len(rows), **values)
            .returning(CollectedDocument.id)
        )
        async with self._database.begin() as session:
            # The row's lock makes two deliveries of the same task take turns.
            if await session.scalar(noted) is None:
                return False
            mine = PassageRow.document_id == document.id
            before = set(await session.scalars(select(digest_of(PassageRow.text)).where(mine)))
            before -= {hashlib.sha256(one.text.encode()).hexdigest() for one in passages}
            await session.execute(
                delete(CachedVector).where(CachedVector.tenant == document.tenant, CachedVector.sha256.in_(before))
            )
            await session.execute(delete(PassageRow).where(mine))
            if rows:
                await session.execute(insert(PassageRow), rows)
        return True

    async def texts(self, document_id: str, *, tenant: str) -> list[str]:
        """The passages' texts, in order."""
        query = (
            select(PassageRow.text)
            .where(PassageRow.document_id == document_id, PassageRow.tenant == tenant)
            .order_by(PassageRow.ordinal)
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query))

    async def put_vectors(
        self, document: CollectedDocument, model: str, vectors: Sequence[Sequence[float]], *, first: int = 0
    ) -> None:
        """Write vectors of consecutive passages, the first of ordinal `first`; those of other models stay."""
        rows = [
            {
                "document_id": document.id, "ordinal": first + offset, "model": model, "tenant": document.tenant,
                "collection_id": document.collection_id, "vector": list(vector),
            }
            for offset, vector in enumerate(vectors)
        ]  # fmt: skip
        if not rows:
            return
        new = insert(PassageVector)
        statement = new.on_conflict_do_update(
            index_elements=[PassageVector.document_id, PassageVector.ordinal, PassageVector.model],
            set_={"vector": new.excluded.vector},
        )
        async with self._database.begin() as session:
            await session.execute(statement, rows)

    async def indexed(self, document: CollectedDocument, model: str) -> None:
        """Note that every passage of a document has its vector, and drop those of models no longer searched."""
        noted = (
            update(CollectedDocument)
            .where(CollectedDocument.id == document.id, CollectedDocument.tenant == document.tenant)
            .values(status="indexed")
        )
        current = select(Collection.embedding).where(Collection.id == document.collection_id).scalar_subquery()
        stale = delete(PassageVector).where(
            PassageVector.document_id == document.id,
            PassageVector.model != model,
            PassageVector.model != func.coalesce(current, model),
        )
        async with self._database.begin() as session:
            await session.execute(noted)
            await session.execute(stale)

    async def without_vectors(self, collection_id: str, model: str, *, tenant: str) -> int:
        """How many searchable passages of a collection lack a vector of this model."""
        query = (
            select(func.count())
            .select_from(PassageRow)
            .join(CollectedDocument, CollectedDocument.id == PassageRow.document_id)
            .where(
                PassageRow.collection_id == collection_id,
                PassageRow.tenant == tenant,
                CollectedDocument.status.in_(_SEARCHABLE),
                ~select(PassageVector.ordinal)
                .where(
                    PassageVector.document_id == PassageRow.document_id,
                    PassageVector.ordinal == PassageRow.ordinal,
                    PassageVector.model == model,
                )
                .exists(),
            )
        )
        async with self._database.begin() as session:
            return int(await session.scalar(query) or 0)

    async def dimension(self, document_id: str, model: str, *, tenant: str) -> int | None:
        """Of a document's vectors of a model; None when it has none."""
        return await self._dimension(PassageVector.document_id == document_id, model, tenant)

    async def dimension_of(self, collection_id: str, model: str, *, tenant: str) -> int | None:
        """Of a collection's vectors of a model; None when it has none."""
        return await self._dimension(PassageVector.collection_id == collection_id, model, tenant)

    async def _dimension(self, which: ColumnElement[bool], model: str, tenant: str) -> int | None:
        query = select(func.vector_dims(PassageVector.vector)).where(
            which, PassageVector.model == model, PassageVector.tenant == tenant
        )
        async with self._database.begin() as session:
            found = await session.scalar(query.limit(1))
            return None if found is None else int(found)

    async def drop_other_vectors(self, collection_id: str, model: str, *, tenant: str) -> None:
        """Remove vectors of models that are no longer searched."""
        statement = delete(PassageVector).where(
            PassageVector.collection_id == collection_id, PassageVector.tenant == tenant, PassageVector.model != model
        )
        async with self._database.begin() as session:
            await session.execute(statement)

    async def ensure_index(self, model: str, dimension: int) -> bool:
        """Build the HNSW index of a model's vectors, unless it is there; False when they are too long for one."""
        if dimension > MAX_INDEXED_DIMENSION:
            return False
        name = f"ix_passage_vectors_hnsw_{hashlib.sha256(f'{model} {dimension}'.encode()).hexdigest()[:12]}"
        statement = (
            f"CREATE INDEX IF NOT EXISTS {name} ON passage_vectors USING hnsw "
            f"((vector::vector({int(dimension)})) vector_cosine_ops) WHERE model = '{_checked(model)}'"
        )
        async with self._database.locked("passage_vectors hnsw") as begin, begin() as session:
            if await session.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is None:
                await session.execute(text(statement))
        return True

    async def count_features(self, collection_id: str, add: bytes, passages: int, *, tenant: str) -> None:
        """Add to the collection's frequencies.

        Args:
            collection_id: Whose.
            add: Little-endian uint32 counts, `consumers.documents.hashed.BUCKETS` of them.
            passages: How many passages they are of.
            tenant: Whose.
        """
        import numpy as np  # noqa: PLC0415 - an extra

        query = (
            select(Collection.frequencies)
            .where(Collection.id == collection_id, Collection.tenant == tenant)
            .with_for_update()
        )
        async with self._database.begin() as session:
            known = await session.scalar(query)
            total = np.frombuffer(add, dtype="<u4")
            if known:
                total = total + np.frombuffer(known, dtype="<u4")
            await session.execute(
                update(Collection)
                .where(Collection.id == collection_id, Collection.tenant == tenant)
                .values(frequencies=total.astype("<u4").tobytes(), counted=Collection.counted + passages)
            )

    async def cached(self, model: str, digests: Sequence[str], *, tenant: str) -> dict[str, bytes]:
        """Vectors by the SHA-256 of their texts, little-endian float32, as far as they are known."""
        query = select(CachedVector.sha256, CachedVector.vector).where(
            CachedVector.tenant == tenant, CachedVector.model == model, CachedVector.sha256.in_(digests)
        )
        async with self._database.begin() as session:
            return {row[0]: row[1] for row in await session.execute(query)}

    async def cache(self, model: str, vectors: Mapping[str, bytes], *, tenant: str) -> None:
        """Keep what an endpoint answered."""
        rows = [{"tenant": tenant, "model": model, "sha256": sha, "vector": body} for sha, body in vectors.items()]
        if rows:
            async with self._database.begin() as session:
                await session.execute(insert(CachedVector).on_conflict_do_nothing(), rows)

    async def by_words(
        self, collection_id: str, words: Sequence[str], filters: Filters, *, tenant: str, limit: int = SEARCHED
    ) -> list[Place]:
        """Passages that have any of the words, best first; those with more of them rank higher."""
        asked = " | ".join(dict.fromkeys(word for word in words if word.isalnum()))
        return await self._by_query(collection_id, func.to_tsquery, asked, None, filters, tenant, limit)

    async def by_phrase(
        self, collection_id: str, phrase: str, filters: Filters, *, tenant: str, limit: int = SEARCHED
    ) -> list[Place]:
        """Passages that hold these words as they are written, but for case and blanks, best first."""
        return await self._by_query(collection_id, func.phraseto_tsquery, phrase, phrase, filters, tenant, limit)

    async def _by_query(
        self, collection_id: str, to_query: Any, asked: str, phrase: str | None, filters: Filters, tenant: str,
        limit: int,
    ) -> list[Place]:  # fmt: skip
        if not asked:
            return []
        found: dict[Place, float] = {}
        async with self._database.begin() as session:
            # The planner takes a look through all passages for cheap: it does not count what unpacking them costs.
            await session.execute(text("SET LOCAL enable_seqscan = off"))
            configurations = await session.scalars(
                select(CollectedDocument.configuration)
                .where(CollectedDocument.collection_id == collection_id, CollectedDocument.tenant == tenant)
                .distinct()
            )
            for configuration in configurations:
                query = to_query(text(f"'{configuration}'"), asked)
                statement = _words_query(collection_id, query, configuration, phrase, filters, tenant)
                for row in await session.execute(statement.limit(limit)):
                    found[row[0], int(row[1])] = float(row[2])
        return sorted(found, key=lambda place: (-found[place], place))[:limit]

    async def by_vector(
        self, collection_id: str, vector: Sequence[float], model: str, filters: Filters, *, tenant: str,
        limit: int = SEARCHED,
    ) -> list[Place]:  # fmt: skip
        """Passages by the likeness of their vectors, best first."""
        dimension = len(vector)
        clauses, values = _filter_sql(filters)
        # The index is on this very expression; written out, for the planner to see that they are the same.
        statement = text(
            f"SELECT v.document_id, v.ordinal FROM passage_vectors v "  # noqa: S608 - a checked name, an int, fixed text
            f"JOIN collected_documents d ON d.id = v.document_id "
            f"WHERE v.model = '{_checked(model)}' AND v.collection_id = :collection AND v.tenant = :tenant "
            f"AND d.status IN ('extracted', 'indexed'){clauses} "
            f"ORDER BY v.vector::vector({dimension}) <=> CAST(:vector AS vector({dimension})) LIMIT :most"
        )
        async with self._database.begin() as session:
            await session.execute(text("SET LOCAL hnsw.iterative_scan = 'relaxed_order'"))
            await session.execute(text("SET LOCAL hnsw.ef_search = 100"))
            rows = await session.execute(
                statement,
                {
                    "collection": collection_id, "tenant": tenant, "vector": str([float(x) for x in vector]),
                    "most": limit, **values,
                },
            )  # fmt: skip
            return [(row[0], int(row[1])) for row in rows]

    async def load(self, places: Iterable[Place], *, tenant: str) -> dict[Place, FoundPassage]:
        """The passages at these places, with their documents."""
        wanted = list(places)
        query = (
            select(PassageRow, CollectedDocument)
            .join(CollectedDocument, CollectedDocument.id == PassageRow.document_id)
            .where(
                PassageRow.tenant == tenant,
                tuple_(PassageRow.document_id, PassageRow.ordinal).in_(wanted),
            )
        )
        async with self._database.begin() as session:
            found = [FoundPassage(row[0], row[1]) for row in await session.execute(query)]
        rows = {(one.passage.document_id, int(one.passage.ordinal)): one for one in found}
        return {place: rows[place] for place in wanted if place in rows}


def _words_query(
    collection_id: str, query: Any, configuration: str, phrase: str | None, filters: Filters, tenant: str
) -> Select[Any]:
    """Document, ordinal and score of the passages of one language, best first among `CANDIDATES`."""
    matching = (
        select(PassageRow.document_id, PassageRow.ordinal, PassageRow.words)
        .join(CollectedDocument, CollectedDocument.id == PassageRow.document_id)
        .where(
            PassageRow.collection_id == collection_id,
            PassageRow.tenant == tenant,
            PassageRow.configuration == text(f"'{configuration}'::regconfig"),
            PassageRow.words.op("@@")(query),
            CollectedDocument.status.in_(_SEARCHABLE),
        )
    )
    if phrase is not None:
        single = func.regexp_replace(func.lower(PassageRow.text), r"\s+", " ", "g")
        matching = matching.where(func.strpos(single, phrase.lower()) > 0)
    if filters.documents:
        matching = matching.where(CollectedDocument.id.in_(filters.documents))
    if filters.kinds:
        matching = matching.where(CollectedDocument.kind.in_(filters.kinds))
    if filters.since is not None:
        matching = matching.where(CollectedDocument.created_at >= filters.since)
    if filters.until is not None:
        matching = matching.where(CollectedDocument.created_at < filters.until)
    candidates = matching.limit(CANDIDATES).subquery()
    score = func.ts_rank(candidates.c.words, query, 1).label("score")
    return select(candidates.c.document_id, candidates.c.ordinal, score).order_by(
        text("score DESC"), candidates.c.document_id, candidates.c.ordinal
    )


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


def _checked(model: str) -> str:
    """A model's name, when it can stand in a statement."""
    if _MODEL.fullmatch(model) is None:
        raise ValueError(f"{model!r} cannot name a model: up to 200 letters, digits and . _ : / @ + -")
    return model
