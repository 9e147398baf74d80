"""Structured data: whether it parses, names what exists, and says what the page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from consumers.audit.rules.guards import html, indexable
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not
from consumers.audit.rules.registry import page_rule
from consumers.audit.structured import first_text, types_of, values_of, walk
from consumers.audit.vocabulary import is_a, is_property, is_type

if TYPE_CHECKING:
    from consumers.audit.page import Page

REQUIRED: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "Article": (("headline",),),
    "BreadcrumbList": (("itemListElement",),),
    "Course": (("name",), ("description",)),
    "Dataset": (("name",), ("description",)),
    "Event": (("name",), ("startDate",), ("location",)),
    "FAQPage": (("mainEntity",),),
    "HowTo": (("name",), ("step",)),
    "JobPosting": (
        ("title",),
        ("description",),
        ("datePosted",),
        ("hiringOrganization",),
        ("jobLocation", "applicantLocationRequirements"),
    ),
    "LocalBusiness": (("name",), ("address",)),
    "Movie": (("name",),),
    "Product": (("name",),),
    "QAPage": (("mainEntity",),),
    "Recipe": (("name",), ("image",)),
    "Review": (("author",), ("reviewRating", "reviewBody")),
    "AggregateRating": (("ratingValue",), ("ratingCount", "reviewCount")),
    "SoftwareApplication": (("name",),),
    "VideoObject": (("name",), ("thumbnailUrl", "thumbnail"), ("uploadDate",)),
}
"""What a rich result of a type needs; of the names in one tuple, any will do. Source: Google Search Central's
structured data documentation, and for articles the headline that all consumers read."""

_VISIBLE: Final = ("name", "headline")
_NUMBER: Final = re.compile(r"\d[\d.,]*")


def _has_markup(page: Page, context: Context) -> Skip | None:
    return html(page, context) or (None if page.markup else applies_not("it has no structured data"))


def _has_json(page: Page, context: Context) -> Skip | None:
    if skip := html(page, context):
        return skip
    return None if any(one.syntax == "json-ld" for one in page.markup) else applies_not("it has no JSON-LD")


@page_rule(
    "sd-missing",
    "structured-data",
    "low",
    "extended",
    "page",
    "html",
    indexable,
    fix="Add JSON-LD of the type that fits the page.",
)
def sd_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """No JSON-LD, microdata or RDFa on an indexable page."""
    if not page.markup:
        yield Evidence(page.url, "there is no structured data")


@page_rule(
    "sd-invalid-json",
    "structured-data",
    "high",
    "core",
    "page",
    "html",
    _has_json,
    fix="Correct the syntax of the block.",
)
def sd_invalid_json(page: Page, _: Context) -> Iterator[Evidence]:
    """A JSON-LD block does not parse."""
    for block in page.markup:
        if block.error:
            yield Evidence(page.url, f"the JSON-LD does not parse: {block.error}"[:300], block.snippet)


def _schema_nodes(page: Page) -> Iterator[dict[str, Any]]:
    for block in page.markup:
        for node in block.nodes:
            if node.get("@vocabulary") != "other":
                yield from walk((node,))


@page_rule("sd-unknown-type", "structured-data", "medium", "core", "page", "html", _has_markup, fix="Correct the name.")
def sd_unknown_type(page: Page, _: Context) -> Iterator[Evidence]:
    """A type or property is not in the schema.org vocabulary that ships with Millrace."""
    seen: set[str] = set()
    for node in _schema_nodes(page):
        for name in types_of(node):
            if _is_plain(name) and not is_type(name) and name not in seen:
                seen.add(name)
                yield Evidence(page.url, f"schema.org has no type {name[:80]!r}", f'"@type": "{name[:80]}"')
        for name in node:
            if not name.startswith("@") and _is_plain(name) and not is_property(name) and name not in seen:
                seen.add(name)
                yield Evidence(
                    page.url,
                    f"schema.org has no property {name[:80]!r}",
                    f'"{name[:80]}" on {"/".join(types_of(node)) or "an item without type"}',
                )


def _is_plain(name: str) -> bool:
    """Whether a name claims to be schema.org's: no prefix, no address of another vocabulary."""
    return bool(name) and ":" not in name and "/" not in name


@page_rule(
    "sd-missing-required", "structured-data", "medium", "core", "page", "html", _has_markup, fix="Add the property."
)
def sd_missing_required(page: Page, _: Context) -> Iterator[Evidence]:
    """A rich-result type lacks a required property (Product without name, Event without startDate ...)."""
    for node in _schema_nodes(page):
        if set(node) <= {"@type", "@id", "@vocabulary"} and "@id" in node:
            continue  # a reference to an item that is described elsewhere
        for wanted, needed in REQUIRED.items():
            if not any(is_a(one, wanted) for one in types_of(node)):
                continue
            for names in needed:
                if not any(values_of(node, name) for name in names):
                    yield Evidence(
                        page.url,
                        f"{'/'.join(types_of(node))} has no {' or '.join(names)}",
                        f'"@type": "{types_of(node)[0]}"',
                    )


@page_rule(
    "sd-mismatch-visible",
    "structured-data",
    "low",
    "extended",
    "page",
    "html",
    _has_markup,
    fix="Keep markup and page in step.",
)
def sd_mismatch_visible(page: Page, _: Context) -> Iterator[Evidence]:
    """A name, price or rating in the markup does not stand in the visible text."""
    text = f"{page.visible_text} {page.title} {' '.join(one.alt or '' for one in page.images)}".casefold()
    squeezed, digits = re.sub(r"\W+", " ", text), {_canonical_number(one) for one in _NUMBER.findall(text)}
    for node in _schema_nodes(page):
        types = types_of(node)
        if any(
            is_a(one, kind)
            for one in types
            for kind in ("Product", "Article", "Recipe", "Event", "Course", "JobPosting")
        ):
            for name in _VISIBLE:
                value = first_text(node, name)
                if value and re.sub(r"\W+", " ", value.casefold()).strip() not in squeezed:
                    yield Evidence(page.url, f"the {name} of {types[0]} is not on the page", value[:200])
        for kind, name in (
            ("Offer", "price"),
            ("AggregateOffer", "lowPrice"),
            ("AggregateRating", "ratingValue"),
            ("Rating", "ratingValue"),
        ):
            if kind in types and (value := first_text(node, name)) and _canonical_number(value) not in digits:
                yield Evidence(page.url, f"the {name} of {kind} is not on the page", value[:100])


def _canonical_number(text: str) -> str:
    """``1,299.00`` and ``1.299`` and ``1299`` are one price."""
    cleaned = text.strip().rstrip(".,")
    whole, mark, rest = cleaned.rpartition("." if cleaned.rfind(".") > cleaned.rfind(",") else ",")
    if mark and len(rest) != 3:  # noqa: PLR2004 - groups of thousands have three digits
        digits, fraction = re.sub(r"\D", "", whole), rest.rstrip("0")
        return f"{digits or '0'}.{fraction}" if fraction else digits or "0"
    return re.sub(r"\D", "", cleaned)


def _deep(page: Page, context: Context) -> Skip | None:
    if skip := indexable(page, context):
        return skip
    segments = [one for one in urlsplit(page.url).path.split("/") if one and not one.startswith("index.")]
    return None if len(segments) > 1 else applies_not("it is not deeper than one level")


@page_rule(
    "sd-breadcrumb-missing",
    "structured-data",
    "info",
    "extended",
    "page",
    "html",
    _deep,
    fix="Add a BreadcrumbList.",
)
def sd_breadcrumb_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """A page deeper than one level has no BreadcrumbList."""
    if not any("BreadcrumbList" in types_of(node) for node in walk(page.nodes)):
        yield Evidence(page.url, "there is no BreadcrumbList")
