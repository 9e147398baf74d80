"""Clean-up: what jobs left behind long ago goes, and results whose time is over."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from consumers.maintenance.built_in import FLOW
from consumers.maintenance.yard import Yard
from schemas.maintenance import Report

OWN_DAYS: Final = 2
"""How long the history of maintenance itself is kept: it has a job every half minute."""


async def clean_up(yard: Yard) -> Report:
    """Remove expired results, memos that nobody uses, and all rows of jobs that ended long ago; or count them.

    The settings say how long. Bytes in the artifact store are not touched here: several jobs may share them. What Redis
    keeps expires by itself.
    """
    cleanup, is_dry = yard.store.cleanup, yard.order.dry_run
    days = yard.order.older_than_days or yard.settings.history_days
    unused = yard.now - timedelta(days=yard.settings.memo_days)
    counts = {
        "expired_results": await cleanup.expired_results(yard.now, dry_run=is_dry),
        "memo": await yard.store.memos.remove_unused(unused, dry_run=is_dry),
    }
    old = await cleanup.jobs_ended_before(yard.now - timedelta(days=days), but_flow=FLOW, dry_run=is_dry)
    own = await cleanup.jobs_ended_before(yard.now - timedelta(days=min(OWN_DAYS, days)), flow=FLOW, dry_run=is_dry)
    counts |= {table: old.get(table, 0) + own.get(table, 0) for table in sorted(old.keys() | own.keys())}
    verb = "would be removed" if is_dry else "removed"
    said = [f"{count} rows of {table} {verb}" for table, count in counts.items() if count]
    return yard.report(*(said or (f"nothing is older than {days} days",)), counts=counts, older_than_days=days)
