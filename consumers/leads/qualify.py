"""Whether a business is a lead: by rating, reviews, their age, its website, and the tenant's blacklist."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from consumers.leads.identity import domain_of, own_website, phone_of, plain

if TYPE_CHECKING:
    from collections.abc import Collection

    from schemas.leads import Business, LeadsSpec


def block_keys(business: Business, region: str | None) -> tuple[tuple[str, str], ...]:
    """What of a business a blacklist may name, as (kind, value)."""
    keys = [("name", plain(business.name))]
    if domain := domain_of(own_website(business.website)):
        keys.append(("domain", domain))
    if phone := phone_of(business, region):
        keys.append(("phone", phone))
    return tuple(keys)


def why_not(business: Business, spec: LeadsSpec, blocked: Collection[tuple[str, str]], today: date) -> str | None:
    """Why a business is no lead, as a code; None when it is one."""
    has_own = own_website(business.website) is not None
    checks = {
        "blacklisted": any(key in blocked for key in block_keys(business, spec.region)),
        "rating": spec.min_rating is not None and (business.rating or 0) < spec.min_rating,
        "reviews": spec.min_reviews is not None and (business.reviews or 0) < spec.min_reviews,
        "reviewed_long_ago": spec.reviewed_within_days is not None
        and (business.reviewed_on is None or business.reviewed_on < today - timedelta(spec.reviewed_within_days)),
        "no_website": spec.website == "own" and not has_own,
        "has_website": spec.website == "none" and has_own,
    }
    return next((code for code, is_so in checks.items() if is_so), None)
