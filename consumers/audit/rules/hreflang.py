"""Alternates in other languages."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from consumers.audit.page import same_page
from consumers.audit.rules.guards import html
from consumers.audit.rules.metadata import is_hreflang
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not
from consumers.audit.rules.registry import page_rule, site_rule
from consumers.audit.words import primary

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.signals import Alternate
    from consumers.audit.site import Site


def _has_set(page: Page, context: Context) -> Skip | None:
    return html(page, context) or (None if page.alternates else applies_not("it has no hreflang alternates"))


def _shown(one: Alternate) -> str:
    if one.source == "header":
        return f'Link: <{one.href[:120]}>; rel="alternate"; hreflang="{one.lang[:30]}"'
    return f'<link rel="alternate" hreflang="{one.lang[:30]}" href="{one.href[:120]}">'


def _is_self(one: Alternate, page: Page) -> bool:
    return one.url is not None and (
        same_page(one.url, page.url) or (page.canonical is not None and same_page(one.url, page.canonical))
    )


@page_rule(
    "hreflang-invalid-code",
    "hreflang",
    "high",
    "core",
    "page",
    "html;headers;sitemap",
    _has_set,
    fix="Use a language code, with a script or country code where it is needed, or x-default.",
)
def hreflang_invalid_code(page: Page, _: Context) -> Iterator[Evidence]:
    """Hreflang is not a language[-script][-region] tag or x-default, or has stray spaces."""
    for one in page.alternates:
        if not is_hreflang(one.lang):
            detail = (
                "stray spaces in"
                if one.lang != one.lang.strip() and is_hreflang(one.lang.strip())
                else "no such language tag:"
            )
            yield Evidence(page.url, f"{detail} {one.lang[:40]!r}", _shown(one))


@page_rule("hreflang-relative", "hreflang", "medium", "core", "page", "html", _has_set, fix="Write the full address.")
def hreflang_relative(page: Page, _: Context) -> Iterator[Evidence]:
    """The href of an alternate is missing or not absolute."""
    for one in page.alternates:
        if not re.match(r"\s*[a-z][a-z0-9+.-]*://", one.href, re.IGNORECASE):
            yield Evidence(
                page.url,
                "the address is missing" if not one.href.strip() else "the address is not absolute",
                _shown(one),
            )


@page_rule(
    "hreflang-no-self", "hreflang", "medium", "core", "page", "html", _has_set, fix="Add the page itself to the set."
)
def hreflang_no_self(page: Page, _: Context) -> Iterator[Evidence]:
    """The set lacks the page itself."""
    if not any(_is_self(one, page) for one in page.alternates):
        yield Evidence(page.url, f"none of {len(page.alternates)} alternates is this page", _shown(page.alternates[0]))


@page_rule("hreflang-no-x-default", "hreflang", "low", "extended", "page", "html", _has_set, fix="Add x-default.")
def hreflang_no_x_default(page: Page, _: Context) -> Iterator[Evidence]:
    """The set lacks x-default."""
    if not any(one.lang.strip().lower() == "x-default" for one in page.alternates):
        yield Evidence(page.url, "the set has no x-default", _shown(page.alternates[0]))


@page_rule(
    "hreflang-lang-mismatch",
    "hreflang",
    "medium",
    "core",
    "page",
    "html",
    _has_set,
    fix="Make hreflang and html lang agree.",
)
def hreflang_lang_mismatch(page: Page, _: Context) -> Iterator[Evidence]:
    """The self reference disagrees with the lang of the html element."""
    mine = [one for one in page.alternates if _is_self(one, page) and one.lang.strip().lower() != "x-default"]
    if page.lang and mine and not any(_agrees(one.lang, page.lang) for one in mine):
        yield Evidence(page.url, f"html lang is {page.lang[:40]!r}", _shown(mine[0]))


def _agrees(left: str, right: str) -> bool:
    """Whether two tags agree: the same language, and no different regions."""
    one, other = (text.strip().lower().replace("_", "-").split("-") for text in (left, right))
    regions = [[part for part in parts[1:] if re.fullmatch(r"[a-z]{2}|\d{3}", part)] for parts in (one, other)]
    return primary(left) == primary(right) and (not regions[0] or not regions[1] or regions[0] == regions[1])


# Of the site


def _sets(site: Site) -> Iterator[tuple[str, Alternate]]:
    for facts in list(site.facts.values()):
        if facts.is_ok:
            for one in facts.alternates:
                yield facts.url, one


def _any_set(site: Site) -> Skip | None:
    return None if any(True for _ in _sets(site)) else applies_not("no page has hreflang alternates")


@site_rule(
    "hreflang-no-return",
    "hreflang",
    "high",
    "core",
    "page",
    "crawl",
    _any_set,
    fix="Make every page of the set name all of it.",
)
def hreflang_no_return(site: Site) -> Iterator[Evidence]:
    """The alternate does not link back."""
    for url, one in _sets(site):
        if one.url is None or same_page(one.url, url) or one.lang.strip().lower() == "x-default":
            continue
        other = site.page(one.url)
        if (
            other is not None
            and other.is_ok
            and other.is_html
            and not any(back.url and same_page(back.url, url) for back in other.alternates)
        ):
            yield Evidence(url, f"the {one.lang} alternate does not name this page", _shown(one), one.url)


@site_rule(
    "hreflang-to-non-canonical",
    "hreflang",
    "medium",
    "core",
    "page",
    "crawl",
    _any_set,
    fix="Name the canonical address.",
)
def hreflang_to_non_canonical(site: Site) -> Iterator[Evidence]:
    """The alternate names another page as canonical."""
    for url, one in _sets(site):
        other = site.page(one.url) if one.url else None
        if (
            other is not None
            and other.is_ok
            and other.canonical is not None
            and not same_page(other.canonical, other.url)
        ):
            yield Evidence(
                url, f"the {one.lang} alternate says its canonical is {other.canonical}", _shown(one), one.url or ""
            )


@site_rule(
    "hreflang-to-bad-target",
    "hreflang",
    "high",
    "core",
    "page",
    "crawl",
    _any_set,
    fix="Name pages that answer and may be indexed.",
)
def hreflang_to_bad_target(site: Site) -> Iterator[Evidence]:
    """The alternate is noindex, redirects or answers an error."""
    for url, one in _sets(site):
        answer = site.answer(one.url) if one.url else None
        if answer is None or one.url is None:
            continue
        page = site.page(one.url)
        if answer.is_error:
            detail = f"answers {answer.status or 'nothing'}"
        elif answer.redirect_status:
            detail = f"redirects to {answer.url}"
        elif page is not None and page.is_noindex:
            detail = "is noindex"
        else:
            continue
        yield Evidence(url, f"the {one.lang} alternate {detail}", _shown(one), one.url)


@page_rule(
    "hreflang-conflict",
    "hreflang",
    "medium",
    "core",
    "page",
    "crawl",
    _has_set,
    fix="Give each language one URL, and each URL one language.",
)
def hreflang_conflict(page: Page, _: Context) -> Iterator[Evidence]:
    """One URL is listed under several languages, or one language has several URLs."""
    by_lang: dict[str, set[str]] = defaultdict(set)
    by_url: dict[str, set[str]] = defaultdict(set)
    for one in page.alternates:
        if one.url is not None:
            by_lang[one.lang.strip().lower()].add(one.url)
            if one.lang.strip().lower() != "x-default":
                by_url[one.url].add(one.lang.strip().lower())
    for lang, targets in by_lang.items():
        if len(targets) > 1:
            yield Evidence(page.url, f"{lang} has {len(targets)} URLs", " ".join(sorted(targets))[:300])
    for target, langs in by_url.items():
        if len({primary(one) for one in langs}) > 1:
            yield Evidence(page.url, f"one URL is listed as {', '.join(sorted(langs))}", target=target)
