"""A web site on loopback that does everything wrong, and a few things right to compare with.

In a test::

    async with HostileSite() as site:
        config = FetcherConfig(allow_hosts=(site.allow,))
        await fetcher.get(site.url("/bomb"))

By hand: ``python -m tests.support.hostile_site`` prints its address and serves until interrupted.

| path | does |
| --- | --- |
| ``/`` | a page that links to all the others |
| ``/page`` | an honest HTML page in ISO-8859-1 |
| ``/echo`` | the request's headers as JSON |
| ``/gzip`` ``/deflate`` ``/bare-deflate`` ``/two-gzips`` | an honest body, encoded |
| ``/conditional`` | ETag and Last-Modified; 304 when asked |
| ``/status/<code>`` | that status |
| ``/retry-after`` | 429 with ``Retry-After: 7`` |
| ``/never`` | reads the request and says nothing |
| ``/hang-up`` | closes without a word |
| ``/garbage`` | answers something that is not HTTP |
| ``/drip`` | a byte every 20 ms, for ever |
| ``/loop`` | redirects in a circle by ``/loop/2`` |
| ``/hops/<n>`` | redirects n times, then ``/page`` |
| ``/to?<url>`` | redirects there |
| ``/private`` | redirects to 10.0.0.1 |
| ``/huge`` ``/huge-chunked`` | 10 GB, announced or not |
| ``/bomb`` ``/bomb-deflate`` | 10 GB of zeros in 10 MB of gzip or deflate |
| ``/cut-gzip`` ``/not-gzip`` | encoded bodies that are broken |
| ``/brotli`` | an encoding nobody asked for |
| ``/short`` | a Content-Length that is too long |
| ``/long-header`` ``/many-headers`` | a header of 1 MB; 5,000 headers |
| ``/robots.txt`` | `HostileSite.robots`: a body, or a status |
"""

import asyncio
import contextlib
import gzip
import json
import sys
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

GB = 1_000_000_000
HUGE_BYTES = 10 * GB
BLOCK = bytes(1_000_000)
HONEST = b"<html><body><p>An honest page.</p></body></html>"
ETAG = '"v1"'
LAST_MODIFIED = "Wed, 01 Jan 2025 00:00:00 GMT"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent; header names in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class HostileSite:
    """Serves on a free port (or the given one) of 127.0.0.1 while entered.

    Attributes:
        robots: Body or status of /robots.txt.
        requests: Everything that was asked, in order.
        sent_bytes: Bytes of bodies handed to the kernel: shows how early a client gave up.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.robots: bytes | int = 404
        self.requests: list[Request] = []
        self.sent_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def allow(self) -> str:
        """Its entry for MILLRACE_ALLOW_HOSTS."""
        return f"127.0.0.1:{self.port}"

    @property
    def hits(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(request.path for request in self.requests)

    def url(self, path: str = "/") -> str:
        """Absolute URL of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                request = await _read_request(reader)
                self.requests.append(request)
                await self._answer(request, reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request.path == "/never":
            await reader.read()
        elif request.path == "/hang-up":
            return
        else:
            async for data in self._bytes_of(request):
                writer.write(data)
                await writer.drain()
                self.sent_bytes += len(data)

    def _bytes_of(self, request: Request) -> AsyncIterator[bytes]:
        name, _, argument = request.path.strip("/").partition("/")
        if name == "robots.txt":
            return _once(_plain(self.robots) if isinstance(self.robots, int) else _ok(self.robots, "text/plain"))
        if name in STREAMS:
            return STREAMS[name]()
        if name in ANSWERS:
            return _once(ANSWERS[name](request, argument))
        return _once(_plain(404))


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.rstrip("\r\n").split("\r\n")
    method, target, _ = line.split(" ", 2)
    path, _, query = target.partition("?")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, query, headers, body)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _head(status: int, *fields: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status} Whatever", "Connection: close", *fields, "", "")).encode("latin-1")


def _plain(status: int, *fields: str) -> bytes:
    return _head(status, *fields, "Content-Length: 0")


def _ok(body: bytes, content_type: str = "text/html", *fields: str) -> bytes:
    return _head(200, f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *fields) + body


def _encoded(encoding: str, body: bytes) -> bytes:
    return _ok(body, "text/html", f"Content-Encoding: {encoding}")


def _bare_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


def _index(request: Request, argument: str) -> bytes:
    names = sorted({*ANSWERS, *STREAMS, "never", "hang-up"} - {""})
    links = "".join(f'<li><a href="/{name}">{name}</a></li>' for name in names)
    return _ok(f"<html><body><ul>{links}</ul></body></html>".encode())


def _echo(request: Request, argument: str) -> bytes:
    shown = {"method": request.method, "headers": request.headers, "body": request.body.decode("latin-1")}
    return _ok(json.dumps(shown).encode(), "application/json")


def _conditional(request: Request, argument: str) -> bytes:
    known = request.headers.get("if-none-match") == ETAG or request.headers.get("if-modified-since") == LAST_MODIFIED
    validators = (f"ETag: {ETAG}", f"Last-Modified: {LAST_MODIFIED}")
    return _head(304, *validators) if known else _ok(HONEST, "text/html", *validators)


def _hops(request: Request, argument: str) -> bytes:
    left = int(argument or 11)
    return _plain(302, f"Location: /hops/{left - 1}" if left > 1 else "Location: /page")


def _many_headers(request: Request, argument: str) -> bytes:
    return _plain(200, *(f"X-Header-{number}: value" for number in range(5_000)))


ANSWERS: dict[str, Callable[[Request, str], bytes]] = {
    "": _index,
    "page": lambda _request, _argument: _ok("<p>Café</p>".encode("latin-1"), "text/html; charset=ISO-8859-1"),
    "echo": _echo,
    "conditional": _conditional,
    "status": lambda _request, argument: _plain(int(argument or 500)),
    "retry-after": lambda _request, _argument: _plain(429, "Retry-After: 7"),
    "garbage": lambda _request, _argument: b"220 mail.example ESMTP ready\r\n\r\n",
    "loop": lambda _request, argument: _plain(302, "Location: /loop" if argument else "Location: /loop/2?token=secret"),
    "hops": _hops,
    "to": lambda request, _argument: _plain(307, f"Location: {request.query}"),
    "private": lambda _request, _argument: _plain(302, "Location: http://10.0.0.1/admin"),
    "gzip": lambda _request, _argument: _encoded("gzip", gzip.compress(HONEST)),
    "two-gzips": lambda _request, _argument: _encoded("gzip", gzip.compress(HONEST) * 2 + bytes(20)),
    "deflate": lambda _request, _argument: _encoded("deflate", zlib.compress(HONEST)),
    "bare-deflate": lambda _request, _argument: _encoded("deflate", _bare_deflate(HONEST)),
    "cut-gzip": lambda _request, _argument: _encoded("gzip", gzip.compress(HONEST)[:-12]),
    "not-gzip": lambda _request, _argument: _encoded("gzip", HONEST),
    "brotli": lambda _request, _argument: _encoded("br", b"whatever"),
    "short": lambda _request, _argument: _head(200, "Content-Length: 1000") + b"only this",
    "long-header": lambda _request, _argument: _plain(200, f"X-Long: {'x' * 1_000_000}"),
    "many-headers": _many_headers,
}


async def _huge() -> AsyncIterator[bytes]:
    yield _head(200, "Content-Type: application/pdf", f"Content-Length: {HUGE_BYTES}")
    for _ in range(HUGE_BYTES // len(BLOCK)):
        yield BLOCK


async def _huge_chunked() -> AsyncIterator[bytes]:
    yield _head(200, "Content-Type: application/pdf", "Transfer-Encoding: chunked")
    for _ in range(HUGE_BYTES // len(BLOCK)):
        yield b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK)
    yield b"0\r\n\r\n"


async def _bomb(encoding: str, wbits: int) -> AsyncIterator[bytes]:
    stream = zlib.compressobj(9, wbits=wbits)
    yield _head(200, "Content-Type: text/html", f"Content-Encoding: {encoding}")
    yield stream.compress(BLOCK) + stream.flush(zlib.Z_FULL_FLUSH)
    block = stream.compress(BLOCK) + stream.flush(zlib.Z_FULL_FLUSH)
    for _ in range(HUGE_BYTES // len(BLOCK)):
        yield block


async def _drip() -> AsyncIterator[bytes]:
    yield _head(200, "Content-Type: text/html")
    while True:
        yield b"."
        await asyncio.sleep(0.02)


STREAMS: dict[str, Callable[[], AsyncIterator[bytes]]] = {
    "huge": _huge,
    "huge-chunked": _huge_chunked,
    "bomb": lambda: _bomb("gzip", 16 + zlib.MAX_WBITS),
    "bomb-deflate": lambda: _bomb("deflate", zlib.MAX_WBITS),
    "drip": _drip,
}


async def _main(port: int) -> None:
    async with HostileSite(port) as site:
        print(f"{site.url()}  (MILLRACE_ALLOW_HOSTS={site.allow})", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
