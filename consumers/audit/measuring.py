"""Parts of an audit that others measure, or tools of our own: each by its provider, or told as not measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consumers.audit.outside.backlinks import CommonCrawl
from consumers.audit.outside.pagespeed import (
    STRATEGIES,
    GoogleSpeed,
    LocalLighthouse,
    SpeedMeter,
    installed,
    not_measured,
)
from consumers.audit.outside.service import reaching
from consumers.net import urls
from streams.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from consumers.context import StageContext
    from schemas.audit import Errand


async def measure(errand: Errand, ctx: StageContext, *, is_last: bool) -> dict[str, Any]:
    """What an errand's part comes to.

    Args:
        errand: Its kind is a part's.
        ctx: Of the handler.
        is_last: There is no further attempt: what failed is told as not measured.

    Raises:
        TransientError: It may be had later, and there are attempts left.
    """
    try:
        if errand.kind == "pagespeed":
            return await _pagespeed(errand.start, ctx)
        if errand.kind == "backlinks":
            return await _backlinks(errand.start, ctx)
    except PermanentError as error:
        ctx.log.warning("%s not measured: %s", errand.kind, error, reason=error.reason)
        return not_measured(f"{error.reason}: {error}")
    except TransientError as error:
        if not is_last:
            raise
        return not_measured(f"{error.reason}: {error}")
    return not_measured("no_provider: nothing is set up to measure this")


async def _pagespeed(start: str, ctx: StageContext) -> dict[str, Any]:
    settings = ctx.settings
    if settings.pagespeed_key is not None:
        async with reaching(settings.pagespeed_url, ctx.fetch) as fetch:
            meter: SpeedMeter = GoogleSpeed(fetch, settings.pagespeed_key.get_secret_value(), settings.pagespeed_url)
            return {strategy: await meter.measure(start, strategy) for strategy in STRATEGIES}
    found = installed(settings.home)
    if found is None:
        return not_measured(
            "no_provider: set MILLRACE_PAGESPEED_KEY (a Google API key), or install a local Lighthouse with "
            "`millrace setup audit`"
        )
    browser = await ctx.browser()
    meter = LocalLighthouse(*found, proxy=browser.proxy, chromium_path=settings.chromium)
    return {strategy: await meter.measure(start, strategy) for strategy in STRATEGIES}


async def _backlinks(start: str, ctx: StageContext) -> dict[str, Any]:
    domain = urls.site_of(start)
    graph = ctx.settings.backlinks_graph
    if graph is None:
        return not_measured("no_provider: set MILLRACE_BACKLINKS_GRAPH to the files of Common Crawl's domain graph")
    if graph.startswith(("http://", "https://")):
        async with reaching(graph, ctx.fetch) as fetch:
            found = await CommonCrawl(graph, fetch).backlinks(domain)
    else:
        found = await CommonCrawl(graph, ctx.fetch).backlinks(domain)
    if found is None:
        return {"status": "measured", "source": "common_crawl", "domain": domain, "referring_domains": 0, "domains": []}
    return {
        "status": "measured", "source": "common_crawl", "domain": domain,
        "referring_domains": found.referring_domains, "domains": found.domains, "rank": found.rank,
    }  # fmt: skip
