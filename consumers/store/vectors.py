"""Vectors of passages: those of each model beside each other, each model with an index of its own."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from consumers.store.models import CachedVector, CollectedDocument, Collection, PassageRow, PassageVector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement

    from consumers.store.database import Database

MAX_INDEXED_DIMENSION: Final = 4_000
"""HNSW takes no longer vectors of half precision; longer ones are compared one by one. Source: pgvector README."""

BUILD_MEMORY: Final = "512MB"
"""What building an index may take: beyond it, building is many times slower. Source: pgvector README."""

SEARCHABLE: Final = ("extracted", "indexed")
"""Status of documents whose passages are found."""

_MODEL: Final = re.compile(r"[A-Za-z0-9._:/@+-]{1,200}")


class Vectors:
    """Vectors of passages. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
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

    async def complete(self, document: CollectedDocument, model: str) -> None:
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

    async def missing(self, collection_id: str, model: str, *, tenant: str) -> int:
        """How many searchable passages of a collection lack a vector of this model."""
        query = (
            select(func.count())
            .select_from(PassageRow)
            .join(CollectedDocument, CollectedDocument.id == PassageRow.document_id)
            .where(
                PassageRow.collection_id == collection_id,
                PassageRow.tenant == tenant,
                CollectedDocument.status.in_(SEARCHABLE),
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

    async def drop_others(self, collection_id: str, model: str, *, tenant: str) -> None:
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
        statement = (
            f"CREATE INDEX IF NOT EXISTS {index_name(model, dimension)} ON passage_vectors USING hnsw "
            f"(({indexed_as('vector', dimension)}) halfvec_cosine_ops) WHERE model = '{checked(model)}'"
        )
        async with self._database.locked("passage_vectors hnsw") as begin, begin() as session:
            known = await session.scalar(text("SELECT to_regclass(:name)"), {"name": index_name(model, dimension)})
            if known is None:
                await session.execute(text(f"SET LOCAL maintenance_work_mem = '{BUILD_MEMORY}'"))
                await session.execute(text(statement))
        return True

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


def index_name(model: str, dimension: int) -> str:
    """Of the index of a model's vectors."""
    return f"ix_passage_vectors_half_{hashlib.sha256(f'{model} {dimension}'.encode()).hexdigest()[:12]}"


def indexed_as(vector: str, dimension: int) -> str:
    """The expression that is indexed, and so must be asked for: half precision finds the same at half the size."""
    return f"{vector}::halfvec({int(dimension)})"


def checked(model: str) -> str:
    """A model's name, when it can stand in a statement."""
    if _MODEL.fullmatch(model) is None:
        raise ValueError(f"{model!r} cannot name a model: up to 200 letters, digits and . _ : / @ + -")
    return model
