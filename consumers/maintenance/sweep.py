"""Letting go, once a day, of what nothing refers to: old archives first, and then what only they referred to."""

from __future__ import annotations

from consumers.maintenance.yard import Yard
from schemas.maintenance import Report
from streams.sweep import sweep_archive, sweep_claims, sweep_spilled


async def sweep(yard: Yard) -> Report:
    """Sweep the archive by its age, then the claim checks; an order for a dry run only counts."""
    chunks, dry_run = yard.blobs.chunks, yard.order.dry_run
    archived = await sweep_archive(
        chunks, yard.keys.namespace, max_age_s=yard.settings.archive_max_age_s, dry_run=dry_run, now=yard.now
    )
    claims = await sweep_claims(yard.client, yard.keys, chunks, dry_run=dry_run, now=yard.now)
    spilled = await sweep_spilled(yard.client, yard.keys, chunks, dry_run=dry_run, now=yard.now)
    said = [claims.refused] if claims.refused else []
    if claims.missing:
        said.append(f"{len(claims.missing)} payloads are referred to and not there: `millrace doctor` names their jobs")
    if spilled.missing:
        said.append(f"{len(spilled.missing)} chunks of parked tasks are not there: {spilled.missing[0]}")
    return yard.report(
        *said,
        counts={"archive_batches": archived.batches, "claims": claims.removed, "chunks": spilled.removed},
        archive_bytes=archived.size_bytes, claim_bytes=claims.removed_bytes, claims_kept=claims.claims - claims.removed,
    )  # fmt: skip
