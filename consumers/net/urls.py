r"""URLs as values: resolved, normalised, compared and made fit for an error text.

`can_ada` (the WHATWG parser that browsers follow) is the only parser here: two parsers that disagree on
``http://evil.com\@127.0.0.1/`` are how a guard is walked around.
"""

import ipaddress
from functools import cache, lru_cache

import can_ada
from publicsuffixlist import PublicSuffixList

DEFAULT_PORTS = {"http": 80, "https": 443}
_WEB = frozenset({"http:", "https:"})
_SHOWN_CHARS = 100
_CACHED = 4_096
"""Answers that are kept: a site's pages link to the same addresses over and over."""

_CACHED_CHARS = 1_024
"""Longer ones are not kept, so that a page full of ``data:`` addresses cannot fill the memory."""


def parse(url: str) -> can_ada.URL:
    """Parse an absolute URL and drop its fragment.

    Raises:
        ValueError: It is no URL by the WHATWG URL Standard.
    """
    return _without_fragment(can_ada.parse(_escape_undecoded(url)))


def join(base: str, reference: str) -> str:
    """The absolute URL, of any scheme, that a reference means; without its fragment.

    Raises:
        ValueError: They make no URL.
    """
    return _without_fragment(can_ada.parse(_escape_undecoded(base)) + _escape_undecoded(reference)).href


def resolve(base: str, reference: str) -> str | None:
    """The normalised http(s) URL that a link on a page means, without its fragment.

    Args:
        base: Absolute URL of the page (or of its ``<base href>``).
        reference: The link as written, relative or absolute.

    Returns:
        None when the link is no URL or leads out of the web (``mailto:``, ``javascript:``, ``data:``).
    """
    if len(base) + len(reference) > _CACHED_CHARS:
        return _resolved.__wrapped__(base, reference)
    return _resolved(base, reference)


def normalise(url: str) -> str | None:
    """An absolute http(s) URL with lower-case host, no default port, dot segment or fragment; None if it is none."""
    return _normalised(url) if len(url) <= _CACHED_CHARS else _normalised.__wrapped__(url)


def scheme_of(url: can_ada.URL) -> str:
    """``http`` rather than ``http:``."""
    return url.protocol.removesuffix(":")


def port_of(url: can_ada.URL) -> int:
    """The port a client connects to; 0 for a scheme without a default."""
    return int(url.port) if url.port else DEFAULT_PORTS.get(scheme_of(url), 0)


def host_of(url: str) -> str:
    """The host as ``host`` or ``host:port``: the key of politeness.

    Raises:
        ValueError: It is no URL.
    """
    return _host(url) if len(url) <= _CACHED_CHARS else parse(url).host


def origin_of(url: str) -> str:
    """``scheme://host[:port]``: what robots.txt speaks for and what credentials are kept within.

    Raises:
        ValueError: It is no URL.
    """
    parsed = parse(url)
    return f"{parsed.protocol}//{parsed.host}"


def target_of(url: str) -> str:
    """Path and query, as a request line and robots.txt have them.

    Raises:
        ValueError: It is no URL.
    """
    parsed = parse(url)
    return parsed.pathname + parsed.search


def same_site(url: str, other: str) -> bool:
    """Whether two URLs belong to one site: the same registrable domain, whatever scheme, port and subdomain.

    Names without a registrable domain (``localhost``, an IP address, ``co.uk`` itself) must be the same host and
    port: on one machine every port may be somebody else's.

    Source: "same site" of the HTML Standard, without its scheme; the bundled Public Suffix List, with its private
    section, so that two ``github.io`` pages are two sites.
    """
    try:
        left, right = parse(url), parse(other)
    except ValueError:
        return False
    left_domain, right_domain = _registrable(left.hostname), _registrable(right.hostname)
    if left_domain is None or right_domain is None:
        return bool(left.hostname) and (left.hostname, port_of(left)) == (right.hostname, port_of(right))
    return left_domain == right_domain


def site_of(url: str) -> str:
    """The registrable domain of a URL (``example.co.uk``); its host where there is none.

    Raises:
        ValueError: It is no URL.
    """
    hostname = parse(url).hostname
    return _registrable(hostname) or hostname


def redact(url: str) -> str:
    """The URL without user info and query, for logs and errors: both may carry secrets."""
    try:
        parsed = parse(url)
    except ValueError:
        if "@" in url:
            return "(not a URL)"
        shown = _escape_undecoded(url).split("?", 1)[0].split("#", 1)[0]
        return shown if len(shown) <= _SHOWN_CHARS else shown[:_SHOWN_CHARS] + "..."
    had_query = parsed.has_search()
    parsed.search = parsed.username = parsed.password = ""
    return parsed.href + ("?..." if had_query else "")


@lru_cache(_CACHED)
def _resolved(base: str, reference: str) -> str | None:
    try:
        found = can_ada.parse(_escape_undecoded(base)) + _escape_undecoded(reference)
    except ValueError:
        return None
    return _of_the_web(found)


@lru_cache(_CACHED)
def _normalised(url: str) -> str | None:
    try:
        return _of_the_web(can_ada.parse(_escape_undecoded(url)))
    except ValueError:
        return None


def _of_the_web(url: can_ada.URL) -> str | None:
    url.hash = ""
    return url.href if url.protocol in _WEB and url.hostname else None


@lru_cache(_CACHED)
def _host(url: str) -> str:
    return parse(url).host


@lru_cache(_CACHED)
def _registrable(hostname: str) -> str | None:
    name = hostname.rstrip(".")
    if not name or name.startswith("["):
        return None
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return _suffixes().privatesuffix(name) if "." in name else None
    return None


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _without_fragment(url: can_ada.URL) -> can_ada.URL:
    url.hash = ""
    return url


def _escape_undecoded(text: str) -> str:
    """Percent-encode the lone surrogates that stand for bytes which were not UTF-8 (a header, say)."""
    return text if text.isascii() else "".join(_escape_surrogate(char) for char in text)


def _escape_surrogate(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - PEP 383
        return f"%{code - 0xDC00:02X}"
    return "\N{REPLACEMENT CHARACTER}" if 0xD800 <= code <= 0xDFFF else char  # noqa: PLR2004 - the surrogates
