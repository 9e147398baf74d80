"""A job as it was at an instant, read back from its lifecycle. Pure.

Every move of a job left an entry whose id says when. What began before the instant and ended after it is known from
the entry of its end, which carries its start: so entries from after the instant are read too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from schemas.names import STAGES
from streams.states import ENDED, JobStatus, TaskState, shown_status

_OPENING: Final = frozenset({"submitted", "adopted"})
_DELAYING: Final = frozenset({"retried", "snoozed"})
_WAITING: Final = frozenset({"promoted", "released", "reclaimed", "redriven"})
_CLOSING: Final[Mapping[str, TaskState]] = {
    "completed": TaskState.DONE, "dead_lettered": TaskState.DEAD, "dropped": TaskState.DROPPED,
    "cancelled": TaskState.DROPPED, "expired": TaskState.DROPPED,
}  # fmt: skip
_JOB_ENDINGS: Final = frozenset({"cancelled", "expired", "failed"})
"""Moves that, without a task, drop what waits in the whole job."""
_IDLE: Final = frozenset({TaskState.QUEUED, TaskState.DELAYED})
_OPEN: Final = _IDLE | {TaskState.RUNNING}


@dataclass(slots=True)
class PastTask:
    """A task at the instant.

    Attributes:
        state: `queued` also for one that was parked behind its job's window.
        since_ms: Since when, milliseconds since the epoch.
        due_ms: When a delayed one is due; 0 otherwise.
        worker: Who ran it; empty when nobody did.
    """

    task: int
    stage: str
    state: TaskState
    since_ms: int
    attempt: int = 1
    delivery: int = 0
    worker: str = ""
    due_ms: int = 0
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether there was work left in it."""
        return self.state in _OPEN


@dataclass(slots=True)
class PastStage:
    """A stage's tasks at the instant, and what was run of them until then.

    Attributes:
        runs: Deliveries that had ended.
        busy_ms: What they took together.
        first_ms, last_ms: When the first of them began and the last one ended; 0 for none.
    """

    open: int = 0
    done: int = 0
    failed: int = 0
    runs: int = 0
    busy_ms: int = 0
    first_ms: int = 0
    last_ms: int = 0


@dataclass(slots=True)
class PastJob:
    """A job at the instant.

    Attributes:
        is_there: It had been submitted by then.
        tasks: Those that were known, by number, the closed ones included.
    """

    at_ms: int
    is_there: bool = False
    status: JobStatus = JobStatus.QUEUED
    revision: int = 1
    percent: float = 0.0
    step: str = ""
    error: str | None = None
    created_ms: int = 0
    started_ms: int = 0
    finished_ms: int = 0
    tasks: dict[int, PastTask] = field(default_factory=dict)
    stages: dict[str, PastStage] = field(default_factory=dict)

    @property
    def open_tasks(self) -> list[PastTask]:
        """The open ones, those that ran first."""
        order = (TaskState.RUNNING, TaskState.QUEUED, TaskState.DELAYED)
        return sorted((one for one in self.tasks.values() if one.is_open), key=lambda t: (order.index(t.state), t.task))


def job_at(
    entries: Iterable[tuple[str, Mapping[str, str]]],
    at_ms: int,
    *,
    running: Mapping[int, tuple[int, str, int]] | None = None,
) -> PastJob:
    """What a job was at an instant.

    Args:
        entries: Id and fields of all of the job's lifecycle entries, oldest first, also those after the instant.
        at_ms: Milliseconds since the epoch; what happened in this very millisecond has happened.
        running: Of a job that lives: the tasks that run now, with since when, whose and the delivery.
    """
    reading = _Reading(at_ms)
    for entry_id, fields in entries:
        ms = int(entry_id.partition("-")[0])
        if ms <= at_ms:
            reading.before(ms, fields)
        else:
            reading.after(fields)
    for task, (since_ms, worker, delivery) in (running or {}).items():
        reading.runs(task, since_ms, worker, delivery)
    return reading.end()


class _Reading:
    def __init__(self, at_ms: int) -> None:
        self._job = PastJob(at_ms)
        self._stored = ""
        self._told: tuple[int, int] = (-1, 0)
        self._settled: set[int] = set()
        self._count = 0

    def before(self, ms: int, fields: Mapping[str, str]) -> None:
        """An entry that had happened."""
        job, move = self._job, fields.get("type", "")
        self._count += 1
        job.is_there = True
        job.created_ms = job.created_ms or ms
        revision = _number(fields, "revision") or 1
        job.revision = max(job.revision, revision)
        if "status" in fields and (revision, self._count) >= self._told:
            self._told = (revision, self._count)
            self._stored = fields["status"]
            has_ended = self._stored in ENDED
            job.finished_ms = ms if has_ended else 0
            failed = has_ended and self._stored != JobStatus.SUCCEEDED
            job.error = (fields.get("error") or fields.get("reason")) if failed else None
        if move == "progressed":
            job.percent, job.step = float(fields.get("percent") or 0), fields.get("step", "")
        started_ms = ms if move == "started" else _number(fields, "started_at")
        # Telling of an end does not begin a job that ended before it began.
        if started_ms and (fields.get("stage") != "notify" or fields.get("task") == "1"):
            job.started_ms = min(job.started_ms or started_ms, started_ms)
        if fields.get("task"):
            self._move(ms, move, fields)
        elif move in _JOB_ENDINGS:
            for task in job.tasks.values():
                if task.is_open and task.state != TaskState.RUNNING:
                    self._close(task, TaskState.DROPPED, ms)
        for child in orjson.loads(fields.get("emitted") or "[]"):
            self._open(int(child["task"]), str(child["stage"]), ms)

    def after(self, fields: Mapping[str, str]) -> None:
        """An entry that was still to come: what it ends may have run at the instant."""
        number, started_ms = _number(fields, "task"), _number(fields, "started_at")
        if not number or number in self._settled:
            return
        self._settled.add(number)
        if started_ms:
            self.runs(number, started_ms, fields.get("worker", ""), _number(fields, "delivery") or 1)

    def runs(self, number: int, since_ms: int, worker: str, delivery: int) -> None:
        """A task that is known to run from an instant on."""
        task = self._job.tasks.get(number)
        if task is None or not task.is_open or not task.since_ms <= since_ms <= self._job.at_ms:
            return
        task.state, task.since_ms, task.worker, task.delivery, task.due_ms = (
            TaskState.RUNNING, since_ms, worker, delivery, 0
        )  # fmt: skip

    def end(self) -> PastJob:
        job = self._job
        if self._stored in ENDED:
            # A compile that another one made up for leaves no entry of its own.
            for number, task in job.tasks.items():
                if task.state in _IDLE and task.stage != "notify" and number not in self._settled:
                    self._close(task, TaskState.DROPPED, job.finished_ms)
        places = [task.state for task in job.tasks.values() if task.is_open]
        if self._stored:
            # What ran unannounced at the instant had begun its job.
            running = places.count(TaskState.RUNNING)
            begun = running and self._stored == JobStatus.QUEUED
            job.status = shown_status(
                JobStatus.RUNNING if begun else self._stored, open_tasks=len(places),
                delayed=places.count(TaskState.DELAYED), running=running,
            )  # fmt: skip
            first = min((task.since_ms for task in job.tasks.values() if task.state == TaskState.RUNNING), default=0)
            job.started_ms = job.started_ms or first
        job.stages = {stage: job.stages[stage] for stage in STAGES if stage in job.stages}
        return job

    def _move(self, ms: int, move: str, fields: Mapping[str, str]) -> None:
        number, stage = int(fields["task"]), fields.get("stage", "")
        task = self._job.tasks.get(number)
        if task is None:
            task = self._open(number, stage, ms)
        started_ms = _number(fields, "started_at")
        task.attempt = _number(fields, "attempt") or task.attempt
        if move in _OPENING:
            task.since_ms = ms
        elif move == "started":
            task.state, task.since_ms, task.worker = TaskState.RUNNING, ms, fields.get("worker", "")
            task.delivery = _number(fields, "delivery") or 1
        elif move in _CLOSING:
            self._ran(task, started_ms, ms)
            self._close(task, _CLOSING[move], ms)
            task.reason = fields.get("reason", "")
        elif move in _DELAYING:
            self._ran(task, started_ms, ms)
            task.state, task.since_ms, task.worker = TaskState.DELAYED, ms, ""
            task.due_ms, task.reason = _number(fields, "due_at"), fields.get("reason", "")
        elif move in _WAITING:
            if move == "redriven":
                self._reopen(task)
            if task.is_open:
                task.state, task.since_ms, task.worker, task.due_ms = TaskState.QUEUED, ms, "", 0

    def _open(self, number: int, stage: str, ms: int) -> PastTask:
        task = PastTask(number, stage, TaskState.QUEUED, ms)
        self._job.tasks[number] = task
        self._stage(stage).open += 1
        return task

    def _reopen(self, task: PastTask) -> None:
        stage = self._stage(task.stage)
        if task.state == TaskState.DEAD:
            stage.failed -= 1
        if not task.is_open:
            stage.open += 1
            task.state, task.reason = TaskState.QUEUED, ""

    def _close(self, task: PastTask, state: TaskState, ms: int) -> None:
        stage = self._stage(task.stage)
        stage.open -= task.is_open
        stage.failed -= task.state == TaskState.DEAD  # a dead letter that was given up
        stage.done += state == TaskState.DONE
        stage.failed += state == TaskState.DEAD
        task.state, task.since_ms, task.due_ms = state, ms, 0

    def _ran(self, task: PastTask, started_ms: int, ended_ms: int) -> None:
        if not started_ms:
            return
        stage = self._stage(task.stage)
        stage.runs += 1
        stage.busy_ms += max(0, ended_ms - started_ms)
        stage.first_ms = min(stage.first_ms or started_ms, started_ms)
        stage.last_ms = max(stage.last_ms, ended_ms)

    def _stage(self, name: str) -> PastStage:
        return self._job.stages.setdefault(name, PastStage())


def _number(fields: Mapping[str, str], name: str) -> int:
    return int(float(fields.get(name) or 0))
