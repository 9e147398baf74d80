"""Erasing what somebody asked to be erased, in the log, the archive and PostgreSQL, until it is gone for certain."""

from __future__ import annotations

from consumers.maintenance.yard import Yard
from schemas.maintenance import Report
from streams.erase import Erasures
from streams.mentions import Mentions


async def erase(yard: Yard) -> Report:
    """Carry out what was asked for; an order for a dry run counts what is open."""
    erasures = Erasures(yard.log, yard.blobs.chunks)
    asked = await erasures.open()
    if yard.order.dry_run:
        return yard.report(f"{len(asked)} erasures are open", counts={"open": len(asked)})
    counts = {"open": 0, "entries": 0, "archived": 0, "letters": 0, "claims": 0, "rows": 0}
    waiting: set[str] = set()
    for wanted, done in await erasures.carry_out(now_ms=round(yard.now.timestamp() * 1_000)):
        if yard.database is not None:
            rows = await yard.store.erasing.erase(sorted(done.jobs), Mentions(wanted.words), tenant=wanted.tenant)
            counts["rows"] += sum(rows.values())
        for name in ("entries", "archived", "letters", "claims"):
            counts[name] += getattr(done, name)
        waiting |= done.waiting
    counts["open"] = len(await erasures.open())
    said = [f"{len(waiting)} jobs are to end, or to be archived, first: {', '.join(sorted(waiting)[:5])}"]
    return yard.report(*(said if waiting else ()), counts=counts)
