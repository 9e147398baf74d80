"""People who were erased stay out of every stage: nothing of them is emitted, collected or kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from consumers.audit.document import Document
from consumers.audit.page import read_page
from consumers.contacts.read import contacts_of
from consumers.leads.identity import business_keys, erased_keys, without
from consumers.leads.needles import Needles
from schemas.leads import FoundLead, LeadsSpec, Left

if TYPE_CHECKING:
    from collections.abc import Collection

    from consumers.context import StageContext
    from schemas.leads import Business

ERASED = "erased"
"""Why a business is left out that was erased; nothing else is kept of it."""


async def erased_among(keys: Collection[str], ctx: StageContext) -> frozenset[str]:
    """Those of these keys (see `consumers.leads.identity`) that were erased."""
    suppressions = ctx.store.lead_suppressions
    if not keys or not await suppressions.has_any(tenant=ctx.tenant):
        return frozenset()
    seal = await suppressions.seal(ctx.settings, ctx.blobs)
    return await suppressions.erased(keys, tenant=ctx.tenant, seal=seal)


async def let_in_of(businesses: Collection[Business], ctx: StageContext) -> list[Business]:
    """Those that were not erased; that others were left out is collected, not who."""
    spec = await ctx.spec(LeadsSpec)
    keys = {id(one): business_keys(one, spec.region) for one in businesses}
    erased = await erased_among({key for of_one in keys.values() for key in of_one}, ctx)
    let_in = [one for one in businesses if not erased.intersection(keys[id(one)])]
    for _ in range(len(businesses) - len(let_in)):
        await ctx.collect(Left(key="", left=ERASED))
    return let_in


async def let_in_lead(lead: FoundLead, ctx: StageContext) -> FoundLead | None:
    """A lead without contacts that were erased; None when it was itself."""
    return without(lead, await erased_among(erased_keys(lead), ctx))


async def let_in_page(url: str, content_type: str, body: bytes, region: str | None, ctx: StageContext) -> bytes:
    """A page without contacts that were erased; empty when they cannot be taken out, being written in riddles."""
    if not await ctx.store.lead_suppressions.has_any(tenant=ctx.tenant):
        return body
    keys = await asyncio.to_thread(_contacts, url, content_type, body, region)
    erased = await erased_among(keys, ctx)
    if not erased:
        return body
    needles = Needles.of_keys(erased)
    left = await asyncio.to_thread(needles.cut_from_bytes, body)
    still = await asyncio.to_thread(_contacts, url, content_type, left, region)
    return b"" if erased.intersection(still) else left


def _contacts(url: str, content_type: str, body: bytes, region: str | None) -> set[str]:
    page = read_page(Document(url=url, headers=(("content-type", content_type or "text/html"),), body=body))
    found = contacts_of(page, region)
    return {f"e:{one.value}" for one in found.emails} | {f"c:{one.value}" for one in found.phones}
