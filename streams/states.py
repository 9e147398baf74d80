"""The one transition table: every state of a task and of a job, and every move between them, as data.

The scripts carry these moves out; the model test holds both against each other. The diagram in the
documentation is generated from here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class TaskState(StrEnum):
    """Where a task is. Its number within the job never changes."""

    QUEUED = "queued"  # in a stage stream, not in anyone's hands
    RUNNING = "running"  # leased by a consumer
    PARKED = "parked"  # behind its job's window
    DELAYED = "delayed"  # in the timers: run_at, retry or snooze
    DEAD = "dead"  # in the dead-letter stream
    DONE = "done"
    DROPPED = "dropped"  # its job was over before it could run or close


class JobStatus(StrEnum):
    """What a job's record says. ``retrying`` is read from it (see `shown_status`), not stored."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ENDED: Final = frozenset(
    {JobStatus.SUCCEEDED, JobStatus.PARTIAL, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED}
)
CLOSED: Final = frozenset({JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED})
"""Ended with work possibly still open: what is left of it is dropped."""

_T = TaskState
TASK_MOVES: Final[dict[str, dict[TaskState | None, tuple[TaskState, ...]]]] = {
    "submit": {None: (_T.QUEUED, _T.DELAYED)},
    "adopt": {None: (_T.QUEUED,)},
    "emit": {None: (_T.QUEUED, _T.PARKED)},
    "admit": {_T.PARKED: (_T.QUEUED,)},  # part of complete, dead_letter and unspill: the window has a place
    "start": {_T.QUEUED: (_T.RUNNING,), _T.RUNNING: (_T.RUNNING, _T.DROPPED)},  # read, then vetted
    "heartbeat": {_T.RUNNING: (_T.RUNNING,)},
    "reclaim": {_T.RUNNING: (_T.RUNNING, _T.QUEUED), _T.QUEUED: (_T.RUNNING,)},  # queued: released before
    "release": {_T.RUNNING: (_T.QUEUED,)},
    "complete": {_T.RUNNING: (_T.DONE, _T.DROPPED)},
    "retry": {_T.RUNNING: (_T.DELAYED, _T.DROPPED)},
    "snooze": {_T.RUNNING: (_T.DELAYED, _T.DROPPED)},
    "dead_letter": {_T.RUNNING: (_T.DEAD, _T.DROPPED)},
    "promote": {_T.DELAYED: (_T.QUEUED, _T.DROPPED)},
    "redrive": {_T.DEAD: (_T.QUEUED, _T.DELAYED, _T.DROPPED)},  # dropped: a compile that another one makes up for
    "drop": {_T.DEAD: (_T.DROPPED,)},
    "cancel": {_T.QUEUED: (_T.DROPPED,), _T.PARKED: (_T.DROPPED,), _T.DELAYED: (_T.DROPPED,)},
    "expire": {_T.QUEUED: (_T.DROPPED,), _T.DELAYED: (_T.DROPPED,)},
}
"""Move -> state before -> states after. What is not here is refused."""

_J = JobStatus
JOB_MOVES: Final[dict[str, dict[JobStatus | None, tuple[JobStatus, ...]]]] = {
    "submit": {None: (_J.QUEUED,)},
    "adopt": {None: (_J.QUEUED,)},
    "start": {_J.QUEUED: (_J.RUNNING,)},
    "complete": {_J.RUNNING: (_J.SUCCEEDED, _J.PARTIAL)},
    "dead_letter": {_J.RUNNING: (_J.FAILED, _J.PARTIAL, _J.SUCCEEDED)},
    "cancel": {_J.QUEUED: (_J.CANCELLED, _J.FAILED), _J.RUNNING: (_J.CANCELLED, _J.FAILED)},
    "expire": {_J.QUEUED: (_J.EXPIRED,)},
    "replay": {None: (_J.QUEUED,)},
    "redrive": {_J.SUCCEEDED: (_J.RUNNING,), _J.PARTIAL: (_J.RUNNING,), _J.FAILED: (_J.RUNNING,)},
}
"""Move -> status before -> statuses after, where the move changes it."""


def may_move(move: str, before: TaskState | None, after: TaskState) -> bool:
    """Whether the table allows a task this move."""
    return after in TASK_MOVES[move].get(before, ())


def shown_status(stored: str, *, open_tasks: int, delayed: int, running: int) -> JobStatus:
    """The status to show: a job whose open tasks all wait for a retry, with none running, is ``retrying``."""
    status = JobStatus(stored)
    if status is JobStatus.RUNNING and running == 0 and 0 < delayed == open_tasks:
        return JobStatus.RETRYING
    return status


def diagram() -> str:
    """The table as a Mermaid state diagram; the one in README.md is this text."""
    lines = ["stateDiagram-v2"]
    arrows: dict[tuple[str, str], list[str]] = {}
    for move, cases in TASK_MOVES.items():
        for before, afters in cases.items():
            for after in afters:
                if before is not after:
                    arrows.setdefault((before.value if before else "[*]", after.value), []).append(move)
    lines += [f"    {before} --> {after}: {', '.join(moves)}" for (before, after), moves in arrows.items()]
    lines += [f"    {state.value} --> [*]" for state in (_T.DONE, _T.DROPPED)]
    return "\n".join(lines)
