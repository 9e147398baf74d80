"""Inline XBRL: the tagged facts of a report, with their periods.

Entities and external references are never resolved. Facts with dimensions (a segment, the parent alone) are known as
such and take no part in the primary statements.

Source: Inline XBRL 1.1 (XBRL International, 2013), Transformation Registries 3 to 5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_INLINE: Final = re.compile(rb"http://www\.xbrl\.org/20(?:08|13)/inlineXBRL")
_HEAD: Final = 200_000
_INSTANCE: Final = "{http://www.xbrl.org/2003/instance}"
_MAX_SCALE: Final = 15
_COMMA_DECIMAL: Final = re.compile(r"comma-?decimal|numcommadot", re.IGNORECASE)
_ZERO: Final = re.compile(r"fixed-?zero|zero-?dash|nocontent", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Context:
    """When a fact holds, and whether it is about a part only.

    Attributes:
        start: First day; None for a balance.
    """

    start: date | None
    end: date
    has_dimensions: bool


@dataclass(frozen=True, slots=True)
class Fact:
    """A tagged number: full amount, sign of the taxonomy."""

    name: str
    start: date | None
    end: date
    value: Decimal
    has_dimensions: bool = False

    @property
    def local(self) -> str:
        """The element's name without its prefix."""
        return self.name.rpartition(":")[2]


def is_inline_xbrl(data: bytes) -> bool:
    """Whether a document declares Inline XBRL."""
    return _INLINE.search(data[:_HEAD]) is not None


def parse(data: bytes) -> etree._Element | None:
    """The document as XML, entities left alone; None when nothing of it parses."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, recover=True, huge_tree=True
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        return None


def contexts_of(root: etree._Element) -> dict[str, Context]:
    """The contexts of a document by their ids."""
    found: dict[str, Context] = {}
    for element in root.iter(f"{_INSTANCE}context"):
        days = [_day(element, name) for name in ("startDate", "endDate", "instant")]
        end = days[1] or days[2]
        if end is None:
            continue
        dimensions = any(len(part) for name in ("segment", "scenario") for part in element.iter(f"{_INSTANCE}{name}"))
        found[element.get("id") or ""] = Context(days[0], end, dimensions)
    return found


def _day(context: etree._Element, name: str) -> date | None:
    text = next((each.text or "" for each in context.iter(f"{_INSTANCE}{name}")), "").strip()[:10]
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def facts_of(root: etree._Element, contexts: Mapping[str, Context]) -> Iterator[Fact]:
    """The numeric facts of a document, in order."""
    for element in root.iter("{*}nonFraction"):
        attributes = {str(key): str(value) for key, value in element.attrib.items()}
        text = "".join(str(part) for part in element.itertext())
        fact = fact_of({key.lower(): value for key, value in attributes.items()}, text, contexts)
        if fact is not None:
            yield fact


def fact_of(attributes: Mapping[str, str | None], text: str, contexts: Mapping[str, Context]) -> Fact | None:
    """The fact of one tag, None when it has no context or no number.

    Args:
        attributes: Of the tag, their names in lower case.
        text: All text within it.
    """
    context = contexts.get(attributes.get("contextref") or "")
    name = attributes.get("name")
    if context is None or not name or any(k.endswith("nil") and v in ("true", "1") for k, v in attributes.items()):
        return None
    value = _number(text, attributes.get("format") or "", attributes.get("scale") or "0")
    if value is None:
        return None
    if attributes.get("sign") == "-":
        value = -value
    return Fact(name, context.start, context.end, value, context.has_dimensions)


def _number(text: str, form: str, scale: str) -> Decimal | None:
    if _ZERO.search(form):
        return Decimal(0)
    digits = re.sub(r"[\s\u00a0\u202f'\u2019]", "", text)
    if _COMMA_DECIMAL.search(form):
        digits = digits.replace(".", "").replace(",", ".")
    digits = digits.replace(",", "")
    try:
        power = int(scale)
        value = Decimal(digits)
    except (InvalidOperation, ValueError):
        return None
    if not value.is_finite() or abs(power) > _MAX_SCALE:
        return None
    return value.scaleb(power) if value else Decimal(0)
