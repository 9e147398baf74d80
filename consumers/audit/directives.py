"""Robots directives, refreshes, Link headers: what a page tells crawlers and browsers beside its text.

Sources: the robots meta tag and X-Robots-Tag as Google and Bing document them; RFC 8288 for Link; the shared
declarative refresh steps of the HTML Standard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from consumers.audit.signals import Directive, Refresh
from consumers.net import urls

AGENTS: Final = frozenset(
    ("robots", "googlebot", "googlebot-news", "bingbot", "slurp", "duckduckbot", "yandex", "baiduspider", "otherbot")
)
SEARCH_AGENTS: Final = frozenset(("robots", "googlebot", "bingbot"))
_VALUED: Final = frozenset(("max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"))
_KNOWN: Final = _VALUED | {
    "all", "index", "follow", "noindex", "nofollow", "none", "noarchive", "nocache", "nosnippet", "noimageindex",
    "notranslate", "noodp", "noydir", "nositelinkssearchbox", "indexifembedded", "noai", "noimageai",
}  # fmt: skip
_REFRESH: Final = re.compile(
    r"^\s*(?P<delay>\d+(?:\.\d*)?|\.\d+)?[\d.]*\s*(?:[;,\s]\s*(?:url\s*=\s*)?(?P<url>.*))?$", re.IGNORECASE | re.DOTALL
)
_LINK: Final = re.compile(r"<([^>]*)>((?:\s*;\s*[^,;\"=\s]+(?:\s*=\s*(?:\"(?:\\.|[^\"\\])*\"|[^,;\"]*))?)*)")
_PARAMETER: Final = re.compile(r";\s*([^,;\"=\s]+)(?:\s*=\s*(?:\"((?:\\.|[^\"\\])*)\"|([^,;\"]*)))?")


def meta_directives(name: str, content: str) -> Iterator[Directive]:
    """The directives of a meta element that addresses crawlers."""
    for part in content.split(","):
        key, _, value = part.partition(":")
        if directive := key.strip().lower():
            yield Directive(name, directive, value.strip().lower(), "meta")


def header_directives(values: Iterable[str]) -> Iterator[Directive]:
    """The directives of X-Robots-Tag headers. An agent named before a colon is addressed by what follows it."""
    for header in values:
        agent = "robots"
        for part in header.split(","):
            key, colon, value = (piece.strip().lower() for piece in part.partition(":"))
            if colon and key not in _KNOWN:
                agent, (key, _, value) = key, (piece.strip() for piece in value.partition(":"))
            if key:
                yield Directive(agent, key, value, "header")


def refresh_of(text: str, base: str, source: Literal["meta", "header"]) -> Refresh | None:
    """What a refresh asks for; None when it is malformed and so does nothing."""
    found = _REFRESH.match(text)
    if found is None or (found["delay"] is None and not text.lstrip().startswith((".", "0"))):
        return None
    target = (found["url"] or "").strip()
    if target[:1] in {"'", '"'}:
        quote = target[0]
        target = target[1:].split(quote, 1)[0]
    if not target:
        return Refresh(float(found["delay"] or 0), None, source)
    return Refresh(float(found["delay"] or 0), urls.resolve(base, target) or target, source)


def link_headers(values: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Targets and parameters of Link headers."""
    for value in values:
        for found in _LINK.finditer(value):
            yield (
                found[1].strip(),
                {one[1].lower(): (one[2] or one[3] or "").strip() for one in _PARAMETER.finditer(found[2])},
            )


def said(directives: Iterable[Directive], *names: str, agents: frozenset[str] = SEARCH_AGENTS) -> list[Directive]:
    """Those of these names that address a search engine."""
    return [one for one in directives if one.name in names and one.agent in agents]
