"""One fetched document examined: signals, its own rules, and where it leads. Pure; runs in a subprocess."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import BaseModel
from selectolax.lexbor import LexborHTMLParser

from consumers.audit import page as pages
from consumers.audit.directives import said
from consumers.audit.page import Page, read_page
from consumers.audit.rules import Context, Status, Verdict, audit_page
from consumers.audit.signals import Image, Link, Resource
from consumers.audit.site import shared_image
from consumers.net import urls
from schemas.audit import Finding, KeptLink, KeptPage, PageSeen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers.audit.document import Document

MAX_LINKS: Final = 3_000
"""Links of a page that are kept and followed."""

MAX_TEXT_CHARS: Final = 20_000
"""Of the main text, kept for keywords and what quotes it."""

THIN_WORDS: Final = 50
"""A page with fewer words and with scripts may be made by them."""

OF_REDIRECTS: Final = "redirect-"
"""How the ids of the rules begin that judge the way to a page."""

_ANCHOR_CHARS: Final = 100
_EVIDENCE_CHARS: Final = 500


class Examined(BaseModel):
    """What an examination gives.

    Attributes:
        url: Of the page.
        kept: The `KeptPage`, as JSON: it goes to the store as it is, and compile reads it.
        follow: Internal addresses that lead on, in the order of the page; without those marked nofollow.
        check: Addresses to be asked whether they are there: links that leave the site, images, scripts, styles.
        is_thin: Its text is thin and scripts may make more of it.
    """

    url: str
    kept: str
    seen: PageSeen
    follow: tuple[str, ...] = ()
    check: tuple[str, ...] = ()
    is_thin: bool = False


def examine(document: Document, start: str, depth: int, via: str, found_on: str, today: date) -> Examined:
    """Read a document and put the page rules to it.

    Args:
        document: As fetched; of a redirected one only the head counts, where it leads is a page of its own.
        start: The page the crawl began at.
        depth: Links from there.
        via: How it was found.
        found_on: Where.
        today: The date that ages are counted to.
    """
    page = read_page(document)
    verdicts = audit_page(page, Context(today=today, home_url=start))
    if page.redirects and page.url != page.requested_url:
        # Where it led is judged as a page of its own.
        verdicts = tuple(one for one in verdicts if one.rule.startswith(OF_REDIRECTS))
    by_status: dict[Status, list[str]] = {status: [] for status in Status}
    findings: list[Finding] = []
    for verdict in verdicts:
        by_status[verdict.status].append(verdict.rule)
        if verdict.status is Status.FAILED:
            findings += findings_of(verdict)
    is_home = page.url == start
    kept = KeptPage(
        url=page.url,
        depth=depth,
        via=via,
        found_on=found_on,
        page=orjson.loads(pages.to_json(page if is_home else slim(page))),
        links=() if is_home else tuple(_kept_links(page)),
        images=() if is_home else tuple(dict.fromkeys(one.url for one in page.images if one.url)),
        resources=() if is_home else tuple(dict.fromkeys((one.kind, one.url) for one in page.resources)),
        findings=tuple(findings),
        passed=tuple(by_status[Status.PASSED]),
        not_applicable=tuple(by_status[Status.NOT_APPLICABLE]),
        not_measured=tuple(by_status[Status.NOT_MEASURED]),
        etag=page.header("etag"),
        last_modified=page.header("last-modified"),
        rendered=page.rendered is not None,
        text=page.prose.text[:MAX_TEXT_CHARS],
    )
    seen = PageSeen(
        url=page.url,
        start=start,
        requested_url=page.requested_url if page.redirects else "",
        status=page.status,
        failure=page.failure,
        depth=depth,
        is_html=page.is_html,
        is_noindex=page.is_noindex,
        canonical=page.canonical,
        title=page.title[:300],
        words=page.prose.words,
        markup=tuple(dict.fromkeys(name for node in page.nodes for name in _types(node)))[:20],
        is_article=page.authorship.is_article,
        has_form=bool(page.forms),
    )
    is_thin = page.is_html and page.is_ok and page.prose.words < THIN_WORDS and any(
        one.kind == "script" for one in page.resources
    )  # fmt: skip
    return Examined(
        url=page.url,
        kept=kept.model_dump_json(),
        seen=seen,
        follow=tuple(_followed(page)),
        check=tuple(_checked(page)),
        is_thin=is_thin,
    )


def links_in(html: str, url: str) -> tuple[str, ...]:
    """Where a rendered document leads; runs in a subprocess."""
    tree = LexborHTMLParser(html)
    base_node = tree.css_first("base[href]")
    base = (urls.resolve(url, base_node.attributes.get("href") or "") or url) if base_node is not None else url
    found: dict[str, None] = {}
    for node in tree.css("a[href], area[href]"):
        rel = (node.attributes.get("rel") or "").lower().split()
        target = urls.resolve(base, node.attributes.get("href") or "")
        if target is not None and not {"nofollow", "sponsored", "ugc"}.intersection(rel):
            found[target] = None
        if len(found) >= MAX_LINKS:
            break
    return tuple(found)


def slim(page: Page) -> Page:
    """A page without what only its own rules look at."""
    return replace(
        page,
        headings=tuple(one for one in page.headings if one.level == 1)[:3],
        metas=tuple(one for one in page.metas if one.key in {"description", "robots", "googlebot"}),
        links=(),
        images=(),
        pictures_without_img=(),
        resources=(),
        forms=(),
        controls=(),
        anchors=page.anchors[:500],
        repeated_ids=(),
        visible_text="",
        prose=replace(page.prose, text="", long_paragraphs=(), figures=page.prose.figures[:5]),
        rendered=None,
    )


def page_of(kept: KeptPage) -> Page:
    """The page that the site's rules get, from what was kept of it."""
    page = pages.from_dict(kept.page)
    if page.links or not (kept.links or kept.images or kept.resources):
        return page
    return replace(
        page,
        links=tuple(_link(one) for one in kept.links),
        images=tuple(_image(url) for url in kept.images),
        resources=tuple(Resource(kind, url, "") for kind, url in kept.resources),
    )


def _followed(page: Page) -> Iterator[str]:
    if page.redirects or said(page.directives, "nofollow", "none"):
        return
    found = [one.url for one in page.links if one.url and one.is_internal and not one.is_nofollow]
    named = [one.url for one in page.alternates if one.url]
    named += [url for _, url in page.series]
    named += [page.canonical] if page.canonical else []
    named += [one.url for one in page.refreshes if one.url]
    yield from dict.fromkeys([*found, *named][:MAX_LINKS])


def _checked(page: Page) -> Iterator[str]:
    if page.redirects:
        return
    found = [one.url for one in page.links if one.url and not one.is_internal]
    found += [one.url for one in page.images if one.url]
    found += [one.url for one in page.resources if one.kind in {"script", "style", "icon", "image", "media", "font"}]
    found += [shared] if urls.normalise(shared := shared_image(page)) else []
    yield from dict.fromkeys(found[:MAX_LINKS])


def _kept_links(page: Page) -> Iterator[KeptLink]:
    for one in page.links[:MAX_LINKS]:
        if one.url is not None:
            yield KeptLink(
                url=one.url, fragment=one.fragment, internal=one.is_internal, nofollow=one.is_nofollow,
                text=one.text[:_ANCHOR_CHARS],
            )  # fmt: skip


def _link(kept: KeptLink) -> Link:
    return Link(
        href=kept.url, url=kept.url, fragment=kept.fragment, is_internal=kept.internal,
        rel=("nofollow",) if kept.nofollow else (), text=kept.text, name=kept.text, role="", target="", anchor="",
        has_handler=False, in_main=False, is_hidden=False, reason="", snippet="",
    )  # fmt: skip


def _image(url: str) -> Image:
    return Image(
        src=url, url=url, alt=None, is_decorative=False, has_size=True, is_lazy=True, width=None, height=None,
        formats=(), snippet="",
    )  # fmt: skip


def findings_of(verdict: Verdict) -> Iterator[Finding]:
    """What is kept of a verdict."""
    kept = verdict.evidence
    for n, one in enumerate(kept):
        yield Finding(
            rule=verdict.rule,
            detail=one.detail[:_EVIDENCE_CHARS],
            snippet=one.snippet[:_EVIDENCE_CHARS],
            target=one.target,
            count=1 + (verdict.count - len(kept) if n == len(kept) - 1 else 0),
        )


def _types(node: dict[str, Any]) -> list[str]:
    named = node.get("@type")
    return [str(one) for one in named] if isinstance(named, list) else []
