"""Who wrote a page and when: markup first, then meta elements, then what is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from consumers.audit.dom import attribute, is_hidden, text_of
from consumers.audit.prose import Reading
from consumers.audit.signals import Authorship, MarkupBlock, Meta
from consumers.audit.structured import text_value, types_of, values_of, walk
from consumers.audit.vocabulary import is_a
from consumers.audit.words import count_words

ARTICLE_WORDS: Final = 80
"""Words of a lone article element that make a page an article."""

_AUTHOR_METAS: Final = (
    "author",
    "article:author",
    "dc.creator",
    "dcterms.creator",
    "parsely-author",
    "sailthru.author",
    "byl",
)
_PUBLISHED_METAS: Final = (
    "article:published_time",
    "datepublished",
    "date",
    "dc.date",
    "dc.date.issued",
    "dcterms.created",
    "pubdate",
    "publish-date",
    "parsely-pub-date",
)
_MODIFIED_METAS: Final = (
    "article:modified_time",
    "og:updated_time",
    "datemodified",
    "last-modified",
    "dcterms.modified",
)
_BYLINE_CLASS: Final = re.compile(
    r"(?:^|[-_ ])(?:byline|author|writer|posted-by|entry-author|contributor|autor|auteur)(?:$|[-_ ])", re.IGNORECASE
)
_BYLINE_TEXT: Final = re.compile(
    r"^(?:(?:written|posted|published|reviewed|words|story|article|text)\s+)?(?:by|von|par|por|di|door|"
    r"av)\s*:?\s+[A-ZÀ-ÞЀ-Я][\w'\u2019.-]+|^(?:author|autor|auteur|autore|written by)\s*:\s*\S+",
    re.IGNORECASE,
)
_BYLINE_CASED: Final = re.compile(
    r"(?:^|\b)(?:[Bb]y|BY|[Vv]on|[Pp]ar|[Pp]or|[Dd]i|[Dd]oor|[Aa]v)\s*:?\s+[A-ZÀ-ÞА-Я][\w'\u2019.-]+(?:\s+(?:(?:[A-ZÀ-ÞА-Я]|de|van|von|der|la)[\w'\u2019.-]*)){0,4}"
)
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        ("jan january januar janvier enero", "feb february februar février fevrier febrero",
        "mar march märz mars marzo",
         "apr april avril abril", "may mai mayo", "jun june juni juin junio", "jul july juli juillet julio",
         "aug august août aout agosto", "sep sept september septembre septiembre",
         "oct october oktober octobre octubre okt",
         "nov november novembre noviembre", "dec december dezember décembre decembre diciembre dez"), 1,
    )
    for name in names.split()
}  # fmt: skip
_TOP_BLOCKS: Final = 6
_LINE_CHARS: Final = 120
_STATED: Final = re.compile(
    r"\b(?:published|posted|updated|modified|reviewed|written|date|last (?:update|change)|ver(?:ö|"
    r"oe)ffentlicht|aktualisiert|stand|publi[ée]|"
    r"mis à jour|publicado|actualizado|pubblicato|aggiornato|gepubliceerd|bijgewerkt)\b",
    re.IGNORECASE,
)
_ISO: Final = re.compile(r"\b((?:19|20)\d\d)-(\d{1,2})-(\d{1,2})(?:\b|T)")
_DAY_FIRST: Final = re.compile(
    r"\b(\d{1,2})(?:st|nd|rd|th|er|\.)?\s+(?:de\s+|of\s+)?([^\W\d_]{3,10})\.?,?\s+(?:de\s+)?((?:19|20)\d\d)\b"
)
_MONTH_FIRST: Final = re.compile(r"\b([^\W\d_]{3,10})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+((?:19|20)\d\d)\b")
_NUMERIC: Final = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./]((?:19|20)\d\d)\b")


def read_authorship(
    tree: LexborHTMLParser,
    markup: tuple[MarkupBlock, ...],
    open_graph: Mapping[str, str],
    metas: tuple[Meta, ...],
    reading: Reading,
) -> Authorship:
    """Whether the page is an article, by whom, of when."""
    articles = [
        node for block in markup for node in walk(block.nodes) if any(is_a(one, "Article") for one in types_of(node))
    ]
    why = _why_article(tree, articles, open_graph)
    authors = [text_value(one) for node in articles for name in ("author", "creator") for one in values_of(node, name)]
    authors += [one.content for one in metas if one.key in _AUTHOR_METAS and not one.content.startswith("http")]
    dates = [(found, "published") for node in articles for found in _isos(node, "datePublished")]
    dates += [(found, "modified") for node in articles for found in _isos(node, "dateModified")]
    for keys, kind in ((_PUBLISHED_METAS, "published"), (_MODIFIED_METAS, "modified")):
        dates += [(found, kind) for one in metas if one.key in keys and (found := iso_date(one.content))]
    dates += [(found, "visible") for found in _visible_dates(tree, reading)]
    return Authorship(
        bool(why),
        why,
        tuple(dict.fromkeys(one for one in authors if one)),
        _byline(tree, reading),
        tuple(dict.fromkeys(dates)),
    )


def iso_date(text: str) -> str | None:
    """The date that a text begins with or states, as ``YYYY-MM-DD``; None when it states none or an impossible one."""
    text = text.strip()
    if found := _ISO.search(text + "T"):
        return _valid(found[1], found[2], found[3])
    if (found := _DAY_FIRST.search(text)) and (month := _MONTHS.get(found[2].lower())):
        return _valid(found[3], month, found[1])
    if (found := _MONTH_FIRST.search(text)) and (month := _MONTHS.get(found[1].lower())):
        return _valid(found[3], month, found[2])
    if found := _NUMERIC.search(text):
        return _valid(found[3], found[2], found[1]) or _valid(found[3], found[1], found[2])
    if found := re.fullmatch(r"((?:19|20)\d\d)(\d\d)(\d\d)", text):
        return _valid(found[1], found[2], found[3])
    return None


def http_date(text: str | None) -> str | None:
    """An HTTP date as ``YYYY-MM-DD``; None when it is none."""
    try:
        return parsedate_to_datetime(text or "").astimezone(UTC).date().isoformat()
    except (TypeError, ValueError):
        return None


def today() -> date:
    """The date in UTC."""
    return datetime.now(UTC).date()


def _valid(year: str, month: str | int, day: str) -> str | None:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def _isos(node: dict[str, object], name: str) -> Iterator[str]:
    for one in values_of(node, name):
        if found := iso_date(text_value(one)):
            yield found


def _why_article(tree: LexborHTMLParser, articles: list[dict[str, object]], open_graph: Mapping[str, str]) -> str:
    if articles:
        return f"structured data of type {types_of(articles[0])[0]}"
    if open_graph.get("og:type", "").lower() == "article":
        return "og:type is article"
    if "article:published_time" in open_graph:
        return "article:published_time is set"
    elements = tree.css("article")
    is_page = any("type-page" in (attribute(one, "class") or "").split() for one in elements)  # as WordPress marks them
    if len(elements) == 1 and not is_page and count_words(text_of(elements[0])) >= ARTICLE_WORDS:
        return "one article element holds the text"
    return ""


def _byline(tree: LexborHTMLParser, reading: Reading) -> str:
    for node in tree.css(
        '[rel~="author"], [itemprop="author"], address[class*="author"], [class*="byline" i], [class*="author" i]'
    ):
        if node.tag in {"link", "meta", "body", "html", "article", "main"} or is_hidden(node):
            continue
        marked = attribute(node, "rel") is not None or attribute(node, "itemprop") is not None
        text = text_of(node)
        if text and len(text) < 200 and (marked or _BYLINE_CLASS.search(attribute(node, "class") or "")):  # noqa: PLR2004 - a line
            return text[:200]
    for block in reading.blocks[:40]:
        if len(block.text) < 160 and (found := (_BYLINE_TEXT.match(block.text) and _BYLINE_CASED.search(block.text))):  # noqa: PLR2004
            return found.group()[:200]
        if len(block.text) < 160 and re.match(r"(?:author|autor|auteur|written by)\s*:", block.text, re.IGNORECASE):  # noqa: PLR2004
            return block.text[:200]
    return ""


def _visible_dates(tree: LexborHTMLParser, reading: Reading) -> Iterator[str]:
    for node in tree.css("time"):
        if not _is_shown(node):
            continue
        if found := iso_date(attribute(node, "datetime") or "") or iso_date(text_of(node)):
            yield found
    for position, block in enumerate(reading.blocks):
        # A date in prose is what the text is about; one in a line at the top, or with a word for it, is the text's own.
        is_stated = position < _TOP_BLOCKS or _STATED.search(block.text) is not None
        if len(block.text) < _LINE_CHARS and is_stated and (found := iso_date(block.text)):
            yield found


def _is_shown(node: LexborNode) -> bool:
    return bool(text_of(node)) and not is_hidden(node)
