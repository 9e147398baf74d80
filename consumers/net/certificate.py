"""The certificate of a site: whether clients accept it, and until when it is good."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from consumers.net import urls
from consumers.net.errors import FetchFailedError
from consumers.net.guard import check_url
from consumers.net.resolver import GuardedResolver

if TYPE_CHECKING:
    from consumers.net.fetch import Fetcher

TIMEOUT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a handshake told.

    Attributes:
        error: Why the certificate is not accepted; empty when it is.
        expires_on: Its last day, UTC; None when it is not accepted.
    """

    error: str = ""
    expires_on: date | None = None


async def certificate_of(fetch: Fetcher, url: str, context: ssl.SSLContext | None = None) -> Certificate:
    """Shake hands with the server of an https URL, at an address that the guard permits; nothing is asked of it.

    Args:
        fetch: Whose allow list and lookup hold.
        url: Its host and port count.
        context: Whom to trust; what the system trusts without one.

    Raises:
        FetchFailedError: There was no handshake at all.
        FetchRefusedError: The guard forbids the host.
    """
    target = check_url(url, fetch.allow)
    address = str(target.address) if target.address is not None else ""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            if not address:
                found = await GuardedResolver(fetch.allow, fetch.lookup).resolve(target.host, target.port)
                address = found[0]["host"]
            _, writer = await asyncio.open_connection(
                address, target.port, ssl=context or ssl.create_default_context(), server_hostname=target.host
            )
    except ssl.SSLCertVerificationError as error:
        return Certificate(error=error.verify_message)
    except (OSError, TimeoutError) as error:
        raise FetchFailedError(
            f"{urls.redact(url)}: no TLS connection ({str(error) or type(error).__name__}); is it served over https?",
            reason="connection",
            url=url,
        ) from error
    try:
        told = writer.get_extra_info("peercert") or {}
    finally:
        writer.transport.abort()
    ends = told.get("notAfter")
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC).date() if ends else None
    return Certificate(expires_on=expires)
