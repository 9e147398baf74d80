"""Reading a parsed document: text as a reader sees it, names as assistive technology computes them, snippets.

Sources: Accessible Name and Description Computation 1.2 (the parts that need no layout); the rendering section of
the HTML Standard for what is shown.
"""

from __future__ import annotations

import re
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

SNIPPET_CHARS: Final = 200
NEVER_SHOWN: Final = frozenset(
    ("script", "style", "noscript", "template", "head", "title", "meta", "link", "datalist", "object", "iframe", "svg",
     "canvas", "audio", "video", "math", "-comment")
)  # fmt: skip
BLOCKS: Final = frozenset(
    ("address", "article", "aside", "blockquote", "body", "br", "button", "caption", "center", "dd", "details",
    "dialog",
     "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
     "header", "hr", "hgroup", "img", "input", "label", "legend", "li", "main", "menu", "nav", "ol", "option", "p",
     "pre", "section", "select", "summary", "table", "tbody", "td", "textarea", "tfoot", "th", "thead", "tr", "ul")
)  # fmt: skip
_HIDING_STYLE: Final = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_MAX_DEPTH: Final = 250


def squeeze(text: str) -> str:
    """White space runs become one space, ends are cut."""
    return " ".join(text.split())


def attribute(node: LexborNode, name: str) -> str | None:
    """An attribute's value; empty when it is there without one, None when it is not there."""
    attributes = node.attributes
    if name not in attributes:
        return None
    return attributes[name] or ""


def snippet(node: LexborNode) -> str:
    """The element's start tag, shortened: enough to find it in the source."""
    parts = [f"<{node.tag}"]
    for name, value in node.attributes.items():
        parts.append(f' {name}="{(value or "")[:100]}"' if value is not None else f" {name}")
    text = "".join(parts) + ">"
    return text if len(text) <= SNIPPET_CHARS else text[: SNIPPET_CHARS - 1] + "…"


def is_hidden(node: LexborNode) -> bool:
    """Whether markup alone says that the element is not rendered; style sheets are not read."""
    attributes = node.attributes
    if "hidden" in attributes:
        return True
    style = attributes.get("style")
    return bool(style) and _HIDING_STYLE.search(style or "") is not None


def is_hidden_from_all(node: LexborNode, known: dict[int, bool] | None = None) -> bool:
    """Whether it or an ancestor is not rendered or is taken out of the accessibility tree.

    Args:
        known: What earlier calls for the same tree found, by `mem_id`; neighbours share their ancestors.
    """
    current: LexborNode | None = node
    found, passed = False, []
    while current is not None and current.is_element_node:
        if known is not None and (before := known.get(current.mem_id)) is not None:
            found = before
            break
        passed.append(current.mem_id)
        if is_hidden(current) or current.attributes.get("aria-hidden") == "true" or current.tag == "template":
            found = True
            break
        current = current.parent
    if known is not None:
        known.update(dict.fromkeys(passed, found))
    return found


def text_of(node: LexborNode, *, with_alt: bool = False) -> str:
    """Shown text of an element on one line.

    Args:
        with_alt: Let the alt text of images stand for them.
    """
    pieces: list[str] = []
    _collect(node, pieces, with_alt=with_alt, depth=0)
    return squeeze("".join(pieces))


def _collect(node: LexborNode, pieces: list[str], *, with_alt: bool, depth: int) -> None:
    if depth > _MAX_DEPTH:
        return
    child = node.first_child
    while child is not None:
        tag = child.tag
        if child.is_text_node:
            pieces.append(child.text_content or "")
        elif tag not in NEVER_SHOWN and not is_hidden(child):
            is_block = tag in BLOCKS
            if is_block:
                pieces.append(" ")
            if with_alt and tag == "img":
                pieces.append(child.attributes.get("alt") or "")
            _collect(child, pieces, with_alt=with_alt, depth=depth + 1)
            if is_block:
                pieces.append(" ")
        child = child.next


def name_of(node: LexborNode, tree: LexborHTMLParser, *, from_content: bool = True) -> str:
    """The accessible name of an element, by markup alone.

    Args:
        from_content: Whether its role takes its name from what it holds (links, buttons, headings do).
    """
    attributes = node.attributes
    if referred := attributes.get("aria-labelledby"):
        named = squeeze(" ".join(_referred_text(tree, one) for one in referred.split()))
        if named:
            return named
    if label := squeeze(attributes.get("aria-label") or ""):
        return label
    if node.tag in {"img", "area", "input"} and (alt := squeeze(attributes.get("alt") or "")):
        return alt
    if from_content and (content := _content_name(node, tree, 0)):
        return content
    return squeeze(attributes.get("title") or "")


def _content_name(node: LexborNode, tree: LexborHTMLParser, depth: int) -> str:
    pieces: list[str] = []
    child = node.first_child
    while child is not None and depth <= _MAX_DEPTH:
        tag = child.tag
        if child.is_text_node:
            pieces.append(child.text_content or "")
        elif child.is_element_node and tag not in {"script", "style", "template", "noscript"}:
            attributes = child.attributes
            if is_hidden(child) or attributes.get("aria-hidden") == "true":
                pass
            elif attributes.get("aria-labelledby") or attributes.get("aria-label"):
                pieces.append(f" {name_of(child, tree)} ")
            elif tag in {"img", "area"}:
                pieces.append(f" {attributes.get('alt') or attributes.get('title') or ''} ")
            elif tag == "svg":
                title = child.css_first("title")
                pieces.append(f" {title.text() if title is not None else ''} ")
            elif tag in {"object", "iframe"}:
                pieces.append(f" {attributes.get('title') or ''} ")
            else:
                edge = " " if tag in BLOCKS else ""
                pieces.append(f"{edge}{_content_name(child, tree, depth + 1) or attributes.get('title') or ''}{edge}")
                if not edge and pieces[-1] and child.next is not None:
                    pieces.append("")
        child = child.next
    return squeeze("".join(pieces))


def _referred_text(tree: LexborHTMLParser, identifier: str) -> str:
    if not re.fullmatch(r"[\w:.-]+", identifier):
        return ""
    target = tree.css_first(f'[id="{identifier}"]')
    if target is None:
        return ""
    return squeeze(target.attributes.get("aria-label") or "") or _content_name(target, tree, 0)
