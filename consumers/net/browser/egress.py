"""The only way out for a browser: an HTTP proxy on loopback that judges every target as the fetcher does.

A page may ask its browser for any address, by a link, a redirect, a script or a web socket. The browser is started so
that it can reach nothing but this proxy, and the proxy connects to what the guard has judged, by address: a name is
looked up once, here.

Source: RFC 9110 section 9.3.6 (CONNECT) and section 7.6.1 (what a proxy must not pass on).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections import deque
from dataclasses import dataclass
from typing import Final, Self

from consumers.net import urls
from consumers.net.errors import FetchRefusedError
from consumers.net.guard import AllowList, Target, check_addresses, check_url
from consumers.net.resolver import Lookup, system_lookup

logger = logging.getLogger(__name__)

MAX_HEAD_BYTES: Final = 65_536
MAX_REFUSED_KEPT: Final = 100
CHUNK_BYTES: Final = 65_536
_OF_THE_HOP: Final = frozenset(
    {
        b"connection",
        b"proxy-connection",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-authenticate",
        b"te",
        b"trailer",
    }
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that was not passed on.

    Attributes:
        url: Without user info and query.
        reason: As of `consumers.net.errors.FetchRefusedError`.
    """

    url: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressLimits:
    """What one connection through the proxy may cost.

    Attributes:
        max_bytes: Sent by the server.
        connect_timeout_s: Looking up and connecting.
        idle_timeout_s: Longest silence in both directions.
    """

    max_bytes: int = 64 * 1024 * 1024
    connect_timeout_s: float = 10.0
    idle_timeout_s: float = 60.0


class _BadRequestError(Exception):
    """The client did not speak as a client of a proxy does."""


class EgressProxy:
    """A guarded HTTP proxy on a port of 127.0.0.1. Use as an async context manager.

    Attributes:
        refused: The latest targets that were not let through, oldest first, at most `MAX_REFUSED_KEPT`.
    """

    def __init__(self, allow: AllowList, *, lookup: Lookup = system_lookup, limits: EgressLimits | None = None) -> None:
        self._allow = allow
        self._lookup = lookup
        self._limits = limits or EgressLimits()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.refused: deque[Refused] = deque(maxlen=MAX_REFUSED_KEPT)

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        if self._server is None:
            raise RuntimeError("the EgressProxy is closed; use it inside `async with EgressProxy(...) as proxy`")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """For ``--proxy-server``."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MAX_HEAD_BYTES)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        try:
            await self._answer(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the browser sees a closed connection, and says so to its page
        except asyncio.CancelledError:
            pass  # closing: asyncio.Server would log a cancelled handler as an error
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(self._limits.idle_timeout_s):
            head = await reader.readuntil(b"\r\n\r\n")
        line, *headers = head[:-4].split(b"\r\n")
        try:
            method, url, version = line.decode("ascii").split(" ")
            url = f"https://{url}/" if method == "CONNECT" else url
            body_bytes = _body_bytes(headers)
        except (ValueError, _BadRequestError) as error:
            return await _say(writer, 400, "bad_request", f"{error}")
        try:
            target = check_url(url, self._allow)
            up_reader, up_writer = await self._connect(target)
        except FetchRefusedError as error:
            self.refused.append(Refused(urls.redact(url), error.reason))
            logger.warning("the browser was refused %s: %s", urls.redact(url), error.reason)
            return await _say(writer, 403, error.reason, str(error))
        except (OSError, TimeoutError):
            return await _say(writer, 502, "connection", f"{urls.redact(url)} does not answer")
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await self._splice((reader, writer), (up_reader, up_writer))
            else:
                up_writer.write(_request_head(method, target, version, headers))
                await self._exchange(reader, writer, up_reader, up_writer, body_bytes)
        finally:
            up_writer.close()
            with contextlib.suppress(OSError):
                await up_writer.wait_closed()
        return None

    async def _connect(self, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(self._limits.connect_timeout_s):
            addresses = [target.address] if target.address is not None else []
            if not addresses:
                found = await self._lookup(target.host, target.port)
                addresses = [ipaddress.ip_address(text) for text in found]
                check_addresses(target.host, target.port, addresses, self._allow)
            failed: OSError = OSError(f"{target.host} has no address")
            for address in addresses:
                try:
                    return await asyncio.open_connection(str(address), target.port, limit=MAX_HEAD_BYTES)
                except OSError as error:
                    failed = error
            raise failed

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter, body_bytes: int,
    ) -> None:  # fmt: skip
        """One request and its answer; the connection then ends, so that the next request is judged anew."""
        while body_bytes:
            chunk = await reader.read(min(CHUNK_BYTES, body_bytes))
            if not chunk:
                return
            up_writer.write(chunk)
            await up_writer.drain()
            body_bytes -= len(chunk)
        async with asyncio.timeout(self._limits.idle_timeout_s):
            head = await up_reader.readuntil(b"\r\n\r\n")
        status, *headers = head[:-4].split(b"\r\n")
        writer.write(b"\r\n".join([status, *_passed_on(headers), b"Connection: close", b"", b""]))
        # The browser closes when it has the answer; nothing that it sends beyond its request is passed on.
        body = asyncio.create_task(self._pump(up_reader, writer, self._limits.max_bytes))
        gone = asyncio.create_task(_until_gone(reader))
        try:
            await asyncio.wait((body, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (body, gone):
                task.cancel()
            await asyncio.gather(body, gone, return_exceptions=True)

    async def _splice(
        self,
        browser: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Carry a tunnel until either side ends it."""
        up = asyncio.create_task(self._pump(browser[0], server[1], self._limits.max_bytes))
        down = asyncio.create_task(self._pump(server[0], browser[1], self._limits.max_bytes))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, left: int) -> None:
        while left > 0:
            async with asyncio.timeout(self._limits.idle_timeout_s):
                chunk = await source.read(CHUNK_BYTES)
            if not chunk:
                return
            sink.write(chunk)
            await sink.drain()
            left -= len(chunk)
        logger.warning("a connection of the browser was cut after %d bytes", self._limits.max_bytes)


async def _until_gone(reader: asyncio.StreamReader) -> None:
    while await reader.read(CHUNK_BYTES):
        pass


def _body_bytes(headers: list[bytes]) -> int:
    length = 0
    for header in headers:
        name, _, value = header.partition(b":")
        if name.strip().lower() == b"transfer-encoding":
            raise _BadRequestError("a request body of unknown length is not passed on; send Content-Length")
        if name.strip().lower() == b"content-length":
            length = int(value)
    if length < 0:
        raise _BadRequestError("Content-Length is negative")
    return length


def _passed_on(headers: list[bytes]) -> list[bytes]:
    return [header for header in headers if header.partition(b":")[0].strip().lower() not in _OF_THE_HOP]


def _request_head(method: str, target: Target, version: str, headers: list[bytes]) -> bytes:
    """The request in the form that a server expects: path first, the judged host in ``Host``."""
    kept = [header for header in _passed_on(headers) if header.partition(b":")[0].strip().lower() != b"host"]
    host = urls.origin_of(target.url).partition("://")[2]
    first = f"{method} {urls.target_of(target.url)} {version}".encode()
    return b"\r\n".join([first, f"Host: {host}".encode(), *kept, b"Connection: close", b"", b""])


async def _say(writer: asyncio.StreamWriter, status: int, reason: str, text: str) -> None:
    body = text.encode()
    writer.write(
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"X-Millrace-Refused: {reason}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    await writer.drain()
