"""Structured data of a page: JSON-LD, microdata and RDFa, brought into one shape.

A node is a dict: ``@type`` a list of names without the vocabulary's address, every property a list of values, items
nested as nodes. Sources: JSON-LD 1.1 (inline contexts beyond schema.org are left alone), the microdata section of the
HTML Standard, RDFa Lite 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson
from selectolax.lexbor import LexborHTMLParser, LexborNode

from consumers.audit.dom import attribute, snippet, squeeze
from consumers.audit.signals import MarkupBlock
from consumers.net import urls

Node = dict[str, Any]
MAX_NODES: Final = 2_000
_MAX_DEPTH: Final = 24
_SCHEMA: Final = re.compile(r"^(?:https?://(?:www\.)?schema\.org/|schema:)", re.IGNORECASE)
_WRAPPER: Final = re.compile(
    r"^\s*(?:<!--|//\s*<!\[CDATA\[|<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/)|(?:-->|//\s*\]\]>|\]\]>|/\*\s*\]\]>\s*\*/)\s*;?\s*$"
)
_TEXT_ATTRIBUTES: Final = {
    "meta": "content", "audio": "src", "embed": "src", "iframe": "src", "img": "src", "source": "src", "track": "src",
    "video": "src", "a": "href", "area": "href", "link": "href", "object": "data", "data": "value", "meter": "value",
}  # fmt: skip
_URLS: Final = frozenset(("src", "href", "data"))


def read_markup(tree: LexborHTMLParser, base: str) -> tuple[MarkupBlock, ...]:
    """Every block of structured data in a document."""
    blocks: list[MarkupBlock] = []
    for script in tree.css('script[type*="ld+json" i]'):
        kind = (attribute(script, "type") or "").split(";")[0].strip().lower()
        if kind == "application/ld+json":
            blocks.append(_json_ld(script.text(deep=True), snippet(script)))
    blocks += [
        MarkupBlock("microdata", (_item(node, base, 0),), snippet=snippet(node))
        for node in tree.css("[itemscope]")
        if attribute(node, "itemprop") is None
    ]
    blocks += [
        MarkupBlock("rdfa", (_resource(node, base, 0),), snippet=snippet(node))
        for node in tree.css("[typeof]")
        if attribute(node, "property") is None and _is_schema_rdfa(node)
    ]
    return tuple(blocks)


def walk(nodes: Iterator[Node] | tuple[Node, ...] | list[Node]) -> Iterator[Node]:
    """Nodes and all that are nested in them."""
    stack = list(nodes)[::-1]
    seen = 0
    while stack and seen < MAX_NODES:
        node = stack.pop()
        seen += 1
        yield node
        for key, values in node.items():
            if not key.startswith("@") and isinstance(values, list):
                stack += [one for one in reversed(values) if isinstance(one, dict)]


def types_of(node: Node) -> list[str]:
    """Type names of a node."""
    return list(node.get("@type") or ())


def values_of(node: Node, name: str) -> list[Any]:
    """Values of a property that say something."""
    return [one for one in node.get(name) or () if one not in ("", None, {}, [])]


def text_value(value: object) -> str:
    """A value as text: a string, a number, or the name, value or identifier of an item."""
    if isinstance(value, dict):
        for key in ("name", "@value", "url", "@id"):
            if found := value.get(key):
                return text_value(found[0] if isinstance(found, list) else found)
        return ""
    return squeeze(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def first_text(node: Node, name: str) -> str:
    """The first value of a property, as text; empty when there is none."""
    for value in values_of(node, name):
        if text := text_value(value):
            return text
    return ""


def _json_ld(text: str, where: str) -> MarkupBlock:
    stripped = _WRAPPER.sub("", _WRAPPER.sub("", text)).strip()
    if not stripped:
        return MarkupBlock("json-ld", (), "it is empty", where)
    try:
        data = orjson.loads(stripped.encode("utf-8", "replace"))
    except orjson.JSONDecodeError as error:
        return MarkupBlock("json-ld", (), str(error), where)
    return MarkupBlock("json-ld", tuple(_top_level(data)), "", where)


def _top_level(data: object, context: object = None, depth: int = 0) -> Iterator[Node]:
    for one in data if isinstance(data, list) else [data]:
        if not isinstance(one, dict) or depth > _MAX_DEPTH:
            continue
        scope = one.get("@context", context)
        if "@graph" in one:
            yield from _top_level(one["@graph"], scope, depth + 1)
            if set(one) <= {"@context", "@graph", "@id"}:
                continue
        yield _node({key: value for key, value in one.items() if key != "@graph"}, 0, _vocabulary(scope))


def _vocabulary(context: object) -> str:
    """``schema`` when names without a prefix are schema.org's; ``other`` when a context says otherwise."""
    for one in context if isinstance(context, list) else [context]:
        if isinstance(one, str) and "schema.org" in one.lower():
            return "schema"
        if isinstance(one, dict) and "schema.org" in str(one.get("@vocab", "")).lower():
            return "schema"
    return "other" if context else "none"


def _node(data: dict[str, Any], depth: int, vocabulary: str) -> Node:
    node: Node = {"@vocabulary": vocabulary} if depth == 0 else {}
    for key, value in data.items():
        if key == "@type":
            node["@type"] = [
                _name(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)
            ]
        elif key in {"@id", "@value", "@language"}:
            node[key] = value if isinstance(value, str) else str(value)
        elif not key.startswith("@") and depth < _MAX_DEPTH:
            values = value if isinstance(value, list) else [value]
            node[_name(key)] = [_value(one, depth, vocabulary) for one in values]
    return node


def _value(value: object, depth: int, vocabulary: str) -> object:
    if isinstance(value, dict):
        if set(value) <= {"@value", "@language", "@type"} and "@value" in value:
            return value["@value"]
        if "@list" in value or "@set" in value:
            inner = value.get("@list", value.get("@set"))
            return _value(inner[0], depth, vocabulary) if isinstance(inner, list) and inner else None
        return _node(value, depth + 1, vocabulary)
    return value if isinstance(value, str | int | float | bool) else None


def _name(term: str) -> str:
    return _SCHEMA.sub("", term.strip())


def _item(node: LexborNode, base: str, depth: int) -> Node:
    types = (attribute(node, "itemtype") or "").split()
    item: Node = {"@type": [_name(one) for one in types]}
    if depth == 0:
        item["@vocabulary"] = (
            "schema" if any("schema.org" in one.lower() for one in types) else "other" if types else "none"
        )
    if identifier := attribute(node, "itemid"):
        item["@id"] = identifier
    if depth < _MAX_DEPTH:
        _properties(node, item, base, depth, "itemprop", "itemscope", _item)
    return item


def _resource(node: LexborNode, base: str, depth: int) -> Node:
    item: Node = {"@type": [_name(one) for one in (attribute(node, "typeof") or "").split()]}
    if depth == 0:
        item["@vocabulary"] = "schema"
    if identifier := attribute(node, "resource"):
        item["@id"] = identifier
    if depth < _MAX_DEPTH:
        _properties(node, item, base, depth, "property", "typeof", _resource)
    return item


def _properties(
    node: LexborNode, item: Node, base: str, depth: int, property_name: str, scope_name: str, read: Any
) -> None:
    waiting = _children(node)
    while waiting:
        child = waiting.pop()
        names = attribute(child, property_name)
        is_item = attribute(child, scope_name) is not None
        if names:
            value = read(child, base, depth + 1) if is_item else _property_value(child, base)
            for name in names.split():
                item.setdefault(_name(name), []).append(value)
        if not is_item:
            waiting += _children(child)


def _children(node: LexborNode) -> list[LexborNode]:
    """Child elements, the last first: a stack that is worked off in document order."""
    return [one for one in node.iter() if one.is_element_node][::-1]


def _property_value(node: LexborNode, base: str) -> str:
    attributes = node.attributes
    if "content" in attributes:
        return (attributes["content"] or "").strip()
    tag = node.tag or ""
    if tag == "time" and "datetime" in attributes:
        return attributes["datetime"] or ""
    if name := _TEXT_ATTRIBUTES.get(tag):
        value = attributes.get(name) or ""
        return (urls.resolve(base, value) or value) if name in _URLS and value else value
    return squeeze(node.text(deep=True))


def _is_schema_rdfa(node: LexborNode) -> bool:
    current: LexborNode | None = node
    if _SCHEMA.match(attribute(node, "typeof") or ""):
        return True
    while current is not None and current.is_element_node:
        if current is not node and attribute(current, "typeof") is not None:
            return False  # nested without a property: read with its parent's page, not as an item of its own
        if "schema.org" in (attribute(current, "vocab") or "").lower():
            return True
        current = current.parent
    return False
