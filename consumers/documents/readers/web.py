"""HTML: the main text, without navigation and other furniture, headings kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from consumers.documents.limits import ReadLimits
from consumers.documents.readers.plain import decode
from consumers.documents.text import Block, DocumentText, TextBuilder, table_text

MIN_SHARE: Final = 0.15
"""When less of a page's words is taken for main text, all of its text is."""

_CHARSET: Final = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([a-zA-Z0-9_:.-]+)", re.IGNORECASE)
_FURNITURE: Final = "script, style, noscript, template, nav, svg, iframe, object, form"
_BLOCKS: Final = frozenset({"p", "li", "pre", "blockquote", "dd", "dt", "figcaption", "caption", "address"})
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})


def read_html(data: bytes, limits: ReadLimits) -> DocumentText:
    """The main text of a page."""
    from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415 - slow to import, and used here alone

    text = _decoded(data)
    tree = LexborHTMLParser(text)
    title = tree.css_first("title")
    language = tree.css_first("html")
    for furniture in tree.css(_FURNITURE):
        furniture.decompose()
    everything = tree.body.text(separator=" ") if tree.body is not None else ""
    blocks = list(_main_blocks(text))
    if sum(len(block.text.split()) for block in blocks) < MIN_SHARE * len(everything.split()):
        blocks = list(_all_blocks(tree.body)) if tree.body is not None else []
    builder = TextBuilder(limits.max_chars)
    builder.add_all(blocks)
    said = (language.attributes.get("lang") or "")[:2].lower() if language is not None else ""
    return builder.done(title=title.text() if title is not None else None, language=said or None)


def _decoded(data: bytes) -> str:
    named = _CHARSET.search(data[:4_096])
    if named and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode(named[1].decode("ascii"), errors="replace")
        except LookupError:
            pass
    return decode(data)


def _main_blocks(text: str) -> Iterator[Block]:
    from trafilatura import bare_extraction  # noqa: PLC0415 - an extra, and slow to import

    try:
        found: Any = bare_extraction(
            text, include_comments=False, include_tables=True, include_images=False, include_links=False,
            favor_recall=True, with_metadata=False,
        )  # fmt: skip
    except Exception:  # noqa: BLE001 - lxml gives up on some pages; then all of the text is taken
        return
    if found is None or found.body is None:
        return
    for element in found.body.iter("head", "p", "item", "quote", "code", "table", "ab"):
        if any(parent.tag in {"table", "item", "quote"} for parent in element.iterancestors()):
            continue
        if element.tag == "table":
            rows = ([_text_of(cell) for cell in row.iter("cell")] for row in element.iter("row"))
            yield Block(table_text(rows), "table")
        elif element.tag == "head":
            level = re.sub(r"\D", "", element.get("rend", "")) or "2"
            yield Block(_text_of(element), "heading", level=int(level))
        else:
            yield Block(_text_of(element))


def _text_of(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def _all_blocks(body: Any) -> Iterator[Block]:
    for node in body.css("h1, h2, h3, h4, h5, h6, p, li, pre, blockquote, dd, dt, figcaption, address, table"):
        parent = node.parent
        while parent is not None and parent.tag not in _BLOCKS and parent.tag != "table":
            parent = parent.parent
        if parent is not None:
            continue
        if node.tag in _HEADINGS:
            yield Block(node.text(separator=" "), "heading", level=int(node.tag[1]))
        elif node.tag == "table":
            rows = ([cell.text(separator=" ") for cell in row.css("td, th")] for row in node.css("tr"))
            yield Block(table_text(rows), "table")
        else:
            yield Block(node.text(separator=" "))
