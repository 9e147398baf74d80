"""Several records of one business become one, each part with where it is from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consumers.leads.identity import is_same, keys_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.leads import FoundLead, Origin, Reached


MAX_PAGES: Final = 100


def merged(first: FoundLead, more: FoundLead) -> FoundLead:
    """Two records of one business; what the first lacks comes from the other."""
    filled = {
        name: getattr(more, name)
        for name in ("address", "category", "lat", "lon", "website", "domain", "builder")
        if getattr(first, name) is None
    }
    if more.reviews is not None and more.reviews >= (first.reviews or 0):
        filled |= {"rating": more.rating, "reviews": more.reviews}
    elif first.rating is None:
        filled["rating"] = more.rating
    if more.website is not None:
        filled |= {"problems": more.problems}
    if more.pagespeed is not None:
        filled["pagespeed"] = more.pagespeed
    return first.model_copy(
        update={
            **filled,
            "phones": _once(first.phones, more.phones),
            "emails": _once(first.emails, more.emails),
            "addresses": _once(first.addresses, more.addresses),
            "social": _once(first.social, more.social),
            "pages": tuple({one.sha256: one for one in (*first.pages, *more.pages)}.values())[-MAX_PAGES:],
            "origins": _origins(first.origins, more.origins),
        }
    )


def deduplicated(found: Iterable[FoundLead]) -> list[FoundLead]:
    """One record for each business, in the order in which they were found."""
    kept: list[FoundLead] = []
    known: dict[str, list[int]] = {}
    for one in found:
        near = dict.fromkeys(index for key in keys_of(one) for index in known.get(key, ()))
        at = next((index for index in near if is_same(one, kept[index])), None)
        if at is None:
            at = len(kept)
            kept.append(one)
        else:
            kept[at] = merged(kept[at], one)
        for key in keys_of(kept[at]):
            known.setdefault(key, []).append(at)
    return kept


def _once(first: tuple[Reached, ...], more: tuple[Reached, ...]) -> tuple[Reached, ...]:
    return tuple({one.value: one for one in (*more[::-1], *first[::-1])}.values())[::-1]


def _origins(first: tuple[Origin, ...], more: tuple[Origin, ...]) -> tuple[Origin, ...]:
    return tuple({(one.job_id, one.key): one for one in (*first, *more)}.values())
