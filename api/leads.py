"""The lead book as routes and commands use it: views, exports, erasure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from api.problems import Problem
from consumers.audit.export import csv_pieces, xlsx_bytes
from consumers.contacts.emails import normalised
from consumers.contacts.phones import to_e164
from consumers.leads.identity import domain_of, plain
from schemas.leads import FoundLead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from api.services import Services
    from consumers.store.leads import LeadFilter
    from consumers.store.models import Lead

COLUMNS: Final = (
    "id", "name", "status", "owner", "follow_up_on", "score", "reasons", "phone", "phones", "emails", "website",
    "address", "category", "rating", "reviews", "builder", "social", "source", "source_url", "job_id", "created_at",
)  # fmt: skip
BATCH: Final = 500
_KINDS: Final = {"email": "e", "phone": "c", "domain": "d"}
"""As of `consumers.leads.identity`."""


async def lead_at(services: Services, lead_id: str, tenant: str) -> Lead:
    """A lead.

    Raises:
        Problem: The tenant has no such one.
    """
    lead = await services.store.leads.get(lead_id, tenant=tenant)
    if lead is None:
        raise no_such(lead_id)
    return lead


def no_such(lead_id: str) -> Problem:
    """What is said when there is no such lead."""
    return Problem("not-found", f"there is no lead {lead_id[:64]!r}; GET /api/v1/leads lists those that there are")


def block_value(kind: str, value: str) -> str | None:
    """What a blacklist keeps of a ``phone``, ``domain`` or ``name`` as people write it; None when it is none."""
    if kind == "phone":
        return to_e164(value)
    return plain(value) if kind == "name" else domain_of(f"https://{value}/")


def erasure_key(field: str, value: str) -> str | None:
    """By what somebody is erased who has this ``email``, ``phone`` or ``domain``; None when it is none."""
    if field == "email":
        read = normalised(value)
    else:
        read = to_e164(value) if field == "phone" else domain_of(f"https://{value}/")
    return f"{_KINDS[field]}:{read}" if read else None


def lead_view(lead: Lead) -> dict[str, Any]:
    """A lead as the API shows it."""
    found = FoundLead.model_validate(lead.payload)
    at = f"/api/v1/leads/{lead.id}"
    shown = found.model_dump(mode="json", exclude={"v", "key", "name", "rating", "reviews", "pages"})
    return {
        "id": lead.id, "name": lead.name, "status": lead.status, "owner": lead.owner,
        "follow_up_on": lead.follow_up_on, "score": lead.score, "reasons": lead.reasons, "rating": lead.rating,
        "reviews": lead.reviews, "source": lead.source, "job_id": lead.job_id, "last_job_id": lead.last_job_id,
        **shown, "created_at": lead.created_at, "changed_at": lead.changed_at,
        "links": {"self": at, "timeline": f"{at}/timeline"},
    }  # fmt: skip


async def exported(services: Services, chosen: LeadFilter, tenant: str, kind: str) -> bytes:
    """Leads as a file, CSV or XLSX, safe from formulas."""
    rows = _rows(services, chosen, tenant)
    if kind == "xlsx":
        return await xlsx_bytes("Leads", COLUMNS, rows)
    return b"".join([piece async for piece in csv_pieces(COLUMNS, rows)])


async def _rows(services: Services, chosen: LeadFilter, tenant: str) -> AsyncIterator[tuple[Any, ...]]:
    cursor = None
    while True:
        page = await services.store.leads.page(chosen, tenant=tenant, cursor=cursor, limit=BATCH)
        for lead in page.items:
            yield _row(lead)
        cursor = page.next
        if cursor is None:
            return


def _row(lead: Lead) -> tuple[Any, ...]:
    found = FoundLead.model_validate(lead.payload)
    phones = [one.value for one in found.phones]
    return (
        lead.id, lead.name, lead.status, lead.owner or "", lead.follow_up_on, lead.score,
        "; ".join(str(one["text"]) for one in lead.reasons), phones[0] if phones else "", ", ".join(phones),
        ", ".join(one.value for one in found.emails), found.website or "", found.address or "", found.category or "",
        lead.rating, lead.reviews, found.builder or "", ", ".join(one.value for one in found.social), lead.source,
        found.origins[0].url if found.origins else "", lead.job_id, lead.created_at.isoformat(),
    )  # fmt: skip
