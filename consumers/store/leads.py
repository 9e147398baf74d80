"""The lead book, and who is kept out of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, Select, String, cast, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from consumers.leads.identity import erased_keys, is_same, keys_of, without
from consumers.leads.merge import merged
from consumers.leads.score import reasons_of, score_of, speed_of
from consumers.store.lead_suppressions import erased_of
from consumers.store.models import Job, Lead, LeadEvent, LeadKey
from consumers.store.pages import Page, checked_limit, read_cursor, write_cursor
from schemas.leads import FoundLead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from consumers.leads.identity import Seal
    from consumers.store.database import Database
    from schemas.leads import LeadChange

FLOW: Final = "leads"
_RATING_PARTS: Final = 100
_LOCK: Final = 0x6C656164  # "lead"
BANDS: Final = ("0-19", "20-39", "40-59", "60-79", "80-100")
SORTS: Final = ("score", "created_at", "name", "rating", "reviews")


@dataclass(frozen=True, slots=True)
class KeptLead:
    """A lead as a job put it into the book."""

    lead_id: str
    score: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a job's leads; `suppressed` were erased before and stay out."""

    leads: tuple[KeptLead, ...]
    suppressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadFilter:
    """Which leads a list shows; what is not said does not matter.

    Attributes:
        job_id: That found them first: what is new since the run before.
        text: In the name, whatever its case.
        follow_up_until: Whose follow-up date has come by then.
        new: Found first by the tenant's last run that ended.
    """

    status: str | None = None
    owner: str | None = None
    source: str | None = None
    job_id: str | None = None
    min_score: int | None = None
    text: str | None = None
    follow_up_until: date | None = None
    new: bool = False


class Leads:
    """The leads of tenants. Every method raises `TransientError` when the database is down."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, found: Sequence[FoundLead], *, job_id: str, tenant: str, seal: Seal) -> Kept:
        """Put a job's leads into the book, in one transaction: known ones are completed, erased ones stay out.

        The status, owner, date and timeline of known ones are people's and stay as they are.
        """
        kept: dict[str, KeptLead] = {}
        suppressed = 0
        async with self._database.begin() as session:
            await lock_book(session, tenant)
            erased = await erased_of(session, {key for one in found for key in erased_keys(one)}, tenant, seal)
            for one in found:
                lead = without(one, erased)
                if lead is None:
                    suppressed += 1
                    continue
                put = await self._put(session, lead, job_id, tenant)
                was_new = put.lead_id in kept and kept[put.lead_id].is_new
                kept[put.lead_id] = KeptLead(put.lead_id, put.score, put.is_new or was_new)
        return Kept(tuple(kept.values()), suppressed)

    async def _put(self, session: AsyncSession, found: FoundLead, job_id: str, tenant: str) -> KeptLead:
        query = (
            select(Lead)
            .join(LeadKey, LeadKey.lead_id == Lead.id)
            .where(Lead.tenant == tenant, LeadKey.tenant == tenant, LeadKey.key.in_(keys_of(found)))
        )
        near = (await session.scalars(query.order_by(Lead.created_at, Lead.id))).unique().all()
        known = next((one for one in near if is_same(FoundLead.model_validate(one.payload), found)), None)
        if known is None and not keys_of(found):
            known = await session.scalar(
                select(Lead).where(Lead.tenant == tenant, Lead.payload["key"].astext == found.key)
            )
        whole = merged(FoundLead.model_validate(known.payload), found) if known is not None else found
        lead = known or Lead(
            id=f"ld-{uuid.uuid4().hex[:20]}", tenant=tenant, source=found.origins[0].source, job_id=job_id, status="new"
        )
        is_new = lead.job_id == job_id
        lead.last_job_id = job_id
        session.add(lead)
        await write_down(session, lead, whole)
        return KeptLead(lead.id, lead.score, is_new)

    async def tenants(self) -> list[str]:
        """Those that have a book."""
        async with self._database.begin() as session:
            return list(await session.scalars(select(Lead.tenant).distinct().order_by(Lead.tenant)))

    async def get(self, lead_id: str, *, tenant: str) -> Lead | None:
        """A lead, None when this tenant has no such one."""
        async with self._database.begin() as session:
            found: Lead | None = await session.scalar(select(Lead).where(Lead.id == lead_id, Lead.tenant == tenant))
            return found

    async def page(
        self,
        chosen: LeadFilter,
        *,
        tenant: str,
        sort: str = "score",
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Lead]:
        """Leads, sorted by one of `SORTS`: names from A, all else from the highest.

        Raises:
            BadCursorError: The cursor is not one that a list gave with this order.
        """
        order, kind = _order(sort)
        key = tuple_(order, Lead.id)
        is_rising = sort == "name"
        query = _chosen(select(Lead, order.label("sorted_by")), chosen, tenant)
        query = query.order_by(
            order.asc() if is_rising else order.desc(), Lead.id.asc() if is_rising else Lead.id.desc()
        )
        if cursor is not None:
            after = tuple_(*read_cursor(cursor, kind, str))
            query = query.where(key > after if is_rising else key < after)
        async with self._database.begin() as session:
            rows = [(row[0], row[1]) for row in await session.execute(query.limit(checked_limit(limit) + 1))]
        more, rows = len(rows) > limit, rows[:limit]
        return Page([lead for lead, _ in rows], write_cursor(rows[-1][1], rows[-1][0].id) if more else None)

    async def change(self, lead_id: str, change: LeadChange, *, tenant: str, actor: str) -> Lead | None:
        """Change what people say of a lead, each change a line of its timeline; None when there is no such lead."""
        said = change.model_dump(exclude_unset=True, exclude={"note"})
        async with self._database.begin() as session:
            lead: Lead | None = await session.scalar(
                select(Lead).where(Lead.id == lead_id, Lead.tenant == tenant).with_for_update()
            )
            if lead is None:
                return None
            for name, value in said.items():
                if (name == "status" and value is None) or getattr(lead, name) == value:
                    continue
                text = f"{getattr(lead, name) or 'none'} -> {value if value is not None else 'none'}"
                session.add(LeadEvent(lead_id=lead_id, tenant=tenant, kind=name, actor=actor, text=text))
                setattr(lead, name, value)
            if change.note:
                session.add(LeadEvent(lead_id=lead_id, tenant=tenant, kind="note", actor=actor, text=change.note))
            lead.changed_at = datetime.now(UTC)
            await session.flush()
            return lead

    async def put_speed(self, lead_id: str, speed: dict[str, Any], *, tenant: str, actor: str) -> bool:
        """Write down how fast a lead's website is, and score it anew; False when there is no such lead.

        What could not be measured does not replace what was measured before.
        """
        async with self._database.begin() as session:
            lead = await session.scalar(select(Lead).where(Lead.id == lead_id, Lead.tenant == tenant).with_for_update())
            if lead is None:
                return False
            found = FoundLead.model_validate(lead.payload)
            is_measured = speed.get("status") == "measured"
            if is_measured or (found.pagespeed or {}).get("status") != "measured":
                found = found.model_copy(update={"pagespeed": speed})
            await write_down(session, lead, found)
            told = f"{speed_of(speed, 'mobile')} of 100 on phones" if is_measured else str(speed.get("reason", ""))
            session.add(LeadEvent(lead_id=lead_id, tenant=tenant, kind="pagespeed", actor=actor, text=told[:500]))
            return True

    async def unmeasured(self, chosen: LeadFilter, *, tenant: str, limit: int) -> list[str]:
        """Ids of the best leads with a website whose speed is not known."""
        status = Lead.payload["pagespeed"]["status"].astext
        query = (
            _chosen(select(Lead.id), chosen, tenant)
            .where(Lead.payload["website"].astext.is_not(None), func.coalesce(status, "") != "measured")
            .order_by(Lead.score.desc(), Lead.id)
        )
        async with self._database.begin() as session:
            return list(await session.scalars(query.limit(limit)))

    async def timeline(
        self, lead_id: str, *, tenant: str, cursor: str | None = None, limit: int = 50
    ) -> Page[LeadEvent]:
        """What happened to a lead, newest first."""
        query = (
            select(LeadEvent)
            .where(LeadEvent.lead_id == lead_id, LeadEvent.tenant == tenant)
            .order_by(LeadEvent.id.desc())
        )
        if cursor is not None:
            query = query.where(LeadEvent.id < read_cursor(cursor, int)[0])
        async with self._database.begin() as session:
            rows = list(await session.scalars(query.limit(checked_limit(limit) + 1)))
        more, rows = len(rows) > limit, rows[:limit]
        return Page(rows, write_cursor(rows[-1].id) if more else None)

    async def statistics(self, *, tenant: str) -> dict[str, Any]:
        """Counts by status, source, score band and day, and the share that was converted."""
        band = func.width_bucket(Lead.score, 0, 100, len(BANDS))
        day = func.to_char(func.timezone("UTC", Lead.created_at), "YYYY-MM-DD")
        told: dict[str, dict[str, int]] = {}
        async with self._database.begin() as session:
            for name, part in (("status", Lead.status), ("source", Lead.source), ("score", band), ("day", day)):
                query = select(part, func.count()).where(Lead.tenant == tenant).group_by(part).order_by(part)
                told[name] = {str(row[0]): int(row[1]) for row in await session.execute(query)}
        bands = dict.fromkeys(BANDS, 0)
        for key, count in told["score"].items():
            bands[BANDS[min(int(key), len(BANDS)) - 1]] += count
        total = sum(told["status"].values())
        converted = told["status"].get("converted", 0)
        touched = total - told["status"].get("new", 0)
        return {
            "total": total, "by_status": told["status"], "by_source": told["source"], "by_score": bands,
            "by_day": told["day"], "conversion": round(converted / touched, 4) if touched else None,
        }  # fmt: skip


async def lock_book(session: AsyncSession, tenant: str) -> None:
    """Hold a tenant's book until the transaction ends: nobody else adds, merges or erases meanwhile."""
    await session.execute(select(func.pg_advisory_xact_lock(_LOCK, func.hashtext(tenant))))


async def write_down(session: AsyncSession, lead: Lead, found: FoundLead) -> None:
    """Have a lead say what is known of it now, score and keys included."""
    reasons = reasons_of(found)
    lead.name, lead.rating, lead.reviews = found.name, found.rating, found.reviews
    lead.payload, lead.score = found.model_dump(mode="json"), score_of(reasons)
    lead.reasons = [one.model_dump(mode="json") for one in reasons]
    lead.changed_at = datetime.now(UTC)
    await session.flush()
    await session.execute(delete(LeadKey).where(LeadKey.lead_id == lead.id))
    if keys := [{"lead_id": lead.id, "key": key, "tenant": lead.tenant} for key in keys_of(found)]:
        await session.execute(insert(LeadKey).values(keys).on_conflict_do_nothing())


def _order(sort: str) -> tuple[Any, type]:
    """The expression that leads are sorted by, never NULL, and the kind of its values in cursors."""
    if sort == "created_at":
        return Lead.created_at, datetime
    if sort == "name":
        return cast(Lead.name, String), str
    if sort == "rating":
        return cast(func.coalesce(Lead.rating, 0) * _RATING_PARTS, Integer), int
    return func.coalesce(Lead.reviews, 0) if sort == "reviews" else Lead.score, int


def _chosen(query: Select[Any], chosen: LeadFilter, tenant: str) -> Select[Any]:
    query = query.where(Lead.tenant == tenant)
    for column, value in (
        (Lead.status, chosen.status), (Lead.owner, chosen.owner), (Lead.source, chosen.source),
        (Lead.job_id, chosen.job_id),
    ):  # fmt: skip
        if value is not None:
            query = query.where(column == value)
    if chosen.min_score is not None:
        query = query.where(Lead.score >= chosen.min_score)
    if chosen.text:
        query = query.where(Lead.name.icontains(chosen.text, autoescape=True))
    if chosen.new:
        last = (
            select(Job.job_id)
            .where(Job.tenant == tenant, Job.flow == FLOW, Job.status.in_(("succeeded", "partial")))
            .order_by(Job.finished_at.desc().nulls_last(), Job.job_id.desc())
            .limit(1)
        )
        query = query.where(Lead.job_id == last.scalar_subquery())
    if chosen.follow_up_until is not None:
        query = query.where(Lead.follow_up_on <= chosen.follow_up_until)
    return query
