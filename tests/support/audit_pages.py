"""Invented pages for the rules: a page without a fault, and ways to break it."""

from __future__ import annotations

from datetime import date

from consumers.audit.document import Document, Headers, headers_of
from consumers.audit.page import Page, read_page
from consumers.audit.rules import Context, Verdict, audit_alone, audit_site
from consumers.audit.site import Probes, Site

TODAY = date(2026, 6, 1)
URL = "https://www.harbourlamps.example/guides/choosing-a-ship-lamp"
HOME = "https://www.harbourlamps.example/"
LOGO = "https://www.harbourlamps.example/logo.png"
SENTENCES = (
    "A brass ship lamp throws a warm light over a long table and asks for little care in return.",
    "We measure every lamp on the quay before it leaves, and the figures stand in the list below each model.",
    "Salt, steam and sun are hard on plain steel, which is why the fittings are cast in bronze.",
    "Most of our customers hang the lamp seventy centimetres above the table and never move it again.",
    "The glass is blown in a small works on the northern shore, where three families share one furnace.",
    "Cables come in cotton or in rubber, and both can be cut to length with ordinary kitchen scissors.",
)
QUESTION = (
    "<h2>How high should a ship lamp hang?</h2><p>A ship lamp should hang between sixty and seventy-five centimetres above the "
    "table, measured from the wood to the lower rim of the glass. At this height nobody looks into the bulb, the light still "
    "reaches both ends of a table for six, and tall guests do not touch the shade when they stand up.</p>"
)


def prose(words: int) -> str:
    """Paragraphs of about so many words, no two in a row alike."""
    paragraphs, count, at = [], 0, 0
    while count < words:
        chosen = [SENTENCES[(at + n) % len(SENTENCES)] for n in range(3)]
        paragraphs.append(f"<p>{' '.join(chosen)}</p>")
        count += sum(len(one.split()) for one in chosen)
        at += 1
    return "".join(paragraphs)


HEAD = f"""<meta charset="utf-8">
<title>Choosing a ship lamp for the table | Harbour Lamps</title>
<meta name="description" content="How to choose a ship lamp for a long table: the height to hang it at, the metal, the glass and the cable, with figures.">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="canonical" href="{URL}">
<link rel="icon" href="/favicon.ico">
<meta property="og:title" content="Choosing a ship lamp"><meta property="og:type" content="website">
<meta property="og:image" content="{LOGO}"><meta property="og:url" content="{URL}">
<meta name="twitter:card" content="summary_large_image">
<script type="application/ld+json">{{"@context": "https://schema.org", "@type": "BreadcrumbList",
"itemListElement": [{{"@type": "ListItem", "position": 1, "name": "Guides", "item": "{HOME}guides/"}}]}}</script>"""
BODY = f"""<header><nav><a href="/">Harbour Lamps</a> <a href="/guides/">All guides</a> <a href="/about">About us</a></nav></header>
<main><h1>Which ship lamp fits your table</h1>{QUESTION}{prose(260)}
<img src="/lamp.jpg" alt="A brass lamp above a table" width="640" height="480">
<p><a href="/guides/cables">Cables and how to cut them</a> and <a href="https://glassworks.example/furnaces">the furnace they use</a>.</p></main>
<footer><p>Harbour Lamps, Pier 4</p></footer>"""
SENT: Headers = headers_of(
    {
        "content-type": "text/html; charset=utf-8", "content-encoding": "br", "strict-transport-security": "max-age=31536000",
        "content-security-policy": "default-src 'self'; frame-ancestors 'none'", "x-content-type-options": "nosniff",
        "referrer-policy": "strict-origin-when-cross-origin", "permissions-policy": "camera=()", "server": "harbour",
    }
)  # fmt: skip


def doc(
    body: str = BODY, head: str = HEAD, *, url: str = URL, status: int = 200, lang: str | None = "en", sent: Headers | None = SENT,
    add: dict[str, str] | None = None, drop: tuple[str, ...] = (), whole: str | None = None, **more: object,
) -> Document:  # fmt: skip
    """A document; `add` and `drop` change its headers, `whole` is all of its HTML."""
    said = "" if lang is None else f' lang="{lang}"'
    html = whole if whole is not None else f"<!doctype html>\n<html{said}><head>{head}</head><body>{body}</body></html>"
    if sent is not None:
        gone = {*drop, *(add or {})}
        sent = tuple(one for one in sent if one[0] not in gone) + headers_of(add or {})
    return Document(url=url, status=status, headers=sent, body=html.encode(), **more)  # type: ignore[arg-type]


def swap(text: str, *changes: tuple[str, str]) -> str:
    """A text with pieces replaced, each of which must be there."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def in_main(piece: str) -> str:
    """The good body with a piece at the end of its main text."""
    return swap(BODY, ("</main>", f"{piece}</main>"))


def in_head(piece: str) -> str:
    """The good head with a piece at its end."""
    return HEAD + piece


def page_of(document: Document) -> Page:
    """Its signals."""
    return read_page(document)


def verdict(rule: str, document: Document, **context: object) -> Verdict:
    """What one rule says of a document alone."""
    said = audit_alone(read_page(document), Context(today=TODAY, **context))  # type: ignore[arg-type]
    return next(one for one in said if one.rule == rule)


def site_verdict(
    rule: str, *documents: Document, probes: Probes | None = None, start: str = HOME, complete: bool = True
) -> Verdict:
    """What one rule says of a site."""
    site = Site(start, map(read_page, documents), probes, is_complete=complete, on=TODAY)
    return next(one for one in audit_site(site) if one.rule == rule)


CLEAN_TEXT = SENTENCES[0]
