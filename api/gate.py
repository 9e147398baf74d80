"""What every request passes first: body limits, and the defences of a server that browsers can reach.

A page of another origin can make a browser send simple requests to 127.0.0.1 (forms, ``text/plain``). So what changes
something must be declared as JSON, which a browser asks leave for first, and must not come from a foreign origin.

Source: OWASP, "Cross-Site Request Forgery Prevention"; Fetch Metadata (``Sec-Fetch-Site``).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders

from api.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES: Final = 1 << 20
BODY_S: Final = 30.0
UPLOAD_BYTES: Final = 1 << 30
UPLOAD_S: Final = 1_800.0
_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PREFLIGHTED: Final = frozenset({"text/csv"})
"""Beside JSON: a page of another origin cannot send these either without asking leave first (Fetch Standard)."""

_FORM: Final = "application/x-www-form-urlencoded"

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with `no-referrer` browsers send our own forms with `Origin: null`
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": CSP,
    "cache-control": "no-store",
}
"""Sent unless the route has set its own."""


class Gate:
    """ASGI middleware.

    Args:
        app: What is behind it.
        origins: Foreign origins that may ask (``MILLRACE_CORS_ORIGINS``).
        body_bytes: Longest body.
        body_s: Seconds within which a body must have arrived.
        uploads: The path that takes files: of any type, and larger.
        forms: Beginnings of paths that take HTML forms; those carry a token of their own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: Iterable[str] = (),
        body_bytes: int = BODY_BYTES,
        body_s: float = BODY_S,
        uploads: str = "",
        forms: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._forms = forms
        self._uploads = uploads
        self._origins = frozenset(origins)
        self._body_bytes = body_bytes
        self._body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a problem."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope)
        except Problem as problem:
            await problem.response(scope["path"])(scope, receive, guarded)
            return
        await self._app(scope, self._limited(receive, *self._limits(scope)), guarded)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A handshake is a GET that no browser asks leave for: only the origin tells a foreign page.
        if self._is_foreign(Headers(scope=scope)):
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "a page of another origin asked"})
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        most, _ = self._limits(scope)
        if length.isdigit() and int(length) > most:
            raise self._too_large(f"{int(length):,} bytes", most)
        if scope["method"] not in _CHANGING:
            return
        if self._is_foreign(headers):
            raise Problem(
                "foreign-origin",
                f"a page of {headers.get('origin', 'another site')[:200]} may not change anything here; an operator "
                "who means it adds its origin to MILLRACE_CORS_ORIGINS",
            )
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        has_body = (length.isdigit() and int(length) > 0) or "transfer-encoding" in headers
        is_meant = is_json(media_type) or media_type in _PREFLIGHTED or scope["path"] == self._uploads
        is_meant |= media_type == _FORM and scope["path"].startswith(self._forms)
        if has_body and not is_meant:
            raise Problem(
                "unsupported-media-type",
                f"the body is declared as {media_type[:100] or 'nothing'}; send `Content-Type: application/json`",
            )

    def _is_foreign(self, headers: Headers) -> bool:
        return is_foreign(headers, self._origins)

    def _limits(self, scope: Scope) -> tuple[int, float]:
        """Longest body, and the seconds for it."""
        return (UPLOAD_BYTES, UPLOAD_S) if scope["path"] == self._uploads else (self._body_bytes, self._body_s)

    def _limited(self, receive: Receive, most: int, within_s: float) -> Receive:
        clock = asyncio.get_running_loop().time
        deadline = clock() + within_s
        seen, is_complete = 0, False

        async def limited() -> Message:
            nonlocal seen, is_complete
            if is_complete:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), deadline - clock())
            except TimeoutError:
                detail = f"the body did not arrive within {within_s:g} s; {seen:,} bytes of it did"
                raise Problem("timeout", detail, headers={"Connection": "close"}) from None
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                is_complete = not message.get("more_body", False)
                if seen > most:
                    raise self._too_large(f"more than {most:,} bytes", most)
            return message

        return limited

    def _too_large(self, size: str, most: int) -> Problem:
        return Problem(
            "too-large",
            f"the body has {size}; at most {most:,} are taken: upload large data and refer to it",
        )


def is_foreign(headers: Headers, origins: Iterable[str] = ()) -> bool:
    """Whether a page of an origin that is neither ours nor among `origins` made the browser ask."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
    return origin.partition("://")[2] != headers.get("host", "") and origin not in origins


def is_json(media_type: str) -> bool:
    """Whether a media type, in lower case and without parameters, is one of JSON."""
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
