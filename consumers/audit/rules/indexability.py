"""What a page tells search engines about itself: directives and canonicals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from consumers.audit.directives import SEARCH_AGENTS, said
from consumers.audit.page import same_page
from consumers.audit.rules.guards import html
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not
from consumers.audit.rules.registry import page_rule
from consumers.net import urls

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.signals import Directive


def _answer(page: Page, _: Context) -> Skip | None:
    return None if page.is_ok else applies_not("it did not answer 2xx")


def _has_canonical(page: Page, context: Context) -> Skip | None:
    return _answer(page, context) or (None if page.canonicals else applies_not("it names no canonical"))


def _shown(one: Directive) -> str:
    value = f"{one.name}:{one.value}" if one.value else one.name
    if one.source == "header":
        return f"X-Robots-Tag: {'' if one.agent == 'robots' else one.agent + ': '}{value}"
    return f'<meta name="{one.agent}" content="{value}">'


@page_rule(
    "noindex",
    "indexability",
    "high",
    "core",
    "page",
    "html;headers",
    _answer,
    fix="Remove the directive if the page should be found; else drop the links to it.",
)
def noindex(page: Page, context: Context) -> Iterator[Evidence]:
    """A robots or googlebot meta element or X-Robots-Tag holds noindex or none, on a page that is linked or listed."""
    if context.is_linked:
        for one in said(page.directives, "noindex", "none", agents=SEARCH_AGENTS):
            yield Evidence(page.url, "search engines are told to leave the page out", _shown(one))


@page_rule(
    "noindex-conflict",
    "indexability",
    "medium",
    "core",
    "page",
    "html;headers",
    _answer,
    fix="Keep one source of directives, the meta element or the header.",
)
def noindex_conflict(page: Page, _: Context) -> Iterator[Evidence]:
    """Meta and header directives disagree."""
    mine = [one for one in page.directives if one.agent in SEARCH_AGENTS]
    meta, header = (_meaning(mine, source) for source in ("meta", "header"))
    for topic in sorted(meta.keys() & header.keys()):
        if meta[topic] != header[topic]:
            yield Evidence(page.url, f"meta says {meta[topic]}, X-Robots-Tag says {header[topic]}")


def _meaning(directives: list[Directive], source: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in directives:
        if one.source != source:
            continue
        if one.name in {"noindex", "none"}:
            found["index"] = "noindex"
        elif one.name in {"index", "all"}:
            found.setdefault("index", "index")
        if one.name in {"nofollow", "none"}:
            found["follow"] = "nofollow"
        elif one.name in {"follow", "all"}:
            found.setdefault("follow", "follow")
    return found


@page_rule(
    "meta-nofollow-page",
    "indexability",
    "medium",
    "core",
    "page",
    "html;headers",
    _answer,
    fix="Remove it; where it is meant for single links, use rel=nofollow on them.",
)
def meta_nofollow_page(page: Page, _: Context) -> Iterator[Evidence]:
    """A nofollow directive for the page stops all of its links from counting."""
    for one in said(page.directives, "nofollow", "none"):
        yield Evidence(page.url, "none of the page's links counts", _shown(one))


@page_rule(
    "nosnippet",
    "indexability",
    "low",
    "extended",
    "page",
    "html;headers",
    _answer,
    fix="Remove it unless it is meant.",
)
def nosnippet(page: Page, _: Context) -> Iterator[Evidence]:
    """Nosnippet or max-snippet:0: no search or AI snippet can be shown."""
    for one in said(page.directives, "nosnippet", "max-snippet"):
        if one.name == "nosnippet" or one.value == "0":
            yield Evidence(page.url, "no snippet of the page may be shown", _shown(one))


@page_rule(
    "noimageindex",
    "indexability",
    "low",
    "extended",
    "page",
    "html;headers",
    _answer,
    fix="Remove it unless it is meant.",
)
def noimageindex(page: Page, _: Context) -> Iterator[Evidence]:
    """noimageindex: the page's images are kept out of image search."""
    for one in said(page.directives, "noimageindex"):
        yield Evidence(page.url, "the page's images may not be indexed", _shown(one))


def _would_be_listed(page: Page, context: Context) -> Skip | None:
    if skip := html(page, context):
        return skip
    return applies_not("it is noindex") if page.is_noindex else None


@page_rule(
    "canonical-missing",
    "indexability",
    "low",
    "extended",
    "page",
    "html;headers",
    _would_be_listed,
    fix="Add a link element with rel=canonical to the page's own address in head.",
)
def canonical_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """An indexable page gives no canonical URL in head or in a Link header."""
    if not any(one.href and one.source != "body" for one in page.canonicals):
        yield Evidence(page.url, "there is no canonical in head or Link header")


@page_rule(
    "canonical-multiple",
    "indexability",
    "high",
    "core",
    "page",
    "html;headers",
    _has_canonical,
    fix="Keep one canonical.",
)
def canonical_multiple(page: Page, _: Context) -> Iterator[Evidence]:
    """Head and header together name more than one canonical, with different targets."""
    found = [one for one in page.canonicals if one.href and one.source != "body"]
    targets = list(dict.fromkeys(one.url or one.href for one in found))
    if len(targets) > 1:
        yield Evidence(
            page.url,
            f"{len(targets)} canonicals: {' | '.join(targets)[:400]}",
            f'<link rel="canonical" href="{targets[1][:150]}">',
            targets[1],
        )


@page_rule(
    "canonical-relative",
    "indexability",
    "medium",
    "core",
    "page",
    "html",
    _has_canonical,
    fix="Write the full address, scheme and host included.",
)
def canonical_relative(page: Page, _: Context) -> Iterator[Evidence]:
    """The href of the canonical is not an absolute URL."""
    for one in page.canonicals:
        if (
            one.href
            and one.source != "header"
            and not re.match(r"[a-z][a-z0-9+.-]*:", one.href, re.IGNORECASE)
            and one.url
        ):
            yield Evidence(page.url, "the canonical is not absolute", f'<link rel="canonical" href="{one.href[:150]}">')


@page_rule(
    "canonical-invalid",
    "indexability",
    "high",
    "core",
    "page",
    "html",
    _has_canonical,
    fix="Correct the address and keep the element in head.",
)
def canonical_invalid(page: Page, _: Context) -> Iterator[Evidence]:
    """The canonical cannot be parsed, lies in body, or points to the root of another domain."""
    for one in page.canonicals:
        shown = (
            f'<link rel="canonical" href="{one.href[:150]}">'
            if one.source != "header"
            else f'Link: <{one.href[:150]}>; rel="canonical"'
        )
        if not one.href:
            continue  # an empty one names nothing: the page has no canonical
        if one.url is None:
            yield Evidence(page.url, "the canonical is no web address", shown)
        elif one.source == "body":
            yield Evidence(page.url, "the canonical lies in body, where it is ignored", shown)
        elif _is_foreign_root(one.url, page.url):
            yield Evidence(page.url, "the canonical is another domain's root", shown, one.url)


def _is_foreign_root(target: str, url: str) -> bool:
    parts = urlsplit(target)
    return parts.path in {"", "/"} and not parts.query and not urls.same_site(target, url)


def _og_url(page: Page, context: Context) -> Skip | None:
    if skip := html(page, context):
        return skip
    if not page.open_graph.get("og:url") or page.canonical is None:
        return applies_not("it has not both og:url and a canonical")
    return None


@page_rule(
    "og-url-mismatch", "social", "low", "extended", "page", "html", _og_url, fix="Set og:url to the canonical URL."
)
def og_url_mismatch(page: Page, _: Context) -> Iterator[Evidence]:
    """og:url differs from the canonical."""
    shared = urls.resolve(page.base, page.open_graph["og:url"]) or page.open_graph["og:url"]
    if page.canonical and not same_page(shared, page.canonical):
        yield Evidence(
            page.url,
            f"og:url is not the canonical {page.canonical}",
            f'<meta property="og:url" content="{shared[:150]}">',
            page.canonical,
        )
