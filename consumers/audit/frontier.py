"""Which addresses of a site are crawled: its scope, the operator's include and exclude, and traps. Pure."""

from __future__ import annotations

import fnmatch
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from consumers.net import urls

MAX_URL_CHARS: Final = 2_000
"""Longer addresses are not crawled: no page needs one, a trap makes them."""

TRAP_BUCKETS: Final = 16
"""Budgets of suspicious addresses; a path pattern always counts against the same one."""

TRAP_SHARE: Final = 5
LEAST_TRAP_PAGES: Final = 25
MAX_SEGMENTS: Final = 12
MAX_REPEATS: Final = 3
_NUMBER: Final = re.compile(r"\d+")
_DATE_PATH: Final = re.compile(r"/(?:19|20|21)\d\d/(?:0?[1-9]|1[0-2])(?:/|$)")
_FILES: Final = tuple(
    f".{suffix}"
    for suffix in (
        *("jpg", "jpeg", "png", "gif", "webp", "avif", "svg", "ico", "bmp"),
        *("mp4", "webm", "mp3", "wav", "ogg", "avi", "mov"),
        *("zip", "gz", "tar", "rar", "7z", "exe", "dmg"),
        *("css", "js", "mjs", "woff", "woff2", "ttf", "eot", "otf"),
        *("pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "csv", "json", "rss", "atom"),
    )
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What of the web belongs to an audit.

    Attributes:
        start: The page it begins at; its host is the site, with and without ``www.``.
        include: Globs over path and query; one must match, unless there are none.
        exclude: Globs; none may match.
        max_depth: Links from the start to the deepest page.
    """

    start: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_depth: int = 20

    def is_internal(self, url: str) -> bool:
        """Whether an address lies on the site."""
        try:
            return site_key(url) == site_key(self.start)
        except ValueError:
            return False

    def is_wanted(self, url: str) -> bool:
        """Whether include and exclude let an address through."""
        target = urls.target_of(url)
        if any(fnmatch.fnmatchcase(target, glob) for glob in self.exclude):
            return False
        return not self.include or any(fnmatch.fnmatchcase(target, glob) for glob in self.include)

    def may_crawl(self, url: str, depth: int) -> bool:
        """Whether an address is to be read as a page of the site."""
        return (
            depth <= self.max_depth
            and len(url) <= MAX_URL_CHARS
            and self.is_internal(url)
            and not is_file(url)
            and self.is_wanted(url)
        )


def site_key(url: str) -> str:
    """``host[:port]`` without ``www.``: what makes two addresses one website.

    Raises:
        ValueError: It is no URL.
    """
    return urls.host_of(url).removeprefix("www.")


def is_file(url: str) -> bool:
    """Whether an address names a file that is no page, by its suffix."""
    path = urlsplit(url).path.lower()
    return path.endswith(_FILES)


def pattern_of(url: str) -> str:
    """What addresses of one make have in common: numbers become ``N``, of a query only the names stay, sorted.

    ``/calendar/2031/05?view=day&x=1`` -> ``/calendar/N/N?view&x``
    """
    parts = urlsplit(url)
    names = sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True)})
    path = _NUMBER.sub("N", parts.path)
    segments = path.split("/")
    if len(segments) > MAX_SEGMENTS:
        path = "/".join(segments[:MAX_SEGMENTS]) + "/..."
    return path + ("?" + "&".join(names) if names else "")


def is_suspicious(url: str) -> bool:
    """Whether an address looks like one of an endless family: a query, a date, or path segments that repeat.

    Such addresses get a budget by their pattern, so that a calendar, a set of facets or a session id in the query
    cannot use up the pages of the audit.
    """
    parts = urlsplit(url)
    if parts.query or _DATE_PATH.search(parts.path):
        return True
    segments = [segment for segment in parts.path.split("/") if segment]
    if len(segments) > MAX_SEGMENTS:
        return True
    return bool(segments) and Counter(segments).most_common(1)[0][1] >= MAX_REPEATS


def trap_budget(url: str) -> str:
    """Name of the budget that a suspicious address counts against."""
    return f"pattern{zlib.crc32(pattern_of(url).encode()) % TRAP_BUCKETS}"


def trap_budgets(max_pages: int) -> dict[str, int]:
    """The budgets of suspicious addresses: a fifth of the pages each, at least 25."""
    share = max(LEAST_TRAP_PAGES, max_pages // TRAP_SHARE)
    return {f"pattern{bucket}": share for bucket in range(TRAP_BUCKETS)}
