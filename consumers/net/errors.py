"""What a fetch ends in when it does not end in a response.

    MillraceError
    +-- TransientError
    |   +-- FetchFailedError    dns connection timeout incomplete_body bad_response robots_unreachable
    |   |                       http_408 http_425 http_429 http_5xx circuit_open (for long)
    |   +-- NotNow
    |       +-- CircuitOpenError  circuit_open
    +-- PermanentError
        +-- FetchRefusedError   bad_url unsupported_scheme credentials_in_url blocked_port blocked_address
                                redirect_loop too_many_redirects too_large decompression_bomb bad_encoding
                                headers_too_large tls_certificate http_<any other status>

No text carries user info or a query: both may be secrets.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from consumers.net.urls import redact
from streams.errors import NotNow, PermanentError, TransientError

MAX_RETRY_AFTER_S = 3_600.0
"""Longest wait that a server may ask of us; one that asks for more is asked again after this."""

_TRANSIENT_STATUSES = frozenset({408, 425, 429})
_SERVER_ERROR = 500

_STATUS_HINTS = {
    206: "sent part of a document that was asked for whole; report it to the site",
    304: "says not modified to a request without validators; report it to the site",
    401: "asks for a login; name a public page instead",
    403: "refuses us; ask the site for access or name another page",
    404: "has no such page; correct the URL",
    410: "has removed the page; drop the URL",
    451: "withholds the page for legal reasons; name another source",
}


class FetchFailedError(TransientError):
    """A fetch that may succeed later.

    Attributes:
        url: What was asked for, without user info and query.
        status: HTTP status, when one came.
    """

    def __init__(
        self, message: str, *, reason: str, url: str, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, reason=reason, retry_after_s=retry_after_s)
        self.url = redact(url)
        self.status = status


class CircuitOpenError(NotNow):
    """The host failed again and again lately and is left alone for a while; the entry waits, no attempt is spent.

    Attributes:
        host: Name and port.
    """

    def __init__(self, host: str, wait_s: float) -> None:
        super().__init__(
            f"{host} failed several times in a row and is not asked for {wait_s:.0f} s; the task waits",
            reason="circuit_open",
            retry_after_s=wait_s,
        )
        self.host = host


class FetchRefusedError(PermanentError):
    """A fetch that is not tried again, because the site, the guard or a limit says no.

    Attributes:
        url: What was asked for, without user info and query.
        status: HTTP status, when one came.
        hops: Redirects that were followed into a circle or without end: status, from and to as sent.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        url: str,
        status: int | None = None,
        hops: tuple[tuple[int, str, str], ...] = (),
    ) -> None:
        super().__init__(message, reason=reason)
        self.url = redact(url)
        self.status = status
        self.hops = hops


def status_error(
    url: str, status: int, headers: Mapping[str, str], *, now: datetime
) -> FetchFailedError | FetchRefusedError:
    """The error that a status other than success stands for; its reason is ``http_<status>``.

    408, 425, 429 and 5xx may pass and carry the server's Retry-After; everything else is final.
    """
    shown, reason = redact(url), f"http_{status}"
    if status in _TRANSIENT_STATUSES or status >= _SERVER_ERROR:
        wait_s = retry_after_s(headers.get("Retry-After"), now=now)
        asked = "" if wait_s is None else f" and asks to wait {wait_s:.0f} s"
        message = f"{shown} answered HTTP {status}{asked}; it is asked again later"
        return FetchFailedError(message, reason=reason, url=url, status=status, retry_after_s=wait_s)
    hint = _STATUS_HINTS.get(status, "will not serve it; open the URL in a browser to see why")
    return FetchRefusedError(f"{shown} answered HTTP {status}: the site {hint}", reason=reason, url=url, status=status)


def retry_after_s(value: str | None, *, now: datetime, cap_s: float = MAX_RETRY_AFTER_S) -> float | None:
    """Seconds that a Retry-After header asks for, in [0, `cap_s`]; None when absent or unreadable.

    Source: RFC 9110 section 10.2.3 (seconds, or an HTTP date in any of its three forms).
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), cap_s)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return min(max((at - now).total_seconds(), 0.0), cap_s)
