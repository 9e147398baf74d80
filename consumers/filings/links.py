"""What an HTML page links: documents that may be reports, and further pages of the same site worth reading.

Links of the page's own text: anchors, the choices of year filters, and addresses that scripts of the plainest kind
find in attributes. What a script adds to a page is seen when the page was rendered first.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlencode, urljoin, urlsplit, urlunsplit

from selectolax.lexbor import LexborHTMLParser

from consumers.filings.classify import words_of
from consumers.filings.read_html import decode
from schemas.filings import DocumentFormat, FoundDocument

MAX_LINKS: Final = 5_000
"""Links of one page that are looked at."""

MAX_SELECTS: Final = 20
MAX_CHOICES: Final = 100
"""Filters of a page, and choices of a filter, that are followed."""

_LIKELIEST: Final = 2
_TO_PAGES: Final = frozenset({"a", "area", "link"})
_DATA_ATTRIBUTES: Final = ("data-href", "data-url", "data-link", "data-file", "data-download", "data-pdf")
_LINKS: Final = "a, area[href], link[rel~=next], iframe[src], embed[src], object[data], [onclick], " + ", ".join(
    f"[{name}]" for name in _DATA_ATTRIBUTES
)
_SCRIPTED: Final = re.compile(
    r"(?:window\.open|(?:window\.|document\.)?location(?:\.href|\.assign|\.replace)?)\s*[=(]\s*['\"]([^'\"]+)['\"]"
)
_A_YEAR: Final = re.compile(r"(?:FY\s?)?(?:19|20)\d\d(?:[-/](?:\d\d|(?:19|20)\d\d))?")
_FURTHER: Final = re.compile(
    r"(?:next(?: page)?|older(?: (?:reports|posts|filings|entries))?|more(?: reports| results)?|load more|\d{1,3}"
    r"|weiter|nächste(?: seite)?|ältere.{0,12}|suivante?|page suivante|siguiente|página siguiente|(?=\W))"
    r"\s*[\u00bb\u203a>\u2192]*",
    re.IGNORECASE,
)
_NUMBERED: Final = re.compile(
    r"(?:[?&](?:p|pg|page|paged|seite|pagina|offset|start|from|year|jahr|annee|ano|fy)=[\w-]*"
    r"|/(?:page|seite|p)/?\d+/?|/(?:19|20)\d\d/?$)",
    re.IGNORECASE,
)
_TEXT: Final = 300
_URL: Final = 2_000
_REPORT_NAME: Final = re.compile(
    r"\b(?:10 ?[kq]|20 ?f|40 ?f|ixbrl|xbrl|esef|annual report|interim report"
    r"|gesch(?:ä|ae)ftsbericht|rapport annuel|informe anual)\b",
    re.IGNORECASE,
)
_HTML_SAID: Final = re.compile(r"\b(?:html|xhtml|ixbrl|esef|10-?[kq]|20-?f)\b", re.IGNORECASE)
_PDF_SAID: Final = re.compile(r"\bpdf\b", re.IGNORECASE)
_DOWNLOAD_PATH: Final = re.compile(r"/(?:static-files|download|dl|getmedia|asset|file)s?/", re.IGNORECASE)
_LIKELY: Final = re.compile(
    r"\binvestor|\bshareholder|\breport|\bfiling|\bfinancial|\bannual|\bresults?\b|\barchive|\bpublication"
    r"|\bdocuments?\b|\bdownload|\bSEC\b|\b10 ?k\b|\b(?:19|20)\d\d\b|\bnext\b|\bolder\b|\bpage\b"
    r"|\baktion(?:ä|ae)r|\banleger|\bberichte?\b|\bgesch(?:ä|ae)fts|\bfinanz"
    r"|\binvestisseur|\bactionnaire|\brapports?\b|\bfinanci[eè]re?|\binversor|\baccionista|\binformes?\b",
    re.IGNORECASE,
)
_UNLIKELY: Final = re.compile(
    r"\bcareers?\b|\bjobs?\b|\bproducts?\b|\bshop\b|\bstore\b|\bcart\b|\bbasket\b|\blog ?(?:in|out)\b"
    r"|\bsign ?(?:in|up)\b|\bprivacy|\bcookies?\b|\bterms\b|\blegal\b|\bcontact\b|\bsupport\b|\bsubscribe"
    r"|\bblog\b|\bvideos?\b|\bmedia ?kit|\bcalendar\b|\bshare ?price|\bstock ?(?:quote|chart)"
    r"|\bkarriere|\bkontakt|\bimpressum|\bdatenschutz|\bcarri[eè]res?\b|\bempleo|\bcontacto",
    re.IGNORECASE,
)
_NOT_PAGES: Final = frozenset(
    "7z avi bmp css csv doc docx eot epub exe gif gz ics ico jpeg jpg js json m4a mov mp3 mp4 mpg ods otf png ppt pptx "  # noqa: SIM905 - a list of 45 lines says no more
    "rss svg tar tif tiff ttf txt wav webm webp woff woff2 xls xlsx xml xsd zip".split()
)


@dataclass(frozen=True, slots=True)
class PageLink:
    """A page of the same site. Priority 2: says investors, reports or a year; 1: neutral; 0: unlikely.

    Attributes:
        is_next: A further page of the same list, or the same list of another year: no deeper than this one.
    """

    url: str
    text: str
    priority: int
    is_next: bool = False


@dataclass(frozen=True, slots=True)
class PageLinks:
    """The links of a page, without repeats, in printed order; pages the likeliest first."""

    documents: tuple[FoundDocument, ...]
    pages: tuple[PageLink, ...]
    truncated: bool = False


def find_links(html: bytes | str, url: str, site: str | None = None) -> PageLinks:
    """Sort the links of a page into documents and further pages.

    Documents may lie anywhere (reports are often kept on another host); pages only on the site.

    Args:
        html: The page; bytes are decoded as its head declares.
        url: The address it was read from, after redirects.
        site: The address the crawl began at; `url` when not given.
    """
    tree = LexborHTMLParser(html if isinstance(html, str) else decode(html))
    base = _base(tree, url)
    documents: dict[str, FoundDocument] = {}
    pages: dict[str, PageLink] = {}
    nodes = tree.css(_LINKS)
    for node in nodes[:MAX_LINKS]:
        attributes = node.attributes
        target = _absolute(base, _address(node))
        if target is None or target == url:
            continue
        text = _text(node) or (attributes.get("title") or attributes.get("aria-label") or "").strip()[:_TEXT]
        form = document_format(target, text, attributes.get("type") or "")
        if form is not None:
            known = documents.get(target)
            if known is None or (not known.link_text and text):
                context = _context(node, text)
                documents[target] = FoundDocument(
                    url=target, link_text=text, source_url=url, context=context, format=form
                )
        elif node.tag in _TO_PAGES and same_site(target, site or url) and _is_page(target):
            link = PageLink(target, text, _priority(target, text), _is_next(node, target, text, url))
            if target not in pages or pages[target].priority < link.priority:
                pages[target] = link
    for target in choices_of(tree, base):
        if target != url and same_site(target, site or url):
            pages.setdefault(target, PageLink(target, "", _LIKELIEST, is_next=True))
    ordered = tuple(sorted(pages.values(), key=lambda page: -page.priority))
    return PageLinks(tuple(documents.values()), ordered, truncated=len(nodes) > MAX_LINKS)


def document_format(url: str, link_text: str = "", content_type: str = "") -> DocumentFormat | None:
    """What kind of report an address may be; None when it looks like an ordinary page.

    An HTML page counts as a report only when its file name or its link says so (10-K, iXBRL, annual report with
    "HTML"): a page about reports is to be crawled, not read as one.
    """
    parts = urlsplit(url)
    path = unquote(parts.path).lower()
    extension = _extension(path)
    if extension == "pdf" or ".pdf" in unquote(parts.query).lower() or "application/pdf" in content_type:
        return "pdf"
    if extension in ("xhtml", "xht"):
        return "html"
    if extension in ("htm", "html"):
        named = _REPORT_NAME.search(words_of(path.rpartition("/")[2]))
        said = _HTML_SAID.search(link_text)
        edgar = "/archives/edgar/data/" in path
        return (
            "html"
            if (named and (said or re.search(r"10 ?[kq]|20 ?f|40 ?f|xbrl|esef", named[0], re.IGNORECASE))) or edgar
            else None
        )
    if extension in _NOT_PAGES:
        return None
    if _DOWNLOAD_PATH.search(path) and (_PDF_SAID.search(link_text) or _REPORT_NAME.search(words_of(link_text))):
        return "unknown"
    return "pdf" if re.search(r"\(\s*pdf\b|\bpdf\s*\)|\bpdf,?\s*\d", link_text, re.IGNORECASE) else None


def has_script(html: bytes) -> bool:
    """Whether a page has scripts, which may add links to it."""
    return b"<script" in html.lower()


def is_likely(url: str) -> bool:
    """Whether an address speaks of investors, reports or a year."""
    return _priority(url, "") == _LIKELIEST


def same_site(url: str, site: str) -> bool:
    """Whether an address is on the site: the same host and port, or a name under the same domain.

    "www." does not count, and a sub-domain of the site belongs to it; an IP address is only ever itself.
    """
    one, other = urlsplit(url), urlsplit(site)
    host, home = (one.hostname or "").removeprefix("www."), (other.hostname or "").removeprefix("www.")
    if not host or one.port != other.port:
        return False
    if host == home:
        return True
    return not _is_address(home) and "." in home and host.endswith("." + home)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def choices_of(tree: LexborHTMLParser, base: str) -> list[str]:
    """Where the choices of a page's year filters lead: forms that ask by GET, and lists of addresses."""
    found: dict[str, None] = {}
    for select in tree.css("select")[:MAX_SELECTS]:
        values = [option.attributes.get("value") or _text(option) for option in select.css("option")[:MAX_CHOICES]]
        places = [value for value in values if value.startswith(("/", "?", "http://", "https://"))]
        for value in places:
            if (target := _absolute(base, value)) is not None and document_format(target) is None:
                found[target] = None
        name, form = select.attributes.get("name"), _form_of(select)
        if places or not name or form is None or (form.attributes.get("method") or "get").strip().lower() != "get":
            continue
        action = _absolute(base, form.attributes.get("action") or base)
        if action is None:
            continue
        fixed = [
            (field.attributes.get("name") or "", field.attributes.get("value") or "")
            for field in form.css("input[type=hidden]")
            if field.attributes.get("name")
        ]
        for value in values:
            if _A_YEAR.fullmatch(value.strip()):
                asked = urlencode([*fixed, (name, value.strip())])
                found[f"{action.partition('?')[0]}?{asked}"] = None
    return list(found)


def _form_of(node: Any) -> Any | None:
    while node is not None and node.tag != "form":
        node = node.parent
    return node


def _address(node: Any) -> str:
    """Where a node leads: its link, or what a plain script reads from an attribute of it."""
    attributes = node.attributes
    href = attributes.get("href") or attributes.get("src") or attributes.get("data") or ""
    if href and not href.lower().startswith(("javascript:", "#")):
        return href
    for name in _DATA_ATTRIBUTES:
        if attributes.get(name):
            return str(attributes[name])
    for script in (href, attributes.get("onclick") or ""):
        if match := _SCRIPTED.search(unquote(script)):
            return match[1]
    return ""


def _is_next(node: Any, target: str, text: str, url: str) -> bool:
    """Whether a link leads on within a list: it says so, or differs from the page in a page number or a year only."""
    if "next" in (node.attributes.get("rel") or "").split():
        return True
    if _FURTHER.fullmatch(text.strip()):
        return True
    return target != url and _NUMBERED.sub("", target) == _NUMBERED.sub("", url)


def _base(tree: LexborHTMLParser, url: str) -> str:
    node = tree.css_first("base[href]")
    return _absolute(url, node.attributes.get("href") or "") or url if node is not None else url


def _absolute(base: str, href: str) -> str | None:
    """The address a link leads to, without its fragment; None for what is not http."""
    href = "".join(href.split("\n")).strip()
    if not href or href.startswith(("#", "javascript:", "mailto:", "tel:", "data:")):
        return None
    try:
        parts = urlsplit(urljoin(base, href))
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    path = (parts.path or "/").replace(" ", "%20")
    absolute = urlunsplit((parts.scheme, parts.netloc, path, parts.query.replace(" ", "%20"), ""))
    return absolute if len(absolute) <= _URL else None


def _text(node: Any) -> str:
    return " ".join((node.text(separator=" ") or "").split())[:_TEXT]


def _context(node: Any, text: str) -> str:
    """The words of the row, item or paragraph around a link, and the heading before it."""
    around = ""
    parent = node.parent
    while parent is not None and parent.tag in ("span", "strong", "em", "b", "td", "th", "div", "p"):
        around = _text(parent)
        if around != text or parent.tag in ("td", "th"):
            break
        parent = parent.parent
    if parent is not None and parent.tag in ("li", "tr", "dd", "article", "td", "th"):
        row = parent.parent if parent.tag in ("td", "th") and parent.parent is not None else parent
        around = _text(row)
    heading = _heading_before(parent or node)
    return " ".join(part for part in (heading, around if around != text else "") if part)[:_TEXT]


def _heading_before(node: Any) -> str:
    for _ in range(4):
        sibling = node.prev
        for _ in range(12):
            if sibling is None:
                break
            if sibling.tag in ("h1", "h2", "h3", "h4", "h5", "h6", "caption", "summary"):
                return _text(sibling)
            sibling = sibling.prev
        if node.parent is None:
            break
        node = node.parent
    return ""


def _is_page(url: str) -> bool:
    extension = _extension(urlsplit(url).path.lower())
    return extension not in _NOT_PAGES


def _extension(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2] if "." in name else ""


def _priority(url: str, text: str) -> int:
    parts = urlsplit(url)
    spoken = words_of(f"{unquote(parts.path)} {unquote(parts.query)}") + " " + text
    if _LIKELY.search(spoken):
        return 2
    return 0 if _UNLIKELY.search(spoken) else 1
