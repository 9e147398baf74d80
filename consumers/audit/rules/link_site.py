"""Links as the crawl found their targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from consumers.audit.rules.guards import crawled_whole
from consumers.audit.rules.model import Evidence, Fetched, Skip, applies_not, unmeasured
from consumers.audit.rules.registry import site_rule

if TYPE_CHECKING:
    from consumers.audit.site import Site

UNVERIFIED: Final = frozenset((401, 403, 405, 429, 999))
"""What servers answer to crawlers without meaning that the page is gone."""
_GONE: Final = frozenset((404, 410))
_PERMANENT: Final = frozenset((301, 308))


@site_rule(
    "link-broken-internal",
    "links",
    "high",
    "core",
    "link",
    "crawl",
    fix="Correct or remove the link, or bring the target back.",
)
def link_broken_internal(site: Site) -> Iterator[Evidence]:
    """A link on the page has an internal target that answers 4xx or 5xx, or nothing."""
    for url in site.targets():
        answer = site.answer(url)
        if answer is not None and answer.is_error and answer.failure != "robots_disallowed":
            for source in site.linking(url):
                yield Evidence(source, came_to(answer), target=url)


def came_to(answer: Fetched) -> str:
    """What asking a URL came to, in words."""
    return (
        f"the target answers {answer.status}"
        if answer.status
        else f"the target gives no answer: {answer.failure or 'unknown'}"
    )


def _external_asked(site: Site) -> Skip | None:
    if not site.external:
        return applies_not("there are no external links")
    return (
        None
        if any(url in site.probes.fetched for url in site.external)
        else unmeasured("external links were not asked")
    )


@site_rule(
    "link-broken-external",
    "links",
    "medium",
    "core",
    "link",
    "crawl",
    _external_asked,
    fix="Update or remove the link.",
)
def link_broken_external(site: Site) -> Iterator[Evidence]:
    """An external target answers 404, 410 or 5xx, or its name does not resolve; 403, 429 and 999 are unverified."""
    for url, sources in site.external.items():
        answer = site.probes.fetched.get(url)
        if answer is None or answer.status in UNVERIFIED:
            continue
        if answer.status in _GONE or answer.status >= 500 or (answer.status == 0 and answer.failure == "dns"):  # noqa: PLR2004
            for source in dict.fromkeys(sources):
                yield Evidence(source, came_to(answer), target=url)


@site_rule(
    "link-external-redirect",
    "links",
    "info",
    "extended",
    "link",
    "crawl",
    _external_asked,
    fix="Link where it leads now.",
)
def link_external_redirect(site: Site) -> Iterator[Evidence]:
    """An external target redirects permanently."""
    for url, sources in site.external.items():
        answer = site.probes.fetched.get(url)
        if answer is not None and answer.redirect_status in _PERMANENT:
            for source in dict.fromkeys(sources):
                yield Evidence(source, f"it has moved to {answer.url}", target=url)


@site_rule("redirect-internal-link", "crawlability", "low", "extended", "link", "crawl", fix="Link the final address.")
def redirect_internal_link(site: Site) -> Iterator[Evidence]:
    """An internal link points at a URL that answers 3xx rather than at its destination."""
    for url in site.targets():
        facts = site.moved.get(url)
        if facts is not None and facts.redirects:
            for source in site.linking(url):
                yield Evidence(source, f"it answers {facts.redirects[0].status} and leads to {facts.url}", target=url)


@site_rule(
    "link-fragment-missing",
    "links",
    "low",
    "extended",
    "link",
    "crawl",
    fix="Correct the fragment, or give the target its id.",
)
def link_fragment_missing(site: Site) -> Iterator[Evidence]:
    """The fragment of a link names no id or anchor of the target page."""
    for source, url, fragment in dict.fromkeys(site.fragments):
        facts = site.page(url)
        if (
            facts is None
            or not facts.is_ok
            or not facts.is_html
            or fragment.lower() == "top"
            or fragment.startswith((":~:", "!", "/"))
        ):
            continue
        if not facts.has_anchor(fragment):
            yield Evidence(source, f"there is no #{fragment[:80]} on the page", target=f"{url}#{fragment[:200]}")


@site_rule(
    "link-follow-mixed",
    "links",
    "low",
    "extended",
    "page",
    "crawl",
    fix="Follow all internal links to the page, or none.",
)
def link_follow_mixed(site: Site) -> Iterator[Evidence]:
    """A page receives both followed and nofollow internal links."""
    for url in site.targets():
        followed, unfollowed = site.inlinks(url)
        if followed and unfollowed:
            yield Evidence(
                url, f"{len(followed)} pages follow it, {len(unfollowed)} do not", target=next(iter(unfollowed))
            )


@site_rule(
    "link-few-inlinks",
    "links",
    "info",
    "extended",
    "page",
    "crawl",
    crawled_whole,
    threshold="<= 1",
    fix="Link it from related pages.",
)
def link_few_inlinks(site: Site) -> Iterator[Evidence]:
    """An indexable page has only one internal link to it."""
    for facts in site.indexable():
        followed, unfollowed = site.inlinks(facts.url)
        linked = followed | unfollowed
        if 0 < len(linked) <= site.thresholds.few_inlinks and facts.url != site.start_url:
            yield Evidence(facts.url, "only one page links to it", target=next(iter(linked)))
