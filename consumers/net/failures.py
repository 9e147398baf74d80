"""What the HTTP client raises, told as the errors of `consumers.net.errors`."""

import contextlib
from collections.abc import Iterator

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from consumers.net.decoding import BadEncodingError, IncompleteEncodingError
from consumers.net.errors import FetchFailedError, FetchRefusedError
from consumers.net.urls import redact

_TOO_MANY_HEADERS = "too many headers"


@contextlib.contextmanager
def translated(url: str, timeout_s: float) -> Iterator[None]:
    """Raise `FetchFailedError` or `FetchRefusedError` for whatever goes wrong inside while talking to `url`."""
    try:
        yield
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _told(error, url, timeout_s) from error


def _told(error: Exception, url: str, timeout_s: float) -> FetchFailedError | FetchRefusedError:  # noqa: PLR0911
    shown = redact(url)
    match error:
        case TimeoutError():
            return FetchFailedError(
                f"{shown} did not answer in time (limit {timeout_s:g} s in all); it is asked again later",
                reason="timeout",
                url=url,
            )
        case aiohttp.ClientConnectorDNSError():
            return FetchFailedError(
                f"the name in {shown} was not resolved ({_first_line(error)}); check the name and the resolver",
                reason="dns",
                url=url,
            )
        case aiohttp.ClientConnectorCertificateError():
            return FetchRefusedError(
                f"{shown} shows a certificate that does not hold ({_first_line(error)}); report it to the site",
                reason="tls_certificate",
                url=url,
            )
        case aiohttp.ClientPayloadError() | IncompleteEncodingError():
            return FetchFailedError(
                f"{shown} broke off before the end of its body; it is asked again later",
                reason="incomplete_body",
                url=url,
            )
        case BadEncodingError():
            return FetchRefusedError(
                f"{shown} cannot be read: {error}; report it to the site", reason="bad_encoding", url=url
            )
        case aiohttp.ClientResponseError() if _is_header_flood(error):
            return FetchRefusedError(
                f"{shown} sends headers beyond the limit; report it to the site", reason="headers_too_large", url=url
            )
        case aiohttp.ClientResponseError():
            return FetchFailedError(
                f"{shown} does not speak HTTP ({_first_line(error)}); it is asked again later",
                reason="bad_response",
                url=url,
            )
        case aiohttp.ClientError() | OSError() if not isinstance(error, ValueError):
            return FetchFailedError(
                f"the connection to {shown} failed ({_first_line(error)}); it is tried again later",
                reason="connection",
                url=url,
            )
        case _:
            return FetchRefusedError(f"{shown} is not a URL that can be fetched; correct it", reason="bad_url", url=url)


def _is_header_flood(error: aiohttp.ClientResponseError) -> bool:
    """The client wraps its parser's error twice, and has no class of its own for too many headers."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, LineTooLong):
        cause = cause.__cause__
    return cause is not None or _TOO_MANY_HEADERS in error.message.lower()


def _first_line(error: Exception) -> str:
    """The client's own words, without the URL it may quote."""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.message.strip().split("\n", 1)[0][:200]
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.strerror or type(error.os_error).__name__
    return type(error).__name__
