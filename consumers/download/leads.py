"""A few pages of a business's website: the first one, and those where contacts are likely."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from consumers.audit.document import Document, headers_of
from consumers.audit.measuring import measured, pagespeed
from consumers.audit.page import read_page
from consumers.leads.let_in import let_in_page
from consumers.leads.site import telling_links
from consumers.net.errors import FetchFailedError, FetchRefusedError
from consumers.net.visit import visit
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from schemas.leads import PAGE_NAME, LeadsSpec, Qualified, SitePage, VisitedSite
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext
    from consumers.net.responses import Response

PAGE_S: Final = 20.0
MAX_PAGE_BYTES: Final = 2 * 1024 * 1024


@stage(
    name="download",
    accepts=Qualified,
    emits=("extract",),
    policy=StagePolicy(
        soft_timeout_s=300, timeout_s=360, concurrency=16, retry=RetryPolicy(max_attempts=3, base_s=5, cap_s=60)
    ),
)
async def download(lead: Qualified, ctx: StageContext) -> Outcome:
    """Visit the website with manners; one that refuses us or never answers is told, the lead goes on."""
    ctx.progress("visiting websites", 30)
    if lead.website is None:
        return Done((Emit("extract", VisitedSite(business=lead.business)),))
    spec = await ctx.spec(LeadsSpec)
    pages: list[SitePage] = []
    failure = ""
    try:
        first = await _get(lead.website, ctx)
        await _keep(first, pages, spec, ctx)
        document = Document(url=first.url, status=first.status, headers=headers_of(first.headers), body=first.body)
        links = telling_links(await asyncio.to_thread(read_page, document), spec.pages - 1)
        for link in links:
            try:
                await _keep(await _get(link, ctx), pages, spec, ctx)
            except (FetchFailedError, FetchRefusedError) as error:
                ctx.log.info("a page of a website was left out: %s", error.reason)
    except FetchRefusedError as error:
        failure = error.reason
    except FetchFailedError as error:
        if not ctx.is_last_attempt:
            raise
        failure = error.reason
    speed = None
    if spec.pagespeed and pages:
        url = pages[0].url
        speed = await measured("pagespeed", ctx, lambda: pagespeed(url, ctx), is_last=ctx.is_last_attempt)
    visited = VisitedSite(
        business=lead.business, website=lead.website, pages=tuple(pages), failure=failure, pagespeed=speed
    )
    return Done((Emit("extract", visited),))


async def _get(url: str, ctx: StageContext) -> Response:
    async with visit(ctx, url):
        return await ctx.fetch.get(url, timeout_s=PAGE_S, max_bytes=MAX_PAGE_BYTES)


async def _keep(answer: Response, pages: list[SitePage], spec: LeadsSpec, ctx: StageContext) -> None:
    """Keep a page among the job's artifacts, without people who were erased."""
    kind = answer.headers.get("Content-Type", "")
    body = await let_in_page(answer.url, kind, answer.body, spec.region, ctx)
    if not body:
        return
    kept = await ctx.blobs.put(body, tenant=ctx.tenant, content_type=kind or "text/html")
    await ctx.store.artifacts.put(
        ctx.job_id, ctx.task, f"{PAGE_NAME}{len(pages) + 1}.html", tenant=ctx.tenant, sha256=kept.sha256,
        content_type=kept.content_type, size_bytes=kept.size_bytes, url=answer.url,
    )  # fmt: skip
    pages.append(SitePage(url=answer.url, sha256=kept.sha256, content_type=kind))
