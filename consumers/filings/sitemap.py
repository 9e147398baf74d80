"""A site's own list of its pages.

Source: the Sitemaps protocol 0.9, sitemaps.org.
"""

from __future__ import annotations

import html
import re
import zlib
from dataclasses import dataclass
from typing import Final

from consumers.filings.links import PageLinks, find_links
from consumers.filings.read_html import decode

MAX_SITEMAPS: Final = 50
"""Sitemaps of one index that are read, those that speak of investors, reports or documents first."""

MAX_BYTES: Final = 50 * 1024 * 1024
"""Of a sitemap, unpacked; the protocol's own limit."""

_GZIP: Final = b"\x1f\x8b"
_LIKELY: Final = re.compile(r"invest|report|financ|document|publication|filing|media|news|page|result", re.IGNORECASE)

_ROOT: Final = re.compile(rb"<(?:\w+:)?(urlset|sitemapindex)\b")
_LOCATION: Final = re.compile(r"<(?:\w+:)?loc>\s*(.*?)\s*</(?:\w+:)?loc>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sitemap:
    """What a sitemap lists: further sitemaps, or links as `find_links` sorts them."""

    sitemaps: tuple[str, ...]
    links: PageLinks


def unpacked(data: bytes) -> bytes:
    """A sitemap as it is, or unpacked when it is compressed; cut at `MAX_BYTES`, so that no bomb goes off."""
    if not data.startswith(_GZIP):
        return data
    try:
        return zlib.decompressobj(wbits=31).decompress(data, MAX_BYTES)
    except zlib.error:
        return data


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
        ordered = sorted(locations, key=lambda location: _LIKELY.search(location) is None)
        return Sitemap(tuple(ordered[:MAX_SITEMAPS]), PageLinks((), ()))
    listed = "".join(f'<a href="{html.escape(location)}"></a>' for location in locations)
    return Sitemap((), find_links(listed, url, site))
