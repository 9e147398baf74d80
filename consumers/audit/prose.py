"""The main text of a page: what is left when navigation, headers, footers and asides are taken away.

By elements and roles first, by customary class names where a page has no landmarks, then by how much of a block is
links. Fast (a few milliseconds): `consumers.audit.article` reads articles more closely.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from consumers.audit.dom import BLOCKS, NEVER_SHOWN, is_hidden, squeeze, text_of
from consumers.audit.signals import Prose
from consumers.audit.words import count_words, digest_of, simhash_of
from consumers.net import urls

KEPT_CHARS: Final = 200_000
OPENING_WORDS: Final = 100
LONG_PARAGRAPH_WORDS: Final = 100
_DROPPED: Final = frozenset(("nav", "aside", "footer", "menu", "dialog", "button", "select", "textarea", "label"))
_DROPPED_ROLES: Final = frozenset(
    ("navigation", "banner", "contentinfo", "complementary", "search", "dialog", "alertdialog", "menu", "menubar")
)
_DROPPED_CLASS: Final = re.compile(
    r"^(?:site-|page-|main-|global-|top-|mobile-)?(?:nav|navbar|navigation|menu|footer|sidebar|breadcrumbs?|cookie|cookies|"
    r"cookie-(?:banner|notice|bar|consent)|consent|share|sharing|social(?:-links|-share|-media)?|pagination|pager|skip-link|"
    r"masthead|newsletter)$|^(?:site|page|main)-header$",
    re.IGNORECASE,
)
_HEADING: Final = re.compile(r"h[1-6]")
_MOSTLY_LINKS: Final = 0.66
_QUESTION: Final = re.compile(
    r"(?:what|why|when|where|who|which|how)(?:'s|\u2019s)?\s+(?:is|are|was|were|do|does|did|can|could|should|would|will|to|much|many|long|often|has|have)\b|"
    r"(?:is|are|was|were|can|could|do|does|did|should|will|would|may)\s+(?:it|you|i|we|he|she|the|a|an|there|my|your|our|this|that|these|they)\b",
    re.IGNORECASE,
)
_QUESTION_MARKS: Final = ("?", "\N{FULLWIDTH QUESTION MARK}", "\N{ARABIC QUESTION MARK}")
_FIGURE: Final = re.compile(
    r"(?:[$€£¥]\s?\d[\d.,]*|\b\d[\d.,]*\s?(?:%|percent|per cent|prozent|pour cent|[$€£¥]|kg|km|cm|mm|m²|"
    r"m2|sq|mph|kwh?|mwh?|gb|"
    r"mb|tb|ms|hz|years?|months?|weeks?|days?|hours?|minutes?|seconds?|miles?|metres?|meters?|feet|tons?|tonnes?|"
    r"million|billion|thousand|dollars?|euros?|pounds?|people|users|customers|jahre|tage|stunden|ans|jours|heures)(?![\w])|"
    r"\b(?:1[5-9]|20)\d\d\b)",
    re.IGNORECASE,
)
_FIGURE_START: Final = re.compile(r"[$€£¥\d]")
MAX_FIGURES: Final = 10
_MAX_DEPTH: Final = 200
_PROSE_CHARS: Final = 400
_FEW_LINKS: Final = 0.3


@dataclass(slots=True)
class Block:
    """A run of text between two block boundaries."""

    tag: str
    text: str
    link_chars: int
    in_list: bool


@dataclass(slots=True)
class Reading:
    """What walking through the content found, in reading order."""

    blocks: list[Block] = field(default_factory=list)
    anchors: set[int] = field(default_factory=set)
    hrefs: list[str] = field(default_factory=list)
    lists: int = 0
    tables: int = 0
    has_procedure: bool = False

    def kept(self) -> list[Block]:
        """The blocks without those that are mostly links."""
        return [
            one
            for one in self.blocks
            if one.tag == "p" or _HEADING.fullmatch(one.tag) or one.link_chars <= _MOSTLY_LINKS * len(one.text)
        ]


class _Walk:
    def __init__(self, *, by_class: bool) -> None:
        self.found = Reading()
        self._by_class = by_class
        self._pieces: list[str] = []
        self._link_chars = 0
        self._tag = "div"

    def flush(self, *, in_list: bool) -> None:
        text = squeeze("".join(self._pieces))
        if text:
            self.found.blocks.append(Block(self._tag, text, self._link_chars, in_list))
        self._pieces.clear()
        self._link_chars = 0

    def inside(self, node: LexborNode, tag: str, depth: int, *, in_link: bool, in_list: bool) -> None:
        """Text below a node that belongs to the content."""
        child = node.first_child
        while child is not None:
            if child.is_text_node:
                text = child.text_content or ""
                self._pieces.append(text)
                if in_link:
                    self._link_chars += len(squeeze(text))
            elif child.is_element_node and depth < _MAX_DEPTH and not self._is_dropped(child):
                self._element(child, tag, depth, in_link=in_link, in_list=in_list)
            child = child.next

    def _element(self, node: LexborNode, outer: str, depth: int, *, in_link: bool, in_list: bool) -> None:
        tag = node.tag or ""
        if tag == "a":
            self.found.anchors.add(node.mem_id)
            if href := node.attributes.get("href"):
                self.found.hrefs.append(href)
            in_link = True
        elif tag in {"ul", "ol", "dl"}:
            in_list = True
            items = [one for one in node.iter() if one.tag in {"li", "dt"}]
            self.found.lists += len(items) > 1
            self.found.has_procedure |= tag == "ol" and len(items) > 2  # noqa: PLR2004 - three steps
        elif tag == "table":
            self.found.tables += 1
        if tag not in BLOCKS:
            self.inside(node, outer, depth + 1, in_link=in_link, in_list=in_list)
            return
        if tag in {"br", "img", "hr", "input"}:
            self._pieces.append(" ")
            return
        self.flush(in_list=in_list)
        self._tag = tag
        self.inside(node, tag, depth + 1, in_link=in_link, in_list=in_list)
        self.flush(in_list=in_list)
        self._tag = outer

    def _is_dropped(self, node: LexborNode) -> bool:
        tag = node.tag or ""
        if tag in NEVER_SHOWN or tag in _DROPPED:
            return True
        if tag == "header":
            return self._by_class
        if tag in {"p", "a", "b", "strong", "em", "i", "br", "li", "h1", "h2", "h3", "td", "tr"}:
            return is_hidden(node)
        attributes = node.attributes
        if attributes.get("role") in _DROPPED_ROLES or is_hidden(node):
            return True
        if not self._by_class:
            return False
        names = f"{attributes.get('class') or ''} {attributes.get('id') or ''}".split()
        return any(_DROPPED_CLASS.match(name) for name in names) and not _reads_as_text(node)


def _reads_as_text(node: LexborNode) -> bool:
    """Whether an element is prose in spite of its name: the menu of a restaurant, say."""
    text = text_of(node)
    linked = sum(len(text_of(one)) for one in node.css("a"))
    return len(text) > _PROSE_CHARS and linked < _FEW_LINKS * len(text)


def read_blocks(tree: LexborHTMLParser) -> Reading:
    """The blocks of the main text."""
    body = tree.body
    if body is None:
        return Reading()
    for selector in ("main, [role=main]", "article"):
        roots = [one for one in tree.css(selector) if not is_hidden(one)]
        if len(roots) == 1:
            found = _walked(roots[0], by_class=False)
            if found.blocks:
                return found
    return _walked(body, by_class=True)


def _walked(root: LexborNode, *, by_class: bool) -> Reading:
    walk = _Walk(by_class=by_class)
    walk.inside(root, "div", 0, in_link=False, in_list=False)
    walk.flush(in_list=False)
    return walk.found


def prose_of(found: Reading, base: str, text: str | None = None) -> Prose:
    """What the rules ask of the main text.

    Args:
        base: URL that links are relative to.
        text: The main text when something read it more closely than the blocks say.
    """
    blocks = found.kept()
    own = "\n".join(one.text for one in blocks)
    text = (own if text is None else text)[:KEPT_CHARS]
    counted = [(one, count_words(one.text)) for one in blocks]
    paragraphs = [(one, words) for one, words in counted if not _HEADING.fullmatch(one.tag) and not one.in_list]
    questions, answered = _answers(counted)
    cited = (urls.resolve(base, href) for href in found.hrefs)
    return Prose(
        text=text,
        words=count_words(text),
        digest=digest_of(text),
        simhash=simhash_of(text),
        paragraphs=tuple(words for _, words in paragraphs),
        long_paragraphs=tuple(
            sorted(
                ((words, one.text[:120]) for one, words in paragraphs if words > LONG_PARAGRAPH_WORDS), reverse=True
            )[:20]
        ),
        questions=questions,
        answered=answered,
        opening=_opening(paragraphs),
        lists=found.lists,
        tables=found.tables,
        has_procedure=found.has_procedure,
        cites=tuple(sorted({urls.host_of(url) for url in cited if url and not urls.same_site(url, base)}))[:50],
        figures=tuple(_figures(text)),
    )


def _figures(text: str) -> Iterator[str]:
    """The first figures of a text."""
    end = count = 0
    for start in _FIGURE_START.finditer(text):
        if start.start() >= end and (found := _FIGURE.match(text, start.start())):
            yield found.group()
            end, count = found.end(), count + 1
            if count == MAX_FIGURES:
                return


def is_question(text: str) -> bool:
    """Whether a heading asks something: a question mark at its end, or a question word at its beginning."""
    stripped = text.strip()
    is_phrase = len(stripped.split()) > 2  # noqa: PLR2004 - less is a label
    return stripped.endswith(_QUESTION_MARKS) or (is_phrase and _QUESTION.match(stripped) is not None)


def answers_something(prose: Prose, words: tuple[int, int]) -> bool:
    """Whether a question heading is answered directly, or a summary opens the text, in so many words."""
    low, high = words
    return any(low <= count <= high for _, count in prose.answered) or any(
        low <= count <= high for count in prose.opening
    )


def _answers(counted: list[tuple[Block, int]]) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
    questions, answered = [], []
    for position, (block, _) in enumerate(counted):
        if (_HEADING.fullmatch(block.tag) or block.tag in {"summary", "dt"}) and is_question(block.text):
            questions.append(block.text[:200])
            if position + 1 < len(counted):
                following, words = counted[position + 1]
                if following.tag in {"p", "div", "dd", "section"} and (not following.in_list or block.tag == "dt"):
                    answered.append((block.text[:200], words))
    return tuple(questions), tuple(answered)


def _opening(paragraphs: list[tuple[Block, int]]) -> tuple[int, ...]:
    """Words of the paragraphs that begin within the first words of the text."""
    found, before = [], 0
    for _, words in paragraphs:
        if before >= OPENING_WORDS:
            break
        found.append(words)
        before += words
    return tuple(found)
