"""What a business's website tells: by what it was made, what is wrong with it, where its contacts may be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from consumers.net import urls

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
