"""Search engines: what stands where for a query.

Sources: SearXNG "Search API" (``format=json``), serper.dev (``POST /search``), SerpAPI "Google Search API",
Google "Custom Search JSON API" (``cse.list``), as documented by each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from consumers.audit.outside.service import Service, ServiceRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.net.fetch import Fetcher

Provider = Literal["searxng", "serper", "serpapi", "google_cse"]

PER_PAGE: Final = 10
MAX_PAGES: Final = 10

ADDRESSES: Final[dict[str, str]] = {
    "serper": "https://google.serper.dev",
    "serpapi": "https://serpapi.com",
    "google_cse": "https://customsearch.googleapis.com/customsearch/v1",
}
"""Where each is; SearXNG is the operator's own."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One organic result. `position` counts from 1 over all pages."""

    position: int
    url: str
    title: str


class SearchEngine(Protocol):
    """Something that answers queries with organic results."""

    @property
    def name(self) -> str:
        """Shown beside what it found."""
        ...

    async def search(self, query: str, *, limit: int) -> list[Hit]:
        """The first results for a query, as many as there are up to `limit`.

        Raises:
            ServiceRefused, ServiceAway: As of `Service`.
        """
        ...


class SearXNG:
    """An instance whose ``search.formats`` has ``json``."""

    name = "searxng"

    def __init__(self, fetch: Fetcher, url: str, key: str = "", engine_id: str = "") -> None:  # noqa: ARG002 - one way
        self._service = Service("SearXNG", url, fetch)

    async def search(self, query: str, *, limit: int) -> list[Hit]:
        """Pages by ``pageno`` until one brings nothing new."""
        hits: list[Hit] = []
        seen: set[str] = set()
        for page in range(1, MAX_PAGES + 1):
            answer = await self._service.get("/search", q=query, format="json", pageno=page)
            fresh = [one for one in _rows(answer, "results") if one.get("url") and one["url"] not in seen]
            seen |= {one["url"] for one in fresh}
            hits += _hits(fresh, "url", len(hits))
            if not fresh or len(hits) >= limit:
                break
        return hits[:limit]


class Serper:
    """google.serper.dev."""

    name = "serper"

    def __init__(self, fetch: Fetcher, url: str, key: str = "", engine_id: str = "") -> None:  # noqa: ARG002 - one way
        self._service = Service("Serper", url, fetch, headers={"X-API-KEY": key})

    async def search(self, query: str, *, limit: int) -> list[Hit]:
        """Pages by ``page``."""
        hits: list[Hit] = []
        for page in range(1, MAX_PAGES + 1):
            answer = await self._service.post("/search", {"q": query, "num": PER_PAGE, "page": page})
            rows = _rows(answer, "organic")
            hits += _hits(rows, "link", len(hits))
            if len(rows) < PER_PAGE or len(hits) >= limit:
                break
        return hits[:limit]


class SerpApi:
    """serpapi.com, engine ``google``; its key can only go into the query, which no error text has."""

    name = "serpapi"

    def __init__(self, fetch: Fetcher, url: str, key: str = "", engine_id: str = "") -> None:  # noqa: ARG002 - one way
        self._service = Service("SerpAPI", url, fetch)
        self._key = key

    async def search(self, query: str, *, limit: int) -> list[Hit]:
        """Pages by ``start``, for as long as the answer names a next one."""
        hits: list[Hit] = []
        for page in range(MAX_PAGES):
            answer = await self._service.get(
                "/search.json", engine="google", q=query, start=page * PER_PAGE, api_key=self._key
            )
            # An empty result is told as an error with status 200.
            said = str(answer.get("error", "")) if isinstance(answer, dict) else ""
            if said and "returned any results" not in said:
                raise ServiceRefused(f"SerpAPI refused: {said[:200]}", reason="service_refused")
            hits += _hits(_rows(answer, "organic_results"), "link", len(hits))
            following = answer.get("serpapi_pagination", {}).get("next") if isinstance(answer, dict) else None
            if not following or len(hits) >= limit:
                break
        return hits[:limit]


class GoogleCse:
    """Google's Custom Search JSON API; it answers at most 100 results."""

    name = "google_cse"

    def __init__(self, fetch: Fetcher, url: str, key: str = "", engine_id: str = "") -> None:
        self._service = Service("Google Custom Search", url, fetch, headers={"X-Goog-Api-Key": key})
        self._engine_id = engine_id

    async def search(self, query: str, *, limit: int) -> list[Hit]:
        """Pages by ``start``, for as long as ``queries.nextPage`` names one."""
        hits: list[Hit] = []
        start: int | None = 1
        while start is not None and start <= 91 and len(hits) < limit:  # noqa: PLR2004 - the API's own bound
            answer = await self._service.get(q=query, cx=self._engine_id, num=PER_PAGE, start=start)
            hits += _hits(_rows(answer, "items"), "link", len(hits))
            following = _rows(answer.get("queries", {}) if isinstance(answer, dict) else {}, "nextPage")
            start = int(following[0]["startIndex"]) if following and "startIndex" in following[0] else None
        return hits[:limit]


_KINDS: Final[dict[str, type[SearXNG | Serper | SerpApi | GoogleCse]]] = {
    "searxng": SearXNG,
    "serper": Serper,
    "serpapi": SerpApi,
    "google_cse": GoogleCse,
}


def engine_of(provider: Provider, url: str, fetch: Fetcher, *, key: str = "", engine_id: str = "") -> SearchEngine:
    """The engine that the operator has set up."""
    return _KINDS[provider](fetch, url, key, engine_id)


def _rows(answer: Any, name: str) -> list[dict[str, Any]]:
    rows = answer.get(name) if isinstance(answer, dict) else None
    return [one for one in rows if isinstance(one, dict)] if isinstance(rows, list) else []


def _hits(rows: Iterable[dict[str, Any]], field: str, before: int) -> list[Hit]:
    good = [one for one in rows if isinstance(one.get(field), str)]
    return [Hit(before + n, one[field], str(one.get("title", ""))[:300]) for n, one in enumerate(good, start=1)]
