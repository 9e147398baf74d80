"""Links, images and everything else a document refers to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser, LexborNode

from consumers.audit.dom import attribute, is_hidden, is_hidden_from_all, name_of, snippet, text_of
from consumers.audit.signals import Control, Form, Image, Link, Resource
from consumers.net import urls

MAX_LINKS: Final = 10_000
_SCHEME: Final = re.compile(r"^\s*([A-Za-z][A-Za-z0-9+.\-]*)\s*:")
_BROKEN_SCHEME: Final = re.compile(
    r"^\s*(?:https?(?:[;,.]/|\s*//|\s+:|:\s+|::)|https?:/*https?:|https?:\\|//https?:|:/)", re.IGNORECASE
)
KNOWN_SCHEMES: Final = frozenset(
    ("http", "https", "mailto", "tel", "sms", "javascript", "data", "ftp", "ftps", "sftp", "file", "blob", "about",
    "geo",
     "callto", "skype", "whatsapp", "tg", "viber", "facetime", "webcal", "market", "intent", "magnet", "news", "irc",
     "xmpp", "sip", "sips", "fax", "maps", "itms", "itms-apps", "ms-word", "ms-excel", "bitcoin", "urn", "ws", "wss",
     "view-source", "chrome", "android-app", "ios-app", "fb", "twitter", "steam", "spotify", "zoommtg", "msteams",
     "slack",
     "vscode", "git", "ssh", "svn", "feed", "rtsp", "mms", "cid", "mid", "gopher", "telnet", "ldap", "nntp", "jar",
     "res")
)  # fmt: skip
_MEANT: Final = ("http", "https", "mailto", "tel", "javascript")
_PRESENTATION: Final = frozenset(("presentation", "none"))
_SIZE: Final = re.compile(r"(?:^|;)\s*(width|height|aspect-ratio)\s*:\s*([^;]+)", re.IGNORECASE)
_BUTTONS: Final = 'button, [role="button"], ' + ", ".join(
    f'input[type="{kind}" i]' for kind in ("submit", "button", "reset", "image")
)
_NO_FIELD: Final = frozenset(("hidden", "submit", "button", "reset", "image"))
_CSS_URL: Final = re.compile(r"url\(\s*[\"']?(https?://[^\"')\s]+)", re.IGNORECASE)
_LOADING: Final = (
    ("script[src]", "src", "script"), ("iframe[src], frame[src]", "src", "frame"), ("embed[src]", "src", "object"),
    ("object[data]", "data", "object"), ("video[src], audio[src], track[src]", "src", "media"),
    ("video source[src], audio source[src]", "src", "media"), ("video[poster]", "poster", "image"),
    ('input[type="image" i][src]', "src", "image"),
)  # fmt: skip
_LINK_KINDS: Final = {
    "stylesheet": "style", "icon": "icon", "apple-touch-icon": "icon", "apple-touch-icon-precomposed": "icon",
    "manifest": "manifest", "modulepreload": "script", "preload": "preload",
}  # fmt: skip


def host_key(url: str) -> str:
    """Host and port without ``www.``: what makes a link internal."""
    try:
        return urls.host_of(url).removeprefix("www.")
    except ValueError:
        return ""


def read_links(tree: LexborHTMLParser, url: str, base: str, main: set[int]) -> Iterator[Link]:
    """Every ``a`` and ``area`` of a document.

    Args:
        url: Of the page.
        base: What relative references start from.
        main: `mem_id` of the anchors within the main text.
    """
    here = host_key(url)
    hidden: dict[int, bool] = {}
    for count, node in enumerate(tree.css("a, area")):
        if count >= MAX_LINKS:
            return
        attributes = node.attributes
        href = attribute(node, "href")
        target, fragment, reason = _meaning(href, base)
        text = text_of(node, with_alt=True) if node.tag == "a" else (attributes.get("alt") or "")
        is_named_by_text = (
            bool(text)
            and "aria-label" not in attributes
            and (not _has_elements(node) or node.css_first('[aria-hidden="true"]') is None)
        )
        handler = next(
            (name for name in attributes if name.startswith(("onclick", "onmouse", "@click", "ng-click"))), ""
        )
        yield Link(
            href=href,
            url=target,
            fragment=fragment,
            is_internal=target is not None and host_key(target) == here,
            rel=tuple((attributes.get("rel") or "").lower().split()),
            text=text[:300],
            name=(text if is_named_by_text else name_of(node, tree))[:300],
            role=(attributes.get("role") or "").strip(),
            target=(attributes.get("target") or "").strip().lower(),
            anchor=(attributes.get("id") or attributes.get("name") or "").strip(),
            has_handler=bool(handler),
            in_main=node.mem_id in main,
            is_hidden=is_hidden_from_all(node, hidden),
            reason=reason,
            snippet=snippet(node),
            lang=_lang_of(node),
        )


def _meaning(href: str | None, base: str) -> tuple[str | None, str, str]:
    """URL, fragment and, without a URL, the reason."""
    stripped = (href or "").strip()
    scheme = _SCHEME.match(stripped)
    name = scheme[1].lower() if scheme else ""
    if href is None or not stripped:
        return (None, "", "missing") if href is None else (urls.resolve(base, ""), "", "empty")
    if is_misspelt(stripped):
        return None, "", "malformed"
    if name not in {"", "http", "https"}:
        return None, "", "script" if name == "javascript" else "other"
    path, _, fragment = stripped.partition("#")
    target = urls.resolve(base, path)
    return (None, "", "malformed") if target is None else (target, unquote(fragment), "")


def is_misspelt(href: str) -> bool:
    """Whether a reference starts with what was meant to be a scheme (``htp://``, ``http//``, ``mailto;``)."""
    if _BROKEN_SCHEME.match(href) or re.match(r"(?:mailto|tel|javascript)[;,]", href, re.IGNORECASE):
        return True
    scheme = _SCHEME.match(href)
    if scheme is None or scheme[1].lower() in KNOWN_SCHEMES:
        return False
    name, rest = scheme[1].lower(), href[scheme.end() :]
    if re.match(r"\d{2,5}(?:/|$)", rest):  # host:port without a scheme
        return "." in name or name == "localhost"
    return any(_edits(name, meant) <= (1 if len(meant) <= 3 else 2) for meant in _MEANT) and (  # noqa: PLR2004
        rest.startswith("/") or name[0] in "hmtj"
    )


def _edits(left: str, right: str) -> int:
    """Levenshtein distance, for short names."""
    if abs(len(left) - len(right)) > 2:  # noqa: PLR2004 - further than anybody asks
        return 3
    row = list(range(len(right) + 1))
    for i, one in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (one != other))
    return row[-1]


def _has_elements(node: LexborNode) -> bool:
    child = node.first_child
    while child is not None:
        if child.is_element_node:
            return True
        child = child.next
    return False


def _lang_of(node: LexborNode) -> str:
    current: LexborNode | None = node
    for _ in range(3):
        if current is None or not current.is_element_node:
            break
        if lang := current.attributes.get("lang"):
            return lang.strip().lower()
        current = current.parent
    return ""


def read_images(tree: LexborHTMLParser, base: str) -> Iterator[Image]:
    """Every ``img``."""
    for node in tree.css("img"):
        attributes = node.attributes
        src = (attributes.get("src") or attributes.get("data-src") or attributes.get("data-lazy-src") or "").strip()
        style = dict(_SIZE.findall((attributes.get("style") or "").lower()))
        width, height = _pixels(attributes.get("width")), _pixels(attributes.get("height"))
        named = bool(attributes.get("aria-label") or attributes.get("aria-labelledby") or attributes.get("title"))
        picture = node.parent if node.parent is not None and node.parent.tag == "picture" else None
        yield Image(
            src=src[:2_000],
            url=None if src[:5].lower() == "data:" or not src else urls.resolve(base, src),
            alt=attribute(node, "alt"),
            is_decorative=(attributes.get("role") or "").strip().lower() in _PRESENTATION
            or is_hidden_from_all(node)
            or (named and "alt" not in attributes),
            has_size=(width is not None and height is not None)
            or "aspect-ratio" in style
            or {"width", "height"} <= set(style),
            is_lazy=(attributes.get("loading") or "").lower() == "lazy",
            width=width,
            height=height,
            formats=tuple(
                (
                    one.attributes.get("type") or (one.attributes.get("srcset") or "").split("?")[0].rsplit(".", 1)[-1]
                ).lower()[:40]
                for one in (picture.css("source") if picture is not None else ())
            ),
            snippet=snippet(node),
        )


def _pixels(value: str | None) -> int | None:
    found = re.match(r"\s*(\d{1,6})", value or "")
    return int(found[1]) if found else None


def read_resources(tree: LexborHTMLParser, base: str) -> Iterator[Resource]:
    """What the document makes a browser load, besides `read_images`."""
    for node, kind, reference in _loaded(tree):
        if url := urls.resolve(base, reference):
            yield Resource(kind, url, snippet(node))
    for node in tree.css("style"):
        for found in _CSS_URL.finditer(node.text(deep=True)):
            if url := urls.resolve(base, found[1]):
                yield Resource("style-image", url, f"<style>… {found[0]}")


def _loaded(tree: LexborHTMLParser) -> Iterator[tuple[LexborNode, str, str]]:
    for node in tree.css("link[href]"):
        if kind := _link_kind(node):
            yield node, kind, attribute(node, "href") or ""
    for selector, name, kind in _LOADING:
        for node in tree.css(selector):
            yield node, kind, attribute(node, name) or ""
    for node in tree.css("img[srcset], picture source[srcset]"):
        for candidate in candidates(attribute(node, "srcset") or ""):
            yield node, "image", candidate


def _link_kind(node: LexborNode) -> str:
    for rel in (attribute(node, "rel") or "").lower().split():
        if kind := _LINK_KINDS.get(rel):
            loaded = (attribute(node, "as") or "").lower()
            return loaded if kind == "preload" and loaded in {"style", "script", "font", "image"} else kind
    return ""


def candidates(srcset: str) -> Iterator[str]:
    """The URLs of a srcset. Source: parsing a srcset attribute, HTML Standard section 4.8.4.2.1."""
    position = 0
    while found := re.compile(r"[\s,]*([^\s]+)").match(srcset, position):
        url = found[1]
        position = found.end()
        if url.endswith(","):
            url = url.rstrip(",")
        else:
            end = srcset.find(",", position)
            position = len(srcset) if end < 0 else end + 1
        if url:
            yield url


def read_forms(tree: LexborHTMLParser, base: str, url: str) -> Iterator[Form]:
    """Every form, and buttons that send one elsewhere."""
    for node in tree.css("form"):
        action = attribute(node, "action") or ""
        yield Form(
            action, (urls.resolve(base, action) or action) if action.strip() else url,
            (attribute(node, "method") or "get").strip().lower(), snippet(node),
        )  # fmt: skip
    for node in tree.css("button[formaction], input[formaction]"):
        action = attribute(node, "formaction") or ""
        yield Form(action, urls.resolve(base, action) or action, "post", snippet(node))


def read_controls(tree: LexborHTMLParser) -> Iterator[Control]:
    """Fields, buttons and frames, with whether they have a name.

    Source: axe-core's ``label``, ``select-name``, ``button-name``, ``input-button-name`` and ``frame-title``.
    """
    labels = {one.attributes.get("for") for one in tree.css("label[for]") if text_of(one, with_alt=True)}
    for node in tree.css("input, select, textarea"):
        kind = (attribute(node, "type") or "text").strip().lower() if node.tag == "input" else ""
        if kind in _NO_FIELD or is_hidden_from_all(node):
            continue
        attributes = node.attributes
        named = (
            bool(name_of(node, tree, from_content=False))
            or (attributes.get("id") or object()) in labels
            or _is_in_label(node)
            or (attributes.get("role") or "") in _PRESENTATION
        )
        yield Control("field", named, snippet(node))
    for node in tree.css(_BUTTONS):
        if is_hidden_from_all(node):
            continue
        if node.tag == "input":
            yield Control("button", _is_named_input(node, tree), snippet(node))
        elif node.tag != "a" or attribute(node, "href") is None:
            named = bool(name_of(node, tree)) or (attribute(node, "role") or "") in _PRESENTATION
            yield Control(
                "button", named or (attribute(node, "id") or object()) in labels or _is_in_label(node), snippet(node)
            )
    for node in tree.css("iframe, frame"):
        if not is_hidden_from_all(node) and attribute(node, "tabindex") != "-1":
            yield Control("frame", bool(name_of(node, tree, from_content=False)), snippet(node))


def _is_named_input(node: LexborNode, tree: LexborHTMLParser) -> bool:
    attributes = node.attributes
    kind = (attributes.get("type") or "").strip().lower()
    if name_of(node, tree, from_content=False) or _is_in_label(node):
        return True
    if kind == "image":
        return False
    # Without a value the browser shows its own word for submit and reset, not for a plain button.
    return bool((attributes.get("value") or "").strip()) or (kind != "button" and "value" not in attributes)


def _is_in_label(node: LexborNode) -> bool:
    current = node.parent
    while current is not None and current.is_element_node:
        if current.tag == "label":
            return bool(text_of(current, with_alt=True)) and not is_hidden(current)
        current = current.parent
    return False
