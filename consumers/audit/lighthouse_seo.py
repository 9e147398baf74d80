"""Lighthouse's SEO audits answered by our rules, where Lighthouse itself is not there.

Source: the SEO category of Lighthouse 13. Each audit is the rules that ask the same; where Lighthouse asks a little
more or less than the rule, the difference is written here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from consumers.audit.page import Page, same_page
from consumers.audit.rules import Status, Verdict
from consumers.audit.rules.link_phrases import is_generic
from consumers.audit.signals import Link
from consumers.audit.words import primary

_LANGUAGES: Final = frozenset(("en", "ja", "es", "pt", "ko", "sv", "de", "ta", "fa"))
AUDITS: Final = {
    "document-title": ("title-missing",),
    "meta-description": ("description-missing",),
    "http-status-code": ("http-4xx", "http-5xx"),
    "link-text": ("link-text-generic",),
    "crawlable-anchors": ("link-not-crawlable",),
    "is-crawlable": ("noindex", "robots-blocks-all"),
    "robots-txt": ("robots-txt-error", "robots-txt-invalid"),
    "image-alt": ("img-alt-missing",),
    "hreflang": ("hreflang-invalid-code", "hreflang-relative"),
    "canonical": ("canonical-multiple", "canonical-relative", "canonical-invalid"),
}


def seo_audits(page: Page, verdicts: Iterable[Verdict]) -> dict[str, bool]:
    """Whether a page passes each of Lighthouse's SEO audits; what does not apply is passed.

    Args:
        verdicts: Of the page and of its site.
    """
    failed = {one.rule for one in verdicts if one.status is Status.FAILED}
    answers = {audit: failed.isdisjoint(rules) for audit, rules in AUDITS.items()}
    answers["link-text"] = not any(_says_nothing(link, page) for link in page.links)
    return answers


def _says_nothing(link: Link, page: Page) -> bool:
    """As Lighthouse has it: phrases of its nine languages only."""
    if link.url is None or "nofollow" in link.rel or same_page(link.url, page.url):
        return False
    language = primary(link.lang) or primary(page.lang)
    return (not language or language in _LANGUAGES) and is_generic(link.text, language)
