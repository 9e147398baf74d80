"""What is done for the lead books once a day: pages let go, duplicates merged, figures taken."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Final

from consumers.maintenance.yard import Yard
from schemas.maintenance import Report

PAGES_DAYS: Final = 30
"""How long the pages of leads' websites are kept: what they tell is in the book."""


async def clean_up(yard: Yard) -> Report:
    """Let go of the pages of leads' websites, or count them."""
    days = yard.order.older_than_days or PAGES_DAYS
    before = yard.now - timedelta(days=days)
    counts: Counter[str] = Counter()
    for tenant in await yard.store.leads.tenants():
        pages = await yard.store.lead_upkeep.old_pages(before, tenant=tenant)
        counts["pages"] += len(pages)
        if yard.order.dry_run:
            continue
        for sha256 in await yard.store.lead_upkeep.forget_pages(pages, before, tenant=tenant):
            await yard.blobs.delete(sha256, tenant=tenant)
            counts["removed_from_the_artifact_store"] += 1
    verb = "would be let go" if yard.order.dry_run else "let go"
    return yard.report(
        f"{counts['pages']} pages older than {days} days {verb}", counts=dict(counts), older_than_days=days
    )


async def dedupe(yard: Yard) -> Report:
    """Merge leads that were found to be one business since they came, or count them."""
    merged = 0
    for tenant in await yard.store.leads.tenants():
        merged += await yard.store.lead_upkeep.dedupe(tenant=tenant, dry_run=yard.order.dry_run)
    verb = "would be merged into others" if yard.order.dry_run else "were merged into others"
    return yard.report(f"{merged} leads {verb}", counts={"merged": merged})


async def statistics(yard: Yard) -> Report:
    """The figures of each book as they are now; scheduled, the results are their course."""
    told = {tenant: await yard.store.leads.statistics(tenant=tenant) for tenant in await yard.store.leads.tenants()}
    total = sum(one["total"] for one in told.values())
    return yard.report(f"{total} leads in {len(told)} books", counts={"leads": total}, tenants=told)
