"""What a business's website tells of it: contacts, profiles, by what it was made, what is wrong with it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from consumers.audit.document import Document
from consumers.audit.page import read_page
from consumers.contacts.read import Contact, contacts_of, merged
from consumers.leads.identity import domain_of, phone_of
from consumers.leads.let_in import ERASED, let_in_lead
from consumers.leads.site import builder_of, problems_of
from consumers.net.visit import DISALLOWED
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from schemas.leads import FoundLead, LeadsSpec, Left, Origin, Reached, VisitedSite
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext

_NO_PROBLEM = frozenset({"", DISALLOWED, "http_401", "http_403", "http_429", "http_451"})
"""The site may be well: it only does not answer us."""


@stage(
    name="extract",
    accepts=VisitedSite,
    policy=StagePolicy(timeout_s=120, concurrency=4, retry=RetryPolicy(max_attempts=3, base_s=2, cap_s=60)),
)
async def extract(visited: VisitedSite, ctx: StageContext) -> Outcome:
    """Read the pages that were kept."""
    spec = await ctx.spec(LeadsSpec)
    bodies = [await ctx.blobs.read(page.sha256, tenant=ctx.tenant) for page in visited.pages]
    lead = await asyncio.to_thread(_read, visited, bodies, spec.region)
    business = visited.business
    origin = Origin(job_id=ctx.job_id, key=business.key, source=business.source, url=business.source_url)
    let_in = await let_in_lead(lead.model_copy(update={"origins": (origin,)}), ctx)
    await ctx.collect(let_in or Left(key="", left=ERASED))
    return Done()


def _read(visited: VisitedSite, bodies: list[bytes], region: str | None) -> FoundLead:
    business = visited.business
    pages = [
        read_page(Document(url=page.url, headers=(("content-type", page.content_type or "text/html"),), body=body))
        for page, body in zip(visited.pages, bodies, strict=True)
    ]
    found = merged(contacts_of(page, region) for page in pages)
    number = phone_of(business, region)
    listed = (Reached(value=number, source="listing", url=business.source_url),) if number else ()
    phones = {one.value: one for one in (*_reached(found.phones)[::-1], *listed)}
    home = bodies[0].decode("utf-8", "replace") if bodies else ""
    problems = problems_of(visited.pages[0].url, home, datetime.now(UTC).year) if bodies else ()
    if visited.failure not in _NO_PROBLEM:
        problems = ("unreachable",)
    return FoundLead(
        key=business.key, name=business.name, category=business.category, rating=business.rating,
        address=business.address or next((one.value for one in found.addresses), None), reviews=business.reviews,
        lat=business.lat, lon=business.lon, website=visited.website, domain=domain_of(visited.website),
        phones=tuple(phones.values())[::-1], emails=_reached(found.emails), addresses=_reached(found.addresses),
        social=_reached(found.social), builder=builder_of(home) if home else None, problems=problems,
        pagespeed=visited.pagespeed, pages=visited.pages,
    )  # fmt: skip


def _reached(found: tuple[Contact, ...]) -> tuple[Reached, ...]:
    return tuple(Reached(value=one.value, source=one.source, url=one.url, label=one.label[:200]) for one in found)
