"""Canonicals and duplicates, as the crawl shows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from consumers.audit.page import same_page
from consumers.audit.rules.model import Evidence, Skip, applies_not
from consumers.audit.rules.registry import site_rule
from consumers.audit.words import distance
from consumers.net import urls

if TYPE_CHECKING:
    from consumers.audit.site import PageFacts, Site

TRACKING: Final = frozenset(
    (
        "gclid",
        "fbclid",
        "msclkid",
        "dclid",
        "yclid",
        "igshid",
        "mc_cid",
        "mc_eid",
        "_ga",
        "ref",
        "sessionid",
        "phpsessid",
        "sid",
        "jsessionid",
    )
)
_FEW_WORDS: Final = 8
MAX_COMPARED: Final = 100
"""Pages that one is compared with, of those that share a part of its SimHash."""


def _pointing(site: Site) -> Iterator[tuple[PageFacts, str]]:
    """Pages that name another page as canonical, and which."""
    for facts in site.facts.values():
        if facts.is_ok and facts.canonical is not None and not same_page(facts.canonical, facts.url):
            yield facts, facts.canonical


def _any_canonical(site: Site) -> Skip | None:
    return None if any(True for _ in _pointing(site)) else applies_not("no page names another one as canonical")


@site_rule(
    "canonical-to-error",
    "indexability",
    "high",
    "core",
    "page",
    "crawl",
    _any_canonical,
    fix="Name a page that answers.",
)
def canonical_to_error(site: Site) -> Iterator[Evidence]:
    """The canonical's target answers 4xx or 5xx."""
    for facts, target in _pointing(site):
        answer = site.answer(target)
        if answer is not None and answer.is_error and answer.failure != "robots_disallowed":
            yield Evidence(
                facts.url, f"the canonical answers {answer.status or answer.failure or 'nothing'}", target=target
            )


@site_rule(
    "canonical-to-redirect",
    "indexability",
    "medium",
    "core",
    "page",
    "crawl",
    _any_canonical,
    fix="Name the final URL.",
)
def canonical_to_redirect(site: Site) -> Iterator[Evidence]:
    """The canonical's target redirects."""
    for facts, target in _pointing(site):
        answer = site.answer(target)
        if answer is not None and answer.redirect_status:
            yield Evidence(facts.url, f"the canonical redirects to {answer.url}", target=target)


@site_rule(
    "canonical-to-noindex",
    "indexability",
    "high",
    "core",
    "page",
    "crawl",
    _any_canonical,
    fix="Name a page that may be indexed.",
)
def canonical_to_noindex(site: Site) -> Iterator[Evidence]:
    """The canonical's target is noindex or disallowed."""
    robots = site.probes.robots
    for facts, target in _pointing(site):
        other = site.facts.get(target)
        if other is not None and other.is_noindex:
            yield Evidence(facts.url, "the canonical is noindex", target=target)
        elif target in site.probes.robots_blocked or (
            robots is not None
            and urls.origin_of(target) == urls.origin_of(site.start_url)
            and not robots.allowed("Googlebot", urls.target_of(target))
        ):
            yield Evidence(facts.url, "the canonical is disallowed by robots.txt", target=target)


@site_rule(
    "canonical-chain",
    "indexability",
    "medium",
    "core",
    "page",
    "crawl",
    _any_canonical,
    fix="Let all of them name the last one.",
)
def canonical_chain(site: Site) -> Iterator[Evidence]:
    """The canonical's target itself names a third URL."""
    for facts, target in _pointing(site):
        other = site.facts.get(target)
        if other is not None and other.canonical is not None and not same_page(other.canonical, other.url):
            yield Evidence(facts.url, f"the canonical names {other.canonical} in turn", target=target)


@site_rule(
    "duplicate-content-exact",
    "indexability",
    "medium",
    "core",
    "page",
    "crawl",
    fix="Redirect or canonicalise all but one.",
)
def duplicate_content_exact(site: Site) -> Iterator[Evidence]:
    """Two indexable URLs have the same main text."""
    for group in _same_text(site):
        for facts in group:
            other = next(one for one in group if one is not facts)
            yield Evidence(facts.url, f"the same text is on {len(group)} URLs", target=other.url)


def _same_text(site: Site) -> Iterator[list[PageFacts]]:
    groups: dict[str, list[PageFacts]] = defaultdict(list)
    for facts in site.indexable():
        if facts.digest and facts.words >= _FEW_WORDS:
            groups[facts.digest].append(facts)
    return (group for group in groups.values() if len(group) > 1)


@site_rule(
    "duplicate-content-near",
    "indexability",
    "low",
    "extended",
    "page",
    "crawl",
    threshold="64-bit, distance <= 3",
    fix="Merge the pages, or make them differ.",
)
def duplicate_content_near(site: Site) -> Iterator[Evidence]:
    """The SimHash of the main text is within the threshold of another indexable page."""
    pages = {facts.url: facts.simhash for facts in site.indexable() if facts.simhash}
    digests = {url: site.facts[url].digest for url in pages}
    for url, other in near(pages, digests, site.thresholds.simhash_distance):
        yield Evidence(url, f"{distance(pages[url], pages[other])} of 64 bits differ", target=other)


def near(hashes: Mapping[str, str], digests: Mapping[str, str], limit: int) -> Iterator[tuple[str, str]]:
    """Each key whose hash differs in at most `limit` bits from that of a key with another digest, with one such key.

    Two hashes that differ in k bits agree in at least one of k + 1 parts, so only those that share a part are compared,
    and of those no more than `MAX_COMPARED`: pages of one template may all share one.
    Source: Manku, Jain and Das Sarma, "Detecting Near-Duplicates for Web Crawling", 2007.
    """
    parts = limit + 1
    width = 64 // parts
    buckets: dict[tuple[int, int], list[str]] = defaultdict(list)
    paired: set[str] = set()
    for key, text in hashes.items():
        value = int(text, 16)
        for part in range(parts):
            bits = value >> (part * width)
            bucket = buckets[part, bits & ((1 << width) - 1) if part < parts - 1 else bits]
            if key not in paired:
                for other in bucket[-MAX_COMPARED:]:
                    if digests[other] != digests[key] and (int(hashes[other], 16) ^ value).bit_count() <= limit:
                        yield key, other
                        paired.add(key)
                        if other not in paired:
                            paired.add(other)
                            yield other, key
                        break
            bucket.append(key)


@site_rule(
    "url-parameters-duplicate",
    "indexability",
    "low",
    "extended",
    "site",
    "crawl",
    fix="Canonicalise, and link the address without them.",
)
def url_parameters_duplicate(site: Site) -> Iterator[Evidence]:
    """The same content is reachable under several orders of parameters, or with tracking parameters."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for facts in site.facts.values():
        if facts.is_ok and facts.is_html and facts.digest:
            groups[_bare(facts.url), facts.digest].append(facts.url)
    for (bare, _), found in groups.items():
        if len(found) > 1:
            yield Evidence(found[0], f"{len(found)} addresses of one page", " ".join(found)[:400], bare)


def _bare(url: str) -> str:
    parts = urlsplit(url)
    kept = sorted(pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not _is_tracking(pair[0]))
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{kept}"


def _is_tracking(name: str) -> bool:
    return name.lower() in TRACKING or name.lower().startswith(("utm_", "mtm_", "pk_"))
