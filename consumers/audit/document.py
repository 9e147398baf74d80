"""What a crawler hands over: one URL's answer, or the lack of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, in the order they came; a name may repeat."""

MAX_BODY: Final = 16 * 1024 * 1024
"""Bytes of a body that are read as HTML; more is not parsed."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One redirect that was followed."""

    status: int
    url: str
    location: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a browser made of the document.

    Attributes:
        url: Where the browser ended up, scripts included.
        html: The document after its scripts ran.
        transfer_bytes: Of all requests together; None when not counted.
    """

    url: str
    html: str
    transfer_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as it was fetched.

    Attributes:
        url: Where the answer came from, after redirects.
        status: HTTP status; 0 when there was no answer.
        headers: Of the last answer; None when they are not known (a file on disk).
        body: Decoded by Content-Encoding.
        requested_url: What was asked for; empty when it is `url`.
        redirects: Hops from `requested_url` to `url`.
        failure: Why there was no answer, as the fetcher names it: ``dns``, ``connection``, ``timeout``,
            ``tls_certificate``, ``redirect_loop``, ``too_many_redirects``, ``too_large`` ...
        ttfb_ms: Time to the first byte of the last answer; None when not taken.
        rendered: The same document in a browser, when it was rendered.
    """

    url: str
    status: int = 200
    headers: Headers | None = None
    body: bytes = b""
    requested_url: str = ""
    redirects: tuple[Hop, ...] = ()
    failure: str = ""
    ttfb_ms: float | None = None
    rendered: Rendered | None = None


def headers_of(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Headers:
    """Headers as `Document` keeps them, from a (multi) mapping or from pairs."""
    items: Iterable[tuple[str, str]] = pairs.items() if isinstance(pairs, Mapping) else pairs
    return tuple((name.strip().lower(), value.strip()) for name, value in items)


@dataclass(frozen=True, slots=True)
class Lighthouse:
    """What Lighthouse measured of a page in one form factor.

    Attributes:
        strategy: ``mobile`` or ``desktop``.
        performance: 0 to 1.
        audits: By Lighthouse's ids: ``{"score": ..., "value": numericValue}``.
    """

    strategy: str
    performance: float | None = None
    audits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
