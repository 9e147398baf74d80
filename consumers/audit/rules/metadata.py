"""Title, description and what else stands in head."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from consumers.audit.rules.guards import html
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not
from consumers.audit.rules.registry import page_rule
from consumers.audit.vocabulary import is_language, is_region, is_script

if TYPE_CHECKING:
    from consumers.audit.page import Page

_HTML5: Final = re.compile(r"html(?:\s+system\s+[\"']about:legacy-compat[\"'])?", re.IGNORECASE)
TITLE_PX: Final = 20
_WIDE_PX: Final = 20.0
_USUAL_PX: Final = 11.1
_SQUARE_FROM: Final = 0x1100
"""CJK and symbols from here on are as wide as they are high."""
_TAG: Final = re.compile(
    r"(?P<language>[a-z]{2,3}|[a-z]{4}|[a-z]{5,8})(?:-(?P<extlang>[a-z]{3})){0,3}(?:-(?P<script>[a-z]{4}))?"
    r"(?:-(?P<region>[a-z]{2}|\d{3}))?(?:-(?:[a-z0-9]{5,8}|\d[a-z0-9]{3}))*(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?",
    re.IGNORECASE,
)
# Widths of Arial in thousandths of its size, from the font's metrics.
_WIDTHS: Final = dict(
    zip(
        map(chr, range(32, 127)),
        (
         278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
         556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
         611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
         667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
         222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
        ),
        strict=True,
    )
)  # fmt: skip


def width_px(text: str) -> float:
    """Width of a title on a result page: Arial at 20 px; characters outside ASCII by class."""
    return sum(_WIDTHS[char] * TITLE_PX / 1000 if char in _WIDTHS else _other_px(char) for char in text)


def _other_px(char: str) -> float:
    is_square = ord(char) >= _SQUARE_FROM or char in "\N{EM DASH}\N{HORIZONTAL ELLIPSIS}"
    return _WIDE_PX if is_square else _USUAL_PX


def is_well_formed(tag: str) -> bool:
    """Whether a tag is of BCP 47's form with a registered primary language."""
    found = _TAG.fullmatch(tag)
    return found is not None and is_language(found["language"])


def is_hreflang(value: str) -> bool:
    """Whether a value is ``x-default`` or language[-script][-region] of registered subtags."""
    if value.lower() == "x-default":
        return True
    found = re.fullmatch(r"([a-z]{2,3})(?:-([a-z]{4}))?(?:-([a-z]{2}|\d{3}))?", value, re.IGNORECASE)
    if found is None or not is_language(found[1]):
        return False
    return (not found[2] or is_script(found[2])) and (not found[3] or is_region(found[3]))


def _has_title(page: Page, context: Context) -> Skip | None:
    return html(page, context) or (None if page.title else applies_not("it has no title"))


def _has_description(page: Page, context: Context) -> Skip | None:
    return html(page, context) or (None if page.description else applies_not("it has no description"))


@page_rule(
    "title-missing",
    "on-page",
    "high",
    "core",
    "page",
    "html",
    html,
    fix="Write a title element in head, unique to the page, that names its topic.",
)
def title_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """No title element in head, or it is blank."""
    if not page.titles:
        yield Evidence(page.url, "there is no title element in head")
    elif not page.title:
        yield Evidence(page.url, "the title is blank", "<title></title>")


@page_rule("title-multiple", "on-page", "medium", "core", "page", "html", html, fix="Keep one title element.")
def title_multiple(page: Page, _: Context) -> Iterator[Evidence]:
    """More than one title element in head; those of SVG images do not count."""
    if len(page.titles) > 1:
        yield Evidence(
            page.url,
            f"{len(page.titles)} titles: {' | '.join(page.titles)[:300]}",
            f"<title>{page.titles[1][:150]}</title>",
        )


@page_rule(
    "title-short",
    "on-page",
    "low",
    "extended",
    "page",
    "html",
    _has_title,
    threshold="< 20 characters",
    fix="Say more about what the page offers in its title.",
)
def title_short(page: Page, context: Context) -> Iterator[Evidence]:
    """The title is shorter than the threshold."""
    if len(page.title) < context.thresholds.title_min:
        yield Evidence(page.url, f"{len(page.title)} characters, less than {context.thresholds.title_min}", page.title)


@page_rule(
    "title-long",
    "on-page",
    "low",
    "extended",
    "page",
    "html",
    _has_title,
    threshold="> 60 characters or > 580 px",
    fix="Put what matters first and shorten the title.",
)
def title_long(page: Page, context: Context) -> Iterator[Evidence]:
    """The title is longer than the threshold, in characters or as wide as it is set."""
    limits, width = context.thresholds, width_px(page.title)
    if len(page.title) > limits.title_max:
        yield Evidence(page.url, f"{len(page.title)} characters, more than {limits.title_max}", page.title[:200])
    elif width > limits.title_max_px:
        yield Evidence(page.url, f"about {width:.0f} px wide, more than {limits.title_max_px}", page.title[:200])


@page_rule(
    "title-equals-h1",
    "on-page",
    "info",
    "extended",
    "page",
    "html",
    _has_title,
    fix="Let the title add context that the heading has not: brand, place, kind of page.",
)
def title_equals_h1(page: Page, _: Context) -> Iterator[Evidence]:
    """Title and first h1 are identical."""
    if page.h1 and page.title == page.h1:
        yield Evidence(page.url, "the title repeats the first h1", page.title[:200])


@page_rule(
    "description-missing",
    "on-page",
    "medium",
    "core",
    "page",
    "html",
    html,
    fix="Write a meta description of one or two sentences that sums up the page.",
)
def description_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """No meta description, or it is blank."""
    if not page.meta("description"):
        yield Evidence(page.url, "there is no meta description")
    elif not page.description:
        yield Evidence(page.url, "the meta description is blank", '<meta name="description" content="">')


@page_rule(
    "description-short",
    "on-page",
    "low",
    "extended",
    "page",
    "html",
    _has_description,
    threshold="< 80 characters",
    fix="Say more about what the page offers in its description.",
)
def description_short(page: Page, context: Context) -> Iterator[Evidence]:
    """The description is shorter than the threshold."""
    if len(page.description) < context.thresholds.description_min:
        yield Evidence(
            page.url,
            f"{len(page.description)} characters, less than {context.thresholds.description_min}",
            page.description,
        )


@page_rule(
    "description-long",
    "on-page",
    "low",
    "extended",
    "page",
    "html",
    _has_description,
    threshold="> 160 characters",
    fix="Shorten the description to what a result page shows.",
)
def description_long(page: Page, context: Context) -> Iterator[Evidence]:
    """The description is longer than the threshold."""
    if len(page.description) > context.thresholds.description_max:
        yield Evidence(
            page.url,
            f"{len(page.description)} characters, more than {context.thresholds.description_max}",
            page.description[:200],
        )


@page_rule("description-multiple", "on-page", "low", "extended", "page", "html", html, fix="Keep one meta description.")
def description_multiple(page: Page, _: Context) -> Iterator[Evidence]:
    """More than one meta description in head."""
    found = [one for one in page.meta("description") if one.in_head]
    if len(found) > 1:
        yield Evidence(
            page.url, f"{len(found)} meta descriptions", f'<meta name="description" content="{found[1].content[:120]}">'
        )


@page_rule(
    "head-invalid",
    "on-page",
    "medium",
    "core",
    "page",
    "html",
    html,
    fix="Move the element out of head, so that the tags behind it are read as head again.",
)
def head_invalid(page: Page, _: Context) -> Iterator[Evidence]:
    """An element that belongs in body ends head early, so that head tags behind it are parsed into body."""
    if page.head_breaker:
        yield Evidence(
            page.url, "this element ends head; title, meta or link elements behind it land in body", page.head_breaker
        )


@page_rule(
    "charset-missing",
    "on-page",
    "low",
    "extended",
    "page",
    "html;headers",
    html,
    fix='Declare UTF-8: <meta charset="utf-8"> at the beginning of head, or in the Content-Type header.',
)
def charset_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """No charset in the header, a byte order mark or the first 1,024 bytes of markup."""
    declared = page.charset is not None and page.charset.source in {"bom", "header"}
    if not declared and not page.charset_in_prescan:
        yield Evidence(
            page.url,
            "no charset is declared"
            + ("" if page.headers is not None else " in the markup, and headers are not known"),
        )


@page_rule(
    "doctype-missing",
    "on-page",
    "low",
    "extended",
    "page",
    "html",
    html,
    fix="Start the document with <!doctype html>.",
)
def doctype_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """No HTML5 doctype: browsers fall back to quirks, or to the limited quirks of an older one."""
    if page.doctype is None:
        yield Evidence(page.url, "there is no doctype: browsers use quirks mode")
    elif not _HTML5.fullmatch(page.doctype):
        mode = "puts browsers in quirks mode" if page.is_quirks else "is an older one than HTML5's"
        yield Evidence(page.url, f"this doctype {mode}", f"<!DOCTYPE {page.doctype[:150]}>")


@page_rule(
    "viewport-missing",
    "on-page",
    "high",
    "core",
    "page",
    "html",
    html,
    fix='Add <meta name="viewport" content="width=device-width, initial-scale=1">.',
)
def viewport_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """No meta viewport with width."""
    found = page.meta("viewport")
    if not any("width" in _viewport(one.content) for one in found):
        detail = "the meta viewport sets no width" if found else "there is no meta viewport"
        yield Evidence(page.url, detail, f'<meta name="viewport" content="{found[0].content[:100]}">' if found else "")


@page_rule(
    "viewport-blocks-zoom",
    "on-page",
    "medium",
    "core",
    "page",
    "html",
    html,
    threshold="< 2",
    fix="Remove user-scalable=no and any maximum-scale below 2.",
)
def viewport_blocks_zoom(page: Page, context: Context) -> Iterator[Evidence]:
    """The viewport says user-scalable=no, or a maximum-scale below the threshold."""
    for meta in page.meta("viewport"):
        said = _viewport(meta.content)
        scale = _scale(said.get("maximum-scale", ""))
        scalable = said.get("user-scalable", "")
        blocked = scalable == "no" or (_scale(scalable) is not None and abs(_scale(scalable) or 0.0) < 1)
        if blocked or (scale is not None and 0 <= scale < context.thresholds.zoom_min):
            yield Evidence(
                page.url,
                "the viewport keeps readers from zooming",
                f'<meta name="viewport" content="{meta.content[:150]}">',
            )


def _viewport(content: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in re.split(r"[,;\s]+(?![=\s])", re.sub(r"\s*=\s*", "=", content)))
    return {name.strip().lower(): value.strip().lower() for name, _, value in pairs if name.strip()}


def _scale(text: str) -> float | None:
    if text == "yes":
        return 1.0
    found = re.match(r"-?\d*\.?\d+", text)
    return float(found[0]) if found else None


@page_rule(
    "html-lang-missing",
    "on-page",
    "medium",
    "core",
    "page",
    "html",
    html,
    fix="Set lang on the html element to the language of the page.",
)
def html_lang_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """The html element has no lang, or it is blank."""
    if not (page.lang or "").strip():
        yield Evidence(
            page.url,
            "html has no lang" if page.lang is None else "lang is blank",
            "<html>" if page.lang is None else '<html lang="">',
        )


def _has_lang(page: Page, context: Context) -> Skip | None:
    return html(page, context) or (None if (page.lang or "").strip() else applies_not("html has no lang"))


@page_rule(
    "html-lang-invalid",
    "on-page",
    "medium",
    "core",
    "page",
    "html",
    _has_lang,
    fix="Use a well-formed tag with a registered language, such as en or pt-BR.",
)
def html_lang_invalid(page: Page, _: Context) -> Iterator[Evidence]:
    """The lang of the html element is not a well-formed BCP 47 tag with a registered primary language."""
    if not is_well_formed((page.lang or "").strip()):
        yield Evidence(
            page.url, f"{(page.lang or '')[:50]!r} is no language tag", f'<html lang="{(page.lang or "")[:50]}">'
        )
