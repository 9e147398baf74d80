"""Mails, and the ways to send them, behind one protocol: SMTP, and SendGrid's HTTP API."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final, Protocol

from streams.errors import MillraceError, PermanentError
from streams.policy import RateLimit

if TYPE_CHECKING:
    from consumers.net.fetch import Fetcher
    from schemas.settings import Settings

TIMEOUT_S: Final = 10.0

MAIL_LIMIT: Final = RateLimit("mail", 10, 60)
"""Every mail, whoever asks for it."""

# Long subjects are not folded: some readers show the fold as a blank. RFC 5322 allows lines of 998.
_POLICY: Final = SMTP.clone(max_line_length=998)


class MaybeSent(MillraceError):  # noqa: N818 - it says what is known
    """The server had the whole mail and gave no answer: it may be on its way."""


class RecipientRefused(PermanentError):  # noqa: N818 - it says what the server did
    """The server has no such mailbox: mails to this address bounce."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to one addressee.

    Attributes:
        key: The same for every try to send it; its Message-ID derives from it.
        sender: ``Name <address>`` or an address.
        at: Its date.
    """

    key: str
    to: str
    sender: str
    subject: str
    text: str
    html: str
    at: datetime
    reply_to: str | None = None

    @property
    def message_id(self) -> str:
        """The Message-ID, with its brackets. Source: RFC 5322, 3.6.4."""
        digest = hashlib.sha256(self.key.encode()).hexdigest()[:32]
        return f"<{digest}@{address_of(self.sender).rpartition('@')[2] or 'localhost'}>"

    @property
    def headers(self) -> dict[str, str]:
        """Headers beside From, To and Subject, whatever sends it. Source: RFC 3834 on mails that programs send."""
        return {"Message-ID": self.message_id, "Auto-Submitted": "auto-generated"}

    def message(self) -> EmailMessage:
        """As it goes over SMTP: text, with HTML as its alternative."""
        message = EmailMessage(policy=_POLICY)
        message["Subject"] = self.subject
        message["From"] = self.sender
        message["To"] = self.to
        message["Date"] = format_datetime(self.at)
        if self.reply_to is not None:
            message["Reply-To"] = self.reply_to
        for name, value in self.headers.items():
            message[name] = value
        message.set_content(self.text)
        message.add_alternative(self.html, subtype="html")
        return message


class MailSender(Protocol):
    """A way to send a mail."""

    async def send(self, mail: Mail) -> None:
        """Send it to its addressee.

        Raises:
            TransientError: Nothing was sent; it may be tried again.
            RecipientRefused: There is no such mailbox.
            PermanentError: It is refused for another reason: settings, or the mail itself.
            MaybeSent: The server had all of it and did not answer.
        """
        ...


def sender_of(settings: Settings, fetch: Fetcher) -> MailSender:
    """The way to send that the operator has set.

    Raises:
        PermanentError: None is.
    """
    from consumers.notify.sendgrid import SendGrid  # noqa: PLC0415 - they import this module
    from consumers.notify.smtp import Smtp  # noqa: PLC0415 - as above

    if settings.sendgrid_api_key is not None:
        return SendGrid(settings.sendgrid_url, settings.sendgrid_api_key, fetch)
    if settings.smtp_url is not None:
        return Smtp(settings.smtp_url)
    raise PermanentError(
        "there is no mail server: set MILLRACE_SMTP_URL or MILLRACE_SENDGRID_API_KEY, and MILLRACE_MAIL_FROM",
        reason="no_mail_server",
    )


def address_of(sender: str) -> str:
    """The bare address of ``Name <address>``."""
    return sender.rpartition("<")[2].rstrip("> ").strip()


def name_of(sender: str) -> str:
    """The name of ``Name <address>``, empty for a bare address."""
    return sender.rpartition("<")[0].strip().strip('"')
