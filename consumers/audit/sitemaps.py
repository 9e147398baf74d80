"""A site's own list of its pages, read as a crawler reads it: leniently, capped, unpacked within bounds.

Source: the Sitemaps protocol 0.9, sitemaps.org.
"""

from __future__ import annotations

import gzip
import html
import io
import re
import zlib
from dataclasses import dataclass
from typing import Final

from consumers.net import urls

MAX_URLS: Final = 50_000
MAX_BYTES: Final = 50 * 1024 * 1024
"""Of one file, unpacked: the protocol's own bounds."""

MAX_SITEMAPS: Final = 50
"""Files of one index that are read."""

_ROOT: Final = re.compile(rb"<(?:[\w.-]+:)?(urlset|sitemapindex)\b")
_LOCATION: Final = re.compile(
    rb"<(?:[\w.-]+:)?loc\s*>\s*(?:<!\[CDATA\[)?\s*(.*?)\s*(?:\]\]>)?\s*</(?:[\w.-]+:)?loc\s*>", re.DOTALL
)
_GZIP_MAGIC: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Listed:
    """What a sitemap lists: pages, or further sitemaps when it is an index."""

    pages: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()
    is_sitemap: bool = True
    is_cut: bool = False


def read_listed(body: bytes, url: str) -> Listed:
    """The addresses in a sitemap, an index, a text list, or one of them gzipped.

    Args:
        body: As served.
        url: Where it was read from; relative addresses are taken from there.
    """
    body, is_cut = _unpacked(body)
    root = _ROOT.search(body[:4_096])
    if root is None:
        return _text_list(body, is_cut=is_cut)
    found: dict[str, None] = {}
    most = MAX_SITEMAPS if root[1] == b"sitemapindex" else MAX_URLS
    for match in _LOCATION.finditer(body):
        if len(found) >= most:
            is_cut = True
            break
        address = urls.resolve(url, html.unescape(match[1].decode("utf-8", "replace")))
        if address is not None:
            found[address] = None
    if root[1] == b"sitemapindex":
        return Listed((), tuple(found), is_cut=is_cut)
    return Listed(tuple(found), (), is_cut=is_cut)


def _text_list(body: bytes, *, is_cut: bool) -> Listed:
    lines = [line.strip() for line in body.decode("utf-8", "replace").removeprefix("\ufeff").splitlines()]
    addresses = [address for line in lines if line and (address := urls.normalise(line))]
    is_list = bool(addresses) and len(addresses) == sum(bool(line) for line in lines)
    return Listed(tuple(dict.fromkeys(addresses))[:MAX_URLS] if is_list else (), is_sitemap=is_list, is_cut=is_cut)


def _unpacked(body: bytes) -> tuple[bytes, bool]:
    if not body.startswith(_GZIP_MAGIC):
        return body[:MAX_BYTES], len(body) > MAX_BYTES
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            unpacked = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        return b"", True
    return unpacked[:MAX_BYTES], len(unpacked) > MAX_BYTES
