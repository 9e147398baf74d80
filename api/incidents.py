"""Incidents as they are shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from streams.dlq import DeadLetters
from streams.incidents import Grouped, Incident, grouped

if TYPE_CHECKING:
    from api.services import Services
    from streams.dlq import LetterFilter


async def incidents(services: Services, chosen: LetterFilter) -> Grouped:
    """The letters that are meant, grouped; the incident with the newest letter first."""
    letters = DeadLetters(services.log).meant(chosen)
    return await grouped(letters, max_redrives=services.settings.max_redrives)


def incident_view(incident: Incident) -> dict[str, Any]:
    """An incident: what died, where, since when, how much of it, and what to do."""
    fingerprint, newest = incident.fingerprint, incident.newest
    tenants = {tenant: count for tenant, count in incident.jobs.items() if tenant}
    at = f"/api/v1/dlq/incidents/{incident.id}"
    return {
        "id": incident.id, "error_type": fingerprint.error, "reason": fingerprint.reason, "stage": fingerprint.stage,
        "flow": fingerprint.flow, "host": fingerprint.host, "letters": incident.letters,
        "quarantined": incident.quarantined, "first_seen": _instant(incident.first_ms),
        "last_seen": _instant(incident.last_ms), "jobs": sum(tenants.values()), "tenants": len(tenants),
        "jobs_by_tenant": tenants, "error": newest.fields.get("error", ""), "newest": newest.dead_id,
        "links": {"self": at, "retry": f"{at}/retry", "letters": f"/api/v1/dlq?incident={incident.id}"},
    }  # fmt: skip


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1_000, UTC)
