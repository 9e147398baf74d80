"""Fetching from the open web: guarded at every hop, capped in bytes and time, with errors the log can act on."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from consumers.net import urls
from consumers.net.breaker import HostBreakers
from consumers.net.decoding import ACCEPT_ENCODING
from consumers.net.errors import CircuitOpenError, FetchFailedError, FetchRefusedError, status_error
from consumers.net.failures import translated
from consumers.net.guard import AllowList, Target, check_url
from consumers.net.resolver import GuardedResolver, Lookup, system_lookup
from consumers.net.responses import Download, Redirect, Response, ResponseHead

MIB = 1024 * 1024
PRODUCT_TOKEN = "Millrace"  # noqa: S105 - the name that robots.txt addresses (RFC 9309)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_MODIFIED = 304
_SERVER_ERROR = 500
_PARTIAL = 206
_OK = range(200, 300)
# Kept within the origin they were meant for, by any redirect (as the Fetch Standard does).
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
# What the transport decides.
_OURS = frozenset({"host", "accept-encoding", "content-length", "transfer-encoding", "connection"})


def default_user_agent() -> str:
    """``Millrace/<version>``; operators add where to reach them in `FetcherConfig`."""
    try:
        return f"{PRODUCT_TOKEN}/{metadata.version('millrace')}"
    except metadata.PackageNotFoundError:
        return PRODUCT_TOKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class FetcherConfig:
    """Limits of a `Fetcher`.

    Attributes:
        allow_hosts: Private targets let through: ``host:port``, an address or a CIDR range. The operator's.
        user_agent: Sent as it is; None is `default_user_agent`. Say where you can be reached:
            ``Millrace/1.0 (+https://example.com/bot)``.
        page_timeout_s: Whole of a `get` or `post`, redirects and body included.
        file_timeout_s: Whole of a `stream`.
        connect_timeout_s: One TCP connection.
        idle_timeout_s: Longest silence of a server.
        max_page_bytes: Body of a `get`, on the wire and decoded.
        max_file_bytes: Body of a `stream`, on the wire and decoded.
        max_header_bytes: All headers of one answer together.
        max_redirects: Hops followed.
        max_connections: Open at once, all hosts together.
    """

    allow_hosts: tuple[str, ...] = ()
    user_agent: str | None = None
    page_timeout_s: float = 30.0
    file_timeout_s: float = 600.0
    connect_timeout_s: float = 10.0
    idle_timeout_s: float = 30.0
    max_page_bytes: int = 16 * MIB
    max_file_bytes: int = 512 * MIB
    max_header_bytes: int = 64 * 1024
    max_redirects: int = 10
    max_connections: int = 100


class Fetcher:
    """The one way out of a worker to the web. Use as an async context manager; safe for concurrent use.

    No cookies are kept, no proxy and no .netrc of the environment is used. Every method raises `FetchFailedError`
    for what may succeed later, `FetchRefusedError` for what will not, and `CircuitOpenError` for what is not asked now
    because its host failed several times in a row; all carry a ``reason``.

    Args:
        config: Limits and the operator's allow list.
        lookup: How names become addresses.
        clock: Seconds that only ever grow, for the circuit breakers of the hosts.

    Raises:
        ValueError: An entry of ``allow_hosts`` is malformed.
    """

    def __init__(
        self,
        config: FetcherConfig | None = None,
        *,
        lookup: Lookup = system_lookup,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config or FetcherConfig()
        self.allow = AllowList.parse(self.config.allow_hosts)
        self._lookup = lookup
        self._clock = clock
        self.breakers = HostBreakers()
        self._open_session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        config = self.config
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(self.allow, self._lookup), limit=config.max_connections
        )
        self._open_session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": config.user_agent or default_user_agent(), "Accept-Encoding": ACCEPT_ENCODING},
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=config.connect_timeout_s, sock_read=config.idle_timeout_s
            ),
            auto_decompress=False,
            trust_env=False,
            max_field_size=config.max_header_bytes,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open_session is not None:
            await self._open_session.close()
            self._open_session = None

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        timeout_s: float | None = None,
        etag: str | None = None,
        last_modified: str | None = None,
        any_status: bool = False,
    ) -> Response:
        """Fetch a page into memory.

        Args:
            url: Absolute http or https URL; a fragment is ignored.
            headers: Added to the request; credentials among them stay within the URL's origin.
            max_bytes: Largest body; `FetcherConfig.max_page_bytes` if None.
            timeout_s: For all of it; `FetcherConfig.page_timeout_s` if None.
            etag: Of the copy at hand: asks for a 304 (``not_modified``, empty body) if it is still good.
            last_modified: As `etag`, by date.
            any_status: An answer of any status is handed over, not only success: for who judges the site, not the page.
        """
        timeout_s = self.config.page_timeout_s if timeout_s is None else timeout_s
        max_bytes = self.config.max_page_bytes if max_bytes is None else max_bytes
        async with self.stream(
            url,
            headers=headers,
            max_bytes=max_bytes,
            timeout_s=timeout_s,
            etag=etag,
            last_modified=last_modified,
            any_status=any_status,
        ) as download:
            return await download.whole()

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        any_status: bool = False,
    ) -> Response:
        """Send a body (a webhook, say) under the same guard. Redirects are not followed: they fail as ``http_30x``.

        Args:
            url: Absolute http or https URL.
            body: As it is sent.
            headers: Added to the request.
            timeout_s: For all of it; `FetcherConfig.page_timeout_s` if None.
            any_status: As of `get`.
        """
        timeout_s = self.config.page_timeout_s if timeout_s is None else timeout_s
        deadline = asyncio.get_running_loop().time() + timeout_s
        target = check_url(url, self.allow)
        response = await self._request("POST", target, _sendable(headers), deadline, timeout_s, body=body)
        with contextlib.closing(response):
            if not any_status:
                self._check_answer(target, response, is_conditional=False)
            head = ResponseHead.of(target.url, response, ())
            return await Download(head, response, self.config.max_page_bytes, deadline, timeout_s).whole()

    @contextlib.asynccontextmanager
    async def stream(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        timeout_s: float | None = None,
        etag: str | None = None,
        last_modified: str | None = None,
        any_status: bool = False,
    ) -> AsyncIterator[Download]:
        """Open a file of any size; what it holds is read from `Download.chunks` with flat memory.

        The time limit covers every wait for the server from here to the last chunk; it never cancels the reader's
        own work between two chunks. Arguments as for `get`, with `FetcherConfig.max_file_bytes` and
        `FetcherConfig.file_timeout_s`.
        """
        timeout_s = self.config.file_timeout_s if timeout_s is None else timeout_s
        deadline = asyncio.get_running_loop().time() + timeout_s
        sent = _sendable(headers)
        validators = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        sent |= {name: value for name, value in validators.items() if value and value.isascii() and value.isprintable()}
        target, response, redirects = await self._follow(url, sent, deadline, timeout_s)
        with contextlib.closing(response):
            if not any_status:
                self._check_answer(target, response, is_conditional=not validators.keys().isdisjoint(sent))
            yield Download(
                ResponseHead.of(target.url, response, redirects),
                response,
                self.config.max_file_bytes if max_bytes is None else max_bytes,
                deadline,
                timeout_s,
            )

    async def _follow(
        self, url: str, headers: dict[str, str], deadline: float, timeout_s: float
    ) -> tuple[Target, aiohttp.ClientResponse, tuple[Redirect, ...]]:
        """Walk redirects ourselves, so that the guard sees every hop."""
        target = check_url(url, self.allow)
        redirects: list[Redirect] = []
        visited = {target.url}
        while True:
            response = await self._request("GET", target, headers, deadline, timeout_s)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                return target, response, tuple(redirects)
            response.release()
            next_target = self._next_hop(target, location)
            redirects.append(Redirect(response.status, target.url, next_target.url))
            if next_target.url in visited:
                what = f"redirects in a circle by way of {urls.redact(next_target.url)}"
                raise _refusal(url, "redirect_loop", what, redirects)
            if len(redirects) > self.config.max_redirects:
                what = f"redirects more than {self.config.max_redirects} times"
                raise _refusal(url, "too_many_redirects", what, redirects)
            if urls.origin_of(next_target.url) != urls.origin_of(target.url):
                headers = {name: value for name, value in headers.items() if name.lower() not in _CREDENTIALS}
            visited.add(next_target.url)
            target = next_target

    def _next_hop(self, target: Target, location: str) -> Target:
        try:
            return check_url(urls.join(target.url, location), self.allow)
        except ValueError:
            raise _refusal(target.url, "bad_url", "redirects to something that is not a URL") from None
        except FetchRefusedError as error:
            raise FetchRefusedError(
                f"{urls.redact(target.url)} redirects to a place that is refused: {error}",
                reason=error.reason,
                url=target.url,
            ) from error

    async def _request(
        self,
        method: str,
        target: Target,
        headers: Mapping[str, str],
        deadline: float,
        timeout_s: float,
        body: bytes | None = None,
    ) -> aiohttp.ClientResponse:
        if self._open_session is None:
            raise RuntimeError("the Fetcher is closed; use it inside `async with Fetcher(...) as fetcher`")
        session = self._open_session
        with self._breaking(target), translated(target.url, timeout_s):
            address = URL(target.url, encoded=True)
            if (address.raw_host, address.port) != (target.host, target.port):
                raise aiohttp.InvalidURL(urls.redact(target.url), "two parsers disagree about its host")
            async with asyncio.timeout_at(deadline):
                response = await session.request(method, address, headers=headers, data=body, allow_redirects=False)
        host = _host_of(target)
        if response.status >= _SERVER_ERROR:
            self.breakers.failed(host, self._clock())
        else:
            self.breakers.succeeded(host)
        if sum(len(name) + len(value) for name, value in response.raw_headers) > self.config.max_header_bytes:
            response.close()
            raise _refusal(
                target.url, "headers_too_large", f"sends more than {self.config.max_header_bytes} header bytes"
            )
        return response

    @contextlib.contextmanager
    def _breaking(self, target: Target) -> Iterator[None]:
        """Ask only a host whose breaker lets us, and tell the breaker what came of it, but for an answer's status."""
        host = _host_of(target)
        closed = self.breakers.ask(host, self._clock())
        if closed is not None:
            error = CircuitOpenError(host, closed.wait_s)
            if not closed.is_long:
                raise error
            raise FetchFailedError(str(error), reason="circuit_open", url=target.url, retry_after_s=closed.wait_s)
        try:
            yield
        except FetchFailedError:
            self.breakers.failed(host, self._clock())
            raise
        except BaseException:
            self.breakers.given_up(host)
            raise

    def _check_answer(self, target: Target, response: aiohttp.ClientResponse, *, is_conditional: bool) -> None:
        status = response.status
        if (status in _OK and status != _PARTIAL) or (status == _NOT_MODIFIED and is_conditional):
            return
        raise status_error(target.url, status, response.headers, now=datetime.now(UTC))


def _host_of(target: Target) -> str:
    return f"{target.host}:{target.port}"


def _sendable(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (headers or {}).items() if name.lower() not in _OURS}


def _refusal(url: str, reason: str, what: str, redirects: Sequence[Redirect] = ()) -> FetchRefusedError:
    hops = tuple((hop.status, hop.url, hop.location) for hop in redirects)
    return FetchRefusedError(
        f"{urls.redact(url)} {what}; correct the URL or report it to the site", reason=reason, url=url, hops=hops
    )
