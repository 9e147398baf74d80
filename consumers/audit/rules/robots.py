"""robots.txt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from consumers.audit.robots_file import SEARCH_ENGINES, bad_lines, read
from consumers.audit.rules.guards import robots_asked, robots_read
from consumers.audit.rules.model import Evidence, Skip, applies_not
from consumers.audit.rules.registry import site_rule
from consumers.net import urls

if TYPE_CHECKING:
    from consumers.audit.site import Site, TextFile
    from consumers.net.robots import Robots

MAJOR: Final = ("Googlebot", "Bingbot")
_HTML: Final = re.compile(
    r"\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body|title|meta|script|div|h1|p)\b", re.IGNORECASE | re.DOTALL
)
_MISSING: Final = (404, 410)


def _file(site: Site) -> TextFile:
    file = site.probes.robots_txt
    if file is None:
        raise LookupError("robots.txt was not asked for; a guard of the rule should have said so")
    return file


def _robots(site: Site) -> Robots:
    return site.probes.robots or read(_file(site).text)


def _is_html(file: TextFile) -> bool:
    return _HTML.match(file.text) is not None or (file.content_type == "text/html" and "<" in file.text[:500])


def _is_text(site: Site) -> Skip | None:
    return robots_read(site) or (applies_not("it is HTML") if _is_html(_file(site)) else None)


@site_rule(
    "robots-txt-missing",
    "crawlability",
    "low",
    "extended",
    "site",
    "robots",
    robots_asked,
    fix="Publish a robots.txt that names the sitemap, even if it allows everything.",
)
def robots_txt_missing(site: Site) -> Iterator[Evidence]:
    """/robots.txt answers 404 or 410."""
    if _file(site).status in _MISSING:
        yield Evidence(_file(site).url, f"it answers {_file(site).status}")


@site_rule(
    "robots-txt-error",
    "crawlability",
    "critical",
    "core",
    "site",
    "robots",
    robots_asked,
    fix="Make /robots.txt answer 200 or 404, always.",
)
def robots_txt_error(site: Site) -> Iterator[Evidence]:
    """/robots.txt answers 5xx or times out: crawlers then treat the whole site as disallowed."""
    file = _file(site)
    if file.status >= 500 or (file.status == 0 and file.failure):  # noqa: PLR2004
        yield Evidence(file.url, f"it answers {file.status}" if file.status else f"it does not answer: {file.failure}")


@site_rule(
    "robots-txt-invalid",
    "crawlability",
    "medium",
    "core",
    "site",
    "robots",
    _is_text,
    threshold="500 KiB",
    fix="Correct the named lines.",
)
def robots_txt_invalid(site: Site) -> Iterator[Evidence]:
    """Unknown lines, rules before any user-agent, paths that start with neither / nor *, or a file too large."""
    file = _file(site)
    for one in bad_lines(file.text):
        yield Evidence(file.url, f"line {one.number}: {one.problem}", one.line)
    if file.size_bytes > site.thresholds.robots_bytes:
        yield Evidence(file.url, f"{file.size_bytes:,} bytes: crawlers read {site.thresholds.robots_bytes:,}")


@site_rule(
    "robots-txt-not-text",
    "crawlability",
    "medium",
    "core",
    "site",
    "robots",
    robots_read,
    fix="Serve plain text at that path.",
)
def robots_txt_not_text(site: Site) -> Iterator[Evidence]:
    """/robots.txt answers 200 with HTML."""
    if _is_html(_file(site)):
        yield Evidence(_file(site).url, "it is HTML", _file(site).text[:120])


@site_rule(
    "robots-blocks-all",
    "crawlability",
    "critical",
    "core",
    "site",
    "robots",
    _is_text,
    fix="Remove the blanket Disallow.",
)
def robots_blocks_all(site: Site) -> Iterator[Evidence]:
    """The site root is disallowed for all agents or for a major search engine."""
    robots = _robots(site)
    if not robots.allowed("*", "/"):
        yield Evidence(_file(site).url, "the root is disallowed for all agents", "Disallow: /")
    for agent in MAJOR:
        if agent.lower() in robots.rules and not robots.allowed(agent, "/"):
            yield Evidence(_file(site).url, f"the root is disallowed for {agent}", f"User-agent: {agent}")


@site_rule(
    "robots-blocked-page",
    "crawlability",
    "medium",
    "core",
    "page",
    "robots;crawl",
    robots_asked,
    fix="Allow it, or drop the links to it.",
)
def robots_blocked_page(site: Site) -> Iterator[Evidence]:
    """An internal linked URL is disallowed for the audit agent."""
    robots = _robots(site) if _file(site).status == 200 else None  # noqa: PLR2004
    for url in site.targets():
        if url in site.probes.robots_blocked or (robots is not None and not _allows(robots, site.agent, url)):
            yield Evidence(url, "robots.txt disallows it", target=next(iter(site.linking(url)), ""))


def _allows(robots: Robots, agent: str, url: str) -> bool:
    try:
        return robots.allowed(agent, urls.target_of(url))
    except ValueError:
        return True


@site_rule(
    "robots-blocks-resources",
    "crawlability",
    "medium",
    "core",
    "resource",
    "robots;crawl",
    _is_text,
    fix="Allow those paths.",
)
def robots_blocks_resources(site: Site) -> Iterator[Evidence]:
    """Style sheets or scripts that pages need are disallowed for search engines."""
    robots = _robots(site)
    for url, (kind, sources) in site.resources.items():
        if kind not in {"style", "script"} or urls.origin_of(url) != urls.origin_of(site.start_url):
            continue
        if blocked := [agent for agent in SEARCH_ENGINES[:2] if not _allows(robots, agent, url)]:
            yield Evidence(sources[0], f"robots.txt disallows it for {', '.join(blocked)}", target=url)


@site_rule(
    "crawl-delay-high",
    "crawlability",
    "info",
    "extended",
    "site",
    "robots",
    _is_text,
    threshold="> 10 s",
    fix="Lower it: large crawls take too long.",
)
def crawl_delay_high(site: Site) -> Iterator[Evidence]:
    """A crawl-delay above the threshold is set for all agents."""
    delay_s = _robots(site).crawl_delay_s("*")
    if delay_s is not None and delay_s > site.thresholds.crawl_delay_s:
        yield Evidence(
            _file(site).url,
            f"{delay_s:g} s between requests, more than {site.thresholds.crawl_delay_s:g}",
            f"Crawl-delay: {delay_s:g}",
        )
