"""What kind of page an address is, and whether search engines may list it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from consumers.audit.page import same_page

if TYPE_CHECKING:
    from schemas.audit import PageSeen

_ARTICLES: Final = frozenset(
    {"Article", "NewsArticle", "BlogPosting", "TechArticle", "ScholarlyArticle", "Report", "LiveBlogPosting"}
)
_BY_MARKUP: Final = (
    (frozenset({"Product", "ProductGroup", "Offer", "AggregateOffer"}), "product"),
    (_ARTICLES, "article"),
    (frozenset({"FAQPage", "QAPage"}), "faq"),
    (frozenset({"ContactPage"}), "contact"),
    (frozenset({"AboutPage", "ProfilePage"}), "about"),
    (frozenset({"CollectionPage", "ItemList", "Blog", "SearchResultsPage"}), "listing"),
    (frozenset({"Event", "Recipe", "JobPosting", "Course", "Service"}), "offer"),
)
_BY_PATH: Final = tuple(
    (re.compile(rf"(?:^|[/_-])(?:{words})(?:[/._-]|$)", re.IGNORECASE), name)
    for words, name in (
        ("contact|contacts|contact-us|kontakt|contacto|contatti", "contact"),
        ("about|about-us|team|company|ueber-uns|uber-uns|a-propos|quienes-somos|chi-siamo", "about"),
        ("privacy|terms|imprint|impressum|legal|cookies?|disclaimer|datenschutz|agb|mentions-legales", "legal"),
        ("faq|faqs|help|support", "faq"),
        ("login|signin|sign-in|register|signup|account|cart|checkout|basket", "account"),
        ("search|suche|recherche", "search"),
        ("blog|news|magazine|stories|press", "article"),
        ("category|categories|tag|tags|archive|collections?|shop|products?", "listing"),
    )
)


def page_type_of(page: PageSeen) -> str:
    """The kind of a page: by what it answered, by its structured data, by its address.

    ``home article product listing offer faq contact about legal account search page``, and ``redirect``, ``error``,
    ``blocked``, ``file`` for what is no page.
    """
    if (name := _no_page(page)) is not None:
        return name
    parts = urlsplit(page.url)
    if same_page(page.url, page.start) or (parts.path in {"", "/"} and not parts.query):
        return "home"
    named = set(page.markup)
    found = next((name for types, name in _BY_MARKUP if not named.isdisjoint(types)), None)
    found = found or next((name for pattern, name in _BY_PATH if pattern.search(parts.path)), None)
    return found or ("article" if page.is_article else "page")


def _no_page(page: PageSeen) -> str | None:
    if page.failure == "robots_disallowed":
        return "blocked"
    if page.requested_url:
        return "redirect"
    if page.failure or not 200 <= page.status < 400:  # noqa: PLR2004 - HTTP's classes
        return "error"
    return None if page.is_html else "file"


def indexability(page: PageSeen) -> tuple[bool, str]:
    """Whether search engines may list a page, and why not."""
    reasons = (
        (bool(page.failure), page.failure),
        (bool(page.requested_url), "it redirects"),
        (not 200 <= page.status < 300, f"HTTP {page.status}"),  # noqa: PLR2004 - success
        (not page.is_html, "it is no HTML page"),
        (page.is_noindex, "noindex"),
        (
            page.canonical is not None and not same_page(page.canonical, page.url),
            f"its canonical is {page.canonical}",
        ),
    )
    reason = next((why for holds, why in reasons if holds), "")
    return not reason, reason
