"""A finished job in words for others; pure."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas.outcomes import JobOutcome

if TYPE_CHECKING:
    from schemas.stages import Ending
    from streams.record import JobRecord

API: str = "/api/v1/jobs"


def outcome_of(
    ending: Ending, job_id: str, flow: str, tenant: str, record: JobRecord | None, *, now: datetime
) -> JobOutcome:
    """What the ending of a revision is told as.

    Args:
        record: The job's live record; without one only the ending itself is known.
        now: Stands in for an end that the record does not know, as while a next revision runs.
    """
    created_ms = record.created_ms if record is not None else 0
    ended_ms = record.number("finished_at") if record is not None and record.revision == ending.revision else 0
    return JobOutcome(
        job_id=job_id,
        flow=flow,
        status=ending.status,
        revision=ending.revision,
        tenant=tenant,
        missing=_lacking(record) if record is not None else 0,
        error=record.fields.get("error") or None if record is not None else None,
        trace_id=record.trace_id if record is not None else "",
        created_at=_instant(created_ms) if created_ms else None,
        finished_at=_instant(ended_ms) if ended_ms else now,
        links={"self": f"{API}/{job_id}", "result": f"{API}/{job_id}/result", "artifacts": f"{API}/{job_id}/artifacts"},
        origin=record.origin or None if record is not None else None,
    )


def cloud_event(outcome: JobOutcome, *, namespace: str, traceparent: str) -> dict[str, str]:
    """The outcome as the fields of an entry on the outcomes stream.

    The `id` is the same however often the event is published: consumers deduplicate by (`source`, `id`).

    Source: CloudEvents 1.0 and its distributed-tracing extension.
    """
    return {
        "specversion": "1.0",
        "id": f"{outcome.job_id}/{outcome.revision}",
        "source": f"/{namespace}",
        "type": outcome.event_type,
        "subject": outcome.job_id,
        "time": outcome.finished_at.isoformat(),
        "datacontenttype": "application/json",
        "traceparent": traceparent,
        "data": outcome.model_dump_json(),
    }


def message_id(outcome: JobOutcome, channel: str, target: str) -> str:
    """The same for every try to tell one addressee of one ending; 32 hex digits."""
    told = f"{outcome.job_id}\n{outcome.revision}\n{channel}\n{target}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _lacking(record: JobRecord) -> int:
    return max(record.number("missing"), record.number("dead"))


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1_000, UTC)
