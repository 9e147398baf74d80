"""A web site to audit, with faults that are known, on loopback."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = web.Response | str | int
Page = Answer | Callable[[web.Request], Answer | Awaitable[Answer]]


@dataclass
class AuditSite:
    """A site whose pages a test may change, and that counts what it is asked."""

    pages: dict[str, Page]
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    headers: dict[str, list[Mapping[str, str]]] = field(default_factory=dict)
    _after: tuple[int, Callable[[], None]] | None = None

    def when(self, answers: int, act: Callable[[], None]) -> None:
        """Do something once, when so many requests have come."""
        self._after = (answers, act)

    def note(self, request: web.Request) -> None:
        """Count a request."""
        self.asked[request.path_qs] += 1
        self.headers.setdefault(request.path_qs, []).append(request.headers)
        if self._after is not None and self.asked.total() >= self._after[0]:
            act, self._after = self._after[1], None
            act()

    @property
    def place(self) -> str:
        """``host:port``, for the allow list."""
        return self.url.removeprefix("http://").rstrip("/")


def page(title: str, body: str, head: str = "") -> str:
    """A page without faults of its own in its head."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="description" content="{title}: {"what this page tells in some words. " * 3}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{head}</head>'
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )


@asynccontextmanager
async def serve_site(pages: Mapping[str, Page]) -> AsyncIterator[AuditSite]:
    """Serve a site for as long as the block runs; what is not listed answers 404."""
    site = AuditSite(dict(pages))

    async def answer(request: web.Request) -> web.StreamResponse:
        site.note(request)
        found = site.pages.get(request.path_qs, site.pages.get(request.path, 404))
        if callable(found):
            made = found(request)
            found = await made if isinstance(made, Awaitable) else made
        if isinstance(found, int):
            return web.Response(status=found, text="<title>gone</title>", content_type="text/html")
        if isinstance(found, str):
            kind = "text/plain" if request.path.endswith(".txt") else "text/html"
            kind = "application/xml" if request.path.endswith(".xml") else kind
            return web.Response(text=found, content_type=kind)
        return found

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        site.url = f"http://{host}:{port}/"
        yield site
    finally:
        await runner.cleanup()
