"""A mail server on loopback that answers as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from typing import Any

from aiosmtpd.smtp import SMTP


class Postbox:
    """Takes mails and answers as told, 250 at the end.

    "drop" takes one and hangs up, "2 hold" takes one and says nothing.

    Attributes:
        answers: To what follows DATA, in turn.
        refused: Answers to RCPT, by address.
        settings: For a Millrace that sends here.
    """

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.refused: dict[str, str] = {}
        self.mails: list[EmailMessage] = []
        self.has_one = asyncio.Event()
        self.settings: dict[str, Any] = {}

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer[0] in "2d":
            mail = message_from_bytes(envelope.content, policy=modern)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
        if answer == "drop" or answer.startswith("2 hold"):
            self.has_one.set()
        if answer.startswith("2 hold"):
            await asyncio.Event().wait()
        if answer == "drop":
            server.transport.abort()
        return answer

    def text(self, at: int = -1, kind: str = "plain") -> str:
        """The body of a mail that it took."""
        body = self.mails[at].get_body((kind,))
        assert body is not None
        content: str = body.get_content()
        return content


@asynccontextmanager
async def open_postbox() -> AsyncIterator[Postbox]:
    """A mail server for as long as the block runs."""
    postbox = Postbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(postbox), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    postbox.settings = {"smtp_url": f"smtp://127.0.0.1:{port}", "mail_from": "Millrace <millrace@example.com>"}
    async with server:
        yield postbox
