"""Headings and text of a page, and what several pages share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from consumers.audit.rules.guards import html, indexable
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not, unmeasured
from consumers.audit.rules.registry import page_rule, site_rule

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.site import PageFacts, Site


def _has_headings(page: Page, context: Context) -> Skip | None:
    return html(page, context) or (None if page.headings else applies_not("it has no headings"))


@page_rule(
    "h1-missing",
    "on-page",
    "medium",
    "core",
    "page",
    "html",
    html,
    fix="Add one h1 that states the topic of the page.",
)
def h1_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """No h1 with text; the alt text of an image in it counts."""
    if not any(one.level == 1 and one.name for one in page.headings):
        empty = next((one for one in page.headings if one.level == 1), None)
        yield Evidence(page.url, "the h1 is empty" if empty else "there is no h1", empty.snippet if empty else "")


@page_rule(
    "h1-multiple", "on-page", "low", "extended", "page", "html", html, fix="Keep one main heading; make the others h2."
)
def h1_multiple(page: Page, _: Context) -> Iterator[Evidence]:
    """More than one h1."""
    found = [one for one in page.headings if one.level == 1]
    if len(found) > 1:
        yield Evidence(page.url, f"{len(found)} h1: {' | '.join(one.text for one in found)[:300]}", found[1].snippet)


@page_rule(
    "heading-order",
    "on-page",
    "low",
    "extended",
    "page",
    "html",
    _has_headings,
    fix="Begin with h1 and nest headings without gaps.",
)
def heading_order(page: Page, _: Context) -> Iterator[Evidence]:
    """A heading level is skipped on the way down, or the first heading is not h1."""
    first = page.headings[0]
    if first.level != 1:
        yield Evidence(page.url, f"the first heading is h{first.level}: {first.text[:100]}", first.snippet)
    for before, after in zip(page.headings, page.headings[1:], strict=False):
        if after.level > before.level + 1:
            yield Evidence(page.url, f"h{after.level} follows h{before.level}: {after.text[:100]}", after.snippet)


@page_rule(
    "heading-empty",
    "on-page",
    "low",
    "extended",
    "page",
    "html",
    _has_headings,
    fix="Remove the heading, or give it text.",
)
def heading_empty(page: Page, _: Context) -> Iterator[Evidence]:
    """A heading has no text and no named image."""
    for one in page.headings:
        if not one.name:
            yield Evidence(page.url, f"an empty h{one.level}", one.snippet)


@page_rule(
    "thin-content",
    "on-page",
    "medium",
    "core",
    "page",
    "html",
    indexable,
    threshold="< 200 words",
    fix="Say more, merge the page with a related one, or take it out of the index.",
)
def thin_content(page: Page, context: Context) -> Iterator[Evidence]:
    """The main text of an indexable page is below the threshold; CJK is counted in characters / 2."""
    if page.prose.words < context.thresholds.thin_words:
        yield Evidence(
            page.url,
            f"{page.prose.words} words of main text, less than {context.thresholds.thin_words}",
            page.prose.text[:150],
        )


@page_rule(
    "low-text-ratio",
    "on-page",
    "info",
    "extended",
    "page",
    "html",
    html,
    threshold="< 10 %",
    fix="Trim markup; move scripts and styles into files.",
)
def low_text_ratio(page: Page, context: Context) -> Iterator[Evidence]:
    """Visible text is below the threshold share of the HTML's bytes."""
    share = len(page.visible_text.encode()) / max(page.size_bytes, 1) if page.visible_chars < 200_000 else 1.0  # noqa: PLR2004
    if share < context.thresholds.text_ratio:
        yield Evidence(page.url, f"{share:.1%} of {page.size_bytes:,} bytes are visible text")


@page_rule("placeholder-text", "on-page", "medium", "core", "page", "html", html, fix="Replace it with real copy.")
def placeholder_text(page: Page, _: Context) -> Iterator[Evidence]:
    """Lorem ipsum or a template's placeholders stand in the visible text."""
    for one in page.placeholders:
        yield Evidence(page.url, "dummy text is shown to readers", one)


@page_rule("duplicate-id", "on-page", "low", "extended", "page", "html", html, fix="Make ids unique within the page.")
def duplicate_id(page: Page, _: Context) -> Iterator[Evidence]:
    """Two elements have the same id."""
    for one in page.repeated_ids:
        yield Evidence(page.url, f"the id {one[:100]!r} is used more than once", f'id="{one[:100]}"')


# Of the site


def _shared(
    site: Site, key: Callable[[PageFacts], object], shown: Callable[[PageFacts], str], what: str
) -> Iterator[Evidence]:
    groups: dict[object, list[PageFacts]] = defaultdict(list)
    for facts in site.indexable():
        if shown(facts):
            groups[key(facts)].append(facts)
    for group in groups.values():
        if len(group) > 1:
            for facts in group:
                other = next(one for one in group if one is not facts)
                yield Evidence(facts.url, f"{what} is on {len(group)} pages", shown(facts)[:200], other.url)


@site_rule("title-duplicate", "on-page", "medium", "core", "page", "crawl", fix="Give each page a title of its own.")
def title_duplicate(site: Site) -> Iterator[Evidence]:
    """Two or more indexable pages in the same language have the same title."""
    return _shared(site, lambda one: (one.title.casefold(), one.locale), lambda one: one.title, "this title")


@site_rule(
    "description-duplicate", "on-page", "low", "extended", "page", "crawl", fix="Write one description for each page."
)
def description_duplicate(site: Site) -> Iterator[Evidence]:
    """Two or more indexable pages have the same description."""
    return _shared(site, lambda one: one.description.casefold(), lambda one: one.description, "this description")


@site_rule(
    "h1-duplicate",
    "on-page",
    "low",
    "extended",
    "page",
    "crawl",
    fix="Let each page's h1 say what is particular to it.",
)
def h1_duplicate(site: Site) -> Iterator[Evidence]:
    """Several indexable pages have the same h1."""
    return _shared(site, lambda one: (one.h1.casefold(), one.locale), lambda one: one.h1, "this h1")


def _favicon_asked(site: Site) -> Skip | None:
    if site.home is None:
        return unmeasured("the home page was not read")
    if any(one.kind == "icon" for one in site.home.resources):
        return None
    return unmeasured("/favicon.ico was not asked for") if site.probes.favicon is None else None


@site_rule(
    "favicon-missing",
    "on-page",
    "info",
    "extended",
    "site",
    "html;crawl",
    _favicon_asked,
    fix="Add an icon: /favicon.ico or a link element with rel=icon.",
)
def favicon_missing(site: Site) -> Iterable[Evidence]:
    """Neither does the home page link an icon that answers, nor does /favicon.ico answer."""
    home = site.home
    icons = [one.url for one in home.resources if one.kind == "icon"] if home is not None else []
    answers = [site.answer(url) for url in icons] + [site.probes.favicon]
    known = [one for one in answers if one is not None]
    if (known and all(one.is_error for one in known)) if icons else (not known or known[0].is_error):
        yield Evidence(site.start_url, "no icon answers" if icons else "there is no icon link and no /favicon.ico")
