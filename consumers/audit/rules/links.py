"""Links as they are written on a page."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from consumers.audit.links import host_key
from consumers.audit.page import same_page
from consumers.audit.rules.guards import html, is_loopback
from consumers.audit.rules.link_phrases import is_generic
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not
from consumers.audit.rules.registry import page_rule
from consumers.audit.words import primary
from consumers.net import urls

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.signals import Link

_STAGING: Final = re.compile(
    r"^(?:staging|stage|stg|preprod|preview|uat|qa|dev|develop|test|testing|sandbox)\d*(?:-.*)?$|.*-(?:staging|stg|dev|test|preprod)$"
)
_PLAIN_STAGING: Final = re.compile(r"^(?:staging|stage|stg|preprod|uat)\d*(?:-.*)?$|.*-(?:staging|stg|preprod)$")
_LOCAL_SUFFIXES: Final = (
    ".localhost",
    ".local",
    ".test",
    ".lan",
    ".internal",
    ".home.arpa",
    ".localdomain",
    ".intranet",
    ".corp",
    ".invalid",
)
_VOID: Final = re.compile(r"^\s*#\s*$")


def _has_links(page: Page, context: Context) -> Skip | None:
    return html(page, context) or (None if page.links else applies_not("it has no links"))


def outgoing(page: Page) -> list[Link]:
    """Links that lead to a web page other than this one."""
    return [one for one in page.links if one.url is not None and not same_page(one.url, page.url)]


@page_rule(
    "link-not-crawlable",
    "links",
    "medium",
    "core",
    "link",
    "html",
    _has_links,
    fix="Give the anchor a real address; let scripts add to it, not replace it.",
)
def link_not_crawlable(page: Page, _: Context) -> Iterator[Evidence]:
    """An anchor has no usable href: it is missing, javascript:, or there is a click handler only."""
    for link in page.links:
        if link.role or link.snippet.startswith("<area") or ('aria-current="' in link.snippet and link.href is None):
            continue  # a role of its own, or a placeholder for the current page
        if link.reason == "script":
            yield Evidence(page.url, "the address is a script", link.snippet)
        elif link.reason == "missing" and not link.anchor:
            yield Evidence(
                page.url, "a click handler only" if link.has_handler else "the anchor has no href", link.snippet
            )
        elif link.reason == "empty" and not link.anchor:
            yield Evidence(page.url, "the href is empty", link.snippet)
        elif link.has_handler and link.href is not None and _VOID.match(link.href):
            yield Evidence(page.url, "a click handler only", link.snippet)


@page_rule(
    "link-text-generic",
    "links",
    "low",
    "extended",
    "link",
    "html",
    _has_links,
    threshold="word list per language",
    fix="Let the link's text name what it leads to.",
)
def link_text_generic(page: Page, _: Context) -> Iterator[Evidence]:
    """The link's text is a generic phrase of its language; links within the page, nofollow and scripts do not count."""
    for link in page.links:
        if link.url is None or link.is_nofollow or same_page(link.url, page.url):
            continue
        if is_generic(link.text, primary(link.lang) or primary(page.lang) or page.language):
            yield Evidence(page.url, f"{link.text!r} says nothing of its target", link.snippet, link.url)


@page_rule(
    "link-text-empty",
    "links",
    "medium",
    "core",
    "link",
    "html",
    _has_links,
    fix="Give the link text, an image with alt text, or an aria-label.",
)
def link_text_empty(page: Page, _: Context) -> Iterator[Evidence]:
    """A link has no text, no labelled image and no aria name."""
    for link in page.links:
        if link.href is not None and not link.name and not link.is_hidden and not link.snippet.startswith("<area"):
            yield Evidence(page.url, "the link has no name", link.snippet, link.url or "")


@page_rule(
    "links-too-many",
    "links",
    "low",
    "extended",
    "page",
    "html",
    html,
    threshold="> 100",
    fix="Trim navigation and footers.",
)
def links_too_many(page: Page, context: Context) -> Iterator[Evidence]:
    """More links than the threshold."""
    count = sum(1 for one in page.links if one.href is not None)
    if count > context.thresholds.links_max:
        yield Evidence(page.url, f"{count} links, more than {context.thresholds.links_max}")


@page_rule("dead-end-page", "links", "low", "extended", "page", "html", html, fix="Add navigation or related links.")
def dead_end_page(page: Page, _: Context) -> Iterator[Evidence]:
    """The page has no outgoing links at all."""
    if not outgoing(page):
        yield Evidence(page.url, "nothing leads on from here")


@page_rule(
    "link-internal-nofollow",
    "links",
    "medium",
    "core",
    "link",
    "html",
    _has_links,
    fix="Remove nofollow from the internal link.",
)
def link_internal_nofollow(page: Page, _: Context) -> Iterator[Evidence]:
    """An internal link carries nofollow."""
    for link in page.links:
        if link.is_internal and "nofollow" in link.rel and link.url and not same_page(link.url, page.url):
            yield Evidence(page.url, "an internal link is nofollow", link.snippet, link.url or "")


def _policy(page: Page, context: Context) -> Skip | None:
    if not context.thresholds.external_followed:
        return applies_not("followed external links are a matter of policy; the rule is off")
    return _has_links(page, context)


@page_rule(
    "link-external-followed",
    "links",
    "info",
    "extended",
    "page",
    "html",
    _policy,
    threshold="off",
    fix="Qualify paid or user-written links with sponsored or ugc.",
)
def link_external_followed(page: Page, _: Context) -> Iterator[Evidence]:
    """The page has external links without nofollow, sponsored or ugc. A matter of policy: off by default."""
    for link in page.links:
        if link.url is not None and not link.is_internal and not link.is_nofollow:
            yield Evidence(page.url, "an external link is followed", link.snippet, link.url)


def _on_https(page: Page, context: Context) -> Skip | None:
    return _has_links(page, context) or (
        None if page.url.startswith("https:") else applies_not("the site is not on https")
    )


@page_rule("link-http-on-https", "links", "medium", "core", "link", "html", _on_https, fix="Link the https address.")
def link_http_on_https(page: Page, _: Context) -> Iterator[Evidence]:
    """An internal link uses http on an https site."""
    for link in page.links:
        if link.is_internal and link.url is not None and link.url.startswith("http:"):
            yield Evidence(page.url, "an internal link leaves https", link.snippet, link.url)


@page_rule(
    "link-localhost",
    "links",
    "high",
    "core",
    "link",
    "html",
    html,
    fix="Replace the address by the public one.",
)
def link_localhost(page: Page, _: Context) -> Iterator[Evidence]:
    """A link or resource points at localhost, a private address or a staging host."""
    if is_loopback(page.url) or unreachable(page.url, ""):
        return
    for link in page.links:
        if link.url is not None and (why := unreachable(link.url, page.url)):
            yield Evidence(page.url, f"the link leads to {why}", link.snippet, link.url)
    for url, shown in [(one.url, one.snippet) for one in page.images] + [
        (one.url, one.snippet) for one in page.resources
    ]:
        if url is not None and (why := unreachable(url, page.url)):
            yield Evidence(page.url, f"the resource lies on {why}", shown, url)
    for form in page.forms:
        if why := unreachable(form.url, page.url):
            yield Evidence(page.url, f"the form sends to {why}", form.snippet, form.url)


def unreachable(url: str, page_url: str) -> str:
    """Why the public cannot use a URL: ``localhost``, a private address, a staging host; empty when it can."""
    try:
        host = urls.parse(url).hostname.rstrip(".")
    except ValueError:
        return ""
    if is_loopback(url):
        return "localhost"
    if host.endswith(_LOCAL_SUFFIXES):
        return "a host of a local network"
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        pass
    else:
        return "a private address" if address.is_private or address.is_link_local else ""
    labels = host.split(".")[:-2]
    if host_key(url) == host_key(page_url) or not labels:
        return ""
    pattern = _STAGING if page_url and urls.same_site(url, page_url) else _PLAIN_STAGING
    return "a staging host" if any(pattern.match(one) for one in labels) else ""


@page_rule("link-malformed", "links", "medium", "core", "link", "html", _has_links, fix="Correct the address.")
def link_malformed(page: Page, _: Context) -> Iterator[Evidence]:
    """An href that the URL standard cannot parse, or with a mistyped scheme."""
    for link in page.links:
        if link.reason == "malformed":
            yield Evidence(page.url, f"{(link.href or '')[:100]!r} is no address", link.snippet)


@page_rule(
    "link-target-blank-opener",
    "links",
    "info",
    "extended",
    "link",
    "html",
    _has_links,
    fix="Add rel=noopener, and drop rel=opener.",
)
def link_target_blank_opener(page: Page, _: Context) -> Iterator[Evidence]:
    """target=_blank with rel=opener, or without noopener where a browser does not imply it, to another site."""
    for link in page.links:
        if (
            link.target == "_blank"
            and link.url is not None
            and ("opener" in link.rel or (not link.is_internal and {"noopener", "noreferrer"}.isdisjoint(link.rel)))
        ):
            yield Evidence(page.url, "the opened page can reach back to this one", link.snippet, link.url)
