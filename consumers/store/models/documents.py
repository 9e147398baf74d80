"""Collections of documents, their passages, and the passages' vectors."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import CheckConstraint, Computed, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, func
from sqlalchemy.dialects.postgresql import REGCONFIG, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from consumers.store.models.base import Base


class Collection(Base):
    """Documents that are searched together.

    Attributes:
        settings: As of `schemas.documents.CollectionSettings`.
        embedding: Name of the model whose vectors are searched; `dimension` is theirs.
        frequencies: In how many passages each bucket of `consumers.documents.hashed` occurs; `counted` of them.
    """

    __tablename__ = "collections"
    __table_args__ = (Index("ix_collections_tenant_name", "tenant", "name", unique=True),)

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    name: Mapped[str]
    settings: Mapped[dict[str, Any]]
    embedding: Mapped[str | None]
    dimension: Mapped[int | None]
    frequencies: Mapped[bytes | None] = mapped_column(LargeBinary)
    counted: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Upload(Base):
    """Bytes that somebody sent, for a job to come."""

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    kind: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class CollectedDocument(Base):
    """A document of a collection, by its bytes.

    Attributes:
        status: ``pending`` (its bytes are here), ``extracted`` (found by its words), ``indexed`` (by its vectors
            too), or ``refused`` with `reason`.
        text_sha256: Its text, in the artifact store.
        configuration: PostgreSQL's text search configuration of its language.
        cut: What was left out, and why.
    """

    __tablename__ = "collected_documents"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'extracted', 'indexed', 'refused')", name="status"),
        Index("ix_collected_documents_collection_id", "collection_id", "id"),
        Index("ix_collected_documents_tenant_sha256", "tenant", "sha256"),
        Index("ix_collected_documents_collection_configuration", "collection_id", "configuration"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"))
    name: Mapped[str]
    url: Mapped[str | None]
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    kind: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str | None]
    title: Mapped[str | None]
    language: Mapped[str | None]
    configuration: Mapped[str] = mapped_column(server_default="simple")
    page_count: Mapped[int | None]
    text_length: Mapped[int | None]
    text_sha256: Mapped[str | None]
    chunk_count: Mapped[int] = mapped_column(server_default="0")
    cut: Mapped[list[Any] | None]
    read_with: Mapped[str | None]
    job_id: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class PassageRow(Base):
    """A passage: ``text`` is the document's from `start` to `end`, in characters."""

    __tablename__ = "passages"
    __table_args__ = (
        Index("ix_passages_collection_id", "collection_id"),
        Index("ix_passages_words", "words", postgresql_using="gin"),
    )

    document_id: Mapped[str] = mapped_column(ForeignKey("collected_documents.id", ondelete="CASCADE"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    collection_id: Mapped[str]
    start: Mapped[int]
    end: Mapped[int]
    first_page: Mapped[int | None]
    last_page: Mapped[int | None]
    section: Mapped[str | None]
    text: Mapped[str]
    fingerprint: Mapped[int]
    configuration: Mapped[str] = mapped_column(REGCONFIG)
    words: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed("to_tsvector(configuration, coalesce(section, '') || ' ' || text)", persisted=True),
        deferred=True,
    )


class PassageVector(Base):
    """A passage's vector by one model; each model has a partial HNSW index of its own dimension."""

    __tablename__ = "passage_vectors"
    __table_args__ = (
        ForeignKeyConstraint(
            ["document_id", "ordinal"], ["passages.document_id", "passages.ordinal"], ondelete="CASCADE",
            name="fk_passage_vectors_document_id_ordinal",
        ),
    )  # fmt: skip

    document_id: Mapped[str] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    collection_id: Mapped[str]
    vector: Mapped[Any] = mapped_column(VECTOR())


class CachedVector(Base):
    """What an endpoint answered for a text, so that it is not asked again."""

    __tablename__ = "vector_cache"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


def digest_of(column: Any) -> Any:
    """SHA-256 of a text, as the database works it out and `CachedVector` keeps it."""
    return func.encode(func.sha256(func.convert_to(column, "UTF8")), "hex")
