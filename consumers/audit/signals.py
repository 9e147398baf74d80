"""The signals of one document, as values. `consumers.audit.page` fills them, the rules read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Meta:
    """A meta element. `key` is its name, property or http-equiv in lower case."""

    key: str
    content: str
    in_head: bool


@dataclass(frozen=True, slots=True)
class Directive:
    """One robots directive: ``noindex``, ``max-snippet`` with a value, ...

    Attributes:
        agent: Whom it addresses: ``robots`` is everyone.
    """

    agent: str
    name: str
    value: str
    source: Literal["meta", "header"]


@dataclass(frozen=True, slots=True)
class Refresh:
    """A meta refresh or Refresh header. `url` is None when the page reloads itself."""

    delay_s: float
    url: str | None
    source: Literal["meta", "header"]


@dataclass(frozen=True, slots=True)
class Canonical:
    """A canonical as written, and the URL it means; None when it means none."""

    href: str
    url: str | None
    source: Literal["head", "body", "header"]


@dataclass(frozen=True, slots=True)
class Alternate:
    """An hreflang annotation as written, and the URL it means."""

    lang: str
    href: str
    url: str | None
    source: Literal["html", "header", "sitemap"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading element. `text` counts the alt text of images; `name` any accessible name."""

    level: int
    text: str
    name: str
    snippet: str


@dataclass(frozen=True, slots=True)
class Link:
    """An ``a`` or ``area`` element.

    Attributes:
        href: As written; None when the attribute is missing.
        url: The http(s) URL it means, without fragment; None when it leads elsewhere or nowhere.
        fragment: Decoded, without ``#``.
        is_internal: `url` is on the page's own host (with or without ``www.``).
        text: What is shown, images by their alt text.
        name: The accessible name.
        in_main: Within the main text, outside navigation.
        is_hidden: Not rendered, or hidden from assistive technology.
        reason: Why `url` is None: ``missing``, ``empty``, ``script``, ``malformed``, ``other`` (mailto, tel ...).
    """

    href: str | None
    url: str | None
    fragment: str
    is_internal: bool
    rel: tuple[str, ...]
    text: str
    name: str
    role: str
    target: str
    anchor: str
    has_handler: bool
    in_main: bool
    is_hidden: bool
    reason: str
    snippet: str
    lang: str = ""

    @property
    def is_nofollow(self) -> bool:
        """Whether it is marked so that it does not count."""
        return not {"nofollow", "sponsored", "ugc"}.isdisjoint(self.rel)


@dataclass(frozen=True, slots=True)
class Image:
    """An ``img`` element.

    Attributes:
        url: Absolute; None for ``data:`` and for none.
        alt: None when the attribute is missing.
        is_decorative: Hidden from assistive technology or of a presentational role, or named otherwise.
        has_size: Both size attributes, or an aspect ratio or both sizes in its style.
        formats: Types that its ``picture`` offers besides.
    """

    src: str
    url: str | None
    alt: str | None
    is_decorative: bool
    has_size: bool
    is_lazy: bool
    width: int | None
    height: int | None
    formats: tuple[str, ...]
    snippet: str


@dataclass(frozen=True, slots=True)
class Resource:
    """What the page loads: ``script style font media frame image icon manifest preload object``."""

    kind: str
    url: str
    snippet: str


@dataclass(frozen=True, slots=True)
class Form:
    """A form and where it sends."""

    action: str
    url: str
    method: str
    snippet: str


@dataclass(frozen=True, slots=True)
class Control:
    """A form field, button or frame that needs a name."""

    kind: Literal["field", "button", "frame"]
    is_named: bool
    snippet: str


@dataclass(frozen=True, slots=True)
class MarkupBlock:
    """One block of structured data.

    Attributes:
        nodes: The items in it, JSON-LD like: ``@type`` is a list of plain names, values are lists, items dicts.
        error: Why it does not parse.
    """

    syntax: Literal["json-ld", "microdata", "rdfa"]
    nodes: tuple[dict[str, Any], ...]
    error: str = ""
    snippet: str = ""


@dataclass(frozen=True, slots=True)
class Prose:
    """What the main text is made of.

    Attributes:
        text: Main text, paragraphs parted by line ends.
        words: CJK counted in characters / 2.
        digest: Of the text in lower case with white space squeezed; empty for no text.
        simhash: 64 bits, hexadecimal; empty for less than eight words.
        long_paragraphs: Words and beginning of the paragraphs over 100 words, longest first.
        questions: Headings phrased as questions.
        answered: Those among them that a paragraph follows directly, with its number of words.
        paragraphs: Words of each.
        opening: Words of the paragraphs that begin within the first 100 words.
        lists, tables: Within the main text.
        has_procedure: An ordered list of three and more items.
        cites: Domains linked from the main text other than the page's own.
        figures: Numbers with units, percentages, years; a few of them.
    """

    text: str = ""
    words: int = 0
    digest: str = ""
    simhash: str = ""
    paragraphs: tuple[int, ...] = ()
    long_paragraphs: tuple[tuple[int, str], ...] = ()
    questions: tuple[str, ...] = ()
    answered: tuple[tuple[str, int], ...] = ()
    opening: tuple[int, ...] = ()
    lists: int = 0
    tables: int = 0
    has_procedure: bool = False
    cites: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Authorship:
    """Who wrote an article and when, as far as the page says.

    Attributes:
        is_article: Its markup, Open Graph type or build says that it is one.
        why: What says so.
        authors: From markup and meta elements.
        byline: Text of a visible byline.
        dates: ISO dates with where they came from: ``published``, ``modified``, ``visible``.
    """

    is_article: bool = False
    why: str = ""
    authors: tuple[str, ...] = ()
    byline: str = ""
    dates: tuple[tuple[str, str], ...] = ()
