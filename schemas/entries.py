"""The entries of the streams that other systems read and write, as they stand in Redis: every value is text.

The scripts write most of them; a test holds what they write against these models, and the AsyncAPI document is made
from them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.names import StageName

Count = Annotated[str, Field(pattern=r"^[0-9]*$")]
"""A number in decimal, or empty."""
Traceparent = Annotated[str, Field(description="W3C trace context; empty for none.")]
Json = Annotated[str, Field(json_schema_extra={"contentMediaType": "application/json"})]
StageOrNone = StageName | Literal[""]

LifecycleType = Literal[
    "submitted", "adopted", "started", "emitted", "completed", "retried", "snoozed", "dead_lettered", "redriven",
    "released", "reclaimed", "promoted", "dropped", "cancelled", "failed", "expired", "progressed", "group_moved",
]  # fmt: skip


class Entry(BaseModel):
    """Base of an entry: unknown fields are refused, so that a field which nobody described is found."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StageEntry(Entry):
    """Open work in a stage stream. Without `job` it is adopted as a job that starts there."""

    job: Annotated[str, Field(description="Id of its job; leave it out to have one made.")] = ""
    task: Annotated[Count, Field(description="Its number within the job; never changes.")] = ""
    flow: str
    attempt: Count = "1"
    traceparent: Traceparent = ""
    data: Annotated[Json, Field(description="The payload, with a schema version `v`; or a claim check.")]


class IngestEntry(Entry):
    """An event for `millrace:events`: a CloudEvent's attributes, with `data` as JSON text."""

    type: Literal["millrace.job.submit", "millrace.job.cancel"]
    data: Json
    id: Annotated[str, Field(description="With `source` the event's identity: the same is accepted once.")] = ""
    source: str = ""
    traceparent: Traceparent = ""
    sig: Annotated[str, Field(description="Hex HMAC-SHA256, where the operator asks for one.")] = ""


class OutcomeEntry(Entry):
    """A finished job on `millrace:outcomes`: a CloudEvent's attributes, with `data` as JSON text."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: Annotated[str, Field(pattern=r"^millrace\.job\.(succeeded|partial|failed|cancelled|expired)$")]
    subject: str
    time: str
    datacontenttype: Literal["application/json"]
    traceparent: Traceparent = ""
    data: Json


class LifecycleEntry(Entry):
    """What happened, one entry a move; the entry's id says when. What does not apply is left out."""

    type: LifecycleType
    job: str = ""
    flow: str = ""
    tenant: Annotated[str, Field(description="Empty for a stray that never was of a job.")] = ""
    revision: Count = ""
    task: Count = ""
    stage: StageOrNone = ""
    attempt: Annotated[Count, Field(description="Of `completed` left out while it and `delivery` are 1.")] = ""
    delivery: Count = ""
    worker: str = ""
    started_at: Annotated[Count, Field(description="Milliseconds since the epoch.")] = ""
    due_at: Annotated[Count, Field(description="Milliseconds since the epoch.")] = ""
    traceparent: Traceparent = ""
    emitted: Annotated[Json, Field(description='A list of {"task", "stage", "data", "once"?, "budget"?}.')] = "[]"
    status: Annotated[str, Field(description="The job's, when this move changed it.")] = ""
    missing: Count = ""
    collected: Count = ""
    error: str = ""
    reason: str = ""
    dlq: Annotated[str, Field(description="Id in the partition's dead-letter stream.")] = ""
    data: Json = ""
    spec: Json = ""
    lane: Literal["normal", "high", "low", ""] = ""
    parent: str = ""
    origin: str = ""
    replay: str = ""
    until_stage: StageOrNone = ""
    percent: Annotated[str, Field(description="Of `progressed`; empty when only the step is told.")] = ""
    step: Annotated[str, Field(description="Of `progressed`: what it is at, for people.")] = ""
    group: Annotated[str, Field(description="Of `group_moved`: the consumer group that fell too far behind.")] = ""
    from_: Annotated[str, Field(alias="from")] = ""
    to: str = ""


class DeadLetterEntry(Entry):
    """What cannot succeed, with its cause; outside, its id is ``{partition}-{entry id}``."""

    job: str
    task: Count
    flow: str
    stage: StageOrNone
    stream: Annotated[str, Field(description="Where it came from: the stream's name within the partition.")]
    entry: Annotated[str, Field(description="Its id there.")]
    attempt: Count
    deliveries: Count
    worker: str
    reason: str
    error: str
    traceback: str
    traceparent: Traceparent
    data: Json
    tenant: str = ""
    redriven: Count = ""
    fields: Annotated[Json, Field(description="Of one that was never issued here: all that it held.")] = ""


__all__ = ["DeadLetterEntry", "Entry", "IngestEntry", "LifecycleEntry", "OutcomeEntry", "StageEntry"]
