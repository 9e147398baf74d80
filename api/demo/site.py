"""Serves the demo site on loopback, with ETag, Last-Modified and 304 as a real site would."""

from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from aiohttp import web

from api.demo.web_pages import ORIGIN_MARK

HOST = "127.0.0.1"


class PortInUseError(OSError):
    """The port asked for is taken."""

    def __init__(self, port: int, cause: OSError) -> None:
        super().__init__(
            cause.errno,
            f"The demo site cannot listen on {HOST}:{port} ({cause.strerror}). Free it, or ask for port 0",
        )


class DemoSite:
    """The running site.

    Attributes:
        port: Port it listens on.
        answered: How often each (path, status) was answered, for tests and for the curious.
    """

    def __init__(self, folder: Path, refused: Collection[str]) -> None:
        self._files = {
            f"/{file.relative_to(folder).as_posix().removesuffix('index.html')}": file
            for file in folder.rglob("*")
            if file.is_file()
        }
        self._refused = frozenset(refused)
        self.answered: Counter[tuple[str, int]] = Counter()
        self.port = 0

    @property
    def url(self) -> str:
        """Address of the home page, with the final slash."""
        return f"http://{HOST}:{self.port}/"

    @classmethod
    @asynccontextmanager
    async def serve(cls, folder: Path, port: int = 0, *, refused: Collection[str] = ()) -> AsyncIterator[Self]:
        """Serve ``folder`` until the block is left.

        Args:
            folder: What ``ensure_site`` gave.
            port: 0 takes a free one.
            refused: URL paths that answer 403, to see a job end as partial.

        Raises:
            PortInUseError: ``port`` is taken.
        """
        site = cls(folder, refused)
        app = web.Application()
        app.router.add_get("/{path:.*}", site._answer)
        app.on_response_prepare.append(site._count)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            listener = web.TCPSite(runner, HOST, port)
            try:
                await listener.start()
            except OSError as error:
                raise PortInUseError(port, error) from error
            site.port = runner.addresses[0][1]
            yield site
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        return self._response(request)

    async def _count(self, request: web.Request, response: web.StreamResponse) -> None:
        """Once the status is known: a file becomes a 304 on its way out."""
        self.answered[request.path, response.status] += 1

    def _response(self, request: web.Request) -> web.StreamResponse:
        if request.path in self._refused:
            return web.Response(status=403, text="Forbidden\n")
        file = self._files.get(request.path)
        if file is None:
            return web.Response(status=404, text="<h1>Page not found</h1>", content_type="text/html")
        if file.name in {"robots.txt", "sitemap.xml"}:
            kind = "text/plain" if file.suffix == ".txt" else "application/xml"
            text = file.read_text(encoding="utf-8").replace(ORIGIN_MARK, str(request.url.origin()))
            return web.Response(text=text, content_type=kind)
        return web.FileResponse(file, headers={"Cache-Control": "no-cache"})
