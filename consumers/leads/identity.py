"""When two records are one business: by phone, by registrable domain, by name and place."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from consumers.contacts.phones import region_of, to_e164
from consumers.contacts.social import network_of
from consumers.net import urls

if TYPE_CHECKING:
    from collections.abc import Collection

    from schemas.leads import Business, FoundLead

_WORDS: Final = re.compile(r"[^\w]+")
DIRECTORIES: Final = frozenset({
    "booking.com", "bookatable.com", "business.site", "cylex.de", "deliveroo.com", "doordash.com", "efood.gr",
    "foursquare.com", "gelbeseiten.de", "google.com", "goo.gl", "grubhub.com", "just-eat.com", "lieferando.de",
    "linktr.ee", "opentable.com", "pagesjaunes.fr", "paginegialle.it", "paginasamarillas.es", "thefork.com",
    "tripadvisor.com", "ubereats.com", "vrisko.gr", "wolt.com", "xo.gr", "yell.com", "yellowpages.com", "yelp.com",
})  # fmt: skip
"""Registrable domains whose pages about a business are not its own website."""


def plain(text: str) -> str:
    """Words without case, accents and punctuation."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(_WORDS.sub(" ", bare.casefold()).split())


def key_of(*parts: str | None) -> str:
    """The key of a business within a source: 24 hex digits."""
    return hashlib.sha256("\n".join(plain(part or "") for part in parts).encode()).hexdigest()[:24]


def own_website(url: str | None) -> str | None:
    """A business's own website; None when there is none, or only a page on a social network or in a directory."""
    if not url:
        return None
    full = urls.normalise(url if "://" in url else f"http://{url}")
    if full is None or network_of(full) is not None:
        return None
    domain = domain_of(full)
    is_network = network_of(f"https://{domain}/somebody") is not None
    return None if domain is None or is_network or domain in DIRECTORIES else full


def domain_of(url: str | None) -> str | None:
    """The registrable domain of a website, with the port where it has one of its own."""
    if not url:
        return None
    try:
        parsed = urls.parse(url)
        site = urls.site_of(url)
    except ValueError:
        return None
    return f"{site}:{parsed.port}" if parsed.port and ":" not in site else site


def keys_of(lead: FoundLead) -> tuple[str, ...]:
    """What a business is known by, surest first: ``p:`` phone, ``n:`` name and place, ``d:`` domain."""
    keys = [f"p:{one.value}" for one in lead.phones if one.source in {"listing", "schema.org"}]
    if lead.address:
        keys.append(f"n:{plain(lead.name)}|{plain(lead.address)}")
    if lead.domain:
        keys.append(f"d:{lead.domain}")
    return tuple(dict.fromkeys(keys))


def is_same(one: FoundLead, other: FoundLead) -> bool:
    """Whether two records are one business; branches of a chain share a domain, but neither phone nor place."""
    shared = set(keys_of(one)) & set(keys_of(other))
    if any(not key.startswith("d:") for key in shared):
        return True
    apart = bool(one.address and other.address and plain(one.address) != plain(other.address))
    return bool(shared) and not (apart and plain(one.name) != plain(other.name)) and not _calls_apart(one, other)


def _calls_apart(one: FoundLead, other: FoundLead) -> bool:
    mine = {key for key in keys_of(one) if not key.startswith("d:")}
    theirs = {key for key in keys_of(other) if not key.startswith("d:")}
    return any(k.startswith("p:") for k in mine) and any(k.startswith("p:") for k in theirs) and mine != theirs


@dataclass(frozen=True, slots=True)
class Seal:
    """Makes what is kept of an erased key: it can be recognised by this installation, and read by nobody.

    Phone numbers are few enough to try them all, so that a hash alone would tell them to whoever has the database;
    the secret is kept elsewhere.

    Source: GDPR, articles 17 and 21: who objected must not be found again, which needs something to know them by;
    RFC 2104 (HMAC).
    """

    secret: bytes = field(repr=False)

    def of(self, tenant: str, key: str) -> str:
        """The hash of a key of `out_keys` or `contact_keys`."""
        return hmac.new(self.secret, f"{tenant}\nlead\n{key}".encode(), hashlib.sha256).hexdigest()


def contact_keys(lead: FoundLead) -> tuple[str, ...]:
    """What a lead is reached by: ``e:`` e-mail addresses, ``c:`` phone numbers."""
    return (*(f"e:{one.value}" for one in lead.emails), *(f"c:{one.value}" for one in lead.phones))


def erased_keys(lead: FoundLead) -> tuple[str, ...]:
    """What is kept out once a lead is erased: the business by what it is known by, and its people by their contacts."""
    return tuple(dict.fromkeys((*keys_of(lead), *contact_keys(lead))))


def business_keys(business: Business, region: str | None) -> tuple[str, ...]:
    """What a listed business would be known by as a lead; see `keys_of`."""
    keys = []
    if phone := phone_of(business, region):
        keys += [f"p:{phone}", f"c:{phone}"]
    if business.address:
        keys.append(f"n:{plain(business.name)}|{plain(business.address)}")
    if domain := domain_of(own_website(business.website)):
        keys.append(f"d:{domain}")
    return tuple(keys)


def without(lead: FoundLead, erased: Collection[str]) -> FoundLead | None:
    """A lead without contacts that were erased; None when the business itself was.

    Args:
        erased: Those of its `erased_keys` that were.
    """
    if any(key in erased for key in keys_of(lead)):
        return None
    emails = tuple(one for one in lead.emails if f"e:{one.value}" not in erased)
    phones = tuple(one for one in lead.phones if f"c:{one.value}" not in erased)
    return lead.model_copy(update={"emails": emails, "phones": phones})


def phone_of(business: Business, region: str | None) -> str | None:
    """Its listed number in E.164.

    Args:
        region: Country of numbers without a country code; None takes the website's.
    """
    if not business.phone:
        return None
    site = own_website(business.website)
    return to_e164(business.phone, region or (region_of(domain_of(site) or "") if site else None))
