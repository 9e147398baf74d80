"""How a page looks when it is shared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from consumers.audit.rules.guards import html
from consumers.audit.rules.link_site import came_to
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not, unmeasured
from consumers.audit.rules.registry import page_rule, site_part

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.site import Site

BASIC: Final = ("og:title", "og:type", "og:image", "og:url")


@page_rule(
    "og-missing", "social", "low", "extended", "page", "html", html, fix="Add og:title, og:type, og:image and og:url."
)
def og_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """og:title, og:type, og:image or og:url is missing."""
    lacks = [name for name in BASIC if not page.open_graph.get(name)]
    if lacks:
        yield Evidence(page.url, f"missing: {', '.join(lacks)}")


def _has_image(page: Page, context: Context) -> Skip | None:
    return html(page, context) or (None if page.open_graph.get("og:image") else applies_not("it has no og:image"))


@page_rule(
    "og-image-bad",
    "social",
    "low",
    "extended",
    "page",
    "crawl",
    _has_image,
    threshold="200 px",
    fix="Use the absolute address of a live image of 1200x630.",
)
def og_image_bad(page: Page, context: Context) -> Iterator[Evidence]:
    """og:image is relative, broken or smaller than the threshold."""
    image = page.open_graph["og:image"]
    if not re.match(r"https?://", image, re.IGNORECASE):
        yield Evidence(page.url, "og:image is not absolute", f'<meta property="og:image" content="{image[:150]}">')
    for name in ("og:image:width", "og:image:height"):
        said = page.open_graph.get(name, "")
        if said.isdigit() and int(said) < context.thresholds.og_image_px:
            yield Evidence(
                page.url,
                f"{name} is {said}, less than {context.thresholds.og_image_px}",
                f'<meta property="{name}" content="{said}">',
            )


def _images_asked(site: Site) -> Skip | None:
    shared = [facts.og_image for facts in site.facts.values() if facts.og_image]
    if not shared:
        return applies_not("no page has an og:image")
    return None if any(site.answer(one) for one in shared) else unmeasured("the og:image files were not asked")


@site_part("og-image-bad", _images_asked)
def og_image_dead(site: Site) -> Iterator[Evidence]:
    """og:image is broken or smaller than the threshold."""
    for facts in site.facts.values():
        answer = site.answer(facts.og_image) if facts.og_image else None
        if answer is None:
            continue
        if answer.is_error:
            yield Evidence(facts.url, came_to(answer), target=facts.og_image)
        elif answer.width and answer.height and min(answer.width, answer.height) < site.thresholds.og_image_px:
            yield Evidence(facts.url, f"the image is {answer.width}x{answer.height}", target=facts.og_image)


@page_rule(
    "twitter-card-missing",
    "social",
    "info",
    "extended",
    "page",
    "html",
    html,
    fix="Add twitter:card with summary_large_image.",
)
def twitter_card_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """No twitter:card."""
    if not page.open_graph.get("twitter:card"):
        yield Evidence(page.url, "there is no twitter:card")
