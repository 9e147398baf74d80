"""One document, read into the signals that the rules judge."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import TypeAdapter
from selectolax.lexbor import LexborHTMLParser

from consumers.audit import authorship, directives, links, outline, structured
from consumers.audit.article import article_text
from consumers.audit.charset import PRESCAN_BYTES, Charset, declared_in_markup, decode
from consumers.audit.document import MAX_BODY, Document, Headers, Hop, Rendered
from consumers.audit.dom import attribute, snippet, squeeze, text_of
from consumers.audit.dummy_text import dummy_text
from consumers.audit.prose import Reading, prose_of, read_blocks
from consumers.audit.signals import (
    Alternate,
    Authorship,
    Canonical,
    Control,
    Directive,
    Form,
    Heading,
    Image,
    Link,
    MarkupBlock,
    Meta,
    Prose,
    Refresh,
    Resource,
)
from consumers.audit.words import count_words, language_of, primary
from consumers.contacts.numbers import shown_numbers
from consumers.net import urls

_HTML_TYPES: Final = frozenset(("text/html", "application/xhtml+xml"))
_LOOKS_HTML: Final = re.compile(rb"<!doctype html|<html|<head|<body|<title|<h1|<p[\s>]|<div|<a\s", re.IGNORECASE)
_MAGIC: Final = (
    (b"%PDF-", "a PDF"), (b"\x89PNG\r\n", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"GIF8", "a GIF image"),
    (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "gzip data"), (b'{"', "JSON"), (b"[{", "JSON"),
)  # fmt: skip
_DOCTYPE: Final = re.compile(r"^(?:\s|<!--.*?-->|<\?xml[^>]*>)*<!doctype\s+([^>]*)>", re.IGNORECASE | re.DOTALL)
_QUIRKY: Final = re.compile(
    r"html\s+public\s+[\"'](?:-//(?:ietf|w3c//dtd html (?:2|3|4\.0)|netscape|microsoft)|$)|"
    r"html 4\.01 (?:frameset|transitional)//(?!.*http)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Signals of one document. Everything in it goes to JSON and back (`to_json`, `from_json`).

    Attributes:
        headers: None when they are not known.
        content_type: ``type/subtype`` in lower case, of the header; empty when there is none.
        is_html: By header, else by content.
        lang: As written on the html element; None when it is missing.
        language: Of the text, as recognised; empty when unsure.
        titles: Title elements in head.
        canonicals: From head, body and Link headers, in this order.
        base: What relative references start from.
        anchors: Ids and names that a fragment can point at.
        head_breaker: Start tag that ended head early while more head elements followed.
        visible_words: Of the whole body, navigation included.
        visible_chars: As `visible_words`.
        open_graph: By property; the first value.
        sniffed: What the first bytes say that the body is, when they say so; empty for HTML.
        rendered: What a browser made of it. Signals are then read from that, unless its scripts led elsewhere; what
            the answer alone says stays as it was sent: charset, doctype, size, robots meta elements.
        static_words: Words of the main text before scripts ran; None when it was not rendered.
        rendered_words: The same after they ran.
    """

    url: str
    requested_url: str
    status: int
    failure: str = ""
    redirects: tuple[Hop, ...] = ()
    headers: Headers | None = None
    ttfb_ms: float | None = None
    size_bytes: int = 0
    content_type: str = ""
    is_html: bool = False
    looks_html: bool = False
    sniffed: str = ""
    charset: Charset | None = None
    charset_in_prescan: bool = False
    doctype: str | None = None
    is_quirks: bool = False
    lang: str | None = None
    language: str = ""
    base: str = ""
    titles: tuple[str, ...] = ()
    metas: tuple[Meta, ...] = ()
    directives: tuple[Directive, ...] = ()
    refreshes: tuple[Refresh, ...] = ()
    canonicals: tuple[Canonical, ...] = ()
    alternates: tuple[Alternate, ...] = ()
    series: tuple[tuple[str, str], ...] = ()
    headings: tuple[Heading, ...] = ()
    links: tuple[Link, ...] = ()
    images: tuple[Image, ...] = ()
    pictures_without_img: tuple[str, ...] = ()
    resources: tuple[Resource, ...] = ()
    forms: tuple[Form, ...] = ()
    controls: tuple[Control, ...] = ()
    markup: tuple[MarkupBlock, ...] = ()
    open_graph: dict[str, str] = field(default_factory=dict)
    repeated_ids: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    elements: int = 0
    depth: int = 0
    has_main: bool = False
    head_breaker: str = ""
    visible_words: int = 0
    visible_chars: int = 0
    visible_text: str = ""
    prose: Prose = field(default_factory=Prose)
    hidden_from_snippets: bool = False
    authorship: Authorship = field(default_factory=Authorship)
    unlinked_phones: tuple[str, ...] = ()
    csp_in_meta: str = ""
    placeholders: tuple[str, ...] = ()
    rendered: Rendered | None = None
    static_words: int | None = None
    rendered_words: int | None = None

    def header(self, name: str) -> str | None:
        """The first header of that name; None when there is none or headers are not known."""
        return next((value for key, value in self.headers or () if key == name), None)

    def all_headers(self, name: str) -> list[str]:
        """Every header of that name."""
        return [value for key, value in self.headers or () if key == name]

    def meta(self, *keys: str) -> list[Meta]:
        """Meta elements by name, property or http-equiv."""
        return [one for one in self.metas if one.key in keys]

    @property
    def title(self) -> str:
        """The first title that says something."""
        return next((one for one in self.titles if one), "")

    @property
    def description(self) -> str:
        """The first meta description that says something."""
        return next((one.content for one in self.meta("description") if one.content), "")

    @property
    def h1(self) -> str:
        """The first h1 that says something."""
        return next((one.text for one in self.headings if one.level == 1 and one.text), "")

    @property
    def is_ok(self) -> bool:
        """Whether it answered 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004

    @property
    def is_noindex(self) -> bool:
        """Whether a search engine is told to leave it out."""
        return bool(directives.said(self.directives, "noindex", "none"))

    @property
    def canonical(self) -> str | None:
        """The canonical URL, when the page names exactly one."""
        targets = {one.url for one in self.canonicals if one.url and one.source != "body"}
        return targets.pop() if len(targets) == 1 else None

    @property
    def is_indexable(self) -> bool:
        """Whether it is HTML that answered 2xx, is not noindex and names no other page as canonical."""
        canonical = self.canonical
        return (
            self.is_ok
            and self.is_html
            and not self.is_noindex
            and (canonical is None or same_page(canonical, self.url))
        )

    @property
    def locale(self) -> str:
        """Primary language: as declared, else as recognised."""
        return primary(self.lang) or self.language

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """Top-level items of all structured data."""
        return [node for block in self.markup for node in block.nodes]


_ADAPTER: Final = TypeAdapter(Page)


def to_json(page: Page) -> bytes:
    """A page as JSON."""
    return _ADAPTER.dump_json(page)


def from_json(data: bytes | str) -> Page:
    """What `to_json` wrote.

    Raises:
        pydantic.ValidationError: It is something else.
    """
    return _ADAPTER.validate_json(data)


def from_dict(data: Mapping[str, Any]) -> Page:
    """What `to_json` wrote, as read by a JSON reader.

    Raises:
        pydantic.ValidationError: It is something else.
    """
    return _ADAPTER.validate_python(data)


def same_page(left: str, right: str) -> bool:
    """Whether two absolute URLs are one, fragments aside."""
    return left == right or (urls.normalise(left) or left) == (urls.normalise(right) or right)


def read_page(document: Document) -> Page:
    """Read a document. Never fails: what cannot be read has no signals.

    Takes a few milliseconds; an article some ten more.
    """
    url = urls.normalise(document.url) or document.url
    header = dict(reversed(document.headers or ()))
    content_type = header.get("content-type", "").split(";")[0].strip().lower()
    looks_html = _LOOKS_HTML.search(document.body[:4096]) is not None
    is_html = content_type in _HTML_TYPES if content_type else looks_html
    page = Page(
        url=url,
        requested_url=document.requested_url or url,
        status=document.status,
        failure=document.failure,
        redirects=document.redirects,
        headers=document.headers,
        ttfb_ms=document.ttfb_ms,
        size_bytes=len(document.body),
        content_type=content_type,
        is_html=is_html,
        looks_html=looks_html,
        sniffed=next((kind for mark, kind in _MAGIC if document.body.startswith(mark)), ""),
        rendered=document.rendered,
        directives=tuple(directives.header_directives(v for k, v in document.headers or () if k == "x-robots-tag")),
        base=url,
    )
    if not is_html or not document.body:
        return replace(page, canonicals=tuple(_canonicals(None, page)))
    html, charset = decode(document.body[:MAX_BODY], header.get("content-type"))
    return _with_html(page, html, charset, document)


def _with_html(page: Page, sent: str, charset: Charset, document: Document) -> Page:
    html, static_words, rendered_words = sent, None, None
    sent_directives: tuple[Directive, ...] = ()
    if (rendered := document.rendered) is not None:
        static_words, rendered_words = _main_words(sent, page.url), _main_words(rendered.html, rendered.url)
        if same_page(rendered.url.partition("#")[0], page.url):
            html = rendered.html
            sent_directives = _meta_directives(outline.metas(LexborHTMLParser(sent)))
            page = replace(page, directives=page.directives + sent_directives)
    tree = LexborHTMLParser(html)
    base = outline.base(tree, page.url)
    page = replace(page, base=base)
    metas = tuple(outline.metas(tree))
    reading = read_blocks(tree)
    markup = structured.read_markup(tree, base)
    open_graph: dict[str, str] = {}
    for meta in metas:
        if meta.key.startswith(("og:", "article:", "twitter:")):
            open_graph.setdefault(meta.key, meta.content)
    body = tree.body
    visible = text_of(body) if body is not None else ""
    written = authorship.read_authorship(tree, markup, open_graph, metas, reading)
    prose = prose_of(reading, base, article_text(html) or None if written.is_article else None)
    elements, depth, ids = outline.shape(tree.root)
    doctype = _DOCTYPE.match(sent[:4096].lstrip("\ufeff"))
    html_node = tree.css_first("html")
    return replace(
        page,
        charset=charset,
        charset_in_prescan=declared_in_markup(document.body[:PRESCAN_BYTES]) is not None,
        doctype=squeeze(doctype[1]) if doctype else None,
        is_quirks=doctype is None or _QUIRKY.search(doctype[1]) is not None,
        lang=attribute(html_node, "lang") if html_node is not None else None,
        language=language_of(prose.text if prose.words > 30 else visible),  # noqa: PLR2004 - too short to tell
        titles=tuple(outline.titles(tree)),
        metas=metas,
        directives=page.directives + tuple(one for one in _meta_directives(metas) if one not in sent_directives),
        refreshes=tuple(_refreshes(metas, page)),
        canonicals=tuple(_canonicals(tree, page)),
        alternates=tuple(_alternates(tree, page)),
        series=tuple(
            (rel, resolved)
            for node in tree.css("link[rel][href], a[rel][href]")
            for rel in (attribute(node, "rel") or "").lower().split()
            if rel in {"next", "prev", "previous"} and node.tag == "link"
            if (resolved := urls.resolve(base, attribute(node, "href") or ""))
        ),
        headings=tuple(outline.headings(tree)),
        links=tuple(links.read_links(tree, page.url, base, reading.anchors)),
        images=tuple(links.read_images(tree, base)),
        pictures_without_img=tuple(snippet(one) for one in tree.css("picture") if one.css_first("img") is None),
        resources=tuple(links.read_resources(tree, base)),
        forms=tuple(links.read_forms(tree, base, page.url)),
        controls=tuple(links.read_controls(tree)),
        markup=markup,
        open_graph=open_graph,
        repeated_ids=tuple(name for name, count in Counter(ids).items() if count > 1),
        anchors=tuple({*ids, *(attribute(one, "name") or "" for one in tree.css("a[name]"))} - {""}),
        elements=elements,
        depth=depth,
        has_main=tree.css_first("main, [role=main]") is not None,
        head_breaker=outline.head_breaker(sent, tree if html is sent else LexborHTMLParser(sent)),
        visible_words=count_words(visible),
        visible_chars=len(visible),
        visible_text=visible[:200_000],
        prose=prose,
        hidden_from_snippets=_is_kept_from_snippets(tree, reading),
        authorship=written,
        unlinked_phones=tuple(_unlinked_phones(tree, visible)),
        csp_in_meta=next((one.content for one in metas if one.key == "content-security-policy"), ""),
        placeholders=tuple(_placeholders(tree, visible)),
        static_words=static_words,
        rendered_words=rendered_words,
    )


def _meta_directives(metas: Iterable[Meta]) -> tuple[Directive, ...]:
    return tuple(
        one
        for meta in metas
        if meta.key in directives.AGENTS
        for one in directives.meta_directives(meta.key, meta.content)
    )


def _refreshes(metas: tuple[Meta, ...], page: Page) -> list[Refresh]:
    found = [directives.refresh_of(one.content, page.base, "meta") for one in metas if one.key == "refresh"]
    found += [directives.refresh_of(one, page.base, "header") for one in page.all_headers("refresh")]
    return [one for one in found if one is not None]


def _canonicals(tree: LexborHTMLParser | None, page: Page) -> list[Canonical]:
    found: list[Canonical] = []
    if tree is not None:
        head = tree.head
        inside = {one.mem_id for one in head.css("link")} if head is not None else set()
        for node in tree.css("link[rel]"):
            if "canonical" in (attribute(node, "rel") or "").lower().split():
                href = (attribute(node, "href") or "").strip()
                target = urls.resolve(page.base, href) if href else None
                found.append(Canonical(href, target, "head" if node.mem_id in inside else "body"))
        found.sort(key=lambda one: one.source != "head")
    for target, parameters in directives.link_headers(page.all_headers("link")):
        if "canonical" in parameters.get("rel", "").lower().split():
            found.append(Canonical(target, urls.resolve(page.url, target), "header"))
    return found


def _alternates(tree: LexborHTMLParser, page: Page) -> list[Alternate]:
    found: list[Alternate] = []
    for node in tree.css("link[hreflang]"):
        if "alternate" in (attribute(node, "rel") or "").lower().split():
            href = attribute(node, "href") or ""
            target = urls.resolve(page.base, href) if href.strip() else None
            found.append(Alternate(attribute(node, "hreflang") or "", href, target, "html"))
    for target, parameters in directives.link_headers(page.all_headers("link")):
        if "alternate" in parameters.get("rel", "").lower().split() and "hreflang" in parameters:
            found.append(Alternate(parameters["hreflang"], target, urls.resolve(page.url, target), "header"))
    return found


def _is_kept_from_snippets(tree: LexborHTMLParser, reading: Reading) -> bool:
    """Whether data-nosnippet covers more than half of the main text."""
    marked = [
        one for one in tree.css("[data-nosnippet]") if one.tag in {"div", "span", "section", "main", "article", "body"}
    ]
    total = sum(len(one.text) for one in reading.kept())
    return bool(marked) and total > 0 and max(len(text_of(one)) for one in marked) > total / 2


def _unlinked_phones(tree: LexborHTMLParser, visible: str) -> list[str]:
    shown = shown_numbers(visible)
    if not shown:
        return []
    linked = {re.sub(r"\D", "", attribute(one, "href") or "")[-7:] for one in tree.css('a[href^="tel:" i]')}
    return [one for one in shown if re.sub(r"\D", "", one)[-7:] not in linked][:20]


def _placeholders(tree: LexborHTMLParser, visible: str) -> list[str]:
    """Dummy text among what is shown; what stands in code samples is meant."""
    found = dummy_text(visible)
    samples = " ".join(one.text(deep=True) for one in tree.css("code, pre, kbd, samp")) if found else ""
    return [one for one in found if one not in squeeze(samples)][:10]


def _main_words(html: str, url: str) -> int:
    return prose_of(read_blocks(LexborHTMLParser(html)), url).words
