"""How fast a page comes: what its answer says, and what Lighthouse measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from consumers.audit.rules.guards import answered, headers, html, lighthouse
from consumers.audit.rules.link_site import came_to
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not, unmeasured
from consumers.audit.rules.registry import page_rule, site_rule

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.site import Site

_TEXT: Final = re.compile(
    r"text/|application/(?:javascript|x-javascript|json|ld\+json|xml|xhtml\+xml|rss\+xml|atom\+xml|manifest\+json|wasm)|image/svg\+xml"
)
_COMPRESSED: Final = frozenset(("gzip", "x-gzip", "br", "zstd", "deflate"))


def _timed(page: Page, _: Context) -> Skip | None:
    return unmeasured("the time to the first byte was not taken") if page.ttfb_ms is None else None


@page_rule(
    "perf-ttfb",
    "performance",
    "medium",
    "core",
    "page",
    "headers",
    answered,
    _timed,
    threshold="> 800 ms",
    fix="Cache the page, or speed up the origin.",
)
def perf_ttfb(page: Page, context: Context) -> Iterator[Evidence]:
    """Time to the first byte is above the threshold."""
    if (page.ttfb_ms or 0) > context.thresholds.ttfb_ms:
        yield Evidence(page.url, f"{page.ttfb_ms:.0f} ms to the first byte, more than {context.thresholds.ttfb_ms:.0f}")


def _metric(
    page: Page, context: Context, audit: str, limit: float, poor: float, unit: str, digits: int
) -> Iterator[Evidence]:
    for run in context.lighthouse:
        value = (run.audits.get(audit) or {}).get("value")
        if isinstance(value, int | float) and value > limit:
            grade = "poor" if value > poor else "needs work"
            yield Evidence(
                page.url, f"{run.strategy}: {value:,.{digits}f}{unit}, more than {limit:,.{digits}f}{unit} ({grade})"
            )


@page_rule(
    "perf-lcp",
    "performance",
    "high",
    "core",
    "page",
    "lighthouse",
    html,
    lighthouse,
    threshold="> 2500 ms",
    fix="Preload and shrink the largest element; take requests out of its way.",
)
def perf_lcp(page: Page, context: Context) -> Iterator[Evidence]:
    """Largest Contentful Paint is above 2.5 s (poor above 4 s)."""
    return _metric(page, context, "largest-contentful-paint", context.thresholds.lcp_ms, 4_000, " ms", 0)


@page_rule(
    "perf-cls",
    "performance",
    "high",
    "core",
    "page",
    "lighthouse",
    html,
    lighthouse,
    threshold="> 0.1",
    fix="Reserve space for images, ads and fonts.",
)
def perf_cls(page: Page, context: Context) -> Iterator[Evidence]:
    """Cumulative Layout Shift is above 0.1 (poor above 0.25)."""
    return _metric(page, context, "cumulative-layout-shift", context.thresholds.cls, 0.25, "", 3)


@page_rule(
    "perf-tbt",
    "performance",
    "medium",
    "core",
    "page",
    "lighthouse",
    html,
    lighthouse,
    threshold="> 200 ms",
    fix="Split or drop long scripts.",
)
def perf_tbt(page: Page, context: Context) -> Iterator[Evidence]:
    """Total Blocking Time is above 200 ms (poor above 600 ms); in the lab it stands for INP."""
    return _metric(page, context, "total-blocking-time", context.thresholds.tbt_ms, 600, " ms", 0)


@page_rule(
    "perf-score-low",
    "performance",
    "medium",
    "core",
    "page",
    "lighthouse",
    html,
    lighthouse,
    threshold="< 0.9",
    fix="Work through Lighthouse's opportunities.",
)
def perf_score_low(page: Page, context: Context) -> Iterator[Evidence]:
    """Lighthouse's performance score is below 0.5 (poor) or 0.9 (needs work), mobile and desktop apart."""
    for run in context.lighthouse:
        if run.performance is not None and run.performance < context.thresholds.performance:
            grade = "poor" if run.performance < 0.5 else "needs work"  # noqa: PLR2004 - Lighthouse's own line
            yield Evidence(page.url, f"{run.strategy}: {run.performance:.2f} ({grade})")


@page_rule(
    "perf-render-blocking",
    "performance",
    "medium",
    "core",
    "page",
    "lighthouse",
    html,
    lighthouse,
    fix="Defer, inline or split what blocks the first paint.",
)
def perf_render_blocking(page: Page, context: Context) -> Iterator[Evidence]:
    """Scripts or styles in head block the first paint."""
    for run in context.lighthouse:
        score = (run.audits.get("render-blocking-insight") or run.audits.get("render-blocking-resources") or {}).get(
            "score"
        )
        if isinstance(score, int | float) and score < context.thresholds.performance:
            yield Evidence(page.url, f"{run.strategy}: requests block the first paint")


def _weighed(page: Page, context: Context) -> Skip | None:
    has_bytes = page.rendered is not None and page.rendered.transfer_bytes is not None
    has_audit = any("total-byte-weight" in run.audits for run in context.lighthouse)
    return None if has_bytes or has_audit else unmeasured("the requests of the page were not counted in a browser")


@page_rule(
    "perf-page-weight",
    "performance",
    "medium",
    "core",
    "page",
    "browser",
    html,
    _weighed,
    threshold="> 3 MB",
    fix="Compress what is large and defer what is not seen at first.",
)
def perf_page_weight(page: Page, context: Context) -> Iterator[Evidence]:
    """All requests of the page together exceed the threshold."""
    weights = [(run.audits.get("total-byte-weight") or {}).get("value") or 0 for run in context.lighthouse]
    total = max([*weights, (page.rendered.transfer_bytes or 0) if page.rendered is not None else 0])
    if total > context.thresholds.page_bytes:
        yield Evidence(page.url, f"{total / 1e6:.1f} MB, more than {context.thresholds.page_bytes / 1e6:.0f}")


@page_rule(
    "perf-html-large",
    "performance",
    "low",
    "extended",
    "page",
    "headers",
    html,
    threshold="> 200 kB",
    fix="Move inline data and styles out of the document.",
)
def perf_html_large(page: Page, context: Context) -> Iterator[Evidence]:
    """The HTML document is larger than the threshold."""
    if page.size_bytes > context.thresholds.html_bytes:
        yield Evidence(
            page.url, f"{page.size_bytes / 1000:,.0f} kB of HTML, more than {context.thresholds.html_bytes / 1000:,.0f}"
        )


@page_rule(
    "perf-dom-size",
    "performance",
    "low",
    "extended",
    "page",
    "html",
    html,
    threshold="> 1500 elements or depth > 32",
    fix="Simplify the markup.",
)
def perf_dom_size(page: Page, context: Context) -> Iterator[Evidence]:
    """More elements than the threshold, or nested deeper."""
    limits = context.thresholds
    if page.elements > limits.dom_elements:
        yield Evidence(page.url, f"{page.elements:,} elements, more than {limits.dom_elements:,}")
    if page.depth > limits.dom_depth:
        yield Evidence(page.url, f"nested {page.depth} deep, more than {limits.dom_depth}")


@page_rule(
    "perf-no-compression",
    "performance",
    "medium",
    "core",
    "resource",
    "headers",
    answered,
    headers,
    threshold="> 1024 bytes",
    fix="Turn on gzip, br or zstd for text.",
)
def perf_no_compression(page: Page, context: Context) -> Iterator[Evidence]:
    """A text response above 1 kB is sent without gzip, br or zstd although it was asked for."""
    encoding = (page.header("content-encoding") or "").lower()
    if (
        _is_text(page.content_type or ("text/html" if page.is_html else ""))
        and page.size_bytes > context.thresholds.compress_bytes
        and _is_plain(encoding)
    ):
        yield Evidence(
            page.url,
            f"{page.size_bytes / 1000:,.0f} kB of {page.content_type or 'text'} are sent as they are",
            f"Content-Encoding: {encoding}" if encoding else "",
        )
    for url, fetched in context.resources.items():
        if (
            fetched.headers
            and _is_text(fetched.content_type)
            and (fetched.size_bytes or 0) > context.thresholds.compress_bytes
            and not fetched.is_error
            and _is_plain(fetched.headers.get("content-encoding", ""))
        ):
            size = f"{(fetched.size_bytes or 0) / 1000:,.0f} kB"
            yield Evidence(page.url, f"{size} of {fetched.content_type} are sent as they are", target=url)


def _is_plain(encoding: str) -> bool:
    return _COMPRESSED.isdisjoint(re.split(r"[\s,]+", encoding.lower()))


def _is_text(content_type: str) -> bool:
    return _TEXT.match(content_type) is not None


def _static(page: Page, context: Context) -> Skip | None:
    if skip := answered(page, context) or headers(page, context):
        return skip
    if not page.is_html or context.resources:
        return None
    return applies_not("it is a page, and none of its static files was asked")


@page_rule(
    "perf-no-cache",
    "performance",
    "low",
    "extended",
    "resource",
    "headers",
    _static,
    fix="Set a lifetime in Cache-Control, or send ETag or Last-Modified.",
)
def perf_no_cache(page: Page, context: Context) -> Iterator[Evidence]:
    """A static file has neither Cache-Control max-age nor a validator."""
    if not page.is_html and page.is_ok and page.headers is not None and not _is_cacheable(dict(page.headers)):
        yield Evidence(page.url, "no lifetime and no validator", page.header("cache-control") or "")
    for url, fetched in context.resources.items():
        if fetched.headers and not fetched.is_error and not _is_cacheable(fetched.headers):
            yield Evidence(page.url, "no lifetime and no validator", fetched.headers.get("cache-control", ""), url)


def _is_cacheable(known: Mapping[str, str]) -> bool:
    return bool(re.search(r"(?:s-maxage|max-age)\s*=\s*\"?[1-9]", known.get("cache-control", ""))) or bool(
        {"etag", "last-modified", "expires"} & known.keys()
    )


def _resources_asked(site: Site) -> Skip | None:
    if not site.resources:
        return applies_not("the pages load no style sheets, scripts or fonts")
    return (
        None
        if any(site.answer(url) for url in site.resources)
        else unmeasured("style sheets, scripts and fonts were not asked")
    )


@site_rule(
    "perf-resource-broken",
    "performance",
    "high",
    "core",
    "resource",
    "crawl",
    _resources_asked,
    fix="Bring it back, or drop the reference.",
)
def perf_resource_broken(site: Site) -> Iterator[Evidence]:
    """A style sheet, script or font that a page requests answers an error."""
    for url, (kind, sources) in site.resources.items():
        answer = site.answer(url)
        if (
            kind in {"style", "script", "font"}
            and answer is not None
            and answer.is_error
            and answer.failure != "robots_disallowed"
        ):
            for source in dict.fromkeys(sources):
                yield Evidence(source, came_to(answer), target=url)
