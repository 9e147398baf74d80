"""Upkeep of the lead books: old pages let go, leads that became one merged."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select, update

from consumers.leads.identity import is_same, keys_of
from consumers.leads.merge import merged
from consumers.store.leads import lock_book, write_down
from consumers.store.models import (
    CollectedDocument,
    Document,
    JobArtifact,
    Lead,
    LeadEvent,
    LeadKey,
    Upload,
)
from schemas.leads import PAGE_NAME, FoundLead

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from consumers.store.database import Database

_FARTHEST: Final = ("new", "called", "interested", "converted", "do_not_contact")
"""Of two leads that are one, the later of these is its status: nobody is called who said no."""
_AT_A_TIME: Final = 1_000


class LeadUpkeep:
    """Upkeep of the books. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def old_pages(self, before: datetime, *, tenant: str) -> list[str]:
        """Digests of the pages of leads' websites that were kept before an instant."""
        query = (
            select(JobArtifact.sha256)
            .where(
                JobArtifact.tenant == tenant, JobArtifact.name.startswith(PAGE_NAME), JobArtifact.created_at < before
            )
            .distinct()
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query))

    async def forget_pages(self, digests: Collection[str], before: datetime, *, tenant: str) -> list[str]:
        """Drop the notes of such pages; answers the digests that nothing refers to any more, for the caller to remove.

        What leads tell of their pages is dropped with them.
        """
        free: list[str] = []
        listed = list(digests)
        for begin in range(0, len(listed), _AT_A_TIME):
            some = listed[begin : begin + _AT_A_TIME]
            async with self._database.begin() as session:
                await session.execute(
                    delete(JobArtifact).where(
                        JobArtifact.tenant == tenant, JobArtifact.sha256.in_(some),
                        JobArtifact.name.startswith(PAGE_NAME), JobArtifact.created_at < before,
                    )
                )  # fmt: skip
                free += await unused(session, set(some), tenant)
        gone = set(free)
        async with self._database.begin() as session:
            await lock_book(session, tenant)
            has_pages = Lead.payload["pages"].astext != "[]"
            for lead in await session.scalars(select(Lead).where(Lead.tenant == tenant, has_pages)):
                found = FoundLead.model_validate(lead.payload)
                kept = tuple(page for page in found.pages if page.sha256 not in gone)
                if kept != found.pages:
                    lead.payload = found.model_copy(update={"pages": kept}).model_dump(mode="json")
        return free

    async def dedupe(self, *, tenant: str, dry_run: bool) -> int:
        """Merge leads that are one business into the oldest of each, timelines too; or count them."""
        count = 0
        async with self._database.begin() as session:
            await lock_book(session, tenant)
            leads = list(
                await session.scalars(select(Lead).where(Lead.tenant == tenant).order_by(Lead.created_at, Lead.id))
            )
            known: dict[str, list[int]] = defaultdict(list)
            kept: list[tuple[Lead, FoundLead]] = []
            for lead in leads:
                found = FoundLead.model_validate(lead.payload)
                near = dict.fromkeys(at for key in keys_of(found) for at in known[key])
                at = next((at for at in near if is_same(kept[at][1], found)), None)
                if at is None:
                    at = len(kept)
                    kept.append((lead, found))
                else:
                    count += 1
                    first, of_first = kept[at]
                    kept[at] = (first, merged(of_first, found))
                    if not dry_run:
                        await _merge(session, first, lead, kept[at][1])
                for key in keys_of(kept[at][1]):
                    known[key].append(at)
        return count


async def _merge(session: AsyncSession, first: Lead, other: Lead, whole: FoundLead) -> None:
    """Have one lead take the place of another."""
    first.status = max(first.status, other.status, key=_FARTHEST.index)
    first.owner = first.owner or other.owner
    dates = [one for one in (first.follow_up_on, other.follow_up_on) if one is not None]
    first.follow_up_on = min(dates) if dates else None
    first.last_job_id = other.last_job_id
    await session.execute(update(LeadEvent).where(LeadEvent.lead_id == other.id).values(lead_id=first.id))
    session.add(
        LeadEvent(lead_id=first.id, tenant=first.tenant, kind="merged", actor="maintenance", text=f"with {other.id}")
    )
    await session.execute(delete(LeadKey).where(LeadKey.lead_id == other.id))
    await session.delete(other)
    await write_down(session, first, whole)


async def unused(session: AsyncSession, digests: set[str], tenant: str) -> list[str]:
    """Those of these digests that no row of the tenant refers to: bytes that are the same are kept once."""
    used: set[str] = set()
    for model in (CollectedDocument, Document, JobArtifact, Upload):
        query = select(model.sha256).where(model.tenant == tenant, model.sha256.in_(digests))
        used.update(one for one in await session.scalars(query) if one is not None)
    return sorted(digests - used)
