"""How a document is built: its head, its headings, its ids and how deep it is nested."""

from __future__ import annotations

import re
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from consumers.audit.dom import attribute, is_hidden_from_all, name_of, snippet, squeeze, text_of
from consumers.audit.signals import Heading, Meta
from consumers.net import urls

_TAG: Final = re.compile(
    r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>|<!--.*?-->|<![^>]*>|<\?[^>]*>", re.DOTALL
)
_HEAD_TAGS: Final = frozenset(("base", "link", "meta", "noscript", "script", "style", "template", "title"))
_RAW_TEXT: Final = frozenset(("script", "style", "title", "noscript", "template"))


def base(tree: LexborHTMLParser, url: str) -> str:
    """What relative references start from."""
    node = tree.css_first("base[href]")
    return (urls.resolve(url, attribute(node, "href") or "") or url) if node is not None else url


def metas(tree: LexborHTMLParser) -> list[Meta]:
    """Every meta element that has a name."""
    head = tree.head
    inside = {one.mem_id for one in head.css("meta")} if head is not None else set()
    found = []
    for node in tree.css("meta"):
        attributes = node.attributes
        key = attributes.get("name") or attributes.get("property") or attributes.get("http-equiv")
        if key:
            found.append(Meta(key.strip().lower(), squeeze(attributes.get("content") or ""), node.mem_id in inside))
    return found


def titles(tree: LexborHTMLParser) -> list[str]:
    """Title elements in head, in order; blank ones too."""
    head = tree.head
    return [squeeze(one.text(deep=True)) for one in head.iter() if one.tag == "title"] if head is not None else []


def headings(tree: LexborHTMLParser) -> list[Heading]:
    """Headings that are shown, by element or role."""
    found = []
    for node in tree.css("h1, h2, h3, h4, h5, h6, [role=heading]"):
        if is_hidden_from_all(node):
            continue
        tag = node.tag or ""
        level = int(tag[1]) if re.fullmatch("h[1-6]", tag) else _number(attribute(node, "aria-level"), 2)
        if attribute(node, "role") in {"presentation", "none"}:
            continue
        found.append(Heading(level, text_of(node, with_alt=True)[:500], name_of(node, tree)[:500], snippet(node)))
    return found


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.strip().isdigit() else default


def shape(root: LexborNode | None) -> tuple[int, int, list[str]]:
    """Elements, deepest nesting, and every id in document order."""
    elements, deepest, ids = 0, 0, []
    stack = [(root, 1)] if root is not None else []
    while stack:
        node, depth = stack.pop()
        elements += 1
        deepest = max(deepest, depth)
        if identifier := node.id:
            ids.append(identifier)
        child = node.last_child
        while child is not None:
            if child.is_element_node:
                stack.append((child, depth + 1))
            child = child.prev
    return elements, deepest, ids


def head_breaker(html: str, tree: LexborHTMLParser) -> str:
    """The start tag that ended head early, when the parser moved head elements into body because of it."""
    body = tree.body
    if body is None or not any(
        one.tag in {"title", "meta", "base"} or (one.tag == "link" and _belongs_in_head(one))
        for one in body.iter()
        if one.is_element_node and attribute(one, "itemprop") is None
    ):
        return ""
    position = 0
    while found := _TAG.search(html, position):
        position = found.end()
        name = (found[2] or "").lower()
        if not name or name in {"html", "head"}:
            if found[1] and name == "head":
                return ""
            continue
        if name == "body":
            return ""
        if found[1]:
            continue
        if name not in _HEAD_TAGS:
            return squeeze(found[0])[:200]
        if name in _RAW_TEXT:
            end = re.compile(rf"</{name}\s*>", re.IGNORECASE).search(html, position)
            position = end.end() if end else len(html)
    return ""


def _belongs_in_head(node: LexborNode) -> bool:
    rel = set((attribute(node, "rel") or "").lower().split())
    return not rel.isdisjoint({"canonical", "alternate", "next", "prev", "icon", "amphtml"})
