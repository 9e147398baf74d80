"""Where the rules draw their lines. Every one of them is a setting."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Limits of the rules; a rule fails beyond its limit, not at it.

    Attributes:
        title_min, title_max: Characters.
        title_max_px: Width in Arial at 20 px, as result pages set titles.
        description_min, description_max, alt_max, url_max: Characters.
        thin_words: Words of main text.
        text_ratio: Share of visible text in the bytes of the HTML.
        links_max: Links on a page.
        few_inlinks: Internal links to a page; at most so many are few.
        depth_max: Clicks from the start page.
        crawl_delay_s: Seconds.
        trap_urls: URLs of one pattern.
        trap_repeats: Times that one path segment stands in a URL.
        simhash_distance: Bits, at most, between near-duplicates.
        html_bytes, image_bytes, legacy_image_bytes, compress_bytes, page_bytes: Bytes; kB are 1,000.
        dom_elements, dom_depth: Elements and nesting.
        lazy_images: Images of a page without lazy loading.
        ttfb_ms, lcp_ms, tbt_ms: Milliseconds.
        cls: Cumulative Layout Shift.
        performance: Lighthouse's score, 0 to 1.
        hsts_s: Seconds of max-age.
        tls_days: Days before a certificate ends.
        og_image_px: Either side.
        zoom_min: Smallest maximum-scale that is still accepted.
        answer_words: Shortest and longest paragraph that answers a question on its own.
        list_words, cite_words, figure_words: Length from which an article should have them.
        faq_questions: Question headings from which FAQ markup is worth it.
        stale_days: Age of the newest date.
        paragraph_words: Words of a paragraph.
        snippet_chars: max-snippet.
        js_share: Share of the rendered main text that the raw one must have.
        external_followed: Whether followed external links are reported at all.
        robots_bytes, sitemap_urls, sitemap_bytes: Of a file.
    """

    title_min: int = 20
    title_max: int = 60
    title_max_px: int = 580
    description_min: int = 80
    description_max: int = 160
    alt_max: int = 100
    url_max: int = 115
    thin_words: int = 200
    text_ratio: float = 0.10
    links_max: int = 100
    few_inlinks: int = 1
    depth_max: int = 4
    crawl_delay_s: float = 10.0
    trap_urls: int = 500
    trap_repeats: int = 3
    simhash_distance: int = 3
    html_bytes: int = 200_000
    image_bytes: int = 500_000
    legacy_image_bytes: int = 100_000
    compress_bytes: int = 1_024
    page_bytes: int = 3_000_000
    dom_elements: int = 1_500
    dom_depth: int = 32
    lazy_images: int = 10
    ttfb_ms: float = 800.0
    lcp_ms: float = 2_500.0
    tbt_ms: float = 200.0
    cls: float = 0.1
    performance: float = 0.9
    hsts_s: int = 15_552_000
    tls_days: int = 14
    og_image_px: int = 200
    zoom_min: float = 2.0
    answer_words: tuple[int, int] = (40, 120)
    list_words: int = 800
    cite_words: int = 500
    figure_words: int = 500
    faq_questions: int = 3
    stale_days: int = 365
    paragraph_words: int = 150
    snippet_chars: int = 50
    js_share: float = 0.5
    external_followed: bool = False
    robots_bytes: int = 500 * 1024
    sitemap_urls: int = 50_000
    sitemap_bytes: int = 50 * 1024 * 1024
