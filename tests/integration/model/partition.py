"""What a partition holds, and what every move of the reference model shares: places, windows, join, lifecycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.names import STAGES, WORK_STAGES, StageName
from streams.codec import Delivery
from streams.keys import StreamName
from streams.moves import Emission
from streams.policy import Routes
from streams.scripts import Code
from streams.states import JobStatus, TaskState
from tests.integration.model.entities import Entry, Job, Letter, Task

Fields = dict[str, Any]
T = TaskState
SPILL_EVERY, SOON = 256, 64
"""As in `lib/tasks.lua`."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Where a caller says that a waiting task is: in a stream, or (no stream) in the timers."""

    task: int
    stage: StageName
    stream: str = ""
    entry_id: str = ""


@dataclass(slots=True)
class Partition:
    """All that one partition should hold.

    Attributes:
        events: The lifecycle entries of the move just made.
    """

    routes: Routes
    now: int = 1_700_000_000_000
    jobs: dict[str, Job] = field(default_factory=dict)
    streams: dict[str, list[Entry]] = field(default_factory=dict)
    dlq: list[Letter] = field(default_factory=list)
    timers: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, Any] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    max_backlog: int = 0
    events: list[Fields] = field(default_factory=list)
    _added: list[Entry] = field(default_factory=list)
    _opened: list[Fields] = field(default_factory=list)
    _moved_to: JobStatus | None = None
    _ended_revision: int | None = None
    _tells: Fields = field(default_factory=dict)

    def _stream(self, flow: str, stage: StageName, lane: Any) -> str:
        return str(StreamName(stage, self.routes.policy(flow, stage).pool, lane))

    def _add(self, job: Job, task: Task, stream: str, attempt: int = 1, traceparent: str | None = None) -> None:
        task.entry = Entry(stream, {
            "job": job.job_id, "task": str(task.number), "flow": task.flow, "attempt": str(attempt),
            "traceparent": task.traceparent if traceparent is None else traceparent, "data": task.data,
        })  # fmt: skip
        self.streams.setdefault(stream, []).append(task.entry)
        self._added.append(task.entry)

    def _wait(self, job: Job, task: Task, stream: str, due_at: int, attempt: int, **more: int) -> None:
        task.due_at = due_at
        member = f"task/{job.job_id}/{task.number}"
        self.timers[member] = due_at
        self.waiting[member] = {
            "stream": stream, "stage": task.stage, "flow": task.flow, "attempt": attempt,
            "traceparent": task.traceparent, "data": task.data, **more,
        }  # fmt: skip

    def _entry(self, stream: str, entry_id: str) -> Entry | None:
        return next((e for e in self.streams.get(stream, ()) if e.entry_id == entry_id), None)

    def _take_out(self, stream: str, entry_id: str) -> None:
        entry = self._entry(stream, entry_id)
        if entry is not None:
            self.streams[stream].remove(entry)

    def _refusal(self, stream: str, entry_id: str, consumer: str, delivery: int) -> Code | None:
        entry = self._entry(stream, entry_id)
        if entry is None or entry.owner is None:
            return Code.NOT_PENDING
        return None if (entry.owner, entry.delivery) == (consumer, delivery) else Code.SUPERSEDED

    def _task_of(self, entry: Entry) -> Task | None:
        job = self.jobs.get(entry.fields.get("job", ""))
        return None if job is None else next((t for t in job.tasks.values() if t.entry is entry), None)

    def _issued(self, e: Delivery) -> tuple[Job, Task] | Code:
        job = self.jobs.get(e.job)
        if job is None:
            return Code.UNKNOWN_JOB
        task = job.tasks.get(int(e.task)) if e.task.isdigit() else None
        place = None if task is None else task.entry
        if task is None or place is None or (place.stream, place.entry_id) != (str(e.name), e.entry_id):
            return Code.UNKNOWN_TASK
        return job, task

    def _held(self, e: Delivery, consumer: str) -> tuple[Job, Task] | Code:
        return self._refusal(str(e.name), e.entry_id, consumer, e.delivery) or self._issued(e)

    @staticmethod
    def _is_over(job: Job, stage: str) -> bool:
        return job.is_closed and stage != "notify"

    @staticmethod
    def _is_at(job: Job, claim: Claim) -> bool:
        task = job.tasks.get(claim.task)
        if task is None:
            return False
        if not claim.stream:
            return task.state is T.DELAYED
        return task.entry is not None and (task.entry.stream, task.entry.entry_id) == (claim.stream, claim.entry_id)

    def _drop_waiting(self, move: str, job: Job, claim: Claim) -> bool:
        """Drop a task that waits where the caller says; one that was handed to someone stays."""
        if not self._is_at(job, claim):
            return False
        task = job.tasks[claim.task]
        if task.entry is None:
            member = f"task/{job.job_id}/{task.number}"
            del self.timers[member], self.waiting[member]
        elif task.entry.owner is not None or task.run is not None:
            return False
        else:
            self._take_out(claim.stream, claim.entry_id)
        task.move(move, T.DROPPED)
        return True

    def _emit(self, job: Job, emissions: Sequence[Emission], e: Delivery, traceparent: str) -> None:
        for out in emissions:
            if self._is_wanted(job, out):
                window = self.routes.policy(e.flow, out.stage).window
                self._open(job, out.stage, e.flow, e.name.lane, traceparent, out.data.decode(), window)
                self._opened[-1] |= {
                    name: value for name, value in (("once", out.once), ("budget", out.budget)) if value
                }

    @staticmethod
    def _is_wanted(job: Job, out: Emission) -> bool:
        if job.until_stage and STAGES.index(out.stage) > STAGES.index(job.until_stage):
            return False
        if out.budget and job.budgets.get(out.budget, 1) <= 0:
            job.over_budget += not out.once or out.once not in job.once
            return False
        if out.once:
            if out.once in job.once:
                return False
            job.once.add(out.once)
        if out.budget in job.budgets:
            job.budgets[out.budget] -= 1
        return True

    def _open(
        self, job: Job, stage: StageName, flow: str, lane: Any, traceparent: str, data: str, window: int | None = None
    ) -> None:
        task = Task(job.next_task, stage, flow, traceparent, data)
        job.next_task += 1
        self._opened.append({"task": task.number, "stage": stage, "data": data})
        is_full = window is not None and job.free_places(stage, window) <= job.spilled(stage)
        job.tasks[task.number] = task
        if is_full:
            task.move("emit", T.PARKED)
            job.parked[stage].append(task)
            if len(job.parked_list(stage)) % SPILL_EVERY == 0:
                self._ask_for("spill", job, stage)
        else:
            task.move("emit", T.QUEUED)
            self._add(job, task, self._stream(flow, stage, lane))

    def _admit(self, job: Job, stage: StageName, lane: Any) -> None:
        window = self.routes.policy(job.flow, stage).window
        while job.parked[stage] and job.free_places(stage, window) > 0 and not job.parked[stage][0].chunk:
            task = job.parked[stage].pop(0)
            task.move("admit", T.QUEUED)
            self._add(job, task, self._stream(job.flow, stage, lane))
        listed = job.parked_list(stage)
        if job.spilled(stage) and any(isinstance(one, str) for one in (*listed[:1], *listed[SOON : SOON + 1])):
            self._ask_for("unspill", job, stage)

    def _ask_for(self, what: str, job: Job, stage: StageName) -> None:
        self.timers.setdefault(f"{what}/{job.job_id}/{stage}", self.now)

    # -- the join -----------------------------------------------------------------------------------------------

    def _end(
        self, move: str, job: Job, status: JobStatus, reason: str | None, revision: int, lane: Any, traceparent: str,
        *, is_told: bool = True,
    ) -> None:  # fmt: skip
        assert revision not in job.ended, f"revision {revision} of {job.job_id} ended before"
        job.ended[revision] = status
        self._moved_to, self._ended_revision = status, revision
        if revision == job.revision:
            job.move_to(move, status)
            job.finished_at = self.now
        job.error = reason or job.error
        self._tells = {"missing": job.missing} if job.missing else {}
        if status is not JobStatus.SUCCEEDED and job.error:
            self._tells["error"] = job.error
        if is_told and job.until_stage in {None, "notify"}:
            data = f'{{"v":1,"revision":{revision},"status":"{status}"}}'
            self._open(job, "notify", job.flow, lane, traceparent, data)
        if job.follow_up is not None and status in {JobStatus.SUCCEEDED, JobStatus.PARTIAL}:
            self.timers[f"then/{job.job_id}"] = self.now
            self.waiting[f"then/{job.job_id}"] = job.follow_up
            job.follow_up = None

    def _open_compile(self, job: Job, lane: Any, traceparent: str) -> None:
        job.compiling = job.revision
        self._open(job, "compile", job.flow, lane, traceparent, f'{{"v":1,"revision":{job.revision}}}')

    def _join_work(self, move: str, job: Job, e: Delivery, traceparent: str) -> None:
        if job.work or job.is_ended or job.opening is not None:
            return
        lane = e.name.lane
        if not job.reused and not any(job.count(stage, T.DONE) for stage in WORK_STAGES):
            self._end(move, job, JobStatus.FAILED, job.error or "nothing was done", job.revision, lane, traceparent)
        elif job.until_stage in WORK_STAGES:
            self._end(move, job, outcome_of(job), None, job.revision, lane, traceparent)
        elif job.open("compile"):
            job.is_compile_due = True
        else:
            self._open_compile(job, lane, traceparent)

    def _join_compile(
        self, move: str, job: Job, status: JobStatus, reason: str | None, e: Delivery, traceparent: str
    ) -> None:
        self._end(move, job, status, reason, job.compiling or job.revision, e.name.lane, traceparent)
        if job.is_compile_due:
            job.is_compile_due = False
            if not job.work:
                self._open_compile(job, e.name.lane, traceparent)

    def _join_notify(self, move: str, job: Job, status: JobStatus, reason: str | None, traceparent: str) -> None:
        if not (job.is_ended or job.work or job.tail):
            self._end(move, job, status, reason, job.revision, None, traceparent, is_told=False)

    # -- the lifecycle ------------------------------------------------------------------------------------------

    def _happened(self, type_: str, job: Job, **extra: Any) -> None:
        event: Fields = {
            "type": type_, "job": job.job_id, "flow": job.flow, "tenant": job.fixed["tenant"],
            "revision": self._ended_revision or job.revision, **extra,
        }  # fmt: skip
        if self._opened:
            event["emitted"] = self._opened
        if self._moved_to is not None:
            event["status"] = self._moved_to
        event.update(self._tells)
        self.events.append(event)
        self._reset()

    def _reset(self) -> None:
        self._opened, self._moved_to, self._ended_revision, self._tells = [], None, None, {}


TOLD = ("spec", "lane", "parent", "until_stage", "origin", "replay")


def told(job: Job) -> Fields:
    """What the lifecycle keeps of a record that ends."""
    return {name: job.fixed[name] for name in TOLD if name in job.fixed}


def outcome_of(job: Job) -> JobStatus:
    dead = sum(job.count(stage, T.DEAD) for stage in WORK_STAGES)
    return JobStatus.PARTIAL if dead or job.missing else JobStatus.SUCCEEDED
