"""Parts of an audit that others measure, or tools of our own: each by its provider, or told as not measured."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from consumers.audit.document import Document, headers_of
from consumers.audit.examine import Examined, examine
from consumers.audit.outside.backlinks import CommonCrawl
from consumers.audit.outside.pagespeed import (
    STRATEGIES,
    GoogleSpeed,
    LocalLighthouse,
    SpeedMeter,
    installed,
    not_measured,
)
from consumers.audit.outside.search import ADDRESSES, SearchEngine, engine_of
from consumers.audit.outside.service import reaching
from consumers.audit.rules import Status
from consumers.audit.summary import RuleTally, scores_of
from consumers.audit.visibility import Sample, leaks_brand, visibility_of
from consumers.llm import MeteredLlm
from consumers.net import urls
from consumers.net.visit import visit
from schemas.audit import KeptPage
from schemas.audit_result import Example
from streams.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from consumers.context import StageContext

DEPTH: Final = 30
"""Results of a query that are looked at."""

SAMPLES: Final = 3
"""Answers to each question."""

MAX_FOUND: Final = 3
"""Competitors that are taken from search results."""

PATIENCE_S: Final = 60.0
"""An audit does not wait longer than this for a part."""

MAX_ANSWER_CHARS: Final = 8_000
MAX_OWN: Final = 200
TEMPERATURE: Final = 0.7


async def measured(
    kind: str, ctx: StageContext, measure: Callable[[], Awaitable[dict[str, Any]]], *, is_last: bool
) -> dict[str, Any]:
    """A part, or why it was not measured.

    Raises:
        TransientError: It may be had soon, and there are attempts left.
    """
    try:
        return await measure()
    except PermanentError as error:
        ctx.log.warning("%s not measured: %s", kind, error, reason=error.reason)
        return not_measured(f"{error.reason}: {error}")
    except TransientError as error:
        if not is_last and (error.retry_after_s or 0.0) <= PATIENCE_S:
            raise
        ctx.log.warning("%s not measured: %s", kind, error, reason=error.reason)
        return not_measured(f"{error.reason}: {error}")


async def pagespeed(start: str, ctx: StageContext) -> dict[str, Any]:
    """Google's PageSpeed with a key, else a local Lighthouse: mobile and desktop."""
    settings = ctx.settings
    if settings.pagespeed_key is not None:
        async with reaching(settings.pagespeed_url, ctx.fetch) as fetch:
            meter: SpeedMeter = GoogleSpeed(fetch, settings.pagespeed_key.get_secret_value(), settings.pagespeed_url)
            return {"status": "measured", **{one: await meter.measure(start, one) for one in STRATEGIES}}
    found = installed(settings.home)
    if found is None:
        return not_measured(
            "no_provider: set MILLRACE_PAGESPEED_KEY (a Google API key), or install a local Lighthouse with "
            "`millrace setup audit`"
        )
    browser = await ctx.browser()
    meter = LocalLighthouse(*found, proxy=browser.proxy, chromium_path=settings.chromium)
    return {"status": "measured", **{one: await meter.measure(start, one) for one in STRATEGIES}}


async def backlinks(start: str, ctx: StageContext) -> dict[str, Any]:
    """Domains that link to the site: by Common Crawl's graph, and by our own crawls of the tenant's other sites."""
    domain = urls.site_of(start)
    own = await ctx.store.audits.links_to(domain, tenant=ctx.tenant, limit=MAX_OWN)
    shown = [
        {
            "domain": urls.site_of(one.url),
            "url": one.url,
            "target": one.target,
            "anchor": one.anchor,
            "nofollow": one.nofollow,
        }
        for one in own
    ]
    graph = ctx.settings.backlinks_graph
    if graph is None and not shown:
        return not_measured(
            "no_provider: set MILLRACE_BACKLINKS_GRAPH to the files of Common Crawl's domain graph, or audit other "
            "sites that link here"
        )
    told: dict[str, Any] = {"status": "measured", "domain": domain, "source": "own crawl", "own_crawl": shown}
    if graph is None:
        names = sorted({str(one["domain"]) for one in shown})
        return {**told, "referring_domains": len(names), "domains": [{"domain": name, "rank": None} for name in names]}
    if graph.startswith(("http://", "https://")):
        async with reaching(graph, ctx.fetch) as fetch:
            found = await CommonCrawl(graph, fetch).backlinks(domain)
    else:
        found = await CommonCrawl(graph, ctx.fetch).backlinks(domain)
    told["source"] = "common_crawl"
    if found is None:
        return {**told, "referring_domains": 0, "domains": [], "rank": None}
    return {**told, "referring_domains": found.referring_domains, "domains": found.domains, "rank": found.rank}


@asynccontextmanager
async def search_engine(ctx: StageContext) -> AsyncIterator[SearchEngine | None]:
    """The search engine that the operator has set up; None without."""
    settings = ctx.settings
    if settings.search_provider is None:
        yield None
        return
    address = settings.search_url or ADDRESSES[settings.search_provider]
    async with reaching(address, ctx.fetch) as fetch:
        yield engine_of(
            settings.search_provider, address, fetch,
            key=settings.search_key.get_secret_value() if settings.search_key else "",
            engine_id=settings.search_engine_id or "",
        )  # fmt: skip


async def rankings(start: str, keywords: Sequence[str], ctx: StageContext) -> dict[str, Any]:
    """Where the site stands for each keyword, and which domains stand there most often."""
    async with search_engine(ctx) as engine:
        if engine is None:
            return not_measured("no_provider: set MILLRACE_SEARCH_PROVIDER (searxng, serper, serpapi or google_cse)")
        if not keywords:
            return not_measured("no_keywords: the crawl gave none; name some in the spec")
        own = urls.site_of(start)
        rows = []
        others: Counter[str] = Counter()
        for keyword in keywords:
            hits = await engine.search(keyword, limit=DEPTH)
            mine = next((hit for hit in hits if _site_or_none(hit.url) == own), None)
            rows.append(
                {
                    "keyword": keyword, "position": mine.position if mine else None, "depth": DEPTH,
                    "url": mine.url if mine else None, "results": len(hits),
                    "top": [{"position": hit.position, "url": hit.url, "title": hit.title} for hit in hits[:5]],
                }
            )  # fmt: skip
            others.update({site for hit in hits[:10] if (site := _site_or_none(hit.url)) and site != own})
        return {
            "status": "measured", "source": engine.name, "asked_at": datetime.now(UTC).isoformat(), "keywords": rows,
            "competitors": [{"domain": site, "keywords": times} for site, times in others.most_common(10)],
        }  # fmt: skip


async def visibility(
    start: str, brand: str, questions: Sequence[str], competitors: Sequence[str], ctx: StageContext
) -> dict[str, Any]:
    """How often a language model names the brand when it is asked what the site is about."""
    domain = urls.site_of(start)
    asked = [one for one in questions if not leaks_brand(one, brand, domain)]
    model = MeteredLlm.of(ctx)
    if model is None:
        return not_measured("no_provider: set MILLRACE_LLM_BASE_URL and MILLRACE_LLM_MODEL")
    if not asked:
        return not_measured("no_questions: name a category or questions in the spec, without the brand's name")
    samples, raw, names = [], [], set()
    for question in asked:
        for n in range(SAMPLES):
            said = await model.answer(question, temperature=TEMPERATURE, sample=n)
            samples.append(Sample(question, said.text, said.citations))
            names.add(said.model)
            raw.append({"question": question, "text": said.text[:MAX_ANSWER_CHARS], "sources": list(said.citations)})
    return {
        "status": "measured", "model": ", ".join(sorted(names)), "samples_a_question": SAMPLES,
        **visibility_of(samples, brand, domain, competitors), "raw": raw,
    }  # fmt: skip


async def competitor(url: str, ctx: StageContext) -> dict[str, Any]:
    """A competitor's start page by the same rules: audited lightly, one page, with manners."""
    async with visit(ctx, url):
        answer = await ctx.fetch.get(url)
    document = Document(
        url=answer.url,
        status=answer.status,
        headers=headers_of(answer.headers),
        body=answer.body,
        requested_url=answer.url,
    )
    examined: Examined = await ctx.run_cpu(examine, document, answer.url, 0, "start", "", datetime.now(UTC).date())
    kept = KeptPage.model_validate_json(examined.kept)
    tallies: dict[str, RuleTally] = {}
    outcomes: dict[str, Counter[Status]] = {rule: Counter({Status.PASSED: 1}) for rule in kept.passed}
    for one in kept.findings:
        example = Example(url=kept.url, detail=one.detail)
        tallies.setdefault(one.rule, RuleTally()).add(example, one.count)
        outcomes[one.rule] = Counter({Status.FAILED: 1})
    scores = scores_of(tallies, outcomes)
    links = kept.page.get("links") or kept.links
    return {
        "domain": urls.site_of(answer.url), "url": answer.url, "score": scores.overall, "categories": scores.categories,
        "title": examined.seen.title, "words": examined.seen.words, "links": len(links),
        "markup": list(examined.seen.markup), "issues": len(tallies),
    }  # fmt: skip


async def competitors(
    given: Sequence[str], found: Sequence[str], ctx: StageContext, *, is_last: bool
) -> dict[str, Any]:
    """Competitors that were named, else those that search results show most."""
    addresses = list(given) or [f"https://{domain}/" for domain in found[:MAX_FOUND]]
    if not addresses:
        return not_measured("no_competitors: name some in the spec, or set up a search engine that finds them")
    sites = []
    for url in addresses:
        one = await measured("competitors", ctx, partial(competitor, url, ctx), is_last=is_last)
        sites.append(one if "domain" in one else {"domain": urls.site_of(url), "url": url, **one})
    return {"status": "measured", "source": "given" if given else "search results", "sites": sites}


def _site_or_none(url: str) -> str | None:
    try:
        return urls.site_of(url)
    except ValueError:
        return None
