"""Whom a site is for and what it is about, with the evidence; seeds of keywords, rankings and questions. Pure."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from consumers.audit.words import ANY_STOP_WORD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.audit import AuditSpec, KeptPage

MAX_TERMS: Final = 60
MAX_VOCABULARY: Final = 50_000
"""Different terms that are counted; those of later pages beyond it are left out, so that memory stays flat."""

TITLE_WEIGHT: Final = 5.0
HEADING_WEIGHT: Final = 3.0
ANCHOR_WEIGHT: Final = 0.2
MAX_ANCHORS: Final = 300
_WORD: Final = re.compile(r"[^\W\d_][\w'\u2019-]{1,30}", re.UNICODE)
_SEPARATORS: Final = re.compile("\\s+[|\u2013\u2014\u00b7:\u00bb-]\\s+|\\s*[|\u00bb]\\s*")


@dataclass(frozen=True, slots=True)
class Profile:
    """What a site is about.

    Attributes:
        evidence: Where brand and category were found, in words.
        keywords: The heaviest terms first.
    """

    brand: str = ""
    category: str = ""
    evidence: dict[str, str] = field(default_factory=dict)
    keywords: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    terms: tuple[dict[str, Any], ...] = ()


class TermCounter:
    """Terms of a site, page by page: TF-IDF over the crawl, weighted by titles, headings and anchors.

    Source: Salton and Buckley, "Term-weighting approaches in automatic text retrieval", 1988 (log tf, idf).
    """

    def __init__(self) -> None:
        self._pages = 0
        self._weights: dict[str, float] = {}
        self._in_pages: Counter[str] = Counter()
        self._suffixes: Counter[str] = Counter()

    def add(self, kept: KeptPage) -> None:
        """Count a page."""
        page = kept.page
        if not page.get("is_html") or page.get("redirects") or page.get("failure") or page.get("status") != 200:  # noqa: PLR2004
            return
        self._pages += 1
        title = next(iter(page.get("titles") or ()), "")
        pieces = _SEPARATORS.split(title)
        if len(pieces) > 1:
            self._suffixes.update({pieces[-1].strip(), pieces[0].strip()})
        for term, weight in _weights(kept, title).items():
            if term in self._weights or len(self._weights) < MAX_VOCABULARY:
                self._weights[term] = self._weights.get(term, 0.0) + weight
                self._in_pages[term] += 1

    def brand_in_titles(self) -> tuple[str, int]:
        """The piece that most titles end or begin with, and in how many pages."""
        if not self._suffixes:
            return "", 0
        piece, times = self._suffixes.most_common(1)[0]
        return (piece, times) if times > max(1, self._pages // 3) else ("", 0)

    def terms(self, leave_out: Iterable[str] = ()) -> tuple[dict[str, Any], ...]:
        """The heaviest terms: ``term weight pages``; words of a heavier phrase are not repeated alone."""
        skip = {word for text in leave_out for word in text.lower().split()}
        scored = [
            (weight * (log((1 + self._pages) / (1 + self._in_pages[term])) + 1) * (1.3 if " " in term else 1.0), term)
            for term, weight in self._weights.items()
            if self._in_pages[term] > (1 if self._pages > 3 else 0)  # noqa: PLR2004 - on a site, a term is on two pages
            and not skip.intersection(term.split())
        ]
        scored.sort(key=lambda one: (-one[0], one[1]))
        most = scored[0][0] if scored else 1.0
        found: list[dict[str, Any]] = []
        for weight, term in scored[: 4 * MAX_TERMS]:
            if not any(term in one["term"] for one in found):
                found.append({"term": term, "weight": round(weight / most, 3), "pages": self._in_pages[term]})
            if len(found) == MAX_TERMS:
                break
        return tuple(found)


def _weights(kept: KeptPage, title: str) -> dict[str, float]:
    headings = " . ".join(str(one.get("text", "")) for one in kept.page.get("headings") or ())
    weights: dict[str, float] = {}
    for text, weight in ((kept.text, 1.0), (title, TITLE_WEIGHT), (headings, HEADING_WEIGHT)):
        for term, times in terms_in(text).items():
            weights[term] = weights.get(term, 0.0) + weight * (1 + log(times))
    for link in kept.links[:MAX_ANCHORS]:
        for term in _terms_of_anchor(link.text) if link.internal else ():
            weights[term] = weights.get(term, 0.0) + ANCHOR_WEIGHT
    return weights


def terms_in(text: str) -> Counter[str]:
    """Words and pairs of neighbouring words, in lower case, without frequent words that carry no topic."""
    words = _WORD.findall(text.lower())
    found: Counter[str] = Counter({word: count for word, count in Counter(words).items() if _is_topic(word)})
    pairs = Counter(pairwise(words))
    found.update({f"{one} {two}": count for (one, two), count in pairs.items() if one in found and two in found})
    return found


@lru_cache(4_096)
def _terms_of_anchor(text: str) -> tuple[str, ...]:
    """A site's pages link with the same words over and over."""
    return tuple(terms_in(text))


def profile_of(spec: AuditSpec, home: Mapping[str, Any], counter: TermCounter) -> Profile:
    """A site's profile; what the caller said wins.

    Args:
        spec: With brand, category, keywords and questions, if given.
        home: Signals of the start page, as kept.
        counter: Of its pages.
    """
    brand, brand_from = _brand(spec, home, counter)
    terms = counter.terms(leave_out=[brand] if brand else [])
    category, category_from = _category(spec, terms)
    keywords = tuple(dict.fromkeys([*spec.keywords, *(one["term"] for one in terms[:10])]))[:20]
    return Profile(
        brand=brand, category=category, evidence={"brand": brand_from, "category": category_from}, keywords=keywords,
        questions=spec.questions or questions_about(category), terms=terms,
    )  # fmt: skip


def questions_about(category: str) -> tuple[str, ...]:
    """Questions to a language model that do not name any brand; none without a category."""
    if not category:
        return ()
    return (
        f"Which providers of {category} do you recommend?",
        f"What is the best place to go for {category}?",
        f"I am looking for {category}. Which websites should I compare?",
        f"Who are the leading names in {category}?",
        f"Which {category} offers are good value, and who makes them?",
    )


def _brand(spec: AuditSpec, home: Mapping[str, Any], counter: TermCounter) -> tuple[str, str]:
    if spec.brand:
        return spec.brand, "given"
    for block in home.get("markup") or ():
        for node in block.get("nodes") or ():
            if {"Organization", "LocalBusiness", "WebSite", "Corporation"}.intersection(node.get("@type") or ()):
                for name in node.get("name") or ():
                    if isinstance(name, str) and name.strip():
                        return name.strip()[:100], f"structured data of the start page ({block.get('syntax', '')})"
    if name := (home.get("open_graph") or {}).get("og:site_name"):
        return str(name)[:100], "og:site_name of the start page"
    piece, times = counter.brand_in_titles()
    if piece:
        return piece[:100], f"in the titles of {times} pages"
    host = urlsplit(str(home.get("url", ""))).hostname or ""
    return host.removeprefix("www.").split(".")[0], "the host's name"


def _category(spec: AuditSpec, terms: tuple[dict[str, Any], ...]) -> tuple[str, str]:
    if spec.category:
        return spec.category, "given"
    phrases = [one for one in terms if " " in one["term"]] or list(terms)
    if not phrases:
        return "", "not found"
    return phrases[0]["term"], f"the heaviest phrase of the crawl, on {phrases[0]['pages']} pages"


def _is_topic(word: str) -> bool:
    return len(word) > 2 and word not in ANY_STOP_WORD  # noqa: PLR2004 - two letters say little
