"""What a business's website tells: by what it was made, what is wrong with it, where its contacts may be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from consumers.audit.document import Document
from consumers.audit.page import read_page
from consumers.contacts.read import Contact, contacts_of, merged
from consumers.leads.identity import domain_of, phone_of
from consumers.net import urls
from consumers.net.visit import DISALLOWED
from schemas.leads import FoundLead, Reached, VisitedSite

if TYPE_CHECKING:
    from consumers.audit.page import Page

_BUILDERS: Final = (
    ("Wix", r"static\.wixstatic\.com|x-wix-|wix\.com website builder"),
    ("Squarespace", r"squarespace\.com|squarespace-cdn"),
    ("Shopify", r"cdn\.shopify\.com|myshopify\.com"),
    ("Jimdo", r"jimdo(?:static|site|free)?\.com"),
    ("Weebly", r"editmysite\.com|weebly\.com"),
    ("GoDaddy", r"wsimg\.com|godaddy website builder"),
    ("IONOS", r"mywebsite-editor|ionos-?website"),
    ("Webflow", r"data-wf-site|webflow\.(?:com|js)"),
    ("Duda", r"cdn-website\.com|irp\.multiscreensite"),
    ("WordPress", r"/wp-content/|/wp-includes/|content=\"wordpress"),
    ("Joomla", r"content=\"joomla|/media/jui/"),
    ("Drupal", r"content=\"drupal|/sites/default/files/"),
    ("TYPO3", r"content=\"typo3|/typo3temp/"),
    ("PrestaShop", r"content=\"prestashop|/modules/ps_"),
    ("Magento", r"/static/version\d+/frontend/|mage/cookies"),
)
_PATTERNS: Final = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _BUILDERS)
HOSTED: Final = frozenset({"Wix", "Jimdo", "Weebly", "GoDaddy", "IONOS", "Duda"})
"""Builders that owners use by themselves."""
_VIEWPORT: Final = re.compile(r"<meta[^>]+name=[\"']?viewport", re.IGNORECASE)
_COPYRIGHT: Final = re.compile(
    r"(?:©|&copy;|copyright)[^<]{0,40}?((?:19|20)\d\d)(?:\s*[-\u2013]\s*((?:19|20)\d\d))?", re.IGNORECASE
)
_TELLING: Final = re.compile(
    r"contact|kontakt|impressum|imprint|about|ueber-uns|über-uns|chi-siamo|contatti|contacto|nous|epikoinonia|επικοινων",
    re.IGNORECASE,
)
_OLD_YEARS: Final = 3
_NO_PROBLEM: Final = frozenset({"", DISALLOWED, "http_401", "http_403", "http_429", "http_451"})
"""The site may be well: it only does not answer us."""


def builder_of(html: str) -> str | None:
    """The site builder or CMS that a page was made with."""
    return next((name for name, pattern in _PATTERNS if pattern.search(html)), None)


def problems_of(url: str, html: str, year: int) -> tuple[str, ...]:
    """What is wrong with a home page, as codes.

    Args:
        year: The present one.
    """
    found = []
    if not url.startswith("https:"):
        found.append("no_https")
    if not _VIEWPORT.search(html):
        found.append("not_mobile")
    years = [int(last or first) for first, last in _COPYRIGHT.findall(html)]
    if years and max(years) <= year - _OLD_YEARS:
        found.append("old")
    return tuple(found)


def telling_links(page: Page, most: int) -> tuple[str, ...]:
    """Links of a home page behind which contacts are likely, those named so first."""
    found: dict[str, None] = {}
    for link in page.links:
        if link.url is None or not link.is_internal or not _TELLING.search(f"{link.url} {link.text}"):
            continue
        normal = urls.normalise(link.url)
        if normal is not None and normal != page.url:
            found.setdefault(normal)
    return tuple(found)[:most]


def read_site(visited: VisitedSite, bodies: list[bytes], region: str | None, year: int) -> FoundLead:
    """All that is known of a business by its listing and the pages of its website.

    Args:
        visited: The business and its pages.
        bodies: Of these pages, in their order.
        region: Two-letter country of numbers without a country code; None takes the website's.
        year: The present one.
    """
    business = visited.business
    pages = [
        read_page(Document(url=page.url, headers=(("content-type", page.content_type or "text/html"),), body=body))
        for page, body in zip(visited.pages, bodies, strict=True)
    ]
    found = merged(contacts_of(page, region) for page in pages)
    number = phone_of(business, region)
    listed = (Reached(value=number, source="listing", url=business.source_url),) if number else ()
    phones = {one.value: one for one in (*_reached(found.phones)[::-1], *listed)}
    home = bodies[0].decode("utf-8", "replace") if bodies else ""
    problems = problems_of(visited.pages[0].url, home, year) if bodies else ()
    if visited.failure not in _NO_PROBLEM:
        problems = ("unreachable",)
    return FoundLead(
        key=business.key, name=business.name, category=business.category, rating=business.rating,
        address=business.address or next((one.value for one in found.addresses), None), reviews=business.reviews,
        lat=business.lat, lon=business.lon, website=visited.website, domain=domain_of(visited.website),
        phones=tuple(phones.values())[::-1], emails=_reached(found.emails), addresses=_reached(found.addresses),
        social=_reached(found.social), builder=builder_of(home) if home else None, problems=problems,
        pagespeed=visited.pagespeed, pages=visited.pages,
    )  # fmt: skip


def _reached(found: tuple[Contact, ...]) -> tuple[Reached, ...]:
    return tuple(Reached(value=one.value, source=one.source, url=one.url, label=one.label[:200]) for one in found)
