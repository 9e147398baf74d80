"""Documents by address: what was found, downloaded, and read."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from consumers.store.cleaning import dump_json
from consumers.store.models import Document, DocumentStatement
from consumers.store.pages import Page, checked_limit, read_cursor, write_cursor

if TYPE_CHECKING:
    from consumers.store.database import Database
    from schemas.filings import ClassifiedDocument, DownloadedDocument, ExtractedDocument


def document_id_of(company_id: str, url: str) -> str:
    """The id of a document, the same each time: 24 hex digits of the digest of company and address."""
    return hashlib.sha256(f"{company_id}\n{url}".encode()).hexdigest()[:24]


def found_of(document: ClassifiedDocument | DownloadedDocument) -> dict[str, Any]:
    """How a document was found, as JSON."""
    found: dict[str, Any] = {
        "link_text": document.link_text,
        "source_url": document.source_url,
        "provisional": document.provisional.model_dump(mode="json"),
    }
    final_url = getattr(document, "final_url", None)
    return {**found, "final_url": final_url} if final_url else found


class Documents:
    """Documents of companies. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_found(
        self, company_id: str, document: ClassifiedDocument, *, tenant: str, job_id: str
    ) -> tuple[str, bool]:
        """Note that a page links a document; of one that is known only how it was found.

        Returns:
            Its id, and whether this job made its record, now or in an earlier delivery.
        """
        document_id = document_id_of(company_id, document.url)
        new = insert(Document).values(
            id=document_id, tenant=tenant, flow="filings", company_id=company_id, url=document.url, status="found",
            provisional=document.provisional.document_type, fiscal_year=document.provisional.fiscal_year,
            found=found_of(document), published_on=document.published_on, found_by=job_id,
        )  # fmt: skip
        known = update(Document).where(Document.id == document_id, Document.tenant == tenant)
        async with self._database.begin() as session:
            made = await session.scalar(new.on_conflict_do_nothing(index_elements=[Document.id]).returning(Document.id))
            if made is not None:
                return document_id, True
            known = known.values(found=found_of(document), published_on=document.published_on)
            return document_id, await session.scalar(known.returning(Document.found_by)) == job_id

    async def twin(
        self, company_id: str, document_id: str, sha256: str, *, tenant: str, job_id: str
    ) -> Document | None:
        """Another document of the company with the same bytes, that is read in the place of this one.

        One that was read; or, of two that a job has found and downloads at the same time, the one with the lower id,
        so that one of them is read.
        """
        query = (
            select(Document)
            .where(
                Document.company_id == company_id,
                Document.tenant == tenant,
                Document.sha256 == sha256,
                Document.id != document_id,
                Document.duplicate_of.is_(None),
                or_(
                    Document.status == "extracted",
                    (Document.id < document_id) & (Document.status == "downloaded") & (Document.found_by == job_id),
                ),
            )
            .order_by(Document.status.desc(), Document.id)
            .limit(1)
        )
        async with self._database.begin() as session:
            found = await session.scalars(query)
            return found.one_or_none()

    async def put_duplicate(self, document_id: str, of: str | None, *, tenant: str) -> None:
        """Note that a document has the bytes of another, or that it has not any more.

        One that has is not among those that compile reads.
        """
        statement = update(Document).where(Document.id == document_id, Document.tenant == tenant)
        values: dict[str, Any] = {"duplicate_of": of}
        if of is not None:
            values |= {"status": "downloaded", "extracted": None, "extracted_digest": None}
        async with self._database.begin() as session:
            await session.execute(statement.values(values))

    async def put_downloaded(self, company_id: str, document: DownloadedDocument, *, tenant: str) -> str:
        """Note that the bytes are in the artifact store.

        The same bytes again leave alone what was read from them; other bytes are to be read anew, and until then the
        document is not among those that compile reads.

        Returns:
            The document's id.
        """
        document_id = document_id_of(company_id, document.url)
        new = insert(Document).values(
            id=document_id,
            tenant=tenant,
            flow="filings",
            company_id=company_id,
            url=document.url,
            status="downloaded",
            sha256=document.sha256,
            content_type=document.content_type,
            size_bytes=document.size_bytes,
            etag=document.etag,
            last_modified=document.last_modified,
            provisional=document.provisional.document_type,
            fiscal_year=document.provisional.fiscal_year,
            found=found_of(document),
            published_on=document.published_on,
        )
        always = ("content_type", "size_bytes", "etag", "last_modified", "provisional", "found", "published_on")
        # Two statements, so that "the same bytes" is decided on the row that is there.
        statement = new.on_conflict_do_update(
            index_elements=[Document.id],
            set_={name: new.excluded[name] for name in always},
            where=Document.tenant == new.excluded.tenant,
        )
        changed = (
            update(Document)
            .where(
                Document.id == document_id,
                Document.tenant == tenant,
                (Document.sha256.is_distinct_from(document.sha256)) | (Document.status.in_(("found", "refused"))),
            )
            .values(
                sha256=document.sha256,
                status="downloaded",
                reason=None,
                confirmed=None,
                period_end=None,
                extracted=None,
                extracted_digest=None,
            )
        )
        async with self._database.begin() as session:
            await session.execute(statement)
            if await session.scalar(changed.returning(Document.id)) is not None:
                await session.execute(delete(DocumentStatement).where(DocumentStatement.document_id == document_id))
        return document_id

    async def put_extracted(self, company_id: str, document: ExtractedDocument, *, tenant: str) -> bool:
        """Commit what was read: from now on compile reads it. Twice is once.

        Returns:
            False when the document is unknown or has other bytes by now: what was read from the old ones is of no
            use, and nothing was written.
        """
        document_id = document_id_of(company_id, document.url)
        rest = document.model_dump(mode="json", exclude={"statements"})
        statements = [statement.model_dump(mode="json") for statement in document.statements]
        digest = hashlib.sha256(dump_json([rest, statements]).encode()).hexdigest()
        found = (
            update(Document)
            .where(Document.id == document_id, Document.tenant == tenant, Document.sha256 == document.sha256)
            .values(
                status="extracted",
                reason=None,
                confirmed=document.confirmed.document_type if document.confirmed else None,
                fiscal_year=document.classification.fiscal_year,
                period_end=document.period_end,
                extracted=rest,
                extracted_digest=digest,
            )
            .returning(Document.id)
        )
        rows = [
            {
                "document_id": document_id,
                "ordinal": ordinal,
                "tenant": tenant,
                "kind": statement.kind,
                "currency": statement.currency,
                "unit_multiplier": statement.unit_multiplier,
                "payload": payload,
            }
            for ordinal, (statement, payload) in enumerate(zip(document.statements, statements, strict=True))
        ]
        async with self._database.begin() as session:
            if await session.scalar(found) is None:
                return False
            await session.execute(delete(DocumentStatement).where(DocumentStatement.document_id == document_id))
            if rows:
                await session.execute(insert(DocumentStatement), rows)
        return True

    async def put_refused(self, company_id: str, url: str, reason: str, *, tenant: str) -> str:
        """Note that a document could not be had, as a 403; one that was read before stays as it is.

        Returns:
            The document's id.
        """
        document_id = document_id_of(company_id, url)
        values: dict[str, Any] = {"status": "refused", "reason": reason}
        new = insert(Document).values(
            id=document_id, tenant=tenant, flow="filings", company_id=company_id, url=url, **values
        )
        statement = new.on_conflict_do_update(
            index_elements=[Document.id],
            set_=values,
            where=(Document.tenant == new.excluded.tenant) & (Document.status.in_(("found", "refused"))),
        )
        async with self._database.begin() as session:
            await session.execute(statement)
        return document_id

    async def get(self, document_id: str, *, tenant: str) -> Document | None:
        """A document, None when this tenant has no such one."""
        async with self._database.begin() as session:
            found = await session.scalars(select(Document).where(Document.id == document_id, Document.tenant == tenant))
            return found.one_or_none()

    async def at(self, company_id: str, url: str, *, tenant: str) -> Document | None:
        """The document of a company at an address, for a conditional GET; None when it is not known."""
        return await self.get(document_id_of(company_id, url), tenant=tenant)

    async def statements(self, document_id: str, *, tenant: str) -> list[DocumentStatement]:
        """The statements read from a document, in its order."""
        query = (
            select(DocumentStatement)
            .where(DocumentStatement.document_id == document_id, DocumentStatement.tenant == tenant)
            .order_by(DocumentStatement.ordinal)
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query))

    async def page(
        self, *, tenant: str, company_id: str | None = None, flow: str | None = None, status: str | None = None,
        cursor: str | None = None, limit: int = 50,
    ) -> Page[Document]:  # fmt: skip
        """Documents of a tenant, or of one of its companies, by id.

        Raises:
            BadCursorError: The cursor is not one that a list gave.
        """
        query = select(Document).where(Document.tenant == tenant).order_by(Document.id)
        if company_id is not None:
            query = query.where(Document.company_id == company_id)
        if flow is not None:
            query = query.where(Document.flow == flow)
        if status is not None:
            query = query.where(Document.status == status)
        if cursor is not None:
            query = query.where(Document.id > read_cursor(cursor, str)[0])
        async with self._database.begin() as session:
            documents = list(await session.scalars(query.limit(checked_limit(limit) + 1)))
        more = len(documents) > limit
        documents = documents[:limit]
        return Page(documents, write_cursor(documents[-1].id) if more else None)
