"""Services outside, as they answer: pages, used-up quotas, error bodies, nonsense. Each over its real wire format."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from consumers.audit.outside.backlinks import CommonCrawl
from consumers.audit.outside.pagespeed import GoogleSpeed
from consumers.audit.outside.search import Provider, engine_of
from consumers.audit.outside.service import ServiceAway, ServiceRefused, reaching
from consumers.net.fetch import Fetcher
from streams.errors import PermanentError, TransientError
from tests.support.audit_services import lighthouse, searxng, serve_service


@pytest.fixture
async def fetch() -> AsyncIterator[Fetcher]:
    async with Fetcher() as opened:
        yield opened


def serper(given: dict[str, Any]) -> dict[str, Any]:
    first = (given["page"] - 1) * 10
    rows = range(first + 1, min(first + 10, 23) + 1)
    return {"organic": [{"link": f"https://a.example/{n}", "title": f"T{n}", "position": n} for n in rows]}


def serpapi(given: dict[str, Any]) -> dict[str, Any]:
    start = int(given["start"])
    if start >= 20:
        return {"error": "Google hasn't returned any results for this query."}
    rows = [{"link": f"https://a.example/{start + n}", "title": "t"} for n in range(1, 11)]
    return {"organic_results": rows, "serpapi_pagination": {"next": "https://serpapi.com/more"}}


def google(given: dict[str, Any]) -> dict[str, Any]:
    start = int(given["start"])
    rows = [{"link": f"https://a.example/{start + n}", "title": "t"} for n in range(10)]
    following = [{"startIndex": start + 10}] if start < 21 else []
    return {"items": rows, "queries": {"request": [{}], "nextPage": following}}


@pytest.mark.parametrize(
    ("provider", "answer", "limit", "found", "requests"),
    [
        ("searxng", searxng("https://own.example/"), 25, 25, 3),
        ("searxng", searxng("https://own.example/"), 100, 30, 4),
        ("serper", serper, 100, 23, 3),
        ("serpapi", serpapi, 100, 20, 3),
        ("google_cse", google, 100, 30, 3),
        ("google_cse", google, 10, 10, 1),
    ],
)
async def test_results_are_paged(
    fetch: Fetcher, provider: Provider, answer: Any, limit: int, found: int, requests: int
) -> None:
    async with serve_service(answer) as service, reaching(service.url, fetch) as reach:
        engine = engine_of(provider, service.url, reach, key="k-e-y", engine_id="cx1")
        hits = await engine.search("coffee beans", limit=limit)
    assert [hit.position for hit in hits] == list(range(1, found + 1))
    assert len({hit.url for hit in hits}) == found
    assert len(service.asked) == requests
    given, headers = service.asked[0]
    sent = {**given, **{name.lower(): value for name, value in headers.items()}}
    assert provider == "searxng" or "k-e-y" in {sent.get(n) for n in ("x-api-key", "api_key", "x-goog-api-key")}


@pytest.mark.parametrize(
    ("refusal", "kind", "reason"),
    [
        (
            (429, {"error": {"code": 429, "message": "Quota exceeded for quota metric"}}),
            ServiceRefused,
            "quota_exceeded",
        ),
        ((403, {"error": {"message": "The daily rate limit is used up"}}), ServiceRefused, "quota_exceeded"),
        ((400, {"message": "Not enough credits"}), ServiceRefused, "quota_exceeded"),
        ((401, {"error": "Invalid API key"}), ServiceRefused, "service_refused"),
        ((503, {"message": "backend"}), ServiceAway, "service_away"),
    ],
)
async def test_refusals_are_told_apart_and_show_no_key(
    fetch: Fetcher, refusal: tuple[int, Any], kind: type[Exception], reason: str
) -> None:
    for provider in ("searxng", "serper", "serpapi", "google_cse"):
        async with serve_service(lambda _: {}) as service, reaching(service.url, fetch) as reach:
            service.refuses = [refusal]
            with pytest.raises(kind) as raised:
                await engine_of(provider, service.url, reach, key="k-e-y", engine_id="c").search("q", limit=5)
        assert raised.value.reason == reason  # type: ignore[attr-defined]
        assert "k-e-y" not in str(raised.value)
        said = refusal[1].get("error", refusal[1].get("message"))
        assert (said["message"] if isinstance(said, dict) else said) in str(raised.value)


async def test_a_private_service_is_reached_only_when_the_operator_named_it(fetch: Fetcher) -> None:
    async with serve_service(lambda _: {}) as service:
        with pytest.raises(PermanentError) as raised:
            await engine_of("searxng", service.url, fetch).search("q", limit=1)
    assert raised.value.reason == "blocked_address"


async def test_pagespeed_and_its_failures(fetch: Fetcher) -> None:
    async with serve_service(lighthouse) as service, reaching(service.url, fetch) as reach:
        meter = GoogleSpeed(reach, "k-e-y", service.url)
        report = await meter.measure("https://site.example/", "mobile")
        service.refuses = [(200, {"lighthouseResult": {"runtimeError": {"message": "NO_FCP"}}})]
        with pytest.raises(TransientError, match="NO_FCP"):
            await meter.measure("https://site.example/", "desktop")
    assert report["scores"] == {"performance": 55, "accessibility": 90, "best_practices": 100, "seo": 92}
    assert report["metrics"] == {"lcp_ms": 4100.5, "cls": 0.02}
    assert report["opportunities"][0]["savings_ms"] == 600
    assert "logical-tab-order" not in report["audits"]
    assert service.asked[0][0]["strategy"] == "mobile"


GRAPH = {
    "vertices": "0\tcom.alpha\t2\n1\tcom.example\t3\n2\torg.beta\t1\n3\torg.example\t1\n12\torg.gamma\t1\n",
    "edges": "0\t1\n0\t2\n1\t1\n2\t1\n3\t11\n12\t1\n",
    "ranks": "#harmonicc_pos\t#harmonicc_val\t#pr_pos\t#pr_val\t#host_rev\n"
    "1\t9.1\t2\t0.1\torg.beta\n7\t8\t3\t0.1\tcom.example\n",
}


async def test_backlinks_from_the_domain_graph(fetch: Fetcher, tmp_path: Path) -> None:
    for name, text in GRAPH.items():
        # Two gzip members, as Common Crawl's files have.
        half = text.index("\n", len(text) // 2) + 1
        data = gzip.compress(text[:half].encode()) + gzip.compress(text[half:].encode())
        (tmp_path / f"cc-{name}.txt.gz").write_bytes(data)
    graph = CommonCrawl(f"{tmp_path}/cc-", fetch)
    found = await graph.backlinks("example.com")
    assert found is not None
    assert (found.referring_domains, found.rank) == (3, 7)
    assert found.domains == [
        {"domain": "beta.org", "rank": 1},
        {"domain": "alpha.com", "rank": None},
        {"domain": "gamma.org", "rank": None},
    ]
    assert await graph.backlinks("nobody.example") is None
    with pytest.raises(PermanentError, match="MILLRACE_BACKLINKS_GRAPH"):
        await CommonCrawl(f"{tmp_path}/other-", fetch).backlinks("example.com")
