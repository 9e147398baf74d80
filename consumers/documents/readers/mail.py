"""Mails: EML (RFC 5322) and Outlook's MSG: head, body, and the names of what is attached."""

from __future__ import annotations

import io
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any, Final

from consumers.documents.errors import DocumentRefused
from consumers.documents.limits import ReadLimits
from consumers.documents.readers.web import read_html
from consumers.documents.text import Block, DocumentText, TextBuilder

_SHOWN: Final = ("From", "To", "Cc", "Date")


def read_eml(data: bytes, limits: ReadLimits) -> DocumentText:
    """A mail as it was sent."""
    message = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(data)
    builder = TextBuilder(limits.max_chars)
    subject = str(message.get("Subject", "")).strip()
    builder.add(Block(subject, "heading"))
    builder.add(Block("\n".join(f"{name}: {message[name]}" for name in _SHOWN if message[name])))
    body = message.get_body(("plain", "html"))
    if body is not None:
        builder.add_all(_body_blocks(body, limits))
    _attached(builder, (part.get_filename() or part.get_content_type() for part in message.iter_attachments()))
    return builder.done(title=subject)


def read_msg(data: bytes, limits: ReadLimits) -> DocumentText:
    """A mail as Outlook saved it.

    Raises:
        DocumentRefused: ``corrupt``.
    """
    from oxmsg import Message  # noqa: PLC0415 - an extra

    builder = TextBuilder(limits.max_chars)
    try:
        message: Any = Message.load(io.BytesIO(data))
        subject = str(message.subject or "").strip()
        builder.add(Block(subject, "heading"))
        to = ", ".join(str(one.email_address) for one in message.recipients)
        head = {"From": message.sender, "To": to, "Date": message.sent_date}
        builder.add(Block("\n".join(f"{name}: {value}" for name, value in head.items() if value)))
        if message.body:
            builder.add_all(Block(part) for part in str(message.body).replace("\r\n", "\n").split("\n\n"))
        elif message.html_body:
            builder.add(Block(read_html(str(message.html_body).encode(), limits).text))
        _attached(builder, (str(one.file_name or "unnamed") for one in message.attachments))
    except Exception as error:
        # The reader of OLE files raises what its parsing of the bytes leads to.
        raise DocumentRefused(
            f"the mail is damaged ({type(error).__name__}); open it in Outlook and save it again", reason="corrupt"
        ) from error
    return builder.done(title=subject)


def _body_blocks(body: Any, limits: ReadLimits) -> Iterator[Block]:
    try:
        content = str(body.get_content())
    except (LookupError, ValueError):
        content = (body.get_payload(decode=True) or b"").decode("utf-8", errors="replace")
    if body.get_content_subtype() == "html":
        content = read_html(content.encode(), limits).text
    yield from (Block(part) for part in content.replace("\r\n", "\n").split("\n\n"))


def _attached(builder: TextBuilder, names: Iterator[str]) -> None:
    listed = list(names)
    if listed:
        builder.add(Block("Attached: " + ", ".join(listed)))
        builder.cut.append(f"{len(listed)} attached files were not read; upload them by themselves")
