"""Reading an investor-relations site page by page, and what each page leads to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import BaseModel

from consumers.filings.job import asked, company_of, other_job_at
from consumers.filings.links import PageLink, PageLinks, find_links, has_script, is_likely
from consumers.filings.report import kind_of_bytes
from consumers.filings.sitemap import is_sitemap, read_sitemap, unpacked
from consumers.net import urls
from consumers.net.errors import FetchRefusedError
from consumers.net.visit import DISALLOWED, visit
from consumers.outcome import Done, Emit, Outcome, Snooze
from consumers.stage import stage
from schemas.filings import CrawlPage, FoundDocument
from schemas.filings_handled import Unread
from streams.errors import PermanentError
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from consumers.context import StageContext
    from consumers.store.models import CrawledPage
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

RENDERS: Final = "renders"
"""The job's budget of pages that are read in a browser."""

WAIT_S: Final = 5.0
LONGEST_WAIT_S: Final = 60.0
"""Between two looks whether another job of the company is over: a quarter of the time that it has run, within these."""

LEADS_VERSION: Final = 1
"""Raised when a page's text would lead elsewhere; what was kept before is not used then."""

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


class Lead(BaseModel):
    """One emission, as it is kept."""

    stage: Literal["crawl", "classify"]
    payload: dict[str, Any]
    once: str
    budget: str


class Leads(BaseModel):
    """What a page led to, and what that depended on beside its text."""

    depth: int
    asked: str
    leads: tuple[Lead, ...]

    @classmethod
    def of(cls, emits: Iterable[Emit], depth: int, spec: FilingsSpec) -> Self:
        """As it is kept."""
        leads = tuple(
            Lead(
                stage="crawl" if one.stage == "crawl" else "classify", payload=one.payload.model_dump(mode="json"),
                once=one.once, budget=one.budget,
            )
            for one in emits
        )  # fmt: skip
        return cls(depth=depth, asked=cls.asked_for(spec), leads=leads)

    @staticmethod
    def asked_for(spec: FilingsSpec) -> str:
        """What of a spec decides where a page leads."""
        return spec.url

    def emits(self) -> list[Emit]:
        """As it was emitted."""
        models: dict[str, type[BaseModel]] = {"crawl": CrawlPage, "classify": FoundDocument}
        return [
            Emit(one.stage, models[one.stage].model_validate(one.payload), one.once, one.budget) for one in self.leads
        ]


@dataclass(frozen=True, slots=True)
class _Page:
    """What an address answered: of a PDF only that it is one."""

    url: str
    content_type: str
    body: bytes
    etag: str | None = None
    last_modified: str | None = None


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
    is_start = page.depth == 0 and not page.rendered
    if is_start:
        ctx.progress("fetching_company_info", 2)
    company_id = await company_of(ctx, spec)
    if is_start and (other := await other_job_at(ctx, company_id)) is not None:
        ctx.log.info("job %s reads this company's site; this one waits for it", other.job_id)
        wait_s = min(LONGEST_WAIT_S, max(WAIT_S, other.running_s / 4))
        return Snooze(wait_s, f"company_busy: job {other.job_id} reads the site of company {company_id}")
    ctx.progress("scraping_website", 5)
    try:
        emits = await (_rendered(page, spec, ctx) if page.rendered else _read_anew(page, spec, company_id, ctx))
    except FetchRefusedError as error:
        if is_start or not (page.is_guess or page.rendered or error.reason in _NEVER_MIND):
            raise
        ctx.log.info("left out: %s", error, reason=error.reason)
        return Done()
    return await _emitted(emits, ctx)


async def _read_anew(page: CrawlPage, spec: FilingsSpec, company_id: str, ctx: StageContext) -> list[Emit]:
    """What a page leads to; of one that has not changed since it was read last, what it led to then."""
    pages = ctx.store.crawled
    kept = await pages.at(company_id, page.url, tenant=ctx.tenant, version=LEADS_VERSION)
    known = Leads.model_validate(kept.leads) if kept is not None else None
    if known is None or known.asked_for(spec) != known.asked or known.depth != page.depth:
        kept = known = None
    read = await _read(page.url, ctx, kept)
    if read is None:
        assert known is not None  # noqa: S101 - only then is the GET conditional
        return known.emits()
    emits = await _leads_to(read, page, spec, ctx)
    if read.etag or read.last_modified:
        leads = Leads.of(emits, page.depth, spec)
        await pages.put(
            company_id, page.url, tenant=ctx.tenant, etag=read.etag, last_modified=read.last_modified,
            version=LEADS_VERSION, leads=leads.model_dump(mode="json"),
        )  # fmt: skip
    return emits


async def _rendered(page: CrawlPage, spec: FilingsSpec, ctx: StageContext) -> list[Emit]:
    """What a page leads to once its scripts have run; where no browser is, that is noted, and nothing else is lost."""
    try:
        async with visit(ctx, page.url):
            shown = await (await ctx.browser()).render(page.url, scroll=True)
    except PermanentError as error:
        if error.reason != "browser_missing":
            raise
        ctx.log.warning("%s", error)
        await ctx.collect(Unread(unread=page.url, reason=str(error)))
        return []
    site = spec.url if urls.same_site(page.url, spec.url) else page.url
    if not urls.same_site(shown.url, site):
        return []
    links = await asyncio.to_thread(find_links, shown.html, shown.url, site)
    ctx.log.info("%s rendered: %d documents", urls.redact(shown.url), len(links.documents))
    return _followed(links, page, spec, shown.url)


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
        found = FoundDocument(url=read.url, link_text=page.link_text, source_url=page.url, format="pdf")
        return [_document(found)]
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
    again = []
    may_list = is_start or is_likely(read.url) or not links.pages
    if not links.documents and has_script(read.body) and may_list:
        seen = page.model_copy(update={"rendered": True})
        again = [Emit("crawl", seen, once=f"render {page.url}", budget=RENDERS)]
    return sitemaps + _followed(links, page, spec, read.url) + again


async def _read(url: str, ctx: StageContext, kept: CrawledPage | None) -> _Page | None:
    """A page; None when it is as it was."""
    config = ctx.fetch.config
    async with (
        visit(ctx, url),
        ctx.fetch.stream(
            url, max_bytes=config.max_page_bytes, timeout_s=config.page_timeout_s,
            etag=kept.etag if kept is not None else None,
            last_modified=kept.last_modified if kept is not None else None,
        ) as answer,
    ):  # fmt: skip
        if answer.head.not_modified:
            return None
        served = answer.head.content_type or ""
        body = bytearray()
        if served == "application/pdf":
            return _Page(answer.head.url, served, b"")
        async for piece in answer.chunks():
            if not body and kind_of_bytes(piece) == "application/pdf":
                return _Page(answer.head.url, "application/pdf", b"")
            body += piece
        whole = unpacked(bytes(body))
        kind = served if served in _HTML else kind_of_bytes(whole) or served or "of no known type"
        return _Page(answer.head.url, kind, whole, answer.head.etag, answer.head.last_modified)


async def _sitemaps(url: str, ctx: StageContext) -> list[Emit]:
    """The sitemaps that robots.txt names, else the usual place; they do not count as pages."""
    named = [urls.normalise(sitemap) for sitemap in (await ctx.robots.rules(url)).sitemaps]
    on_site = [sitemap for sitemap in named if sitemap is not None and urls.same_site(sitemap, url)]
    if on_site:
        return [_list(sitemap, depth=1) for sitemap in on_site[:MAX_SITEMAPS]]
    usual = urls.join(url, "/sitemap.xml")
    return [Emit("crawl", CrawlPage(url=usual, depth=1, is_guess=True), once=f"page {usual}")]


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
            Emit("crawl", CrawlPage(url=link, depth=depth, link_text=text), once=f"page {link}", budget=PAGES)
            for link, depth, text in _worth_reading(links.pages, page.depth)
            if link not in seen
        ),
    ]


def _worth_reading(pages: Iterable[PageLink], depth: int) -> Iterable[tuple[str, int, str]]:
    """Pages and how deep they lie: the next page of a list lies as deep as this one, so that long archives end late."""
    for page in pages:
        link = urls.normalise(page.url)
        deeper = max(depth, 1) if page.is_next else depth + 1
        if link is not None and deeper <= _DEPTHS[page.priority if not page.is_next else -1]:
            yield link, deeper, page.text


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
