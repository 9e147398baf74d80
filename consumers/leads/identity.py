"""When two records are one business: by phone, by registrable domain, by name and place."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from consumers.contacts.social import network_of
from consumers.net import urls

if TYPE_CHECKING:
    from schemas.leads import FoundLead

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


def suppression_hash(tenant: str, key: str) -> str:
    """What is kept of an erased key: it can be recognised, not read.

    Source: GDPR, articles 17 and 21: who objected must not be found again, which needs something to know them by.
    """
    return hashlib.sha256(f"{tenant}\nlead\n{key}".encode()).hexdigest()


def hashes_of(lead: FoundLead, tenant: str) -> tuple[str, ...]:
    """The hashes of all that a lead is known by, its e-mail addresses too."""
    return tuple(suppression_hash(tenant, key) for key in (*keys_of(lead), *(f"e:{one.value}" for one in lead.emails)))
