"""How well answer engines can read, trust and quote a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Final

from consumers.audit.authorship import http_date
from consumers.audit.directives import said
from consumers.audit.entity import own_organisations
from consumers.audit.prose import answers_something, is_question
from consumers.audit.rules.guards import article, home, html, indexable, rendered
from consumers.audit.rules.model import Context, Evidence, PageGuard, Skip, applies_not
from consumers.audit.rules.registry import page_rule
from consumers.audit.structured import types_of, values_of, walk
from consumers.audit.vocabulary import is_a

if TYPE_CHECKING:
    from consumers.audit.page import Page

_HOW_TO: Final = re.compile(
    r"\bhow[ -]to\b|\bstep[ -]by[ -]step\b|\banleitung\b|\bso geht|\bwie man\b|\bcomment\b|\bcómo\b|\bcome fare\b",
    re.IGNORECASE,
)
_ABOUT: Final = re.compile(
    r"\babout\b|\bcontact\b|\bwho we are\b|\bour (?:story|team|company)\b|\bimpressum\b|\bkontakt\b|"
    r"\büber uns\b|\bueber-uns\b|"
    r"\bà propos\b|\ba-propos\b|\bqui sommes|\bnous contacter\b|\bmentions légales\b|\bcontacto\b|"
    r"\bsobre (?:nosotros|nós)\b|\bquiénes somos\b|"
    r"\bcontatti\b|\bchi siamo\b|\bcontato\b|\bover ons\b|\bom oss\b|\bom os\b|من نحن|اتصل|تواصل|"
    r"عن الشركة|关于|联系|会社概要|お問い合わせ",
    re.IGNORECASE,
)
_ANSWER_TEXT: Final = 100
"""Words of main text from which a page is expected to answer something."""


def _asks(page: Page, context: Context) -> Skip | None:
    if skip := indexable(page, context):
        return skip
    return applies_not("it has hardly any text") if page.prose.words < _ANSWER_TEXT else None


def _long_article(attribute: str) -> PageGuard:
    def guard(page: Page, context: Context) -> Skip | None:
        if skip := article(page, context):
            return skip
        limit: int = getattr(context.thresholds, attribute)
        return None if page.prose.words > limit else applies_not(f"the article is not longer than {limit} words")

    return guard


@page_rule(
    "geo-js-only-content",
    "geo",
    "high",
    "core",
    "page",
    "html;browser",
    html,
    rendered,
    threshold="< 50 %",
    fix="Render the text on the server: most answer engines run no scripts.",
)
def geo_js_only_content(page: Page, context: Context) -> Iterator[Evidence]:
    """Most main text appears only after JavaScript has run: the raw text is under the threshold of the rendered."""
    sent, there = page.static_words or 0, page.rendered_words or 0
    if there and sent < context.thresholds.js_share * there:
        yield Evidence(page.url, f"{sent} words without scripts, {there} with them")


@page_rule(
    "geo-no-answer-block",
    "geo",
    "medium",
    "core",
    "page",
    "html",
    _asks,
    threshold="40-120 words",
    fix="Open sections with the question and an answer of 40 to 120 words, or begin with a summary.",
)
def geo_no_answer_block(page: Page, context: Context) -> Iterator[Evidence]:
    """No question as heading with a self-contained paragraph below it, and no summary in the first 100 words."""
    low, high = context.thresholds.answer_words
    if answers_something(page.prose, (low, high)):
        return
    if page.prose.answered:
        heading, words = page.prose.answered[0]
        yield Evidence(page.url, f"the answer to {heading[:100]!r} has {words} words, not {low} to {high}")
    else:
        yield Evidence(page.url, f"no question is answered and no summary of {low} to {high} words opens the page")


@page_rule(
    "geo-no-lists-tables",
    "geo",
    "info",
    "extended",
    "page",
    "html",
    _long_article("list_words"),
    threshold="> 800 words",
    fix="Put comparable facts into a list or a table.",
)
def geo_no_lists_tables(page: Page, _: Context) -> Iterator[Evidence]:
    """A long article has neither list nor table."""
    if not page.prose.lists and not page.prose.tables:
        yield Evidence(page.url, f"{page.prose.words} words without list or table")


def _questions(page: Page) -> list[str]:
    return list(dict.fromkeys(one.text for one in page.headings if is_question(one.text)))


def _asks_often(page: Page, context: Context) -> Skip | None:
    if skip := html(page, context):
        return skip
    return (
        None
        if len(_questions(page)) >= context.thresholds.faq_questions
        else applies_not("it has few question headings")
    )


@page_rule(
    "geo-faq-schema-missing",
    "geo",
    "low",
    "extended",
    "page",
    "html",
    _asks_often,
    threshold=">= 3",
    fix="Add FAQPage markup that matches the visible questions and answers.",
)
def geo_faq_schema_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """Three or more question headings and no FAQPage or QAPage markup."""
    if not any(one in {"FAQPage", "QAPage"} for node in walk(page.nodes) for one in types_of(node)):
        found = _questions(page)
        yield Evidence(page.url, f"{len(found)} question headings without FAQPage markup", found[0][:150])


def _procedure(page: Page, context: Context) -> Skip | None:
    if skip := html(page, context):
        return skip
    titled = any(_HOW_TO.search(one) for one in (page.title, *(heading.text for heading in page.headings)))
    return None if titled and page.prose.has_procedure else applies_not("it is no numbered how-to")


@page_rule("geo-howto-schema-missing", "geo", "info", "extended", "page", "html", _procedure, fix="Add HowTo markup.")
def geo_howto_schema_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """A numbered procedure titled how-to has no HowTo markup."""
    if not any(is_a(one, "HowTo") for node in walk(page.nodes) for one in types_of(node)):
        yield Evidence(page.url, "numbered steps without HowTo markup", page.title[:150])


@page_rule(
    "geo-organization-schema-missing",
    "geo",
    "medium",
    "core",
    "site",
    "html",
    html,
    home,
    fix="Describe the organisation on the home page with name, url and logo.",
)
def geo_organization_schema_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """The home page has no Organization or LocalBusiness with name, url and logo."""
    found = own_organisations(page)
    if not found:
        yield Evidence(page.url, "no Organization or LocalBusiness is described")
    elif not any(all(values_of(node, name) for name in ("name", "url", "logo")) for node in found):
        lacks = [name for name in ("name", "url", "logo") if not any(values_of(node, name) for node in found)]
        yield Evidence(
            page.url,
            f"the organisation lacks {', '.join(lacks) or 'one of name, url and logo'}",
            f'"@type": "{"/".join(types_of(found[0]))}"',
        )


def _described(page: Page, context: Context) -> Skip | None:
    if skip := html(page, context) or home(page, context):
        return skip
    return None if own_organisations(page) else applies_not("no organisation is described")


@page_rule(
    "geo-sameas-missing",
    "geo",
    "low",
    "extended",
    "site",
    "html",
    _described,
    fix="List the official profiles in sameAs.",
)
def geo_sameas_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """The organisation's markup has no sameAs links to profiles."""
    found = own_organisations(page)
    if not any(values_of(node, "sameAs") for node in found):
        yield Evidence(page.url, "the organisation has no sameAs", f'"@type": "{"/".join(types_of(found[0]))}"')


@page_rule(
    "geo-about-contact-missing",
    "geo",
    "low",
    "extended",
    "site",
    "crawl",
    html,
    home,
    fix="Link an about and a contact page.",
)
def geo_about_contact_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """No about or contact page is linked from the home page."""
    for link in page.links:
        shown = f"{link.name} {re.sub(r'[-_/.]', ' ', link.url or '')} {link.url or ''}"
        if link.url is not None and link.is_internal and _ABOUT.search(shown):
            return
    yield Evidence(page.url, "neither an about nor a contact page is linked")


@page_rule(
    "geo-author-missing",
    "geo",
    "medium",
    "core",
    "page",
    "html",
    article,
    fix="Name the author and link a profile page.",
)
def geo_author_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """An article has no visible byline and no author in its markup."""
    if not page.authorship.authors and not page.authorship.byline:
        yield Evidence(page.url, f"an article ({page.authorship.why}) without author")


@page_rule("geo-date-missing", "geo", "medium", "core", "page", "html", article, fix="Show the dates and mark them up.")
def geo_date_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """An article has no datePublished or dateModified and shows no date."""
    if not page.authorship.dates:
        yield Evidence(page.url, f"an article ({page.authorship.why}) without date")


def _dated(page: Page, context: Context) -> Skip | None:
    if skip := article(page, context):
        return skip
    return None if newest(page) else applies_not("the article has no date")


def newest(page: Page) -> str:
    """The newest date that an article states, else that of its Last-Modified header; ISO, empty for none."""
    stated = [found for found, _ in page.authorship.dates]
    return max(stated) if stated else http_date(page.header("last-modified")) or ""


@page_rule(
    "geo-stale",
    "geo",
    "low",
    "extended",
    "page",
    "html;headers",
    _dated,
    threshold="> 365 days",
    fix="Review the article and update it.",
)
def geo_stale(page: Page, context: Context) -> Iterator[Evidence]:
    """The newest date on an article is older than the threshold."""
    days = (context.today - date.fromisoformat(newest(page))).days
    if days > context.thresholds.stale_days:
        yield Evidence(page.url, f"the newest date is {days} days old", newest(page))


@page_rule(
    "geo-no-citations",
    "geo",
    "low",
    "extended",
    "page",
    "html",
    _long_article("cite_words"),
    threshold="> 500 words",
    fix="Cite and link primary sources.",
)
def geo_no_citations(page: Page, _: Context) -> Iterator[Evidence]:
    """A long article has no outbound link to another domain inside its main text."""
    if not page.prose.cites:
        yield Evidence(page.url, f"{page.prose.words} words without a link to another domain")


@page_rule(
    "geo-no-statistics",
    "geo",
    "info",
    "extended",
    "page",
    "html",
    _long_article("figure_words"),
    threshold="> 500 words",
    fix="Add figures with their sources.",
)
def geo_no_statistics(page: Page, _: Context) -> Iterator[Evidence]:
    """A long article has no figures with units, percentages or years."""
    if not page.prose.figures:
        yield Evidence(page.url, f"{page.prose.words} words without a figure")


@page_rule(
    "geo-paragraph-long",
    "geo",
    "info",
    "extended",
    "page",
    "html",
    html,
    threshold="> 150 words",
    fix="Split the paragraph.",
)
def geo_paragraph_long(page: Page, context: Context) -> Iterator[Evidence]:
    """Paragraphs above the threshold are hard to quote."""
    for words, beginning in page.prose.long_paragraphs:
        if words > context.thresholds.paragraph_words:
            yield Evidence(
                page.url, f"a paragraph of {words} words, more than {context.thresholds.paragraph_words}", beginning
            )


@page_rule(
    "geo-snippet-blocked",
    "geo",
    "medium",
    "core",
    "page",
    "html;headers",
    html,
    threshold="< 50",
    fix="Loosen the limit.",
)
def geo_snippet_blocked(page: Page, context: Context) -> Iterator[Evidence]:
    """Nosnippet, a low max-snippet or data-nosnippet around the main text keeps it out of AI answers."""
    for one in said(page.directives, "nosnippet", "max-snippet"):
        value = int(one.value) if re.fullmatch(r"\d+", one.value) else -1
        if one.name == "nosnippet" or 0 <= value < context.thresholds.snippet_chars:
            yield Evidence(
                page.url, "answers may not quote the page", f"{one.name}:{one.value}" if one.value else one.name
            )
    if page.hidden_from_snippets:
        yield Evidence(page.url, "data-nosnippet covers the main text", "data-nosnippet")
