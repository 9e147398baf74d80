"""How listings are read: the recipes that come with Millrace, and a card's HTML as a business.

There is no recipe for a site whose terms forbid reading it by machine; those have an API (`places`).
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from selectolax.lexbor import LexborHTMLParser

from consumers.audit.entity import address_of
from consumers.audit.structured import first_text, read_markup, text_value, types_of, values_of, walk
from consumers.leads.identity import key_of
from consumers.net import urls
from schemas.leads import Business, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONSENT: Final = (
    "[id*='consent' i] button[id*='accept' i]", "[class*='consent' i] button[class*='accept' i]",
    "[class*='cookie' i] button[class*='accept' i]", "[id*='cookie' i] button[id*='accept' i]",
    "[role='dialog'] button:has-text('Accept all')", "[role='dialog'] button:has-text('Accept')",
    "[role='dialog'] button:has-text('Agree')", "[role='dialog'] button:has-text('Alle akzeptieren')",
    "[role='dialog'] button:has-text('Tout accepter')", "[role='dialog'] button:has-text('Aceptar')",
)  # fmt: skip
_NEXT: Final = ", ".join((
    "a[rel~='next']", "link[rel~='next']", "a[aria-label*='next' i]", "a[class*='next' i][href]",
    "[class*='next' i] > a[href]", "button[class*='load-more' i]", "button[class*='show-more' i]",
    *(
        f"button:has-text('{words}')"
        for words in ("Show more", "Load more", "More results", "Mehr anzeigen", "Mehr laden", "Voir plus", "Ver más")
    ),
))  # fmt: skip
"""What leads on: links are followed by an entry of their own, buttons are pressed."""

_NAMED: Final = "h2, h3, h4, [class*='name' i], [class*='title' i]"
_REACHED: Final = "a[href^='tel:'], address, [class*='address' i], [class*='phone' i], [class*='street' i]"
_CARD: Final = ", ".join((
    "[itemtype*='LocalBusiness']", ".listing", ".result", ".business", ".business-card", ".listing-item",
    ".search-result", "li.card", "article.card", "article[class*='listing' i]", "article[class*='business' i]",
    # Whatever has a name and a way to reach it, and is not about the directory itself.
    f":is(article, li, tr, div):has({_NAMED}):has({_REACHED}):not(footer *, header *, nav *, aside *, form *)",
))  # fmt: skip
"""Of cards within cards the innermost counts: so a list is not taken for a business."""

RECIPES: Final[dict[str, Recipe]] = {
    "directory": Recipe(
        card=_CARD,
        fields={
            "name": "[itemprop='name'], h2, h3, h4, .name, .title, .business-name, [class*='name' i], "
            "[class*='title' i]",
            "phone": "a[href^='tel:']@href, [itemprop='telephone'], .phone, .tel, [class*='phone' i]",
            "website": "a[itemprop='url']@href, a.website@href, a[rel~='external']@href, "
            "a[rel~='nofollow'][target='_blank']@href, "
            "a[target='_blank'][href^='http']@href",
            "address": "[itemprop='address'], address, .address, .adr, .street-address, .location, "
            "[class*='address' i]",
            "rating": "[itemprop='ratingValue']@content, [itemprop='ratingValue'], "
            "[data-rating]@data-rating, .rating, .stars, [class*='rating' i]@aria-label, [class*='star' i]@aria-label",
            "reviews": "[itemprop='reviewCount']@content, [itemprop='reviewCount'], .reviews, .review-count, .count, "
            "[class*='review' i], [class*='vote' i]",
            "category": ".category, .categories, [itemprop='category']",
        },
        consent=CONSENT, next=_NEXT, markup=True,
    ),
    "localbusiness": Recipe(
        markup=True, consent=CONSENT, next=_NEXT,
        links="[itemprop='itemListElement'] a[itemprop='url'], :is(.listing, article, li) :is(h2, h3) a, "
        "a.business, a.listing-link, "
        ":is([class*='director' i], [class*='listing' i], [class*='result' i]) li > a:not(nav *)",
    ),
}  # fmt: skip
_ATTRIBUTE: Final = re.compile(r"^(.*?)@([\w-]+)$", re.DOTALL)
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)?")
_COUNT: Final = re.compile(r"\d{1,3}(?:[.,\s\u00a0\u202f]\d{3})+|\d+")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_NO_BUSINESS: Final = frozenset({
    "Organization", "Corporation", "Person", "Brand", "WebSite", "Place", "NGO", "NewsMediaOrganization",
})  # fmt: skip
MAX_TEXT: Final = 500
_BEST: Final = 5.0


def read_fields(html: str, fields: Mapping[Any, str]) -> dict[str, str]:
    """The texts that selectors find in a piece of HTML, the first that is not empty of each."""
    tree = LexborHTMLParser(html)
    found: dict[str, str] = {}
    for name, spec in fields.items():
        for one in spec.split(", "):
            if text := _text(tree, one):
                found[name] = text
                break
    return found


def _text(tree: LexborHTMLParser, one: str) -> str:
    attributed = _ATTRIBUTE.match(one)
    selector, attribute = attributed.groups() if attributed else (one, "")
    body = tree.body
    if body is None:
        return ""
    nodes = tree.css(selector) if selector.strip() else list(body.iter(include_text=False))[:1]
    for node in nodes:
        text = node.attributes.get(attribute) or "" if attribute else node.text(separator=" ", deep=True)
        if text := " ".join(text.split())[:MAX_TEXT]:
            return text
    return ""


def business_of(found: Mapping[str, str], base: str, source: str = "browser") -> Business | None:
    """A business from the texts of its fields; None without a name.

    Args:
        base: The page, against which addresses are resolved.
    """
    name = found.get("name")
    if not name:
        return None
    website = found.get("website")
    place, phone = found.get("place_id"), (found.get("phone") or "").removeprefix("tel:") or None
    url = urls.resolve(base, found["url"]) if found.get("url") else None
    return Business.model_validate({
        "key": f"id {place[:200]}" if place else key_of(name, found.get("address"), phone, website),
        "source": source, "source_url": url or base, "name": name, "phone": phone,
        "website": (urls.resolve(base, website) or website) if website else None, "address": found.get("address"),
        "rating": rating_of(found.get("rating", "")), "reviews": count_of(found.get("reviews", "")),
        "reviewed_on": day_of(found.get("reviewed_on", "")), "category": found.get("category"), "place_id": place,
        "lat": _degrees(found.get("lat", "")), "lon": _degrees(found.get("lon", "")),
    })  # fmt: skip


def rating_of(text: str) -> float | None:
    """``4,8 of 5`` as 4.8; None for what is no rating."""
    match = _NUMBER.search(text)
    value = float(match[0].replace(",", ".")) if match else None
    return value if value is not None and 0 <= value <= _BEST else None


def count_of(text: str) -> int | None:
    """``(1.234 reviews)`` as 1234."""
    match = _COUNT.search(text)
    return int(re.sub(r"\D", "", match[0])) if match and len(match[0]) < MAX_TEXT // 20 else None


def day_of(text: str) -> date | None:
    """The day of an ISO 8601 date or instant."""
    match = _DATE.search(text)
    try:
        return date.fromisoformat(match[0]) if match else None
    except ValueError:
        return None


def from_markup(html: str, base: str) -> Iterator[Business]:
    """The businesses of a page's structured data: schema.org LocalBusiness and everything more special."""
    for block in read_markup(LexborHTMLParser(html), base):
        for node in walk(block.nodes):
            if not _is_local(node):
                continue
            rating = next((one for one in values_of(node, "aggregateRating") if isinstance(one, dict)), {})
            place = next((one for one in values_of(node, "geo") if isinstance(one, dict)), {})
            same = [one for one in values_of(node, "sameAs") if isinstance(one, str)]
            website = first_text(node, "url")
            if website and urls.resolve(base, website) and urls.same_site(urls.resolve(base, website) or "", base):
                website = same[0] if same else ""  # its page in this directory
            found = {
                "name": first_text(node, "name"), "phone": first_text(node, "telephone"), "website": website,
                "address": address_of(node), "rating": text_value(first_text(rating, "ratingValue")),
                "reviews": first_text(rating, "reviewCount") or first_text(rating, "ratingCount"),
                "category": next(iter(types_of(node)), ""), "lat": first_text(place, "latitude"),
                "lon": first_text(place, "longitude"),
            }  # fmt: skip
            business = business_of({name: text for name, text in found.items() if text}, base)
            if business is not None:
                yield business


def _is_local(node: dict[str, Any]) -> bool:
    types = set(types_of(node))
    has_place = bool(values_of(node, "address") or values_of(node, "telephone"))
    return bool(values_of(node, "name")) and has_place and bool(types) and not types <= _NO_BUSINESS


def _degrees(text: str) -> str | None:
    return text if re.fullmatch(r"-?\d{1,3}(\.\d+)?", text) else None
