"""Generic mail: what is asked for, what the stages hand on, and what became of it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from schemas.jobs import Asked, Instant
from schemas.stages import Payload

Address = Annotated[str, Field(pattern=r"^[^@\s<>,]{1,64}@[^@\s<>,]{1,255}$")]
Subject = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\r\n\x00]*$")]
Body = Annotated[str, Field(min_length=1, max_length=200_000)]


class EmailSpec(Asked):
    """A mail to some addressees, each for themselves: none sees the others.

    Attributes:
        text: As plain text; made from `html` when left out.
        html: As HTML; made from `text` when left out.
        reply_to: Who gets answers, in place of the sender.
    """

    to: Annotated[tuple[Address, ...], Field(min_length=1, max_length=50)]
    subject: Subject
    text: Body | None = None
    html: Body | None = None
    reply_to: Address | None = None

    @model_validator(mode="after")
    def _has_a_body(self) -> Self:
        if self.text is None and self.html is None:
            raise ValueError("give text or html, or both")
        return self


class Letter(Payload):
    """Into crawl: to whom."""

    to: tuple[str, ...]


class Envelope(Payload):
    """Into extract: one addressee."""

    to: str


class Posted(Payload):
    """From extract, collected for compile: what became of one addressee's mail."""

    to: str
    ended: Literal["sent", "maybe_sent", "suppressed", "refused"]
    said: str = ""


class EmailResult(BaseModel):
    """The result of a mail job; addressees by what became of their mails.

    Attributes:
        may_have_been_sent: A worker or a connection broke off while it was sent: it is not sent again.
    """

    sent: tuple[str, ...]
    may_have_been_sent: tuple[str, ...]
    suppressed: tuple[str, ...]
    refused: tuple[str, ...]
    missing: tuple[str, ...]


class EmailView(BaseModel):
    """A mail to one addressee, also one that tells of a job's end.

    Attributes:
        status: ``may_have_been_sent`` when it was begun, and nobody saw its end.
    """

    to: str
    status: Literal["waiting", "sending", "sent", "failed", "may_have_been_sent"]
    job_id: str
    revision: int
    attempts: int
    error: str | None
    created_at: Instant
    changed_at: Instant


class SuppressionRequest(Asked):
    """The body of ``POST /emails/suppressions``."""

    address: Address
    reason: Annotated[str, Field(min_length=1, max_length=500)] = "by hand"


class SuppressionView(BaseModel):
    """An address that gets no mail."""

    address: str
    reason: str
    detail: str
    created_at: Instant
