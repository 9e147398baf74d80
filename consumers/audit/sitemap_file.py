"""A sitemap as a text: what it lists and what is wrong with it.

Source: the Sitemaps protocol 0.9, sitemaps.org. Entity declarations are refused before anything is parsed.
"""

from __future__ import annotations

import gzip
import re
import zlib
from typing import Final
from xml.etree import ElementTree as ET

from consumers.audit.site import Sitemap, SitemapEntry, TextFile
from consumers.net import urls

MAX_ENTRIES: Final = 200_000
_ROOTS: Final = frozenset(("urlset", "sitemapindex"))
_FEEDS: Final = frozenset(("rss", "feed", "RDF"))
_SHOWN: Final = 20


def read_sitemap(file: TextFile, body: bytes, *, is_declared: bool = True) -> Sitemap:
    """Read a sitemap or an index.

    Args:
        file: Where it came from and how it answered; its text is not looked at.
        body: At most 50 MiB of it, gzip or not.
        is_declared: robots.txt names it, or a declared index does.
    """
    if body[:2] == b"\x1f\x8b":
        body = _unpacked(body)
    if re.match(rb"\s*https?://", body) and b"<" not in body[:200]:
        return _plain(file, body, is_declared=is_declared)
    if re.search(rb"<!ENTITY|<!DOCTYPE[^>]*\[", body.replace(b"\0", b"")):  # in UTF-16 too
        return Sitemap(file, (), (), ("it declares entities",), is_declared)
    try:
        root = ET.fromstring(body)  # noqa: S314 - declarations of entities were refused above, and size is capped
    except (ET.ParseError, ValueError, LookupError) as error:
        return Sitemap(file, (), (), (f"it is not well-formed XML: {error}",), is_declared)
    name = _name(root)
    if name in _FEEDS:
        return _feed(file, root, is_declared=is_declared)
    if name not in _ROOTS:
        problem = f"its root element is {name[:40]!r}, not urlset or sitemapindex"
        return Sitemap(file, (), (), (problem,), is_declared)
    return _listed(file, root, is_declared=is_declared)


def _listed(file: TextFile, root: ET.Element, *, is_declared: bool) -> Sitemap:
    entries: list[SitemapEntry] = []
    children: list[str] = []
    bad: list[str] = []
    for item in list(root)[:MAX_ENTRIES]:
        kind = _name(item)
        if kind not in {"url", "sitemap"}:
            continue
        entry = _entry(item)
        if not re.match(r"https?://[^/\s]", entry.loc, re.IGNORECASE) or urls.normalise(entry.loc) is None:
            bad.append(entry.loc[:200])
        elif kind == "sitemap":
            children.append(entry.loc)
        else:
            entries.append(entry)
    problems = tuple(f"loc is not an absolute URL: {one!r}" for one in bad[:_SHOWN])
    return Sitemap(file, tuple(entries), tuple(children), problems, is_declared)


def _entry(item: ET.Element) -> SitemapEntry:
    texts: dict[str, str] = {}
    alternates = []
    for field in item:
        texts.setdefault(_name(field), (field.text or "").strip())
        if _name(field) == "link" and field.get("hreflang") is not None:
            alternates.append((field.get("hreflang") or "", field.get("href") or ""))
    return SitemapEntry(texts.get("loc", ""), texts.get("lastmod", ""), tuple(alternates))


def _unpacked(body: bytes) -> bytes:
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        return stream.decompress(body, 64 * 1024 * 1024)
    except (zlib.error, gzip.BadGzipFile):
        return body


def _plain(file: TextFile, body: bytes, *, is_declared: bool) -> Sitemap:
    lines = [line.strip() for line in body.decode("utf-8", "replace").splitlines() if line.strip()][:MAX_ENTRIES]
    bad = [line for line in lines if urls.normalise(line) is None]
    entries = tuple(SitemapEntry(line) for line in lines if line not in set(bad))
    return Sitemap(file, entries, (), tuple(f"not an absolute URL: {one[:200]!r}" for one in bad[:_SHOWN]), is_declared)


def _feed(file: TextFile, root: ET.Element, *, is_declared: bool) -> Sitemap:
    """RSS and Atom are sitemaps too, by the protocol's section on other formats."""
    found = [
        (one.text or one.get("href") or "").strip()
        for one in root.iter()
        if _name(one) == "link" and one.get("rel", "alternate") == "alternate"
    ]
    return Sitemap(file, tuple(SitemapEntry(one) for one in found if urls.normalise(one)), (), (), is_declared)


def _name(element: ET.Element) -> str:
    """Without its namespace: whichever a site writes, the names say what is meant."""
    return str(element.tag).rpartition("}")[2]
