"""Whether a crawler gets to the pages at all."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from consumers.audit.page import same_page
from consumers.audit.rules.guards import answered, html, rendered
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not, unmeasured
from consumers.audit.rules.registry import page_rule, site_part, site_rule
from consumers.audit.words import distance
from consumers.net import urls

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.site import PageFacts, Site

LIMITED: Final = frozenset((401, 403, 429))
"""Access is limited, which is reported apart from pages that are gone."""
_TEMPORARY: Final = frozenset((302, 303, 307))
_LOOPS: Final = frozenset(("redirect_loop", "too_many_redirects"))
_NOT_FOUND_TITLE: Final = re.compile(
    r"\b404\b|not found|page (?:does not|doesn.t) exist|nicht gefunden|introuvable|non trouvée|"
    r"no encontrad|não encontrad|non trovat",
    re.IGNORECASE,
)
_ALIKE_BITS: Final = 6


def _asked(page: Page, _: Context) -> Skip | None:
    """Everything but what was not asked because robots.txt says so."""
    return applies_not("robots.txt disallows it") if page.failure == "robots_disallowed" else None


@page_rule(
    "http-4xx",
    "crawlability",
    "high",
    "core",
    "page",
    "crawl",
    answered,
    fix="Bring the page back, redirect it to its closest equivalent, or remove the links to it.",
)
def http_4xx(page: Page, context: Context) -> Iterator[Evidence]:
    """An internal URL that something links to answers 400-499; 401, 403 and 429 are access limits, reported apart."""
    if 400 <= page.status < 500 and page.status not in LIMITED and context.is_linked:  # noqa: PLR2004
        yield Evidence(page.url, f"it answers {page.status}")


@page_rule(
    "http-5xx",
    "crawlability",
    "critical",
    "core",
    "page",
    "crawl",
    answered,
    threshold="2 retries",
    fix="Find the fault in the server's log, fix it, and see that the URL answers 200.",
)
def http_5xx(page: Page, _: Context) -> Iterator[Evidence]:
    """An internal URL answers 500-599 after the retries for what may pass."""
    if page.status >= 500:  # noqa: PLR2004
        yield Evidence(page.url, f"it answers {page.status}")


@page_rule(
    "fetch-failed",
    "crawlability",
    "high",
    "core",
    "page",
    "crawl",
    _asked,
    fix="Repair DNS, TLS or the firewall, so that the URL answers.",
)
def fetch_failed(page: Page, _: Context) -> Iterator[Evidence]:
    """No HTTP answer: the name does not resolve, the connection is refused or reset, TLS fails."""
    if page.status == 0 and page.failure and page.failure != "timeout" and page.failure not in _LOOPS:
        yield Evidence(page.url, f"no answer: {page.failure}")


@page_rule(
    "fetch-timeout",
    "crawlability",
    "high",
    "core",
    "page",
    "crawl",
    _asked,
    threshold="20 s",
    fix="Speed up or cache the answer; look at the origin under load.",
)
def fetch_timeout(page: Page, _: Context) -> Iterator[Evidence]:
    """The answer did not complete within the time limit."""
    if page.failure == "timeout":
        yield Evidence(page.url, "the answer did not come in time")


@page_rule(
    "redirect-chain",
    "crawlability",
    "medium",
    "core",
    "page",
    "crawl",
    answered,
    threshold=">= 2 hops",
    fix="Redirect the first URL to the last one.",
)
def redirect_chain(page: Page, _: Context) -> Iterator[Evidence]:
    """Two or more redirects are followed before the final answer."""
    if len(page.redirects) > 1:
        hops = " -> ".join([*(f"{hop.url} ({hop.status})" for hop in page.redirects), page.url])
        yield Evidence(page.requested_url, f"{len(page.redirects)} redirects", hops[:600], page.url)


@page_rule(
    "redirect-loop",
    "crawlability",
    "critical",
    "core",
    "page",
    "crawl",
    _asked,
    threshold="10 hops",
    fix="Break the circle: each URL must end at one that answers 200.",
)
def redirect_loop(page: Page, _: Context) -> Iterator[Evidence]:
    """A redirect returns to a URL of its own chain, or there are more hops than are followed."""
    if page.failure in _LOOPS:
        hops = " -> ".join(hop.url for hop in page.redirects)
        yield Evidence(
            page.requested_url,
            "redirects in a circle" if page.failure == "redirect_loop" else "too many redirects",
            hops[:600],
        )


@page_rule(
    "redirect-temporary-permanent-move",
    "crawlability",
    "low",
    "extended",
    "page",
    "crawl",
    answered,
    fix="Answer 301 or 308 where the move is for good.",
)
def redirect_temporary(page: Page, _: Context) -> Iterator[Evidence]:
    """A 302, 303 or 307 is served for a variant of the host or scheme."""
    for hop in page.redirects:
        if hop.status in _TEMPORARY and _is_variant(hop.url, hop.location):
            yield Evidence(
                hop.url,
                f"a temporary redirect ({hop.status}) to the variant that is meant for good",
                target=hop.location,
            )


def _is_variant(url: str, location: str) -> bool:
    one, other = urlsplit(url), urlsplit(location)
    bare = [(parts.hostname or "").removeprefix("www.") for parts in (one, other)]
    return (
        bare[0] == bare[1]
        and (one.path or "/", one.query) == (other.path or "/", other.query)
        and (one.scheme, one.hostname) != (other.scheme, other.hostname)
    )


@page_rule(
    "redirect-meta-refresh",
    "crawlability",
    "medium",
    "core",
    "page",
    "html",
    html,
    fix="Replace it by a redirect of the server.",
)
def redirect_meta_refresh(page: Page, _: Context) -> Iterator[Evidence]:
    """A meta refresh or Refresh header with a target stands in for a redirect, or has a delay other than 0."""
    for one in page.refreshes:
        if one.url is not None or one.delay_s:
            where = f" to {one.url}" if one.url else ""
            yield Evidence(
                page.url, f"a refresh after {one.delay_s:g} s{where}", f"{one.source} refresh", one.url or ""
            )


@page_rule(
    "redirect-javascript",
    "crawlability",
    "low",
    "extended",
    "page",
    "browser",
    html,
    rendered,
    fix="Use an HTTP redirect, which every crawler follows.",
)
def redirect_javascript(page: Page, _: Context) -> Iterator[Evidence]:
    """A script took the browser to another location."""
    if page.rendered is not None and not same_page(page.rendered.url.partition("#")[0], page.url):
        yield Evidence(page.url, "a script leads elsewhere", target=page.rendered.url)


# Of the site


def _variants_asked(site: Site) -> Skip | None:
    return None if site.probes.variants else unmeasured("host variants were not asked")


@site_rule(
    "host-variants",
    "crawlability",
    "high",
    "core",
    "site",
    "crawl",
    _variants_asked,
    fix="Choose one origin and redirect the others to it for good.",
)
def host_variants(site: Site) -> Iterator[Evidence]:
    """Variants of the home page (http or https, www or not) both answer 200 without redirecting to one host."""
    origins: dict[str, str] = {}
    for url, answer in site.probes.variants.items():
        if answer.status == 200:  # noqa: PLR2004
            origins.setdefault(urls.origin_of(answer.url or url), url)
    if len(origins) > 1:
        yield Evidence(site.start_url, f"{len(origins)} origins answer: {', '.join(origins)}")


def _not_found_asked(site: Site) -> Skip | None:
    return unmeasured("no path that cannot exist was asked") if site.probes.not_found is None else None


@site_rule(
    "soft-404",
    "crawlability",
    "medium",
    "core",
    "site",
    "crawl",
    _not_found_asked,
    fix="Answer 404 or 410 for what is not there.",
)
def soft_404(site: Site) -> Iterator[Evidence]:
    """A path that cannot exist answers 200, or a page that answers 200 is the error page by title and text."""
    if site.probes.not_found is None:
        return
    status, title, simhash = site.probes.not_found
    if status == 200:  # noqa: PLR2004
        yield Evidence(site.start_url, "a random path answers 200", title[:150])
    for facts in site.facts.values():
        is_titled = facts.status == 200 and _NOT_FOUND_TITLE.search(facts.title) is not None  # noqa: PLR2004
        if is_titled and _is_alike(facts, title, simhash):
            yield Evidence(facts.url, "an error page that answers 200", facts.title[:150])


def _is_alike(facts: PageFacts, title: str, simhash: str) -> bool:
    if simhash and facts.simhash:
        return distance(simhash, facts.simhash) <= _ALIKE_BITS
    return not simhash and not facts.simhash and title != "" and facts.title.casefold() == title.casefold()


@site_rule(
    "crawl-depth",
    "crawlability",
    "low",
    "extended",
    "page",
    "crawl",
    threshold="> 4",
    fix="Link important pages nearer to the home page.",
)
def crawl_depth(site: Site) -> Iterator[Evidence]:
    """The shortest click path from the start page exceeds the threshold."""
    for url, depth in site.depths().items():
        facts = site.facts.get(url)
        if depth > site.thresholds.depth_max and facts is not None and facts.is_ok and facts.is_html:
            yield Evidence(url, f"{depth} clicks from the start page, more than {site.thresholds.depth_max}")


@site_rule(
    "crawl-trap",
    "crawlability",
    "high",
    "core",
    "site",
    "crawl",
    threshold="> 500 URLs per pattern or a segment repeated 3 times",
    fix="Block or nofollow the pattern, drop the parameters, add canonicals.",
)
def crawl_trap(site: Site) -> Iterator[Evidence]:
    """One path pattern yields an unbounded set of URLs: calendars, facets, session ids, repeating segments."""
    patterns: dict[str, list[str]] = defaultdict(list)
    repeating: dict[str, str] = {}
    for url in site.targets():
        patterns[pattern_of(url)].append(url)
        segments = Counter(one for one in urlsplit(url).path.split("/") if one)
        for segment, count in segments.items():
            if count >= site.thresholds.trap_repeats:
                repeating.setdefault(segment, url)
    for pattern, found in patterns.items():
        if len(found) > site.thresholds.trap_urls:
            yield Evidence(
                found[0],
                f"{len(found)} URLs of the pattern {pattern}, more than {site.thresholds.trap_urls}",
                pattern[:200],
            )
    for segment, url in repeating.items():
        yield Evidence(url, f"the path repeats {segment[:60]!r}", urlsplit(url).path[:200])


def pattern_of(url: str) -> str:
    """What many URLs of one kind share: numbers, dates and long codes of the path and the values of the query left out.

    Pages that differ by a name of their own in the path are of no common pattern.
    """
    parts = urlsplit(url)
    path = re.sub(r"\d+", "0", re.sub(r"(?<=/)[0-9a-fA-F]{16,}(?=/|$)", "x", parts.path))
    names = sorted({pair.partition("=")[0] for pair in parts.query.split("&") if pair})
    return f"{parts.hostname}{path}" + (f"?{'&'.join(names)}" if names else "")


@page_rule(
    "pagination-broken",
    "indexability",
    "low",
    "extended",
    "page",
    "html;crawl",
    html,
    fix="Link every page of the series in the text too.",
)
def pagination_broken(page: Page, _: Context) -> Iterator[Evidence]:
    """rel=next or prev names a URL that is not linked in the body or is not live."""
    linked = {link.url for link in page.links}
    for rel, url in page.series:
        if url not in linked:
            yield Evidence(page.url, f"rel={rel} names a URL that the body does not link", target=url)


@site_part("pagination-broken")
def pagination_dead(site: Site) -> Iterator[Evidence]:
    """rel=next or prev names a URL that is not live."""
    for facts in site.facts.values():
        for rel, url in facts.series:
            answer = site.answer(url)
            if answer is not None and answer.is_error:
                yield Evidence(
                    facts.url, f"rel={rel} names a URL that answers {answer.status or 'nothing'}", target=url
                )
