"""The contacts that a page gives, with where each was found; schema.org first, then links, then text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from consumers.audit.entity import address_of, organisation_nodes
from consumers.audit.page import Page
from consumers.audit.signals import Link
from consumers.audit.structured import first_text, types_of, values_of, walk
from consumers.contacts import emails
from consumers.contacts.phones import phones_in_text, region_of, to_e164
from consumers.contacts.social import network_of
from consumers.net import urls

_ORDER: Final = ("schema.org", "link", "text")
_HAS_NUMBER: Final = re.compile(r"\d[\d\s().\-/]{5,}\d")


@dataclass(frozen=True, slots=True)
class Contact:
    """One way to reach somebody. `source` is ``schema.org``, ``link`` or ``text``; `url` the page that gives it."""

    value: str
    source: str
    url: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Contacts:
    """What a page or a site gives.

    Attributes:
        names: Of organisations in the markup.
        phones: E.164.
        addresses: On one line.
        social: Profiles; `label` is the network.
    """

    names: tuple[Contact, ...] = ()
    emails: tuple[Contact, ...] = ()
    phones: tuple[Contact, ...] = ()
    addresses: tuple[Contact, ...] = ()
    social: tuple[Contact, ...] = ()


def contacts_of(page: Page, region: str | None = None) -> Contacts:
    """What a page gives.

    Args:
        region: Two-letter country of numbers without a country code; None takes the domain's or the language's.
    """
    region = region or region_of(_host(page.url), page.lang)
    names, mails, phones, places, profiles = [], [], [], [], []
    organisations = organisation_nodes(page)
    for node in organisations:
        if name := first_text(node, "name"):
            names.append(Contact(name, "schema.org", page.url, "/".join(types_of(node))))
        if place := address_of(node):
            places.append(Contact(place, "schema.org", page.url))
        profiles += [
            Contact(one, "schema.org", page.url, network)
            for one in values_of(node, "sameAs")
            if isinstance(one, str) and (network := network_of(one))
        ]
    for node in walk(page.nodes):
        mails += [
            Contact(found, "schema.org", page.url)
            for one in values_of(node, "email")
            if (found := emails.normalised(_bare(one)))
        ]
        phones += [
            Contact(found, "schema.org", page.url)
            for one in values_of(node, "telephone")
            if (found := to_e164(str(one), region))
        ]
    for link in page.links:
        for kind, one in _of_link(link, page.url, region):
            {"email": mails, "phone": phones, "social": profiles}[kind].append(one)
    mails += [Contact(found, "text", page.url) for found in emails.in_text(page.visible_text)]
    if _HAS_NUMBER.search(page.visible_text):
        phones += [Contact(number, "text", page.url) for _, number in phones_in_text(page.visible_text, region)]
    return Contacts(_once(names), _once(mails), _once(phones), _once(places), _once(profiles))


def _of_link(link: Link, url: str, region: str | None) -> Iterator[tuple[str, Contact]]:
    href = (link.href or "").strip()
    scheme = href.partition(":")[0].lower()
    if scheme == "mailto":
        for found in emails.from_mailto(href):
            yield "email", Contact(found, "link", url, link.text)
    elif scheme in {"tel", "callto"}:
        if number := to_e164(href, region):
            yield "phone", Contact(number, "link", url, link.text)
    elif "/cdn-cgi/l/email-protection#" in href:
        if hidden := emails.decloaked(href.partition("#")[2]):
            yield "email", Contact(hidden, "link", url)
    elif link.url is not None and (network := network_of(link.url)):
        yield "social", Contact(link.url, "link", url, network)


def merged(pages: Iterable[Contacts]) -> Contacts:
    """What several pages of a site give together, the best source of each first."""
    found: tuple[list[Contact], ...] = ([], [], [], [], [])
    for one in pages:
        for kept, more in zip(found, (one.names, one.emails, one.phones, one.addresses, one.social), strict=True):
            kept.extend(more)
    return Contacts(*map(_once, found))


def _once(found: list[Contact]) -> tuple[Contact, ...]:
    kept: dict[str, Contact] = {}
    for one in sorted(found, key=lambda contact: _ORDER.index(contact.source)):
        kept.setdefault(one.value.rstrip("/"), one)
    return tuple(kept.values())


def _bare(value: object) -> str:
    return re.sub(r"^mailto:", "", str(value), flags=re.IGNORECASE)


def _host(url: str) -> str:
    try:
        return urls.host_of(url)
    except ValueError:
        return ""
