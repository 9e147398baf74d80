"""Collections, what was uploaded for them, and their documents."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from consumers.store.models import (
    CachedVector,
    CollectedDocument,
    Collection,
    Contribution,
    JobArtifact,
    PassageRow,
    Upload,
)
from consumers.store.models.documents import digest_of
from consumers.store.pages import Page, checked_limit, read_cursor, write_cursor
from schemas.documents import CollectionSettings

if TYPE_CHECKING:
    from consumers.store.database import Database


LEAST_NAME_CHARS: Final = 5
"""A shorter name stands for other things too."""


class NameTaken(ValueError):  # noqa: N818 - it says what is wrong
    """Another collection of the tenant has this name."""


def collection_id_of(tenant: str, name: str) -> str:
    """The id of a collection that a job makes by name, the same each time: 24 hex digits."""
    return hashlib.sha256(f"{tenant}\ncollection\n{name}".encode()).hexdigest()[:24]


def collected_id_of(collection_id: str, sha256: str) -> str:
    """The id of a document: the same bytes twice in a collection are one document."""
    return hashlib.sha256(f"{collection_id}\n{sha256}".encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Traces:
    """What a document is known by, and the jobs that had to do with it."""

    words: tuple[str, ...]
    jobs: tuple[str, ...]


class Collections:
    """Collections of tenants. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str, settings: CollectionSettings, *, tenant: str) -> Collection:
        """Make a collection.

        Raises:
            NameTaken: There is one of this name.
        """
        collection_id = collection_id_of(tenant, name)
        new = insert(Collection).values(
            id=collection_id, tenant=tenant, name=name, settings=settings.model_dump(mode="json"), counted=0
        )
        async with self._database.begin() as session:
            made = await session.scalar(
                new.on_conflict_do_nothing(index_elements=[Collection.tenant, Collection.name]).returning(Collection.id)
            )
        if made is None:
            raise NameTaken(f"there is a collection {name!r} already; use it, or choose another name")
        found = await self.get(collection_id, tenant=tenant)
        assert found is not None  # noqa: S101 - made above
        return found

    async def ensure(self, name_or_id: str, *, tenant: str) -> Collection:
        """The collection of this id or name; one of this name is made when there is none."""
        found = await self.find(name_or_id, tenant=tenant)
        if found is not None:
            return found
        try:
            return await self.create(name_or_id, CollectionSettings(), tenant=tenant)
        except NameTaken:
            made_meanwhile = await self.find(name_or_id, tenant=tenant)
            assert made_meanwhile is not None  # noqa: S101 - its name is taken
            return made_meanwhile

    async def find(self, name_or_id: str, *, tenant: str) -> Collection | None:
        """A collection by id or name, None when this tenant has no such one."""
        query = select(Collection).where(
            Collection.tenant == tenant, (Collection.id == name_or_id) | (Collection.name == name_or_id)
        )
        async with self._database.begin() as session:
            found = list(await session.scalars(query))
        return next((one for one in found if one.id == name_or_id), found[0] if found else None)

    async def get(self, collection_id: str, *, tenant: str) -> Collection | None:
        """A collection by id, None when this tenant has no such one."""
        query = select(Collection).where(Collection.id == collection_id, Collection.tenant == tenant)
        async with self._database.begin() as session:
            found: Collection | None = await session.scalar(query)
            return found

    async def change(self, collection_id: str, name: str, settings: CollectionSettings, *, tenant: str) -> bool:
        """Rename it or change its settings; what is indexed stays as it is until it is indexed anew.

        Raises:
            NameTaken: Another has this name.
        """
        other = select(Collection.id).where(
            Collection.tenant == tenant, Collection.name == name, Collection.id != collection_id
        )
        statement = (
            update(Collection)
            .where(Collection.id == collection_id, Collection.tenant == tenant)
            .values(name=name, settings=settings.model_dump(mode="json"))
            .returning(Collection.id)
        )
        async with self._database.begin() as session:
            if await session.scalar(other) is not None:
                raise NameTaken(f"there is another collection {name!r}; choose another name")
            return await session.scalar(statement) is not None

    async def embedded_with(self, collection_id: str, model: str, dimension: int, *, tenant: str) -> None:
        """From now on searches use this model's vectors."""
        statement = (
            update(Collection)
            .where(Collection.id == collection_id, Collection.tenant == tenant)
            .values(embedding=model, dimension=dimension)
        )
        async with self._database.begin() as session:
            await session.execute(statement)

    async def remove(self, collection_id: str, *, tenant: str) -> bool:
        """Remove a collection with its documents, passages and vectors; the bytes are the caller's to remove."""
        async with self._database.begin() as session:
            gone = await session.scalar(
                delete(Collection)
                .where(Collection.id == collection_id, Collection.tenant == tenant)
                .returning(Collection.id)
            )
        return gone is not None

    async def page(self, *, tenant: str, cursor: str | None = None, limit: int = 50) -> Page[tuple[Collection, int]]:
        """Collections by name, each with the number of its documents.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        count = (
            select(func.count())
            .select_from(CollectedDocument)
            .where(CollectedDocument.collection_id == Collection.id)
            .scalar_subquery()
        )
        query = select(Collection, count).where(Collection.tenant == tenant).order_by(Collection.name)
        if cursor is not None:
            query = query.where(Collection.name > read_cursor(cursor, str)[0])
        async with self._database.begin() as session:
            rows = [(row[0], int(row[1])) for row in await session.execute(query.limit(checked_limit(limit) + 1))]
        more, rows = len(rows) > limit, rows[:limit]
        return Page(rows, write_cursor(rows[-1][0].name) if more else None)

    async def put_upload(self, name: str, sha256: str, size_bytes: int, kind: str, *, tenant: str) -> Upload:
        """Note bytes that are in the artifact store."""
        upload = Upload(
            id=f"up-{uuid.uuid4().hex[:20]}", tenant=tenant, name=name, sha256=sha256, size_bytes=size_bytes, kind=kind,
            created_at=datetime.now(UTC),
        )  # fmt: skip
        async with self._database.begin() as session:
            session.add(upload)
        return upload

    async def upload(self, upload_id: str, *, tenant: str) -> Upload | None:
        """An upload, None when this tenant has no such one."""
        async with self._database.begin() as session:
            found: Upload | None = await session.scalar(
                select(Upload).where(Upload.id == upload_id, Upload.tenant == tenant)
            )
            return found


class CollectedDocuments:
    """Documents of collections. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, collection_id: str, sha256: str, *, tenant: str, **values: Any) -> CollectedDocument:
        """Note a document whose bytes are in the artifact store; one that is there keeps what was read from it.

        Args:
            collection_id: Where to.
            sha256: Of its bytes.
            tenant: Whose.
            values: ``name``, ``url``, ``size_bytes``, ``kind``.
        """
        document_id = collected_id_of(collection_id, sha256)
        new = insert(CollectedDocument).values(
            id=document_id, tenant=tenant, collection_id=collection_id, sha256=sha256, status="pending", **values
        )
        statement = new.on_conflict_do_update(
            index_elements=[CollectedDocument.id],
            set_={"url": func.coalesce(CollectedDocument.url, new.excluded.url)},
        )
        async with self._database.begin() as session:
            await session.execute(statement)
        found = await self.get(document_id, tenant=tenant)
        assert found is not None  # noqa: S101 - put above
        return found

    async def refused(self, document_id: str, reason: str, *, tenant: str) -> None:
        """Note that a document cannot be read."""
        statement = (
            update(CollectedDocument)
            .where(CollectedDocument.id == document_id, CollectedDocument.tenant == tenant)
            .values(status="refused", reason=reason)
        )
        async with self._database.begin() as session:
            await session.execute(statement)

    async def get(self, document_id: str, *, tenant: str) -> CollectedDocument | None:
        """A document, None when this tenant has no such one."""
        query = select(CollectedDocument).where(CollectedDocument.id == document_id, CollectedDocument.tenant == tenant)
        async with self._database.begin() as session:
            found: CollectedDocument | None = await session.scalar(query)
            return found

    async def page(
        self, collection_id: str, *, tenant: str, cursor: str | None = None, limit: int = 50
    ) -> Page[CollectedDocument]:
        """Documents of a collection by id.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        query = (
            select(CollectedDocument)
            .where(CollectedDocument.collection_id == collection_id, CollectedDocument.tenant == tenant)
            .order_by(CollectedDocument.id)
        )
        if cursor is not None:
            query = query.where(CollectedDocument.id > read_cursor(cursor, str)[0])
        async with self._database.begin() as session:
            rows = list(await session.scalars(query.limit(checked_limit(limit) + 1)))
        more, rows = len(rows) > limit, rows[:limit]
        return Page(rows, write_cursor(rows[-1].id) if more else None)

    async def passages(
        self, document_id: str, *, tenant: str, cursor: str | None = None, limit: int = 50
    ) -> Page[PassageRow]:
        """Passages of a document in order.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        query = (
            select(PassageRow)
            .where(PassageRow.document_id == document_id, PassageRow.tenant == tenant)
            .order_by(PassageRow.ordinal)
        )
        if cursor is not None:
            query = query.where(PassageRow.ordinal > read_cursor(cursor, int)[0])
        async with self._database.begin() as session:
            rows = list(await session.scalars(query.limit(checked_limit(limit) + 1)))
        more, rows = len(rows) > limit, rows[:limit]
        return Page(rows, write_cursor(int(rows[-1].ordinal)) if more else None)

    async def traces(self, document: CollectedDocument) -> Traces:
        """What a document is known by outside of its collection, and in which jobs: to be erased with it."""
        uploads = select(Upload.id).where(Upload.sha256 == document.sha256, Upload.tenant == document.tenant)
        jobs = select(Contribution.job_id).where(
            Contribution.tenant == document.tenant, Contribution.payload["document_id"].astext == document.id
        )
        namesakes = select(func.count()).where(
            CollectedDocument.tenant == document.tenant,
            CollectedDocument.name == document.name,
            CollectedDocument.id != document.id,
        )
        async with self._database.begin() as session:
            words = {document.id, document.sha256, *await session.scalars(uploads)}
            found = {*await session.scalars(jobs.distinct()), *filter(None, (document.job_id,))}
            is_only_one = not await session.scalar(namesakes)
        if document.url:
            words.add(document.url)
        elif is_only_one and len(document.name) >= LEAST_NAME_CHARS:
            words.add(document.name)
        return Traces(tuple(sorted(words)), tuple(sorted(found)))

    async def remove(self, document_id: str, *, tenant: str) -> tuple[str, ...]:
        """Remove a document with its passages and vectors, those kept for their texts with them.

        Returns:
            Digests of bytes that nothing refers to any more, to be removed from the artifact store.
        """
        async with self._database.begin() as session:
            mine = (PassageRow.document_id == document_id, PassageRow.tenant == tenant)
            texts = select(digest_of(PassageRow.text)).where(*mine)
            await session.execute(
                delete(CachedVector).where(CachedVector.tenant == tenant, CachedVector.sha256.in_(texts))
            )
            gone = (
                await session.execute(
                    delete(CollectedDocument)
                    .where(CollectedDocument.id == document_id, CollectedDocument.tenant == tenant)
                    .returning(CollectedDocument.sha256, CollectedDocument.text_sha256)
                )
            ).one_or_none()
            if gone is None:
                return ()
            unused = []
            for sha256 in filter(None, gone):
                await session.execute(delete(Upload).where(Upload.sha256 == sha256, Upload.tenant == tenant))
                uses = (
                    select(func.count())
                    .select_from(CollectedDocument)
                    .where(
                        CollectedDocument.tenant == tenant,
                        (CollectedDocument.sha256 == sha256) | (CollectedDocument.text_sha256 == sha256),
                    )
                )
                artifacts = (
                    select(func.count())
                    .select_from(JobArtifact)
                    .where(JobArtifact.tenant == tenant, JobArtifact.sha256 == sha256)
                )
                if not await session.scalar(uses) and not await session.scalar(artifacts):
                    unused.append(sha256)
        return tuple(unused)
