"""Mails, sent by SMTP at most once: what may have been sent is not sent again.

Source: RFC 5321 (4.2.1 reply codes, 6.1 responsibility after the final reply) and RFC 5322 (Message-ID).
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from consumers.notify.event import message_id
from consumers.notify.words import html_of, subject_of, text_of
from streams.errors import MillraceError, PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.outcomes import JobOutcome
    from schemas.settings import Settings

TIMEOUT_S: Final = 10.0
_PERMANENT: Final = 500
# Long subjects are not folded: some readers show the fold as a blank. RFC 5322 allows lines of 998.
_POLICY: Final = SMTP.clone(max_line_length=998)
_PORTS: Final = {"smtp": 25, "smtps": 465}


class MaybeSent(MillraceError):  # noqa: N818 - it says what is known
    """The server had the whole mail and gave no answer: it may be on its way."""


@dataclass(frozen=True, slots=True)
class _Server:
    host: str
    port: int
    is_tls: bool
    user: str | None
    password: str | None


def mail_of(outcome: JobOutcome, to: str, sender: str, details: Sequence[str]) -> EmailMessage:
    """The mail that tells one addressee, as text and as HTML.

    Args:
        details: What is missing or went wrong, a line each.
    """
    message = EmailMessage(policy=_POLICY)
    message["Subject"] = subject_of(outcome)
    message["From"] = sender
    message["To"] = to
    message["Date"] = format_datetime(outcome.finished_at)
    domain = sender.rpartition("@")[2].strip("<> ") or "localhost"
    message["Message-ID"] = f"<{message_id(outcome, 'mail', to)}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text_of(outcome, details))
    message.add_alternative(html_of(outcome, details), subtype="html")
    return message


async def send_mail(settings: Settings, to: str, outcome: JobOutcome, details: Sequence[str]) -> None:
    """Tell one addressee.

    Raises:
        TransientError: Nothing was sent; it may be tried again.
        PermanentError: The server refuses it, or none is set.
        MaybeSent: The server had all of it and did not answer.
    """
    if settings.smtp_url is None or settings.mail_from is None:
        raise PermanentError(
            "there is no mail server: set MILLRACE_SMTP_URL and MILLRACE_MAIL_FROM", reason="no_mail_server"
        )
    server = _server(settings.smtp_url.get_secret_value())
    message = mail_of(outcome, to, settings.mail_from, details)
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.is_tls,
        timeout=TIMEOUT_S,
    )
    try:
        await _handed_over(client, message, settings.mail_from, to, server)
    finally:
        client.close()


async def _handed_over(client: aiosmtplib.SMTP, message: EmailMessage, sender: str, to: str, server: _Server) -> None:
    place = f"{server.host}:{server.port}"
    try:
        await client.connect()
        await client.mail(_address(sender))
        await client.rcpt(to)
    except (aiosmtplib.SMTPException, OSError) as error:
        raise _told(error, place, to) from error
    try:
        await client.data(message.as_bytes())
    except aiosmtplib.SMTPDataError as error:
        raise _told(error, place, to) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise MaybeSent(
            f"the mail server {place} took the mail to {to} and did not say whether it keeps it "
            f"({type(error).__name__}); it may arrive, so it is not sent again"
        ) from error
    try:
        await client.quit()
    except (aiosmtplib.SMTPException, OSError):
        return  # it was accepted; how the server takes leave is its business


def _told(error: Exception, place: str, to: str) -> PermanentError | TransientError:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        said = f"the mail server {place} answered {error.code} to the mail to {to}: {error.message}"
        if error.code >= _PERMANENT:
            return PermanentError(f"{said}; correct the address or the settings of the server", reason="mail_refused")
        return TransientError(f"{said}; it is tried again", reason="mail_deferred")
    said = f"the mail server {place} cannot be reached ({type(error).__name__}: {error})"
    return TransientError(f"{said}; check MILLRACE_SMTP_URL", reason="mail_server_unreachable")


def _server(url: str) -> _Server:
    parts = urlsplit(url)
    return _Server(
        parts.hostname or "localhost",
        parts.port or _PORTS[parts.scheme],
        parts.scheme == "smtps",
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )


def _address(sender: str) -> str:
    """The bare address of ``Name <address>``."""
    return sender.rpartition("<")[2].rstrip("> ").strip()
