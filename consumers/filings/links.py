"""What an HTML page links: documents that may be reports, and further pages of the same site worth reading.

Static links only: what a script adds to a page is not seen.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from selectolax.lexbor import LexborHTMLParser

from consumers.filings.classify import words_of
from consumers.filings.read_html import decode
from schemas.filings import DocumentFormat, FoundDocument

MAX_LINKS: Final = 5_000
"""Links of one page that are looked at."""

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
    """A page of the same site. Priority 2: says investors, reports or a year; 1: neutral; 0: unlikely."""

    url: str
    text: str
    priority: int


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
    nodes = tree.css("a[href], area[href], iframe[src], embed[src], object[data]")
    for node in nodes[:MAX_LINKS]:
        attributes = node.attributes
        target = _absolute(base, attributes.get("href") or attributes.get("src") or attributes.get("data") or "")
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
        elif node.tag in ("a", "area") and same_site(target, site or url) and _is_page(target):
            link = PageLink(target, text, _priority(target, text))
            if target not in pages or pages[target].priority < link.priority:
                pages[target] = link
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
