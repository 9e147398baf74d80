"""Sitemaps, and pages as sitemaps list them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Final

from consumers.audit.page import same_page
from consumers.audit.rules.guards import crawled_whole, robots_asked, sitemaps_asked, sitemaps_found
from consumers.audit.rules.model import Evidence
from consumers.audit.rules.registry import site_rule
from consumers.net import urls

if TYPE_CHECKING:
    from consumers.audit.site import Site, Sitemap

_W3C: Final = re.compile(
    r"(\d{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01])(?:T([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?)?)?"
)
_FEW: Final = 3


def _sitemaps(site: Site) -> tuple[Sitemap, ...]:
    return site.probes.sitemaps or ()


def _listed(site: Site) -> Iterator[tuple[str, str]]:
    """Normalised URL and sitemap of every entry."""
    for sitemap in _sitemaps(site):
        for entry in sitemap.entries:
            if (url := urls.normalise(entry.loc)) is not None:
                yield url, sitemap.file.url


@site_rule(
    "sitemap-missing",
    "crawlability",
    "medium",
    "core",
    "site",
    "robots;sitemap",
    sitemaps_asked,
    fix="Generate an XML sitemap and name it in robots.txt.",
)
def sitemap_missing(site: Site) -> Iterator[Evidence]:
    """No sitemap is declared in robots.txt and none answers at the common paths."""
    if not _sitemaps(site):
        yield Evidence(site.start_url, "no sitemap was found")


@site_rule(
    "sitemap-not-declared",
    "crawlability",
    "low",
    "extended",
    "site",
    "robots;sitemap",
    robots_asked,
    sitemaps_found,
    fix="Add a Sitemap line with its absolute address to robots.txt.",
)
def sitemap_not_declared(site: Site) -> Iterator[Evidence]:
    """A sitemap exists but robots.txt has no Sitemap line for it."""
    if not any(one.is_declared for one in _sitemaps(site)):
        yield Evidence(_sitemaps(site)[0].file.url, "robots.txt does not name it")


@site_rule(
    "sitemap-invalid",
    "crawlability",
    "high",
    "core",
    "site",
    "sitemap",
    sitemaps_found,
    fix="Generate it again by the schema of sitemaps.org.",
)
def sitemap_invalid(site: Site) -> Iterator[Evidence]:
    """Not well-formed XML, a wrong root element, entity declarations, or loc values that are not absolute URLs."""
    for sitemap in _sitemaps(site):
        for problem in sitemap.problems:
            yield Evidence(sitemap.file.url, problem)


@site_rule(
    "sitemap-too-large",
    "crawlability",
    "medium",
    "core",
    "site",
    "sitemap",
    sitemaps_found,
    threshold="50 000 / 50 MB",
    fix="Split it and publish an index.",
)
def sitemap_too_large(site: Site) -> Iterator[Evidence]:
    """More URLs or more bytes than the threshold in one file."""
    for sitemap in _sitemaps(site):
        count = len(sitemap.entries) + len(sitemap.children)
        if count > site.thresholds.sitemap_urls:
            yield Evidence(sitemap.file.url, f"{count:,} URLs, more than {site.thresholds.sitemap_urls:,}")
        elif sitemap.file.size_bytes > site.thresholds.sitemap_bytes:
            yield Evidence(
                sitemap.file.url,
                f"{sitemap.file.size_bytes / 1e6:.0f} MB, more than {site.thresholds.sitemap_bytes / 1e6:.0f}",
            )


@site_rule(
    "sitemap-bad-status",
    "crawlability",
    "high",
    "core",
    "page",
    "sitemap;crawl",
    sitemaps_found,
    fix="List only addresses that answer 200.",
)
def sitemap_bad_status(site: Site) -> Iterator[Evidence]:
    """A URL listed in the sitemap answers 3xx, 4xx or 5xx."""
    for url, sitemap in _listed(site):
        answer = site.answer(url)
        if answer is None:
            continue
        if answer.redirect_status:
            yield Evidence(url, f"it answers {answer.redirect_status} and leads to {answer.url}", target=sitemap)
        elif answer.status >= 400:  # noqa: PLR2004
            yield Evidence(url, f"it answers {answer.status}", target=sitemap)


@site_rule(
    "sitemap-noindex",
    "crawlability",
    "medium",
    "core",
    "page",
    "sitemap;crawl",
    sitemaps_found,
    fix="Take it out of the sitemap, or let it be indexed.",
)
def sitemap_noindex(site: Site) -> Iterator[Evidence]:
    """A listed URL is noindex."""
    for url, sitemap in _listed(site):
        facts = site.facts.get(url)
        if facts is not None and facts.is_noindex:
            yield Evidence(url, "it is listed and noindex", target=sitemap)


@site_rule(
    "sitemap-blocked",
    "crawlability",
    "medium",
    "core",
    "page",
    "sitemap;robots",
    sitemaps_found,
    robots_asked,
    fix="Take it out of the sitemap, or allow it.",
)
def sitemap_blocked(site: Site) -> Iterator[Evidence]:
    """A listed URL is disallowed by robots.txt."""
    robots = site.probes.robots
    for url, sitemap in _listed(site):
        blocked = (
            robots is not None
            and urls.origin_of(url) == urls.origin_of(site.start_url)
            and not robots.allowed(site.agent, urls.target_of(url))
        )
        if url in site.probes.robots_blocked or blocked:
            yield Evidence(url, "it is listed and disallowed", target=sitemap)


@site_rule(
    "sitemap-non-canonical",
    "crawlability",
    "medium",
    "core",
    "page",
    "sitemap;crawl",
    sitemaps_found,
    fix="List the canonical address.",
)
def sitemap_non_canonical(site: Site) -> Iterator[Evidence]:
    """A listed URL names another URL as canonical."""
    for url, sitemap in _listed(site):
        facts = site.facts.get(url)
        if facts is not None and facts.is_ok and facts.canonical is not None and not same_page(facts.canonical, url):
            yield Evidence(url, f"its canonical is {facts.canonical}", target=sitemap)


@site_rule(
    "sitemap-missing-page",
    "crawlability",
    "low",
    "extended",
    "page",
    "sitemap;crawl",
    sitemaps_found,
    fix="Add it to the sitemap.",
)
def sitemap_missing_page(site: Site) -> Iterator[Evidence]:
    """An indexable page found by links is in no sitemap."""
    listed = {url for url, _ in _listed(site)}
    for facts in site.indexable():
        if (
            facts.url not in listed
            and facts.requested_url not in listed
            and (site.linking(facts.url) or facts.url == site.start_url)
        ):
            yield Evidence(facts.url, "no sitemap lists it")


@site_rule(
    "sitemap-lastmod-bad",
    "crawlability",
    "low",
    "extended",
    "site",
    "sitemap",
    sitemaps_found,
    fix="Write the time when each page was really changed.",
)
def sitemap_lastmod_bad(site: Site) -> Iterator[Evidence]:
    """Lastmod is no W3C date, is in the future, or is the same second for every URL."""
    for sitemap in _sitemaps(site):
        stated = [(entry.loc, entry.lastmod) for entry in sitemap.entries if entry.lastmod]
        for loc, text in stated:
            if not _W3C.fullmatch(text):
                yield Evidence(sitemap.file.url, f"{text[:40]!r} is no W3C date", target=loc)
            elif (day := _day(text)) is not None and day > site.today:
                yield Evidence(sitemap.file.url, f"{text[:40]!r} is in the future", target=loc)
        if len(stated) >= _FEW and "T" in stated[0][1] and len({text for _, text in stated}) == 1:
            yield Evidence(sitemap.file.url, f"all {len(stated)} URLs have the same second: {stated[0][1]}")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


@site_rule(
    "orphan-page",
    "crawlability",
    "medium",
    "core",
    "page",
    "sitemap;crawl",
    sitemaps_found,
    crawled_whole,
    fix="Link it from a page that it belongs to, or retire it.",
)
def orphan_page(site: Site) -> Iterator[Evidence]:
    """A sitemap URL has no internal link to it."""
    for url, sitemap in dict(_listed(site)).items():
        facts = site.page(url)
        if facts is None or site.start_url in {url, facts.url}:
            continue
        followed, unfollowed = site.inlinks(url)
        if not followed and not unfollowed and not any(site.inlinks(facts.url)):
            yield Evidence(url, "the sitemap lists it, and no page links to it", target=sitemap)
