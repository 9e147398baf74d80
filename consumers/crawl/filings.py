"""Reading an investor-relations site page by page, and what each page leads to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from consumers.filings.job import asked, company_of
from consumers.filings.links import PageLink, PageLinks, find_links
from consumers.filings.report import kind_of_bytes
from consumers.filings.sitemap import is_sitemap, read_sitemap
from consumers.net import urls
from consumers.net.errors import FetchRefusedError
from consumers.net.visit import DISALLOWED, visit
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from schemas.filings import CrawlPage, FoundDocument
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from consumers.context import StageContext
    from schemas.filings import FilingsSpec

MAX_DEPTH: Final = 6
"""Links from the start to the deepest page that is read."""

NEUTRAL_DEPTH: Final = 2
"""As far as links are followed that speak neither for reports nor against them."""

MAX_SITEMAPS: Final = 5
"""Sitemaps named in robots.txt that are read."""

BATCH: Final = 500
"""Links that go into one move."""

PAGES: Final = "pages"
"""The job's budget of pages to crawl."""

_OFF_SITE: Final = "off_site"
_UNSUPPORTED: Final = "unsupported_type"
_NEVER_MIND: Final = frozenset(
    {
        DISALLOWED,
        _OFF_SITE,
        _UNSUPPORTED,
        "http_404",
        "http_410",
        "bad_url",
        "unsupported_scheme",
        "credentials_in_url",
    }
)
"""What a link may end in without the result lacking anything."""

_DEPTHS: Final = (0, NEUTRAL_DEPTH, MAX_DEPTH)
"""How deep a page may lie, by its priority."""

_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True, slots=True)
class _Page:
    """What an address answered: of a PDF only that it is one."""

    url: str
    content_type: str
    body: bytes


@stage(
    name="crawl",
    accepts=CrawlPage,
    emits=("crawl", "classify"),
    policy=StagePolicy(
        soft_timeout_s=300, timeout_s=600, concurrency=8, retry=RetryPolicy(max_attempts=4, base_s=60, cap_s=300)
    ),
)
async def crawl(page: CrawlPage, ctx: StageContext) -> Outcome:
    """Read one page; the start page also makes the company known and asks for the site's sitemaps."""
    spec = await asked(ctx)
    is_start = page.depth == 0
    if is_start:
        ctx.progress("fetching_company_info", 2)
        await company_of(ctx, spec)
    ctx.progress("scraping_website", 5)
    try:
        read = await _read(page.url, ctx)
        emits = await _leads_to(read, page, spec, ctx)
    except FetchRefusedError as error:
        if is_start or error.reason not in _NEVER_MIND:
            raise
        ctx.log.info("left out: %s", error, reason=error.reason)
        return Done()
    return await _emitted(emits, ctx)


async def _leads_to(read: _Page, page: CrawlPage, spec: FilingsSpec, ctx: StageContext) -> list[Emit]:
    """Raises `FetchRefusedError` for what is no page of the site."""
    shown, is_start = urls.redact(read.url), page.depth == 0
    # The start may lead to another site, which is then the one that is read.
    site = spec.url if urls.same_site(page.url, spec.url) else page.url
    if not urls.same_site(read.url, site):
        if not is_start:
            raise FetchRefusedError(
                f"{urls.redact(page.url)} leads off the site to {shown}", reason=_OFF_SITE, url=page.url
            )
        site = read.url
    if read.content_type == "application/pdf":
        return [_document(FoundDocument(url=read.url, source_url=page.url, format="pdf"))]
    if is_sitemap(read.body):
        return await _listed(read, page, spec, site)
    if read.content_type not in _HTML:
        raise FetchRefusedError(
            f"{shown} is {read.content_type}, neither a page nor a PDF; name a page of the site",
            reason=_UNSUPPORTED,
            url=read.url,
        )
    links = await asyncio.to_thread(find_links, read.body, read.url, site)
    if links.truncated:
        ctx.log.warning("%s has more links than are looked at", shown)
    sitemaps = await _sitemaps(read.url, ctx) if is_start else []
    return sitemaps + _followed(links, page, spec, read.url)


async def _read(url: str, ctx: StageContext) -> _Page:
    config = ctx.fetch.config
    async with (
        visit(ctx, url),
        ctx.fetch.stream(url, max_bytes=config.max_page_bytes, timeout_s=config.page_timeout_s) as answer,
    ):
        served = answer.head.content_type or ""
        body = bytearray()
        if served == "application/pdf":
            return _Page(answer.head.url, served, b"")
        async for piece in answer.chunks():
            if not body and kind_of_bytes(piece) == "application/pdf":
                return _Page(answer.head.url, "application/pdf", b"")
            body += piece
        kind = served if served in _HTML else kind_of_bytes(bytes(body)) or served or "of no known type"
        return _Page(answer.head.url, kind, bytes(body))


async def _sitemaps(url: str, ctx: StageContext) -> list[Emit]:
    """The sitemaps that robots.txt names; they do not count as pages."""
    named = [urls.normalise(sitemap) for sitemap in (await ctx.robots.rules(url)).sitemaps]
    on_site = [sitemap for sitemap in named if sitemap is not None and urls.same_site(sitemap, url)]
    return [_list(sitemap, depth=1) for sitemap in on_site[:MAX_SITEMAPS]]


async def _listed(read: _Page, page: CrawlPage, spec: FilingsSpec, site: str) -> list[Emit]:
    """What a sitemap leads to: of the pages only the likely ones, for it lists them all."""
    listed = await asyncio.to_thread(read_sitemap, read.body, read.url, site)
    further = [urls.normalise(url) for url in listed.sitemaps if page.depth < NEUTRAL_DEPTH]
    emits = [_list(url, page.depth + 1) for url in further if url is not None and urls.same_site(url, site)]
    likely = tuple(link for link in listed.links.pages if link.priority > 1)
    return emits + _followed(PageLinks(listed.links.documents, likely), page, spec, read.url)


def _followed(links: PageLinks, page: CrawlPage, spec: FilingsSpec, url: str) -> list[Emit]:
    """Documents first, then pages, the likeliest first, since they share a budget."""
    seen = {urls.normalise(address) for address in (spec.url, page.url, url)}
    return [
        *(_document(found) for found in links.documents),
        *(
            Emit("crawl", CrawlPage(url=link, depth=page.depth + 1), once=f"page {link}", budget=PAGES)
            for link in _worth_reading(links.pages, page.depth + 1)
            if link not in seen
        ),
    ]


def _worth_reading(pages: Iterable[PageLink], depth: int) -> Iterable[str]:
    for page in pages:
        link = urls.normalise(page.url)
        if link is not None and depth <= _DEPTHS[page.priority]:
            yield link


def _document(found: FoundDocument) -> Emit:
    url = urls.normalise(found.url) or found.url
    return Emit("classify", found.model_copy(update={"url": url}), once=f"document {url}")


def _list(url: str, depth: int) -> Emit:
    return Emit("crawl", CrawlPage(url=url, depth=depth), once=f"page {url}")


async def _emitted(emits: Sequence[Emit], ctx: StageContext) -> Done:
    """Open all but the last batch now, so that no move grows with the page."""
    last = max(0, (len(emits) - 1) // BATCH * BATCH)
    for start in range(0, last, BATCH):
        await ctx.emit(*emits[start : start + BATCH])
    return Done(tuple(emits[last:]))
