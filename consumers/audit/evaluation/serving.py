"""A folder of a site's files as a web site on loopback, with the site's own domain rewritten to it."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from aiohttp import web

INDEXES: Final = ("index.html", "index.htm")
_TEXTS: Final = frozenset(
    ("html", "htm", "xml", "txt", "css", "js", "mjs", "json", "svg", "md", "xsl", "webmanifest", "rss", "atom", "")
)
_TYPES: Final = {
    "html": "text/html", "htm": "text/html", "md": "text/markdown", "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "avif": "image/avif", "woff2": "font/woff2", "woff": "font/woff", "ico": "image/x-icon",
    "xml": "application/xml", "txt": "text/plain",
}  # fmt: skip
_SELF: Final = re.compile(
    rb"<link[^>]*rel=[\"']?canonical[^>]*href=[\"']?https?://([\w.-]+)"
    rb"|<meta[^>]*og:url[^>]*content=[\"']?https?://([\w.-]+)|<loc>\s*https?://([\w.-]+)",
    re.IGNORECASE,
)
_ROW: Final = re.compile(r"^\|\s*([\w.-]+)\s*\|\s*([\w.-]+\.[\w-]+)\s*\|", re.MULTILINE)


def own_domains(folder: Path) -> dict[str, str]:
    """The domain that each site's links are written with.

    As SOURCES.md says, else as the site's CNAME file does, else as its home page or sitemap names itself.
    """
    sources = folder / "SOURCES.md"
    domains = dict(_ROW.findall(sources.read_text(encoding="utf-8"))) if sources.is_file() else {}
    for site in folder.iterdir():
        name = site / "CNAME"
        if site.name not in domains and name.is_file():
            domains[site.name] = name.read_text(encoding="utf-8").strip()
        elif site.name not in domains and site.is_dir() and (found := _named_in(site)):
            domains[site.name] = found
    return domains


def _named_in(site: Path) -> str | None:
    for name in (*INDEXES, "sitemap.xml"):
        file = site / name
        found = _SELF.search(file.read_bytes()) if file.is_file() else None
        if found:
            return (found[1] or found[2] or found[3]).decode("ascii", "replace")
    return None


@asynccontextmanager
async def serve_folder(folder: Path, domain: str | None) -> AsyncIterator[str]:
    """Serve a folder for as long as the block runs; yields its address, with a final slash.

    A path that is a folder is its index page, with and without a final slash. What is not there answers 404 with the
    site's own 404.html, if it has one.
    """
    bare = domain.removeprefix("www.") if domain else ""
    own = (
        re.compile(rb"(?:https?:)?//(?:www\.)?" + re.escape(bare.encode()) + rb"(?![\w.-]*\w)", re.IGNORECASE)
        if bare
        else None
    )
    origin = b""

    async def answer(request: web.Request) -> web.Response:
        path = unquote(request.rel_url.raw_path, errors="surrogateescape").lstrip("/")
        found = _file(folder, path)
        status = 200
        if found is None:
            status, found = 404, _file(folder, "404.html")
        if found is None:
            return web.Response(status=404, text="not found")
        extension = found.suffix.removeprefix(".").lower()
        body = found.read_bytes()
        if own is not None and extension in _TEXTS:
            body = own.sub(origin, body)
        kind = _TYPES.get(extension) or mimetypes.guess_type(found.name)[0] or "application/octet-stream"
        return web.Response(status=status, body=body, content_type=kind)

    app = web.Application()
    app.router.add_route("GET", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        origin = f"http://{host}:{port}".encode()
        yield f"http://{host}:{port}/"
    finally:
        await runner.cleanup()


def _file(folder: Path, path: str) -> Path | None:
    """The file of a path, never outside the folder."""
    root = folder.resolve()
    try:
        found = (root / path).resolve()
        if not found.is_relative_to(root):
            return None
        if found.is_dir():
            return next((found / name for name in INDEXES if (found / name).is_file()), None)
        if found.is_file() and not path.endswith("/"):
            return found
        page = found.with_name(found.name + ".html")
        return page if path and page.is_file() and not path.endswith("/") else None
    except (OSError, ValueError):
        return None
