"""Where a `documents` job begins: its uploads and addresses, and the pages of its site."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from consumers.documents.links import is_within, links_of, suffix_of
from consumers.net import urls
from consumers.net.errors import FetchRefusedError
from consumers.net.visit import visit
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from schemas.documents import DocumentsSpec, FoundFile, Sources, StoredFile
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext

PAGES: Final = "pages"
"""The job's budget of pages."""

MAX_DEPTH: Final = 8
BATCH: Final = 500
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})


@stage(
    name="crawl",
    accepts=Sources,
    emits=("crawl", "classify", "extract"),
    policy=StagePolicy(
        soft_timeout_s=300, timeout_s=600, concurrency=8, retry=RetryPolicy(max_attempts=4, base_s=60, cap_s=300)
    ),
)
async def crawl(sources: Sources, ctx: StageContext) -> Outcome:
    """Open an entry for each file; a page of the site leads to its files and further pages."""
    spec = await ctx.spec(DocumentsSpec)
    if sources.url is not None:
        return await _page(sources.url, sources.depth, spec, ctx)
    collection = await ctx.store.collections.ensure(spec.collection, tenant=ctx.tenant)
    ctx.progress("looking at the sources", 2)
    emits = [Emit("classify", FoundFile(upload=upload), once=f"upload {upload}") for upload in spec.uploads]
    for url in spec.urls:
        normal = urls.normalise(url) or url
        emits.append(Emit("classify", FoundFile(url=normal), once=f"file {normal}"))
    emits += [Emit("extract", StoredFile(document_id=one), once=f"document {one}") for one in spec.documents]
    if spec.site is not None:
        start = urls.normalise(spec.site) or spec.site
        emits.append(Emit("crawl", Sources(url=start), once=f"page {start}", budget=PAGES))
    cursor, is_more = None, spec.reindex
    while is_more:
        listed = await ctx.store.collected.page(collection.id, tenant=ctx.tenant, cursor=cursor, limit=BATCH)
        ids = [one.id for one in listed.items]
        await ctx.emit(*(Emit("extract", StoredFile(document_id=one), once=f"document {one}") for one in ids))
        cursor, is_more = listed.next, listed.next is not None
    while len(emits) > BATCH:
        await ctx.emit(*emits[:BATCH])
        emits = emits[BATCH:]
    return Done(tuple(emits))


async def _page(url: str, depth: int, spec: DocumentsSpec, ctx: StageContext) -> Outcome:
    ctx.progress("reading the site", 5)
    try:
        async with visit(ctx, url):
            page = await ctx.fetch.get(url)
    except FetchRefusedError as error:
        if depth == 0:
            raise
        ctx.log.info("left out: %s", error, reason=error.reason)
        return Done()
    start = spec.site or url
    if not is_within(page.url, start) and depth > 0:
        return Done()
    emits = [Emit("classify", FoundFile(url=page.url), once=f"file {page.url}")]
    if (page.content_type or "") in _HTML and suffix_of(page.url) != ".pdf":
        links = await asyncio.to_thread(links_of, page.body, page.url, start if depth else page.url)
        emits += [Emit("classify", FoundFile(url=link), once=f"file {link}") for link in links.files]
        if depth < MAX_DEPTH:
            emits += [
                Emit("crawl", Sources(url=link, depth=depth + 1), once=f"page {link}", budget=PAGES)
                for link in links.pages
            ]
    while len(emits) > BATCH:
        await ctx.emit(*emits[:BATCH])
        emits = emits[BATCH:]
    return Done(tuple(emits))
