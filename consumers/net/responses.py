"""What a site answered: the head, the whole, or a body that is read as it comes."""

import asyncio
import codecs
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Self

import aiohttp

from consumers.net.decoding import Decoder
from consumers.net.errors import FetchRefusedError
from consumers.net.failures import translated
from consumers.net.urls import redact

READ_BYTES = 64 * 1024
_NOT_MODIFIED = 304
_BOMB_RATIO = 100
"""Decoded over encoded bytes. Text rarely passes 20; zlib cannot pass 1,032."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """One hop."""

    status: int
    url: str
    location: str

    @property
    def is_downgrade(self) -> bool:
        """From https to http: followed, and worth a note, since the rest can be read and changed on the way."""
        return self.url.startswith("https:") and self.location.startswith("http:")


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """All but the body.

    Attributes:
        url: Where the answer came from, after redirects; without a fragment.
        headers: Names in any case.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    redirects: tuple[Redirect, ...]

    @classmethod
    def of(cls, url: str, response: aiohttp.ClientResponse, redirects: tuple[Redirect, ...]) -> Self:
        """The head of an aiohttp response."""
        return cls(url, response.status, response.headers, redirects)

    @property
    def not_modified(self) -> bool:
        """The copy that the request named by its validators is still good; there is no body."""
        return self.status == _NOT_MODIFIED

    @property
    def is_downgraded(self) -> bool:
        """A hop led from https to http."""
        return any(redirect.is_downgrade for redirect in self.redirects)

    @property
    def content_type(self) -> str | None:
        """``type/subtype`` in lower case; None when absent."""
        return self._content_type().get_content_type() if "Content-Type" in self.headers else None

    @property
    def charset(self) -> str | None:
        """The charset that the header names, when Python knows it."""
        name = self._content_type().get_content_charset()
        if name is None:
            return None
        try:
            return codecs.lookup(name).name
        except (LookupError, ValueError):
            return None

    @property
    def etag(self) -> str | None:
        """To be kept and sent with the next request for the same URL."""
        return self.headers.get("ETag")

    @property
    def last_modified(self) -> str | None:
        """As `etag`."""
        return self.headers.get("Last-Modified")

    def _content_type(self) -> Message:
        message = Message()
        message["Content-Type"] = self.headers.get("Content-Type", "")
        return message


@dataclass(frozen=True, slots=True)
class Response(ResponseHead):
    """A head and its decoded body."""

    body: bytes


class Download:
    """A body on its way. Use within the ``async with`` of `Fetcher.stream` that made it.

    Attributes:
        head: Status, headers and where it came from.
        size_bytes: Decoded bytes read so far.
        wire_bytes: Bytes received so far, as sent.
    """

    def __init__(
        self,
        head: ResponseHead,
        response: aiohttp.ClientResponse,
        max_bytes: int,
        deadline: float,
        timeout_s: float,
    ) -> None:
        self.head = head
        self.size_bytes = 0
        self.wire_bytes = 0
        self._response = response
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._timeout_s = timeout_s
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Hex digest of the decoded bytes read so far: of the file, once `chunks` has ended."""
        return self._digest.hexdigest()

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The decoded body in pieces of at most 64 KiB. Read it once.

        Raises:
            FetchFailedError: ``timeout``, ``connection`` or ``incomplete_body``.
            FetchRefusedError: ``too_large``, ``decompression_bomb`` or ``bad_encoding``.
        """
        declared = self._response.content_length
        if declared is not None and declared > self._max_bytes:
            raise self._too_large(f"{declared} bytes")
        async for piece in self._pieces():
            yield piece

    async def whole(self) -> Response:
        """All of it; errors as `chunks`."""
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
        head = self.head
        return Response(head.url, head.status, head.headers, head.redirects, bytes(body))

    async def start(self, limit_bytes: int) -> bytes:
        """The first bytes only, however large the rest is said to be; errors as `chunks`."""
        body = bytearray()
        async with contextlib.aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                body += piece
                if len(body) >= limit_bytes:
                    break
        return bytes(body[:limit_bytes])

    async def _pieces(self) -> AsyncGenerator[bytes]:
        with translated(self.head.url, self._timeout_s):
            decoder = Decoder(", ".join(self._response.headers.getall("Content-Encoding", ())))
        while data := await self._read():
            self.wire_bytes += len(data)
            if self.wire_bytes > self._max_bytes:
                raise self._too_large(f"more than {self._max_bytes} bytes")
            with translated(self.head.url, self._timeout_s):
                for piece in decoder.feed(data):
                    self._count(piece, decoder.consumed_bytes)
                    yield piece
        if self.wire_bytes == 0:
            return
        with translated(self.head.url, self._timeout_s):
            for piece in decoder.finish():
                self._count(piece, decoder.consumed_bytes)
                yield piece

    async def _read(self) -> bytes:
        with translated(self.head.url, self._timeout_s):
            async with asyncio.timeout_at(self._deadline):
                return await self._response.content.read(READ_BYTES)

    def _count(self, piece: bytes, consumed_bytes: int) -> None:
        self.size_bytes += len(piece)
        if self.size_bytes > self._max_bytes:
            if self.size_bytes > _BOMB_RATIO * consumed_bytes:
                raise FetchRefusedError(
                    f"{redact(self.head.url)} unpacks {consumed_bytes} bytes into more than {self._max_bytes}: "
                    "a decompression bomb; report it to the site",
                    reason="decompression_bomb",
                    url=self.head.url,
                )
            raise self._too_large(f"more than {self._max_bytes} bytes when unpacked")
        self._digest.update(piece)

    def _too_large(self, size: str) -> FetchRefusedError:
        return FetchRefusedError(
            f"{redact(self.head.url)} is too large: {size}, and at most {self._max_bytes} are read; "
            "name a smaller file or raise the limit",
            reason="too_large",
            url=self.head.url,
        )
