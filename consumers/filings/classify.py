"""What a document is, from its address, its link and its first text; and the fiscal year it reports on.

Each rule adds weight to one type; the type with the most wins, and the confidence falls with what speaks for
another. Provisionally only the names are known; with the text of the first pages the same rules confirm it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from consumers.filings.class_rules import HEAD_RULES, NAME_RULES, Rule
from consumers.filings.periods import fiscal_year_end, mentions
from schemas.filings import Classification, DocumentType

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD_CHARS: Final = 4_000
_TOP: Final = 800
_UPPER: Final = 2_000
_YEAR_MONTHS: Final = 12
_DOUBT: Final = 0.6
_MOST: Final = 0.99
_LONG_REPORT: Final = 60
_SHORT: Final = 25
_SLIDE_CHARS: Final = 900
_YEARS: Final = range(1980, 2100)
_SLUG: Final = re.compile(
    r"[_+/\-.,=&?()\[\]]+|(?<=[a-z])(?=[A-Z])|(?<=[a-zà-ÿ]{3})(?=(?:19|20)\d\d)|(?<=(?:19|20)\d\d)(?=[a-z]{2})"
)


@dataclass(frozen=True, slots=True)
class _Signal:
    document_type: DocumentType
    weight: float
    reason: str


def classify(
    url: str = "",
    *,
    link_text: str = "",
    context: str = "",
    filename: str = "",
    head: str = "",
    page_count: int | None = None,
    statement_months: int | None = None,
) -> Classification:
    """The likeliest type of a document, with the reasons.

    Args:
        url: Its address; the folders count less than the file name.
        link_text: What the link to it says.
        context: Text around the link.
        filename: When it differs from the last part of the address.
        head: Text of its first pages, as far as known; makes the class a confirmed one.
        page_count: When known.
        statement_months: The length of the period its statements report on, when they were read.

    Returns:
        `other` with a low confidence when nothing speaks for any type.
    """
    path = unquote(urlsplit(url).path)
    query = unquote(urlsplit(url).query)
    folder, _, name = path.rpartition("/")
    spoken = [
        ("file name", words_of(f"{filename} {name} {query}"), 1.0),
        ("link text", words_of(link_text), 1.2),
        ("around the link", words_of(context), 0.6),
        ("folder", words_of(folder), 0.5),
    ]
    signals = [s for where, text, share in spoken for s in _apply(NAME_RULES, where, text, share)]
    head = head[:_HEAD_CHARS]
    for part, share in ((head[:_TOP], 1.0), (head[_TOP:_UPPER], 0.4), (head[_UPPER:], 0.2)):
        signals += _apply(HEAD_RULES, "text", part, share)
    if head:
        signals += _by_shape(head, page_count, statement_months)
    year = fiscal_year(filename or name, link_text, folder, head, context)
    return _decide(signals, year)


def words_of(slug: str) -> str:
    """A file name or an address as words: separators and camel case become spaces."""
    return " ".join(_SLUG.sub(" ", slug).split())


def _apply(rules: Iterable[Rule], where: str, text: str, share: float) -> list[_Signal]:
    """The strongest rule of each type that the text meets."""
    best: dict[DocumentType, _Signal] = {}
    for rule in rules:
        match = rule.pattern.search(text) if text else None
        if match is None:
            continue
        found = " ".join(match[0].split())[:40].lower()
        signal = _Signal(rule.document_type, rule.weight * share, f"{where}: {found}")
        if rule.document_type not in best or signal.weight > best[rule.document_type].weight:
            best[rule.document_type] = signal
    return list(best.values())


def _by_shape(head: str, page_count: int | None, statement_months: int | None) -> list[_Signal]:
    signals = []
    if statement_months is not None:
        kind: DocumentType = "annual_report" if statement_months == _YEAR_MONTHS else "quarterly_report"
        signals.append(_Signal(kind, 1.0, f"content: statements over {statement_months} months"))
    if page_count is not None and page_count >= _LONG_REPORT:
        signals.append(_Signal("annual_report", 1.0, f"shape: {page_count} pages"))
    if page_count is not None and page_count <= _SHORT and len(head) > _SLIDE_CHARS:
        signals.append(_Signal("press_release", 0.5, f"shape: {page_count} pages of text"))
    return signals


def _decide(signals: list[_Signal], year: int | None) -> Classification:
    weights: dict[DocumentType, float] = {}
    for signal in signals:
        weights[signal.document_type] = weights.get(signal.document_type, 0.0) + signal.weight
    if not weights:
        reason = ("nothing in the address, the link or the text tells",)
        return Classification(document_type="other", confidence=0.2, reasons=reason, fiscal_year=year)
    best = max(weights, key=lambda kind: weights[kind])
    confidence = weights[best] / (sum(weights.values()) + _DOUBT)
    reasons = sorted((s for s in signals if s.document_type == best), key=lambda s: -s.weight)
    against = [f"against it, {s.reason} ({s.document_type})" for s in signals if s.document_type != best]
    return Classification(
        document_type=best,
        confidence=round(min(confidence, _MOST), 2),
        reasons=tuple(dict.fromkeys((*(s.reason for s in reasons), *against))),
        fiscal_year=year,
    )


_REPORT_YEAR_WORDS: Final = r"FYR?|AR|GB|annual\s?report|gesch(?:ä|ae)ftsbericht|rapport\s?annuel|form\s?10-?k"
_YEAR_REPORT_WORDS: Final = r"annual|AR\b|10-?K|gesch(?:ä|ae)ftsbericht|rapport|form|full[- ]year|results"
_NAMED_YEAR: Final = tuple(
    re.compile(words, re.IGNORECASE)
    for words in (
        rf"(?:{_REPORT_YEAR_WORDS})[\s'_-]*(?P<year>(?:19|20)\d\d)(?!\d)",
        rf"(?<!\d)(?P<year>(?:19|20)\d\d)[\s_-]*(?:{_YEAR_REPORT_WORDS})",
        r"\b(?:FYR?|AR)[\s'_-]?(?P<short>\d\d)(?!\d)",
        r"\b[1-4]Q[\s'_-]?(?P<short>\d\d)(?!\d)",
        r"\bQ[1-4][\s'_-](?:FY)?[\s'_-]?(?P<short>\d\d)(?!\d)",
    )
)
_ANY_YEAR: Final = r"(?<!\d)(?P<year>(?:19[89]|20[0-4])\d)(?!\d)"
_YEAR_OF_NO_DATE: Final = re.compile(_ANY_YEAR + r"(?![-_./](?:0\d|1[0-2])(?!\d))")
_PLAIN_YEAR: Final = re.compile(_ANY_YEAR)


def fiscal_year(filename: str, link_text: str = "", folder: str = "", head: str = "", context: str = "") -> int | None:
    """The year in which the reported fiscal year ends; None when no text names one.

    The cover's period end comes first, then a year beside "annual report" or "FY", then any year in the file
    name or link, last in the folders, which often name the year of the upload.
    """
    end = fiscal_year_end(head) if head else None
    if end is not None and end.year in _YEARS:
        return end.year
    texts = [words_of(filename), words_of(link_text)]
    first_lines = " ".join(head[:600].split())
    for text in (*texts, first_lines, words_of(context)):
        for pattern in _NAMED_YEAR:
            match = pattern.search(text)
            if match:
                return _year_of(match)
    for pattern in (_YEAR_OF_NO_DATE, _PLAIN_YEAR):
        for text in (filename, link_text, context, folder):
            match = pattern.search(text)
            if match:
                return int(match["year"])
    found = [m.year for m in mentions(first_lines) if m.year in _YEARS]
    return found[0] if found else None


def _year_of(match: re.Match[str]) -> int:
    parts = match.groupdict()
    if parts.get("year"):
        return int(parts["year"])
    short = int(parts.get("short") or 0)
    return 2000 + short if short < 80 else 1900 + short  # noqa: PLR2004 - two-digit years of this and the last century
