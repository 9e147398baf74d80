"""A site's own list of its pages.

Source: the Sitemaps protocol 0.9, sitemaps.org.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Final

from consumers.filings.links import PageLinks, find_links
from consumers.filings.read_html import decode

MAX_SITEMAPS: Final = 10
"""Sitemaps of one index that are read."""

_ROOT: Final = re.compile(rb"<(?:\w+:)?(urlset|sitemapindex)\b")
_LOCATION: Final = re.compile(r"<(?:\w+:)?loc>\s*(.*?)\s*</(?:\w+:)?loc>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sitemap:
    """What a sitemap lists: further sitemaps, or links as `find_links` sorts them."""

    sitemaps: tuple[str, ...]
    links: PageLinks


def is_sitemap(data: bytes) -> bool:
    """Whether these are the first bytes of a sitemap."""
    return _ROOT.search(data[:2_048]) is not None


def read_sitemap(data: bytes, url: str, site: str) -> Sitemap:
    """What a sitemap lists of its site.

    Args:
        data: The whole of it.
        url: Where it was read from.
        site: The address the crawl began at.
    """
    root = _ROOT.search(data[:2_048])
    locations = [html.unescape(found) for found in _LOCATION.findall(decode(data))]
    if root is not None and root[1] == b"sitemapindex":
        return Sitemap(tuple(locations[:MAX_SITEMAPS]), PageLinks((), ()))
    listed = "".join(f'<a href="{html.escape(location)}"></a>' for location in locations)
    return Sitemap((), find_links(listed, url, site))
