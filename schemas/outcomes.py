"""What the world is told of a finished job: on the outcomes stream, in webhooks and in mails."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

EVENT_TYPE = "millrace.job"
"""The type of an outcome's CloudEvent, before the dot and the status."""


class JobOutcome(BaseModel):
    """The `data` of an outcome event and of a webhook.

    Attributes:
        revision: One outcome a revision: a job that is retried ends again.
        missing: How many things the result lacks; it lists them.
        error: Why, as a short code, when something went wrong.
        news: What the result calls news, a line each; told to addressees only.
        links: Where to read on, below the API's address.
        origin: The job that this one repeats.
    """

    model_config = ConfigDict(frozen=True)

    job_id: str
    flow: str
    status: Literal["succeeded", "partial", "failed", "cancelled", "expired"]
    revision: int
    tenant: str = "default"
    missing: int = 0
    error: str | None = None
    trace_id: str = ""
    created_at: datetime | None = None
    finished_at: datetime
    news: tuple[str, ...] = ()
    links: dict[str, str]
    origin: str | None = None

    @property
    def event_type(self) -> str:
        """As ``millrace.job.succeeded``."""
        return f"{EVENT_TYPE}.{self.status}"


LEAD_TYPE = "millrace.lead.qualified"
"""The type of the CloudEvent that tells of a new lead."""


class QualifiedLead(BaseModel):
    """The `data` of an event on the outcomes stream for a lead that a job found first: nothing to be erased with it."""

    model_config = ConfigDict(frozen=True)

    lead_id: str
    score: int
    links: dict[str, str]
