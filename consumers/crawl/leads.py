"""Where a `leads` job begins: a listing in a browser, a service's answers, or a CSV file; each business an entry."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from consumers.audit.outside.service import reaching
from consumers.leads.let_in import let_in_of
from consumers.leads.listing import Batch, read_listing
from consumers.leads.providers import Answered, Overpass, Places, from_csv
from consumers.leads.recipes import RECIPES, from_markup
from consumers.net.errors import status_error
from consumers.net.visit import visit
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from schemas.leads import PICTURE_NAME, LeadsSpec, Listing, Recipe
from streams.errors import PermanentError
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

    import playwright.async_api as pw

    from consumers.context import StageContext
    from schemas.leads import Business

BUSINESSES: Final = "businesses"
"""The job's budget of businesses."""

PAGES: Final = "listing_pages"
BUSINESS_PAGES: Final = "business_pages"
MAX_LISTING_PAGES: Final = 10_000
LISTING_S: Final = 3_200.0
BUSINESS_PAGE_S: Final = 60.0
MAX_CSV_BYTES: Final = 32 * 1024 * 1024
BATCH: Final = 500
_ERROR: Final = 400


@stage(
    name="crawl",
    accepts=Listing,
    emits=("crawl", "classify"),
    policy=StagePolicy(
        soft_timeout_s=3_300, timeout_s=3_600, concurrency=1, pool="browser",
        retry=RetryPolicy(max_attempts=6, base_s=2, cap_s=600),
    ),
)  # fmt: skip
async def crawl(listing: Listing, ctx: StageContext) -> Outcome:
    """Open an entry for each business. Those of an attempt that broke off are there already, and opened once."""
    spec = await ctx.spec(LeadsSpec)
    if spec.source == "browser":
        return await _listing(listing, spec, ctx)
    ctx.progress("asking the source", 2)
    if spec.source == "csv":
        answered = Answered(from_csv(await _csv(spec, ctx), spec.url or f"upload:{spec.upload}"))
    elif spec.source == "places":
        key = ctx.settings.places_key
        if key is None:
            raise PermanentError("source places needs a Google API key: set MILLRACE_PLACES_KEY", reason="no_provider")
        async with reaching(ctx.settings.places_url, ctx.fetch) as fetch:
            places = Places(fetch, key.get_secret_value(), ctx.settings.places_url, _words(spec))
            answered = await places.page(listing.token)
    else:
        async with reaching(ctx.settings.overpass_url, ctx.fetch) as fetch:
            source = Overpass(fetch, ctx.settings.overpass_url, spec.query or "", spec.location or "", spec.limit)
            answered = await source.page(None)
    await _open(answered.businesses, ctx)
    if answered.next is None:
        return Done()
    return Done((Emit("crawl", Listing(token=answered.next), once=f"token {answered.next}", budget=PAGES),))


async def _csv(spec: LeadsSpec, ctx: StageContext) -> bytes:
    if spec.url is not None:
        async with visit(ctx, spec.url):
            return (await ctx.fetch.get(spec.url, max_bytes=MAX_CSV_BYTES)).body
    upload = await ctx.store.collections.upload(spec.upload or "", tenant=ctx.tenant)
    if upload is None:
        raise PermanentError(
            f"there is no upload {spec.upload}; POST /api/v1/uploads takes files", reason="unknown_upload"
        )
    return await ctx.blobs.read(upload.sha256, tenant=ctx.tenant)


def _words(spec: LeadsSpec) -> str:
    return f"{spec.query} in {spec.location}" if spec.location else spec.query or ""


async def _listing(listing: Listing, spec: LeadsSpec, ctx: StageContext) -> Outcome:
    recipe = spec.recipe if isinstance(spec.recipe, Recipe) else RECIPES[spec.recipe]
    url = listing.url or spec.url or ""
    ctx.progress("reading the listing", 5)
    browser = await ctx.browser()
    seen: set[str] = set()
    missing: list[str] = []
    last = Batch()
    async with visit(ctx, url):
        limit_s = BUSINESS_PAGE_S if listing.is_business else LISTING_S
        async with browser.visit(timeout_s=limit_s) as page, _pictured(page, ctx):
            status = await browser.open_page(page, url)
            if status >= _ERROR:
                raise status_error(url, status, {}, now=datetime.now(UTC))
            if listing.is_business:
                await _open(from_markup(await page.content(), page.url), ctx)
                return Done()
            async with contextlib.aclosing(read_listing(page, recipe)) as batches:
                async for batch in batches:
                    await _open(batch.businesses, ctx)
                    seen.update(one.key for one in batch.businesses)
                    missing += batch.missing
                    last = batch
                    ctx.progress(f"{len(seen)} businesses read from the listing", 10)
                    if len(seen) >= spec.limit:
                        break
    emits = [
        Emit("crawl", Listing(url=link, is_business=True), once=f"page {link}", budget=BUSINESS_PAGES)
        for link in last.links
    ]
    if last.next_page is not None and len(seen) < spec.limit:
        emits.append(Emit("crawl", Listing(url=last.next_page), once=f"page {last.next_page}", budget=PAGES))
    return Done(tuple(emits), missing=tuple(missing))


async def _open(businesses: Iterable[Business], ctx: StageContext) -> None:
    """Open an entry for each business; nothing is kept of one that was erased."""
    let_in = await let_in_of(list(businesses), ctx)
    emits = [Emit("classify", one, once=f"business {one.key}", budget=BUSINESSES) for one in let_in]
    for begin in range(0, len(emits), BATCH):
        await ctx.emit(*emits[begin : begin + BATCH])


@contextlib.asynccontextmanager
async def _pictured(page: pw.Page, ctx: StageContext) -> AsyncIterator[None]:
    """Keep a picture of the page when reading it fails."""
    try:
        yield
    except Exception:
        with contextlib.suppress(Exception):
            await _keep_picture(await page.screenshot(type="png", timeout=5_000), ctx)
        raise


async def _keep_picture(png: bytes, ctx: StageContext) -> None:
    kept = await ctx.blobs.put(png, tenant=ctx.tenant, content_type="image/png")
    await ctx.store.artifacts.put(
        ctx.job_id, ctx.task, f"{PICTURE_NAME}{ctx.task}-{ctx.attempt}.png", tenant=ctx.tenant, sha256=kept.sha256,
        content_type="image/png", size_bytes=kept.size_bytes,
    )  # fmt: skip
