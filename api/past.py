"""A job as it was at an instant, as it is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from api.look import entries_of
from api.problems import Problem
from api.views import links_of
from streams.past import PastJob, job_at

if TYPE_CHECKING:
    from api.look import Found
    from api.services import Services

MOST_TASKS: Final = 1_000
"""Open tasks that are shown; `open_left_out` counts the others."""


async def past_job(services: Services, found: Found, at_ms: int) -> PastJob:
    """A job as it was: from lifecycle, and from history what that has no longer.

    Raises:
        Problem: ``not-found``: it had not been submitted by then, or its past is not known any more.
    """
    entries = [(entry.entry_id, entry.fields) async for entry in entries_of(services, found)]
    running = (
        {
            number: (place.since_ms, place.worker, place.delivery)
            for number, place in found.record.tasks.items()
            if place.kind == "running"
        }
        if found.record is not None
        else None
    )
    past = job_at(entries, at_ms, running=running)
    if not past.is_there:
        created, told = found.view.created_at, datetime.fromtimestamp(at_ms / 1_000, UTC)
        since = f"it was submitted at {created:%Y-%m-%dT%H:%M:%SZ}" if created else "when it was submitted is not known"
        raise Problem("not-found", f"job {found.job_id} was not there at {told:%Y-%m-%dT%H:%M:%SZ}: {since}")
    return past


def past_job_view(found: Found, past: PastJob) -> dict[str, Any]:
    """What the job was then: status, the counts of its stages, and its open tasks, those that ran first."""
    tasks = past.open_tasks
    return {
        "job_id": found.job_id, "flow": found.view.flow, "at": _instant(past.at_ms), "status": past.status.value,
        "revision": past.revision, "progress": {"percent": past.percent, "step": past.step},
        "stages": {
            name: {
                "open": one.open, "done": one.done, "failed": one.failed, "runs": one.runs,
                "busy_s": one.busy_ms / 1_000, "first_at": _instant(one.first_ms), "last_at": _instant(one.last_ms),
            }
            for name, one in past.stages.items()
        },
        "open_tasks": [
            {
                "task": one.task, "stage": one.stage, "state": one.state.value, "since": _instant(one.since_ms),
                "attempt": one.attempt, "delivery": one.delivery, "worker": one.worker, "due_at": _instant(one.due_ms),
                "reason": one.reason,
            }
            for one in tasks[:MOST_TASKS]
        ],
        "open_left_out": max(0, len(tasks) - MOST_TASKS), "error": past.error,
        "created_at": _instant(past.created_ms), "started_at": _instant(past.started_ms),
        "finished_at": _instant(past.finished_ms), "links": links_of(found.job_id),
    }  # fmt: skip


def _instant(ms: int) -> datetime | None:
    return datetime.fromtimestamp(ms / 1_000, UTC) if ms else None
