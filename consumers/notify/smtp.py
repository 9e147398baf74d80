"""Mails by SMTP, at most once: what may have been sent is not sent again.

Source: RFC 5321 (4.2.1 reply codes, 6.1 responsibility after the final reply).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from consumers.notify.mail import TIMEOUT_S, Mail, MaybeSent, RecipientRefused, address_of
from streams.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from pydantic import SecretStr

_PERMANENT: Final = 500
_PORTS: Final = {"smtp": 25, "smtps": 465}
_NO_MAILBOX: Final = frozenset({550, 551, 553, 554})
"""Refusals of a recipient that say its address is wrong; 552 is a full mailbox."""


class Smtp:
    """A mail server."""

    def __init__(self, url: SecretStr) -> None:
        parts = urlsplit(url.get_secret_value())
        self._host = parts.hostname or "localhost"
        self._port = parts.port or _PORTS[parts.scheme]
        self._is_tls = parts.scheme == "smtps"
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def send(self, mail: Mail) -> None:
        """Send a mail; see `MailSender`."""
        client = aiosmtplib.SMTP(
            hostname=self._host, port=self._port, username=self._user, password=self._password, use_tls=self._is_tls,
            timeout=TIMEOUT_S,
        )  # fmt: skip
        try:
            await self._hand_over(client, mail)
        finally:
            client.close()

    async def _hand_over(self, client: aiosmtplib.SMTP, mail: Mail) -> None:
        try:
            await client.connect()
            await client.mail(address_of(mail.sender))
            await client.rcpt(mail.to)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise self._told(error, mail.to) from error
        try:
            await client.data(mail.message().as_bytes())
        except aiosmtplib.SMTPDataError as error:
            raise self._told(error, mail.to) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MaybeSent(
                f"the mail server {self._host}:{self._port} took the mail to {mail.to} and did not say whether it "
                f"keeps it ({type(error).__name__}); it may arrive, so it is not sent again"
            ) from error
        try:
            await client.quit()
        except (aiosmtplib.SMTPException, OSError):
            return  # it was accepted; how the server takes leave is its business

    def _told(self, error: Exception, to: str) -> PermanentError | TransientError:
        place = f"{self._host}:{self._port}"
        if isinstance(error, aiosmtplib.SMTPRecipientRefused) and error.code in _NO_MAILBOX:
            return RecipientRefused(
                f"the mail server {place} answered {error.code} to the address {to}: {error.message}; it is suppressed "
                "from now on: when it is right again, `millrace suppressions remove` it",
                reason="recipient_refused",
            )
        if isinstance(error, aiosmtplib.SMTPResponseException):
            said = f"the mail server {place} answered {error.code} to the mail to {to}: {error.message}"
            if error.code >= _PERMANENT:
                return PermanentError(
                    f"{said}; correct the address or the settings of the server", reason="mail_refused"
                )
            return TransientError(f"{said}; it is tried again", reason="mail_deferred")
        said = f"the mail server {place} cannot be reached ({type(error).__name__}: {error})"
        return TransientError(f"{said}; check MILLRACE_SMTP_URL", reason="mail_server_unreachable")
