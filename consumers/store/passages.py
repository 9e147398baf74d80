"""Passages: written all at once for a document, from then on found by their words."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select, text, update

from consumers.store.cleaning import clean_text
from consumers.store.models import CachedVector, CollectedDocument, Collection, PassageRow
from consumers.store.models.documents import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.store.database import Database

_INSERT: Final = text("""
    INSERT INTO passages (document_id, ordinal, tenant, collection_id, configuration, start, "end", first_page,
                          last_page, section, text, fingerprint)
    SELECT :document, number - 1, :tenant, :collection, CAST(CAST(:configuration AS text) AS regconfig), start, "end",
           first_page, last_page, section, text, fingerprint
    FROM unnest(CAST(:starts AS bigint[]), CAST(:ends AS bigint[]), CAST(:firsts AS bigint[]),
                CAST(:lasts AS bigint[]), CAST(:sections AS text[]), CAST(:texts AS text[]),
                CAST(:fingerprints AS bigint[])) WITH ORDINALITY
         AS one (start, "end", first_page, last_page, section, text, fingerprint, number)
""")
"""One statement for all: half the time of one for each."""


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
        noted = (
            update(CollectedDocument)
            .where(CollectedDocument.id == document.id, CollectedDocument.tenant == document.tenant)
            .values(status="extracted", reason=None, configuration=configuration, chunk_count=len(passages), **values)
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
            if passages:
                await session.execute(_INSERT, _columns(document, passages, configuration))
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


def _columns(document: CollectedDocument, passages: Sequence[NewPassage], configuration: str) -> dict[str, Any]:
    """What `_INSERT` is given."""
    return {
        "document": document.id, "tenant": document.tenant, "collection": document.collection_id,
        "configuration": configuration, "starts": [one.start for one in passages],
        "ends": [one.end for one in passages], "firsts": [one.first_page for one in passages],
        "lasts": [one.last_page for one in passages],
        "sections": [None if one.section is None else clean_text(one.section) for one in passages],
        "texts": [clean_text(one.text) for one in passages], "fingerprints": [one.fingerprint for one in passages],
    }  # fmt: skip
