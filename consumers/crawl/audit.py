"""Reading a site page by page: the frontier is the log's, each address once, none lost when a worker dies."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Final

from consumers.audit.document import Document, Hop, Rendered, headers_of
from consumers.audit.examine import Examined, examine, links_in
from consumers.audit.frontier import Scope, is_file, is_suspicious, site_key, trap_budget
from consumers.audit.remembered import remembered
from consumers.audit.site import Sitemap, TextFile
from consumers.audit.sitemap_file import read_sitemap
from consumers.net import urls
from consumers.net.errors import FetchFailedError, FetchRefusedError, status_error
from consumers.net.visit import visit
from consumers.outcome import Done, Emit, Outcome, Snooze
from consumers.stage import stage
from schemas.audit import AuditSpec, Errand, KeptErrand, KeptPage, PageSeen, Target
from schemas.stages import Written
from streams.errors import PermanentError, TransientError
from streams.policy import RateLimit, RetryPolicy, StagePolicy, waiting_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from consumers.context import StageContext

PAGES: Final = "pages"
"""The job's budget of pages to read."""

LINKS: Final = "links"
"""The job's budget of addresses to ask beside the pages."""

BATCH: Final = 500
"""Emissions that go into one move."""

MAX_SITEMAPS: Final = 50
"""Of one index, and named in robots.txt."""

MAX_INDEXES: Final = 2
"""Indexes above a sitemap that are followed."""

MAX_ENTRIES: Final = 50_000
MAX_SITEMAP_BYTES: Final = 50 * 1024 * 1024
GUESSED: Final = "guessed"
"""Found on nothing: the customary address, which nobody has declared."""

OK: Final = 200
MAX_PAGE_BYTES: Final = 16 * 1024 * 1024
FILE_START_BYTES: Final = 512
_HTML: Final = frozenset({"text/html", "application/xhtml+xml", "text/plain", ""})
_XML: Final = frozenset({"text/xml", "application/xml", "application/gzip", "application/x-gzip", "text/plain", ""})

BUSY_S: Final = 15.0
"""Until an audit looks again whether the one before it of the same site is done."""

SAT_OUT_S: Final = 0.25

RETRY: Final = RetryPolicy(max_attempts=4, base_s=2, cap_s=300)


def _beginning(target: Target) -> str | None:
    """Audits begin at a rate, their pages do not."""
    return "all" if target.via == "start" else None


@stage(
    name="crawl",
    accepts=Target,
    emits=("crawl", "classify", "download"),
    policy=StagePolicy(
        soft_timeout_s=120,
        timeout_s=150,
        concurrency=32,
        window=256,
        memory_mb=1_536,
        retry=RETRY,
        limits=(RateLimit("audits", 5, 60, by=_beginning),),
    ),
)
async def crawl(target: Target, ctx: StageContext) -> Outcome:
    """Read one address; the first one also makes the audit known and sends for what is beside the pages."""
    spec = await ctx.spec(AuditSpec)
    scope = Scope(target.start, spec.include, spec.exclude, spec.max_depth)
    known = remembered(ctx.job_id).known
    known.add(hash(target.url))
    if target.kind == "gate":
        page = target.model_copy(update={"kind": "page"})
        return Done((Emit("crawl", page, once=f"page {page.url}", budget=PAGES),))
    if target.kind == "sitemap":
        return await _emitted(await _listed(target, scope, known, ctx), ctx)
    if target.via == "start" and (busy := await _begin(spec, ctx)) is not None:
        return busy
    if (wait := await _turn(target.url, ctx)) is not None:
        return wait
    document, not_modified = await _fetched(target, spec, ctx)
    if not_modified is not None:
        return await _again(not_modified, target, spec, scope, known, ctx)
    examined: Examined = await ctx.run_cpu(
        examine, document, target.start, target.depth, target.via, target.found_on, datetime.now(UTC).date()
    )
    follow = list(examined.follow)
    if spec.render == "always" or (spec.render == "auto" and examined.is_thin):
        examined, follow = await _rendered(document, examined, target, ctx)
    await ctx.collect(Written(examined.kept.encode()))
    emits = [Emit("classify", examined.seen)]
    start = target.start
    if document.redirects and not document.failure:
        emits += _landed(target, document.url, scope)
        start = document.url if target.via == "start" else start
    if target.via == "start":
        emits += await _beside(spec, start, ctx)
    emits += _followed(follow, target, Scope(start, spec.include, spec.exclude, spec.max_depth), spec, known)
    if spec.check_links:
        emits += _checked(examined.check, follow, examined.url, scope, known)
    return await _emitted(emits, ctx)


async def _begin(spec: AuditSpec, ctx: StageContext) -> Snooze | None:
    """Make the audit known; one of the same site that runs already is waited for."""
    website = await ctx.store.websites.ensure(site_key(spec.url), tenant=ctx.tenant, url=spec.url)
    await ctx.store.audits.begin(ctx.job_id, website.id, spec.url, tenant=ctx.tenant)
    other = await ctx.store.audits.running_before(ctx.job_id, tenant=ctx.tenant)
    if other is None:
        ctx.progress("reading pages", 5)
        return None
    ctx.log.info("audit %s of this site runs: this one waits for it", other)
    return Snooze(BUSY_S, f"audit {other} of the same site runs")


async def _turn(url: str, ctx: StageContext) -> Snooze | None:
    """Wait for the host's turn, which all workers share; a short wait is sat out, a long one is a snooze."""
    try:
        asked_s = await ctx.robots.crawl_delay_s(url)
        host = urls.host_of(url)
    except (FetchFailedError, FetchRefusedError, ValueError):
        return None  # told by the fetch itself
    policy = ctx.politeness.policy
    delay_s = min(max(asked_s or 0.0, policy.delay_s), policy.max_delay_s)
    if not delay_s:
        return None
    limit = RateLimit("crawl", 1, delay_s)
    wait_s = await ctx.reserve(limit, host)
    if wait_s > SAT_OUT_S:
        return Snooze(wait_s, waiting_for(limit.name))
    await asyncio.sleep(wait_s)
    return None


async def _fetched(target: Target, spec: AuditSpec, ctx: StageContext) -> tuple[Document, KeptPage | None]:
    """The answer, whatever it is, as a document; or the copy of the audit before when it is still good.

    Raises:
        TransientError: It may be better later, and there are attempts left.
    """
    before = await _copy(target, ctx)
    is_last = ctx.is_last_attempt
    try:
        async with visit(ctx, target.url):
            began = monotonic()
            async with ctx.fetch.stream(
                target.url,
                headers=await _login(target.url, spec, ctx),
                max_bytes=MAX_PAGE_BYTES,
                timeout_s=ctx.fetch.config.page_timeout_s,
                etag=before.etag if before is not None else None,
                last_modified=before.last_modified if before is not None else None,
                any_status=True,
            ) as answer:
                ttfb_ms = (monotonic() - began) * 1_000
                head = answer.head
                if head.not_modified and before is not None:
                    return Document(url=target.url, status=304), before
                shown = status_error(target.url, head.status, head.headers, now=datetime.now(UTC))
                if isinstance(shown, FetchFailedError) and not is_last:
                    raise shown
                is_page = (head.content_type or "") in _HTML and not head.redirects
                body = (await answer.whole()).body if is_page else await answer.start(FILE_START_BYTES)
    except FetchRefusedError as error:
        return _failed(target.url, error), None
    except FetchFailedError as error:
        if not is_last:
            raise
        return _failed(target.url, error), None
    return (
        Document(
            url=head.url,
            status=head.status,
            headers=headers_of(head.headers),
            body=b"" if head.redirects else body,
            requested_url=target.url,
            redirects=tuple(Hop(one.status, one.url, one.location) for one in head.redirects),
            ttfb_ms=round(ttfb_ms, 1) if not head.redirects else None,
        ),
        None,
    )


def _failed(url: str, error: FetchFailedError | FetchRefusedError) -> Document:
    hops = error.hops if isinstance(error, FetchRefusedError) else ()
    return Document(
        url=url, status=error.status or 0, requested_url=url, failure=error.reason,
        redirects=tuple(Hop(*one) for one in hops),
    )  # fmt: skip


async def _login(url: str, spec: AuditSpec, ctx: StageContext) -> Mapping[str, str]:
    """The headers that open the website for us; kept in the database, so no entry, log line or trace has them."""
    if not spec.login or urls.origin_of(url) != urls.origin_of(spec.url):
        return {}
    return await ctx.store.websites.login(site_key(spec.url), tenant=ctx.tenant)


async def _copy(target: Target, ctx: StageContext) -> KeptPage | None:
    """What the audit before has of an address, if a server can say that it is still good."""
    job = remembered(ctx.job_id)
    if job.previous is None:
        audit = await ctx.store.audits.get(ctx.job_id, tenant=ctx.tenant)
        previous = (audit.previous if audit is not None else None) or ""
        job.previous = previous if await ctx.store.audits.has_validators(previous, tenant=ctx.tenant) else ""
    if not job.previous or target.via == "start":
        return None
    known = await ctx.store.audits.known_page(job.previous, target.url, tenant=ctx.tenant)
    if known is None or "page" not in known.payload:
        return None
    kept = KeptPage.model_validate(known.payload)
    return kept if kept.etag or kept.last_modified else None


async def _again(
    kept: KeptPage, target: Target, spec: AuditSpec, scope: Scope, known: set[int], ctx: StageContext
) -> Done:
    """A page that did not change: what was kept of it leads on as it did."""
    kept = kept.model_copy(
        update={"reused": True, "depth": target.depth, "via": target.via, "found_on": target.found_on}
    )
    await ctx.collect(kept)
    page = kept.page
    seen = PageSeen(
        url=kept.url, start=target.start, status=page.get("status", 200), depth=target.depth, is_html=True,
        title=(page.get("titles") or [""])[0][:300], words=page.get("prose", {}).get("words", 0),
    )  # fmt: skip
    follow = [one.url for one in kept.links if one.internal and not one.nofollow]
    emits = [Emit("classify", seen), *_followed(follow, target, scope, spec, known)]
    if spec.check_links:
        external = [one.url for one in kept.links if not one.internal]
        emits += _checked(
            [*external, *kept.images, *(url for _, url in kept.resources)], follow, kept.url, scope, known
        )
    return await _emitted(emits, ctx)


async def _rendered(
    document: Document, examined: Examined, target: Target, ctx: StageContext
) -> tuple[Examined, list[str]]:
    """The same page read again with what its scripts made of it, where a browser is there and is shown it too."""
    try:
        browser = await ctx.browser()
        shown = await browser.render(document.url)
    except (PermanentError, TransientError) as error:
        ctx.log.info("not rendered: %s", error, reason=error.reason)
        return examined, list(examined.follow)
    if shown.status != document.status:
        ctx.log.info("not read as rendered: the browser was answered HTTP %s, we %s", shown.status, document.status)
        return examined, list(examined.follow)
    made = Document(
        url=document.url, status=document.status, headers=document.headers, body=document.body,
        requested_url=document.requested_url, redirects=document.redirects, ttfb_ms=document.ttfb_ms,
        rendered=Rendered(shown.url, shown.html),
    )  # fmt: skip
    again: Examined = await ctx.run_cpu(
        examine, made, target.start, target.depth, target.via, target.found_on, datetime.now(UTC).date()
    )
    more: tuple[str, ...] = await ctx.run_cpu(links_in, shown.html, shown.url)
    return again, list(dict.fromkeys([*again.follow, *more]))


def _landed(target: Target, url: str, scope: Scope) -> list[Emit]:
    """Where redirects led is a page of its own, when it belongs to the site."""
    is_start = target.via == "start"
    if not is_start and not scope.may_crawl(url, target.depth):
        return []
    start = url if is_start else target.start
    landed = Target(url=url, start=start, depth=target.depth, via="redirect", found_on=target.url)
    # The page that the start redirects to is the start: it does not count twice.
    return [Emit("crawl", landed, once=f"page {url}", budget="" if is_start else PAGES)]


async def _beside(spec: AuditSpec, start: str, ctx: StageContext) -> list[Emit]:
    """What is asked once for the whole site."""
    emits = [Emit("download", Errand(kind="site", start=start), once="errand site")]
    if spec.pagespeed:
        emits.append(Emit("download", Errand(kind="pagespeed", start=start), once="errand pagespeed"))
    if spec.geo and spec.external_intel:
        emits.append(Emit("download", Errand(kind="backlinks", start=start), once="errand backlinks"))
    if spec.external_intel and spec.competitors:
        emits += [
            Emit("download", Errand(kind="competitors", start=start, url=url), once=f"errand competitor {url}")
            for url in spec.competitors
        ]
    try:
        named = (await ctx.robots.rules(start)).sitemaps
    except (FetchFailedError, FetchRefusedError):
        named = ()
    place = urls.join(start, "/robots.txt")
    robots_txt = Target(url=place, start=start, depth=0, found_on=place)
    guess = robots_txt.model_copy(update={"found_on": GUESSED})
    found = [(one, robots_txt) for one in named[:MAX_SITEMAPS]] or [(urls.join(start, "/sitemap.xml"), guess)]
    return emits + [
        _sitemap(url, source, depth=0)
        for one, source in found
        if (url := urls.normalise(one)) is not None and urls.same_site(url, start)
    ]


async def _listed(target: Target, scope: Scope, known: set[int], ctx: StageContext) -> list[Emit]:
    """What a sitemap leads to; it is kept for the rules about sitemaps too."""
    is_declared = target.found_on != GUESSED
    file, body = TextFile(target.url, 0), b""
    try:
        async with visit(ctx, target.url):
            answer = await ctx.fetch.get(target.url, max_bytes=MAX_SITEMAP_BYTES, any_status=True)
        file = TextFile(answer.url, answer.status, "", answer.content_type or "", "", len(answer.body))
        body = answer.body if answer.status == OK else b""
    except FetchRefusedError as error:
        file = TextFile(target.url, error.status or 0, error.reason)
    except FetchFailedError as error:
        if not ctx.is_last_attempt:
            raise
        file = TextFile(target.url, error.status or 0, error.reason)
    if file.status != OK:
        problem = file.failure or f"it answers HTTP {file.status}"
        sitemap = Sitemap(file, (), (), (problem,), is_declared)
        if not is_declared:
            return []
    else:
        sitemap = await ctx.run_cpu(read_sitemap_file, file, body, is_declared)
    await ctx.collect(KeptErrand(kind="sitemap", url=target.url, data=asdict(sitemap)))
    own = target.model_copy(update={"found_on": target.found_on or target.url})
    emits = [
        _sitemap(url, own, target.depth + 1)
        for url in sitemap.children[:MAX_SITEMAPS]
        if urls.same_site(url, scope.start) and target.depth < MAX_INDEXES
    ]
    locations = dict.fromkeys(url for one in sitemap.entries if (url := urls.normalise(one.loc)) is not None)
    pages = [url for url in locations if hash(url) not in known and scope.may_crawl(url, 1)]
    emits += [_page(Target(url=url, start=target.start, depth=1, via="sitemap", found_on=target.url)) for url in pages]
    return emits


def read_sitemap_file(file: TextFile, body: bytes, is_declared: bool) -> Sitemap:  # noqa: FBT001 - run_cpu's way
    """A sitemap, at most `MAX_ENTRIES` of its addresses; runs in a subprocess."""
    found = read_sitemap(file, body, is_declared=is_declared)
    return replace(found, entries=found.entries[:MAX_ENTRIES])


def _followed(links: Iterable[str], target: Target, scope: Scope, spec: AuditSpec, known: set[int]) -> list[Emit]:
    start = {urls.normalise(spec.url), scope.start}
    return [
        _page(Target(url=url, start=scope.start, depth=target.depth + 1, found_on=target.url))
        for url in links
        if hash(url) not in known and url not in start and scope.may_crawl(url, target.depth + 1)
    ]


def _page(target: Target) -> Emit:
    """A page of the frontier; one of a suspicious pattern goes through the gate of its pattern first."""
    if target.kind == "page" and target.via == "link" and is_suspicious(target.url):
        gate = target.model_copy(update={"kind": "gate"})
        return Emit("crawl", gate, once=f"gate {target.url}", budget=trap_budget(target.url))
    return Emit("crawl", target, once=f"page {target.url}", budget=PAGES)


def _sitemap(url: str, source: Target, depth: int) -> Emit:
    target = Target(url=url, start=source.start, depth=depth, kind="sitemap", via="sitemap", found_on=source.found_on)
    return Emit("crawl", target, once=f"sitemap {url}")


def _checked(found: Iterable[str], follow: Sequence[str], page: str, scope: Scope, known: set[int]) -> list[Emit]:
    """Addresses that are no pages of the crawl: each is asked once whether it is there."""
    files = [url for url in follow if is_file(url)]
    emits = []
    for url in dict.fromkeys([*found, *files]):
        if hash(f"link {url}") in known:
            continue
        emits.append(
            Emit(
                "download",
                Errand(kind="link", start=scope.start, url=url, found_on=page),
                once=f"link {url}",
                budget=LINKS,
            )
        )
    return emits


async def _emitted(emits: Sequence[Emit], ctx: StageContext) -> Done:
    """Open all but the last batch now, so that no move grows with the page."""
    last = max(0, (len(emits) - 1) // BATCH * BATCH)
    for at in range(0, last, BATCH):
        await ctx.emit(*emits[at : at + BATCH])
    return Done(tuple(emits[last:]))
