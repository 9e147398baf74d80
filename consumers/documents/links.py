"""Links of a page: to files that may be documents, and to further pages of the same folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

from consumers.net import urls

MAX_LINKS: Final = 2_000
FILES: Final = frozenset({".pdf", ".docx", ".pptx", ".xlsx", ".txt", ".md", ".csv", ".eml", ".msg"})
_NO_DOCUMENTS: Final = frozenset(
    {
        ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".ico", ".css", ".js", ".json", ".xml", ".rss", ".zip", ".gz",
        ".mp3", ".mp4", ".mov", ".avi", ".woff", ".woff2", ".exe", ".dmg", ".iso",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Links:
    """What a page leads to, each once, in order."""

    files: tuple[str, ...]
    pages: tuple[str, ...]


def suffix_of(url: str) -> str:
    """The suffix of a URL's path, in lower case, with its dot."""
    return PurePosixPath(urlsplit(url).path).suffix.lower()


def links_of(html: bytes, base: str, start: str) -> Links:
    """The links of a page.

    Args:
        html: The page.
        base: Its address.
        start: The page that the site is read from; pages and files must lie in its folder.
    """
    tree = LexborHTMLParser(html)
    declared = tree.css_first("base[href]")
    if declared is not None:
        base = urls.resolve(base, declared.attributes.get("href") or "") or base
    files: dict[str, None] = {}
    pages: dict[str, None] = {}
    for node in tree.css("a[href]")[:MAX_LINKS]:
        if "nofollow" in (node.attributes.get("rel") or "").lower().split():
            continue
        link = urls.resolve(base, node.attributes.get("href") or "")
        if link is None or not is_within(link, start):
            continue
        suffix = suffix_of(link)
        if suffix in FILES:
            files.setdefault(link)
        elif suffix not in _NO_DOCUMENTS:
            pages.setdefault(link)
    return Links(tuple(files), tuple(pages))


def is_within(url: str, start: str) -> bool:
    """Whether a URL lies in the folder of the page that a site is read from."""
    folder = urlsplit(start).path.rpartition("/")[0] + "/"
    return urls.origin_of(url) == urls.origin_of(start) and (urlsplit(url).path or "/").startswith(folder)
