"""Mails by SendGrid's HTTP API, at most once: the API knows no idempotency key.

Source: Twilio SendGrid, "Mail Send" (``POST /v3/mail/send``: 202 when queued) and its table of errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson

from consumers.net.errors import FetchFailedError, FetchRefusedError
from consumers.notify.mail import TIMEOUT_S, Mail, MaybeSent, address_of, name_of
from streams.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from consumers.net.fetch import Fetcher

_NOT_TAKEN: Final = frozenset({408, 425, 429, 503})
"""Statuses that say that nothing was taken in; any other of the 500s may come after it was."""


class SendGrid:
    """SendGrid's API, or one that speaks it."""

    def __init__(self, url: str, key: SecretStr, fetch: Fetcher) -> None:
        self._url = f"{url.rstrip('/')}/v3/mail/send"
        self._key = key
        self._fetch = fetch

    async def send(self, mail: Mail) -> None:
        """Send a mail; see `MailSender`."""
        headers = {
            "Authorization": f"Bearer {self._key.get_secret_value()}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        try:
            await self._fetch.post(self._url, body_of(mail), headers=headers, timeout_s=TIMEOUT_S)
        except FetchFailedError as error:
            raise self._failed(error, mail.to) from error
        except FetchRefusedError as error:
            raise self._refused(error, mail.to) from error

    def _failed(self, error: FetchFailedError, to: str) -> TransientError | MaybeSent:
        is_before = isinstance(error.__cause__, aiohttp.ClientConnectorError) or error.status in _NOT_TAKEN
        if is_before:
            return TransientError(
                f"SendGrid did not take the mail to {to}: {error}", reason="mail_deferred",
                retry_after_s=error.retry_after_s,
            )  # fmt: skip
        return MaybeSent(
            f"SendGrid did not say whether it took the mail to {to} ({error.reason}); it may arrive, so it is not sent "
            "again"
        )

    def _refused(self, error: FetchRefusedError, to: str) -> PermanentError:
        if error.status is None:  # the guard refused the address, or TLS does not hold
            return PermanentError(f"the mail to {to} cannot be sent: {error}", reason=error.reason)
        hint = {
            400: "the sender is not verified there, or the mail is not as it wants it: its activity feed says more",
            401: "the key is not valid: check MILLRACE_SENDGRID_API_KEY",
            403: "the key may not send mails, or MILLRACE_MAIL_FROM is not verified there",
            413: "the mail is too large",
        }.get(error.status, "check MILLRACE_SENDGRID_URL")
        return PermanentError(
            f"SendGrid refused the mail to {to} with HTTP {error.status}: {hint}", reason="mail_refused"
        )


def body_of(mail: Mail) -> bytes:
    """The JSON of ``POST /v3/mail/send``."""
    sender: dict[str, Any] = {"email": address_of(mail.sender)}
    if name_of(mail.sender):
        sender["name"] = name_of(mail.sender)
    body: dict[str, Any] = {
        "personalizations": [{"to": [{"email": mail.to}]}],
        "from": sender,
        "subject": mail.subject,
        "content": [{"type": "text/plain", "value": mail.text}, {"type": "text/html", "value": mail.html}],
        "headers": mail.headers,
    }
    if mail.reply_to is not None:
        body["reply_to"] = {"email": mail.reply_to}
    return orjson.dumps(body)
