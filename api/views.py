"""Jobs as they are shown: from the live record, from history, or from both; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from schemas.jobs import ENDED, JobStatusName, JobView, Progress, StageCounts
from schemas.names import STAGES
from streams.keys import partition_of

if TYPE_CHECKING:
    from consumers.store.models import Job
    from streams.record import JobRecord

API: Final = "/api/v1"
ENDED_WELL: Final = frozenset({"succeeded", "partial"})

OLD_STATUS: Final[Mapping[str, str]] = {
    "queued": "PENDING", "running": "STARTED", "retrying": "RETRY", "succeeded": "SUCCESS", "partial": "SUCCESS",
    "failed": "FAILURE", "expired": "FAILURE", "cancelled": "REVOKED",
}  # fmt: skip
"""Status -> what clients of task queues call it; a running job that tells its progress is ``PROGRESS``."""


def links_of(job_id: str) -> dict[str, str]:
    """Where a job and what belongs to it is found."""
    job = f"{API}/jobs/{job_id}"
    parts = ("result", "artifacts", "logs", "trace", "events", "cancel", "retry")
    return {
        "self": job,
        **{part: f"{job}/{part}" for part in parts},
        "websocket": f"/ws/jobs/{job_id}",
        "page": f"/jobs/{job_id}",
    }


def live_view(record: JobRecord, past: Job | None = None) -> JobView:
    """A job that Redis has a record of; `past` adds what only history counts."""
    fields = record.fields
    status: JobStatusName = record.status.value
    started = record.number("started_at")
    return JobView(
        job_id=record.job_id,
        flow=record.flow,
        status=status,
        revision=record.revision,
        priority=record.lane,
        progress=_progress(record, status),
        stages={stage: StageCounts(**counts) for stage, counts in record.stages().items()},
        attempts=max(past.attempts if past is not None else 0, 1 if started else 0),
        missing=record.number("missing"),
        error=fields.get("error"),
        trace_id=record.trace_id,
        created_at=record.created_ms,
        started_at=started,
        finished_at=record.number("finished_at"),
        run_at=record.number("run_at"),
        expires_at=record.number("expires_at"),
        then=_follow_up(record),
        then_error=fields.get("then_error"),
        parent=fields.get("parent") or (past.parent if past is not None else None),
        links=links_of(record.job_id),
    )


def past_view(job: Job) -> JobView:
    """A job whose live record is gone."""
    status: Any = job.status
    done = 100.0 if job.status in ENDED_WELL else 0.0
    return JobView(
        job_id=job.job_id, flow=job.flow, status=status, revision=job.revision, priority=job.lane or "normal",
        progress=Progress(percent=done, step=""), stages={}, attempts=job.attempts, missing=len(job.missing or ()),
        error=job.error, trace_id=job.trace_id or "", created_at=job.created_at, started_at=job.started_at,
        finished_at=job.finished_at, parent=job.parent, links=links_of(job.job_id),
    )  # fmt: skip


def is_over(record: JobRecord) -> bool:
    """Whether a job has ended and its notifications are done: nothing of it will happen any more by itself."""
    return record.fields["status"] in ENDED and record.number("tail") == 0


def old_view(job: JobView, result: Any, missing: list[Any]) -> dict[str, Any]:
    """A job as clients of task queues know tasks."""
    status = OLD_STATUS[job.status]
    percent, step = job.progress.percent, job.progress.step
    if status == "STARTED" and (percent or step):
        status = "PROGRESS"
    error = job.error
    if status == "FAILURE" and not error:
        error = f"the job {job.status}"
    shown: dict[str, Any] = {
        "task_id": job.job_id, "status": status, "result": result if status == "SUCCESS" else None,
        "error": error if status in {"FAILURE", "RETRY", "REVOKED"} else None,
        "meta": {"current": percent, "total": 100, "percent": percent, "step": step},
        "date_done": job.finished_at,
    }  # fmt: skip
    if job.status == "partial" or missing:
        shown["missing"] = missing
    return shown


def event_view(entry_id: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """A lifecycle entry for people and programs outside; payloads stay inside."""
    view: dict[str, Any] = {"id": entry_id, "at": int(entry_id.partition("-")[0])}
    for name, value in fields.items():
        if name in {"data", "spec", "traceparent", "tenant"}:
            continue
        if name == "emitted":
            view[name] = [{"task": one["task"], "stage": one["stage"]} for one in orjson.loads(value or "[]")]
        elif name in {"task", "revision", "attempt", "delivery", "started_at", "due_at"}:
            view[name] = int(float(value)) if value else None
        elif name == "percent":
            view[name] = float(value)
        else:
            view[name] = value
    return view


def _progress(record: JobRecord, status: str) -> Progress:
    percent = 100.0 if status in ENDED_WELL else float(record.fields.get("progress.percent", 0))
    step = record.fields.get("progress.step", "")
    if not step and status not in ENDED:
        step = next((stage for stage in STAGES if record.open(stage)), "")
    return Progress(percent=percent, step=step)


def _follow_up(record: JobRecord) -> str | None:
    """The id that the follow-up job will have, while it is not submitted."""
    body = record.fields.get("then")
    if not body:
        return None
    given = orjson.loads(body).get("job_id")
    return given or f"{partition_of(record.job_id)}-{record.job_id.partition('-')[2]}.then"
