"""Who is behind a site, as its structured data says: organisations with name, phone and address."""

from __future__ import annotations

import re
from typing import Any, Final

from consumers.audit.page import Page
from consumers.audit.structured import first_text, text_value, types_of, values_of, walk
from consumers.audit.vocabulary import is_a
from consumers.contacts.phones import to_e164

_ADDRESS: Final = ("streetAddress", "postalCode", "addressLocality", "addressRegion", "addressCountry")


def organisation_nodes(page: Page) -> list[dict[str, Any]]:
    """Items that are an Organization or one of its subtypes, LocalBusiness among them; nested ones too."""
    return [node for node in walk(page.nodes) if any(is_a(one, "Organization") for one in types_of(node))]


def own_organisations(page: Page) -> list[dict[str, Any]]:
    """Organisations that the page names in their own right: at the top, or as what the page is about or from."""
    tops = page.nodes
    nested = [
        one
        for node in tops
        for name in ("publisher", "mainEntity", "about", "provider")
        for one in values_of(node, name)
        if isinstance(one, dict)
    ]
    return [node for node in tops + nested if any(is_a(one, "Organization") for one in types_of(node))]


def organisations_of(page: Page) -> tuple[tuple[str, str, str], ...]:
    """Name, telephone (E.164 where it is one) and address of the page's own organisations; empty where not said."""
    found = []
    for node in page.nodes:
        if any(is_a(one, "Organization") for one in types_of(node)):
            phone = first_text(node, "telephone")
            found.append(
                (
                    first_text(node, "name"),
                    (to_e164(phone) or re.sub(r"\D", "", phone)) if phone else "",
                    address_of(node),
                )
            )
    return tuple(found)


def address_of(node: dict[str, Any]) -> str:
    """The address of an organisation on one line; empty when it gives none."""
    for value in values_of(node, "address"):
        if isinstance(value, dict):
            return ", ".join(text for name in _ADDRESS if (text := first_text(value, name)))
        return text_value(value)
    return ""


def linked_phones(page: Page) -> tuple[str, ...]:
    """E.164 of the ``tel:`` links of a page."""
    found = (to_e164(link.href) for link in page.links if link.href and link.href.lower().startswith("tel:"))
    return tuple(dict.fromkeys(one for one in found if one))
