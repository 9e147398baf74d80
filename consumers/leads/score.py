"""How good a lead is for who makes websites: 0 to 100, every point with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from consumers.leads.site import HOSTED
from schemas.leads import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.leads import FoundLead

MAX_SCORE: Final = 100
PROBLEMS: Final[dict[str, tuple[int, str]]] = {
    "unreachable": (30, "its website does not answer"),
    "no_https": (15, "its website is without TLS"),
    "not_mobile": (15, "its website is not made for phones"),
    "old": (10, "its website was not touched for years"),
}
SLOW: Final = 50
GOOD_RATING: Final = 4.5
GOOD_REVIEWS: Final = 20


def reasons_of(lead: FoundLead) -> tuple[Reason, ...]:
    """What speaks for a lead."""
    found: list[Reason] = []
    if lead.website is None:
        found.append(Reason(code="no_website", points=45, text="it has no website of its own"))
    for code in lead.problems:
        points, text = PROBLEMS[code]
        found.append(Reason(code=code, points=points, text=text))
    if lead.builder in HOSTED:
        found.append(Reason(code="builder", points=10, text=f"its website was made with {lead.builder}"))
    speed = speed_of(lead.pagespeed, "mobile")
    if speed is not None and speed < SLOW:
        found.append(Reason(code="slow", points=20, text=f"its website has {speed} of 100 for speed on phones"))
    if (lead.rating or 0) >= GOOD_RATING and (lead.reviews or 0) >= GOOD_REVIEWS:
        found.append(Reason(code="liked", points=20, text=f"{lead.reviews} reviews give it {lead.rating:g}"))
    if lead.phones:
        found.append(Reason(code="phone", points=15, text="it can be called"))
    if lead.emails:
        found.append(Reason(code="email", points=10, text="it can be written to"))
    return tuple(found)


def score_of(reasons: tuple[Reason, ...]) -> int:
    """Their points together, at most `MAX_SCORE`."""
    return min(MAX_SCORE, sum(one.points for one in reasons))


def speed_of(pagespeed: Mapping[str, Any] | None, strategy: str) -> int | None:
    """How fast a website was on ``mobile`` or ``desktop``, of 100; None when it was not measured."""
    measured = (pagespeed or {}).get(strategy)
    scores = measured.get("scores") if isinstance(measured, dict) else None
    performance = scores.get("performance") if isinstance(scores, dict) else None
    return performance if isinstance(performance, int) else None
