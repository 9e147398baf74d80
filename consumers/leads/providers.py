"""Businesses from services that hand them out: Google Places, OpenStreetMap's Overpass, and CSV files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from consumers.audit.outside.service import Service, ServiceAway
from consumers.leads.recipes import business_of
from schemas.leads import Business
from streams.errors import PermanentError

if TYPE_CHECKING:
    from consumers.net.fetch import Fetcher

PAGE: Final = 20
"""Most places of an answer. Source: Places API (New), Text Search, ``pageSize``."""

OVERPASS_S: Final = 90
MAX_ROWS: Final = 100_000
_MASK: Final = ",".join(
    [
        "nextPageToken",
        *(
            f"places.{one}"
            for one in (
                "id", "displayName", "formattedAddress", "internationalPhoneNumber", "websiteUri", "rating",
                "userRatingCount", "location", "primaryType", "businessStatus", "googleMapsUri",
            )
        ),
    ]
)  # fmt: skip
_KINDS: Final = "amenity|shop|craft|office|tourism|leisure|healthcare"
_NO_WORD: Final = re.compile(r"[^\w]+")
_TAG: Final = re.compile(r"^([\w:]+)=([\w:;-]+)$")
_COLUMNS: Final[dict[str, str]] = {
    "name": "name", "title": "name", "company": "name", "business": "name", "phone": "phone", "telephone": "phone",
    "tel": "phone", "website": "website", "site": "website", "web": "website", "url": "website", "address": "address",
    "complete_address": "address", "rating": "rating", "review_rating": "rating", "reviews": "reviews",
    "review_count": "reviews", "category": "category", "place_id": "place_id", "last_review": "reviewed_on",
    "reviewed_on": "reviewed_on", "latitude": "lat", "lat": "lat", "longitude": "lon", "lon": "lon",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answered:
    """A page of a source's businesses, and the token of the next; None at the end."""

    businesses: tuple[Business, ...]
    next: str | None = None


class Source(Protocol):
    """Where businesses come from, page by page."""

    async def page(self, token: str | None) -> Answered:
        """A page: the first without a token.

        Raises:
            PermanentError: It will not answer: ``service_refused``, ``quota_exceeded``, ``bad_answer``.
            TransientError: It may answer later.
        """
        ...


@dataclass(frozen=True, slots=True)
class Places:
    """Google's Places API (New), Text Search."""

    fetch: Fetcher
    key: str
    base: str
    query: str

    async def page(self, token: str | None) -> Answered:
        """A page of places; see `Source`."""
        headers = {"X-Goog-Api-Key": self.key, "X-Goog-FieldMask": _MASK}
        service = Service("Google Places", self.base, self.fetch, headers=headers)
        asked: dict[str, Any] = {"textQuery": self.query, "pageSize": PAGE}
        if token:
            asked["pageToken"] = token
        answer = await service.post("/v1/places:searchText", asked)
        places = [one for one in _list(answer, "places") if one.get("businessStatus") != "CLOSED_PERMANENTLY"]
        return Answered(tuple(filter(None, map(_place, places))), answer.get("nextPageToken") or None)


def _place(place: dict[str, Any]) -> Business | None:
    where = place.get("location") or {}
    found = {
        "name": (place.get("displayName") or {}).get("text"), "phone": place.get("internationalPhoneNumber"),
        "website": place.get("websiteUri"), "address": place.get("formattedAddress"), "rating": place.get("rating"),
        "reviews": place.get("userRatingCount"), "category": place.get("primaryType"), "place_id": place.get("id"),
        "lat": where.get("latitude"), "lon": where.get("longitude"), "url": place.get("googleMapsUri"),
    }  # fmt: skip
    return business_of(_texts(found), "https://maps.google.com/", "places")


@dataclass(frozen=True, slots=True)
class Overpass:
    """OpenStreetMap by the Overpass API; one answer has all."""

    fetch: Fetcher
    base: str
    query: str
    location: str
    limit: int

    async def page(self, token: str | None) -> Answered:  # noqa: ARG002 - there is one page
        """All elements; see `Source`."""
        service = Service("Overpass", self.base, self.fetch, timeout_s=OVERPASS_S + 10)
        answer = await service.get(data=overpass_query(self.query, self.location, self.limit))
        elements = _list(answer, "elements")
        remark = str(answer.get("remark") or "")
        if "error" in remark.lower():
            raise ServiceAway(f"Overpass gave up: {remark[:300]}; asked again later", reason="service_away")
        return Answered(tuple(filter(None, map(_element, elements))))


def overpass_query(query: str, location: str, limit: int) -> str:
    """The question in Overpass QL: a tag (``amenity=cafe``), else a kind of place by its name."""
    tag = _TAG.match(query)
    kind = _NO_WORD.sub("_", query.strip())
    wanted = f'["{tag[1]}"="{tag[2]}"]' if tag else f'[~"^({_KINDS})$"~"^{kind}$",i]'
    return (
        f'[out:json][timeout:{OVERPASS_S}];area["name"="{_quoted(location)}"]->.a;'
        f'nwr{wanted}["name"](area.a);out center tags {limit};'
    )


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _element(element: dict[str, Any]) -> Business | None:
    tags = element.get("tags") or {}
    where = element if "lat" in element else element.get("center") or {}
    street = " ".join(filter(None, (tags.get("addr:street"), tags.get("addr:housenumber"))))
    city = " ".join(filter(None, (tags.get("addr:postcode"), tags.get("addr:city"))))
    found = {
        "name": tags.get("name"), "phone": tags.get("phone") or tags.get("contact:phone"),
        "website": tags.get("website") or tags.get("contact:website") or tags.get("url"),
        "address": ", ".join(filter(None, (street, city))),
        "category": next((tags[kind] for kind in _KINDS.split("|") if kind in tags), None),
        "place_id": f"{element.get('type')}/{element.get('id')}", "lat": where.get("lat"), "lon": where.get("lon"),
        "url": f"https://www.openstreetmap.org/{element.get('type')}/{element.get('id')}",
    }  # fmt: skip
    return business_of(_texts(found), "https://www.openstreetmap.org/", "osm")


def from_csv(body: bytes, source_url: str) -> tuple[Business, ...]:
    """The businesses of a CSV file; columns are known by their names, in any order.

    Raises:
        PermanentError: ``bad_csv``: it has no column for names.
    """
    text = body.decode("utf-8-sig", "replace")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    known = {name: _COLUMNS.get(re.sub(r"[\s-]+", "_", name.strip().casefold()), "") for name in rows.fieldnames or ()}
    if "name" not in known.values():
        raise PermanentError(
            f"the CSV file has no column `name`; it has {', '.join(map(repr, list(known)[:20])) or 'none'}",
            reason="bad_csv",
        )
    found: dict[str, Business] = {}
    try:
        for _, row in zip(range(MAX_ROWS), rows, strict=False):
            fields = {known[name]: text for name, text in row.items() if name is not None and known[name] and text}
            business = business_of({name: " ".join(text.split()) for name, text in fields.items()}, source_url, "csv")
            if business is not None:
                found.setdefault(business.key, business)
    except csv.Error as error:
        raise PermanentError(f"the CSV file cannot be read: {error}", reason="bad_csv") from None
    return tuple(found.values())


def _texts(found: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def _list(answer: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(answer, dict) or not isinstance(answer.get(name, []), list):
        raise PermanentError(f"the service answered without a list of {name}; check its address", reason="bad_answer")
    return [one for one in answer.get(name, []) if isinstance(one, dict)]
