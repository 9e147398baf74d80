"""Erasing people from the database: the leads themselves, and every row of the tenant that tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Text, cast, delete, false, func, inspect, or_, select, update

from consumers.leads.identity import erased_keys
from consumers.leads.needles import Needles
from consumers.store.lead_suppressions import suppress
from consumers.store.lead_upkeep import unused
from consumers.store.leads import lock_book, write_down
from consumers.store.models import (
    AuditEntry,
    JobArtifact,
    Lead,
    LeadEvent,
    LlmAnswer,
    Upload,
)
from schemas.leads import PAGE_NAME, PICTURE_NAME, FoundLead

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from consumers.leads.identity import Seal
    from consumers.store.database import Database
    from schemas.leads import Reached

TELLING: Final[tuple[tuple[Any, tuple[str, ...]], ...]] = (
    (LeadEvent, ("text",)), (JobArtifact, ("url",)), (AuditEntry, ("target", "detail")), (LlmAnswer, ("answer",)),
    (Upload, ("name",)),
)  # fmt: skip
"""Tables of the tenant that may tell of somebody beside the rows of jobs (`consumers.store.erasing`), with columns."""


@dataclass(frozen=True, slots=True)
class Gone:
    """What was erased of leads.

    Attributes:
        leads: Ids.
        needles: By which whatever is left of them is found elsewhere.
        jobs: That found them.
        digests: Pages of their websites that nothing refers to any more, for the caller to remove.
    """

    leads: tuple[str, ...]
    needles: Needles
    jobs: frozenset[str]
    digests: frozenset[str]


class LeadErasure:
    """Erases for a tenant. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def having(self, key: str, *, tenant: str) -> list[str]:
        """Ids of the leads that are whoever has an e-mail address (``e:``), a number (``c:``) or a domain (``d:``).

        A lead that is reached otherwise too, and only tells the contact in passing, is not: it will lose that alone.
        """
        field = {"e": "emails", "c": "phones"}.get(key[0])
        value = key[2:]
        has_it = (
            Lead.payload["domain"].astext == value
            if field is None
            else Lead.payload[field].contains([{"value": value}])
        )
        async with self._database.begin() as session:
            rows = list(await session.scalars(select(Lead).where(Lead.tenant == tenant, has_it)))
        return [row.id for row in rows if field is None or _is_theirs(getattr(_found(row), field), value)]

    async def suppress(self, keys: Collection[str], *, tenant: str, seal: Seal) -> None:
        """Keep these keys out from now on."""
        async with self._database.begin() as session:
            await suppress(session, keys, tenant, seal)

    async def leads(self, lead_ids: Collection[str], *, tenant: str, seal: Seal) -> Gone:
        """Erase leads with their timelines, keep them out, and take their contacts out of the leads that share them."""
        async with self._database.begin() as session:
            await lock_book(session, tenant)
            rows = list(await session.scalars(select(Lead).where(Lead.id.in_(lead_ids), Lead.tenant == tenant)))
            found = [_found(row) for row in rows]
            await suppress(session, {key for one in found for key in erased_keys(one)}, tenant, seal)
            needles = Needles()
            for one in found:
                needles |= Needles.of(one)
            ids = tuple(row.id for row in rows)
            await session.execute(delete(Lead).where(Lead.id.in_(ids), Lead.tenant == tenant))
            await _strip(session, needles, tenant)
            digests = {page.sha256 for one in found for page in one.pages}
            jobs = frozenset(origin.job_id for one in found for origin in one.origins)
            await session.execute(
                delete(JobArtifact).where(
                    JobArtifact.tenant == tenant, JobArtifact.sha256.in_(digests),
                    JobArtifact.name.startswith(PAGE_NAME),
                )
            )  # fmt: skip
            return Gone(ids, needles, jobs, frozenset(await unused(session, digests, tenant)))

    async def strip(self, needles: Needles, *, tenant: str) -> None:
        """Take contacts out of the leads that have them."""
        async with self._database.begin() as session:
            await lock_book(session, tenant)
            await _strip(session, needles, tenant)

    async def rows(self, needles: Needles, *, tenant: str) -> dict[str, int]:
        """Take them out of what people and files tell; rows by table. Rows of jobs are `Erasing`'s."""
        counts: dict[str, int] = {}
        for model, columns in TELLING:
            async with self._database.begin() as session:
                count = await _clean(session, model, columns, needles, tenant)
            if count:
                counts[model.__tablename__] = count
        return counts

    async def pages(self, *, tenant: str) -> list[tuple[str, str]]:
        """(name, digest) of the pages and pictures that leads' jobs of the tenant have kept."""
        query = select(JobArtifact.name, JobArtifact.sha256).where(
            JobArtifact.tenant == tenant,
            or_(JobArtifact.name.startswith(PAGE_NAME), JobArtifact.name.startswith(PICTURE_NAME)),
        )
        async with self._database.begin() as session:
            return [(row[0], row[1]) for row in await session.execute(query.distinct())]

    async def drop_pages(self, digests: Collection[str], *, tenant: str) -> list[str]:
        """Drop the notes of such; answers the digests that nothing refers to any more, for the caller to remove."""
        async with self._database.begin() as session:
            await session.execute(
                delete(JobArtifact).where(
                    JobArtifact.tenant == tenant, JobArtifact.sha256.in_(digests),
                    or_(JobArtifact.name.startswith(PAGE_NAME), JobArtifact.name.startswith(PICTURE_NAME)),
                )
            )  # fmt: skip
            return await unused(session, set(digests), tenant)

    async def uploads(self, *, tenant: str) -> list[tuple[str, str]]:
        """(id, digest) of the tenant's uploaded files that may be lists of businesses."""
        query = select(Upload.id, Upload.sha256).where(
            Upload.tenant == tenant, or_(Upload.kind.in_(("csv", "txt", "text")), Upload.name.iendswith(".csv"))
        )
        async with self._database.begin() as session:
            return [(row[0], row[1]) for row in await session.execute(query)]

    async def replace_upload(self, upload_id: str, sha256: str, size_bytes: int, *, tenant: str) -> list[str]:
        """Have an upload be other bytes; answers the digest before, when nothing refers to it any more."""
        async with self._database.begin() as session:
            query = select(Upload).where(Upload.id == upload_id, Upload.tenant == tenant).with_for_update()
            upload = await session.scalar(query)
            if upload is None:
                return []
            before, upload.sha256, upload.size_bytes = upload.sha256, sha256, size_bytes
            await session.flush()
            return await unused(session, {before}, tenant)


def _found(lead: Lead) -> FoundLead:
    return FoundLead.model_validate(lead.payload)


def _is_theirs(contacts: Sequence[Reached], value: str) -> bool:
    sources = {one.source for one in contacts if one.value == value}
    return bool(sources & {"listing", "schema.org"}) or all(one.value == value for one in contacts)


async def _strip(session: AsyncSession, needles: Needles, tenant: str) -> None:
    for field, values in (("emails", needles.emails), ("phones", needles.phones)):
        for value in values:
            has_it = Lead.payload[field].contains([{"value": value}])
            for lead in await session.scalars(select(Lead).where(Lead.tenant == tenant, has_it)):
                found = _found(lead)
                kept = tuple(one for one in getattr(found, field) if one.value != value)
                await write_down(session, lead, found.model_copy(update={field: kept}))


async def _clean(session: AsyncSession, model: Any, columns: tuple[str, ...], needles: Needles, tenant: str) -> int:
    keys = inspect(model).primary_key
    fields = [getattr(model, name) for name in columns]
    texts = [cast(one, Text) for one in fields]
    query = select(*keys, *fields).where(model.tenant == tenant, or_(*(_may_tell(text, needles) for text in texts)))
    count = 0
    for row in (await session.execute(query)).all():
        is_row = [key == value for key, value in zip(keys, row[: len(keys)], strict=True)]
        values = dict(zip(columns, row[len(keys) :], strict=True))
        cut = {name: needles.cut_from_json(value) for name, value in values.items()}
        if cut != values:
            await session.execute(update(model).where(*is_row).values(cut))
            count += 1
    return count


def _may_tell(text: ColumnElement[str], needles: Needles) -> ColumnElement[bool]:
    """What is worth reading: an address's name, a number's last digits in whatever way, or a business's key."""
    return or_(false(), *_looks(text, needles))


def _looks(text: ColumnElement[str], needles: Needles) -> Iterator[ColumnElement[bool]]:
    for address in needles.emails:
        yield text.icontains(address.rpartition("@")[0], autoescape=True)
    if needles.phones:
        digits = func.regexp_replace(text, r"[^0-9]", "", "g")
        yield or_(*(digits.contains(number[-7:]) for number in needles.phones))
