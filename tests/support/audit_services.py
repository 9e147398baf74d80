"""Services outside, as audits ask them: each speaks its wire format on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Service:
    """A running service.

    Attributes:
        asked: Query (or JSON body) and headers of every request, in their order.
        refuses: Answered instead, once each, before anything else: status and JSON.
    """

    url: str = ""
    asked: list[tuple[dict[str, Any], Mapping[str, str]]] = field(default_factory=list)
    refuses: list[tuple[int, Any]] = field(default_factory=list)

    @property
    def place(self) -> str:
        """``host:port``."""
        return self.url.removeprefix("http://")


@asynccontextmanager
async def serve_service(answer: Callable[[dict[str, Any]], Any]) -> AsyncIterator[Service]:
    """Serve one, whatever the path: `answer` gets the query or the JSON body."""
    service = Service()

    async def handle(request: web.Request) -> web.Response:
        given: dict[str, Any] = dict(request.query)
        if request.method == "POST":
            given |= await request.json()
        service.asked.append((given, request.headers))
        if service.refuses:
            status, body = service.refuses.pop(0)
            return web.json_response(body, status=status)
        return web.json_response(answer(given))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        service.url = f"http://{host}:{port}"
        yield service
    finally:
        await runner.cleanup()


def lighthouse(given: Mapping[str, Any]) -> dict[str, Any]:
    """A PageSpeed Insights answer."""
    slow = given["strategy"] == "mobile"
    return {
        "id": given["url"],
        "loadingExperience": {"metrics": {"LARGEST_CONTENTFUL_PAINT_MS": {"percentile": 2_400},
                                          "CUMULATIVE_LAYOUT_SHIFT_SCORE": {"percentile": 12}}},
        "lighthouseResult": {
            "lighthouseVersion": "13.0.1", "finalDisplayedUrl": given["url"], "fetchTime": "2026-01-01T00:00:00Z",
            "categories": {
                "performance": {"score": 0.55 if slow else 0.93}, "accessibility": {"score": 0.9},
                "best-practices": {"score": 1}, "seo": {"score": 0.92},
            },
            "audits": {
                "largest-contentful-paint": {"score": 0.4, "numericValue": 4_100.5, "title": "LCP"},
                "cumulative-layout-shift": {"score": 1, "numericValue": 0.02},
                "unused-javascript": {
                    "score": 0, "title": "Reduce unused JavaScript",
                    "details": {"overallSavingsMs": 600, "overallSavingsBytes": 120_000},
                },
                "logical-tab-order": {"score": None, "scoreDisplayMode": "manual"},
            },
        },
    }  # fmt: skip


def searxng(own: str, at: int = 12) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A SearXNG that has `own` at a position, ten results a page, three pages."""

    def answer(given: dict[str, Any]) -> dict[str, Any]:
        page = int(given.get("pageno", 1))
        if page > 3:
            return {"results": []}
        first = (page - 1) * 10 + 1
        return {
            "results": [
                {"url": own if n == at else f"https://rival{n % 3}.example/{n}", "title": f"Result {n}"}
                for n in range(first, first + 10)
            ]
        }

    return answer


def model(text: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """An OpenAI-compatible endpoint that always says the same."""

    def answer(given: dict[str, Any]) -> dict[str, Any]:
        return {"model": given["model"], "choices": [{"message": {"role": "assistant", "content": text}}]}

    return answer
