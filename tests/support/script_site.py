"""Pages on loopback that only a browser can read, and some that a browser should be kept from."""

from __future__ import annotations

from typing import Self

from aiohttp import web

FILLED_BY_SCRIPT = """<!doctype html><title>List</title><ul></ul><script>
fetch('/items').then(r => r.json()).then(items => {
  for (const item of items) document.querySelector('ul').insertAdjacentHTML('beforeend', `<li>${item}</li>`);
});</script>"""
# Each way by which a page may reach for an address of its choice; (other) is another origin.
REACHING = """<!doctype html><title>Reaching</title><body><img src="http://(other)/by-image"><script>
const tried = [];
tried.push(fetch('http://(other)/by-fetch', {mode: 'no-cors'}).catch(() => 0));
tried.push(fetch('/leads-away', {mode: 'no-cors'}).catch(() => 0));
tried.push(new Promise(done => {
  const socket = new WebSocket('ws://(other)/by-socket'); socket.onclose = done; socket.onerror = done;
}));
navigator.sendBeacon('http://(other)/by-beacon', 'x');
Promise.all(tried).then(() => { document.body.id = 'tried'; });
</script>"""
HANGING = "<!doctype html><title>Hanging</title><script>for (;;) {}</script>"
LONG = """<!doctype html><title>Long</title><div style="height: 5000px"></div><script>
addEventListener('scroll', () => { document.title = 'seen to the end'; });</script>"""
_PAGES = {"/list": FILLED_BY_SCRIPT, "/reaching": REACHING, "/hanging": HANGING, "/long": LONG}
_AWAY = {"/leads-away": "/by-redirect", "/away": "/by-navigation"}


class ScriptSite:
    """Serves on a free port of 127.0.0.1 while entered.

    Attributes:
        other: ``host:port`` that ``/reaching`` reaches for.
        asked: Paths that were requested, in order.
    """

    def __init__(self, other: str = "10.0.0.1") -> None:
        self.other = other
        self.asked: list[str] = []
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def allow(self) -> str:
        """The entry that lets the guard through."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        """Of a page."""
        return f"http://{self.allow}{path}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path in _AWAY:
            raise web.HTTPFound(f"http://{self.other}{_AWAY[request.path]}")
        if request.path == "/items":
            return web.json_response(["one", "two", "three"])
        if request.path == "/posted":
            return web.Response(text=f"<title>{await request.text()}</title>", content_type="text/html")
        page = _PAGES.get(request.path)
        if page is None:
            return web.Response(status=404, text="<title>Not found</title>", content_type="text/html")
        return web.Response(text=page.replace("(other)", self.other), content_type="text/html")
