"""A job as its users see it: what they send, and what they are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl

from schemas.names import StageName, lane_of

JobStatusName = Literal["queued", "running", "retrying", "succeeded", "partial", "failed", "cancelled", "expired"]
ENDED: frozenset[str] = frozenset({"succeeded", "partial", "failed", "cancelled", "expired"})


class Asked(BaseModel):
    """Base of what comes from outside: unknown fields are refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _known_priority(value: str | int) -> str | int:
    lane_of(value)
    return value


class NotifySpec(Asked):
    """Who is told when a job ends, beside the live events and the outcomes stream.

    Attributes:
        webhook: URL that gets a signed POST (Standard Webhooks).
        email: Addresses that get a mail.
        leads: Of a `leads` job also for each lead that it found first, and on the outcomes stream.
    """

    webhook: HttpUrl | None = None
    email: tuple[Annotated[str, Field(pattern=r"^[^@\s<>,]{1,64}@[^@\s<>,]{1,255}$")], ...] = Field(
        default=(), max_length=20
    )
    leads: bool = False


class JobRequest(Asked):
    """The body of ``POST /jobs`` and of a ``millrace.job.submit`` event.

    Attributes:
        flow: Name of an installed flow.
        spec: What that flow needs; see its schema.
        job_id: The caller's own id; the partition is put before it when it has none.
        priority: ``high``, ``normal``, ``low``, or 0 to 9 where 9 is the most urgent.
        from_stage, until_stage: Part of the flow only; `from_stage` takes `spec` as that stage's payload.
        run_at: Not before this instant.
        expires_at: Not started by then: the job ends as ``expired``.
        result_ttl_s: How long the result is kept, seconds.
        then: A job that is submitted when this one ends well.
    """

    flow: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
    spec: dict[str, Any]
    job_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    priority: Annotated[str | int, AfterValidator(_known_priority)] = "normal"
    from_stage: StageName | None = None
    until_stage: StageName | None = None
    run_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    result_ttl_s: Annotated[int, Field(ge=60, le=10 * 365 * 86_400)] | None = None
    notify: NotifySpec | None = None
    then: JobRequest | None = None


class JobAccepted(BaseModel):
    """The answer to a submission."""

    job_id: str
    flow: str
    status: JobStatusName
    trace_id: str
    links: dict[str, str]


class Progress(BaseModel):
    """How far a job is, as its handlers said last. `percent` is never set back."""

    percent: float
    step: str


class StageCounts(BaseModel):
    """A stage's tasks; `open` counts waiting, running, parked and delayed ones."""

    open: int = 0
    done: int = 0
    failed: int = 0


def _instant(value: Any) -> Any:
    """Milliseconds since the epoch as an instant; 0 and empty are none."""
    if isinstance(value, int):
        return datetime.fromtimestamp(value / 1_000, UTC) if value else None
    return value


Instant = Annotated[datetime | None, BeforeValidator(_instant)]


class JobView(BaseModel):
    """A job."""

    job_id: str
    flow: str
    status: JobStatusName
    revision: int
    priority: str
    progress: Progress
    stages: dict[str, StageCounts]
    attempts: int
    missing: int
    error: str | None
    trace_id: str
    created_at: Instant
    started_at: Instant
    finished_at: Instant
    run_at: Instant = None
    expires_at: Instant = None
    then: str | None = None
    then_error: str | None = None
    parent: str | None = None
    origin: str | None = None
    replay: str | None = None
    links: dict[str, str] = Field(default_factory=dict)
