"""One job as the log keeps it, in memory: its open tasks, what it emitted before, its budgets and its join. Pure.

It decides what ``complete``, ``emit``, ``dead_letter`` and ``cancel`` decide (see ``streams/lua``) for a job that is
alone with one consumer: there is no window to wait behind, no lease to lose and no second revision.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from schemas.names import STAGES, WORK_STAGES, StageName
from streams.moves import Emission
from streams.states import JobStatus

REVISION = 1


@dataclass(frozen=True, slots=True)
class Task:
    """An open task: its number within the job, its stage, its payload as it would stand in an entry."""

    number: int
    stage: StageName
    data: bytes


class InlineJob:
    """A job in memory.

    Attributes:
        ready: Open tasks, the oldest first.
        done: Finished tasks by stage.
        failed: Dead-lettered tasks by stage.
    """

    def __init__(
        self,
        stage: StageName,
        data: bytes,
        *,
        until_stage: StageName | None = None,
        budgets: Mapping[str, int] | None = None,
    ) -> None:
        self.status = JobStatus.RUNNING
        self.error = ""
        self.missing = 0
        self.over_budget = 0
        self.ready: deque[Task] = deque()
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._until = until_stage
        self._budgets = dict(budgets or {})
        self._emitted_once: set[str] = set()
        self._emitted_early: dict[int, int] = {}
        self._open: Counter[str] = Counter()
        self._next = 1
        self._add(stage, data)

    @property
    def is_over(self) -> bool:
        """Whether it has its final status; notify may still be open."""
        return self.status is not JobStatus.RUNNING

    def open(self, stage: StageName, data: bytes) -> None:
        """Open another task at the beginning, beside the first."""
        self._add(stage, data)

    def again(self, task: Task) -> None:
        """Put a task back behind everything that is open (snooze)."""
        self.ready.append(task)

    def emit(self, task: Task, sequence: int, emissions: Sequence[Emission]) -> None:
        """Open what a handler emits while it runs; each once by its sequence number (from 1) within the task."""
        known = self._emitted_early.get(task.number, 0)
        self._emit_all([one for at, one in enumerate(emissions, sequence) if at > known])
        self._emitted_early[task.number] = max(known, sequence + len(emissions) - 1)

    def complete(self, task: Task, emissions: Sequence[Emission] = (), missing: int = 0) -> None:
        """Close a task and open what it emits."""
        self._open[task.stage] -= 1
        if self.status is JobStatus.CANCELLED and task.stage != "notify":
            return
        self.done[task.stage] += 1
        self.missing += missing
        self._emit_all(emissions)
        self._join(task.stage, self._outcome())

    def dead_letter(self, task: Task, reason: str) -> None:
        """Close a task as failed."""
        self._open[task.stage] -= 1
        if self.status is JobStatus.CANCELLED and task.stage != "notify":
            return
        self.failed[task.stage] += 1
        self.error = reason
        self._join(task.stage, JobStatus.FAILED)

    def cancel(self, reason: str) -> None:
        """End the job at once and drop what waits."""
        if self.is_over:
            return
        self._end(JobStatus.CANCELLED, reason)
        for task in [task for task in self.ready if task.stage != "notify"]:
            self._open[task.stage] -= 1
            self.ready.remove(task)

    def _add(self, stage: StageName, data: bytes) -> None:
        self.ready.append(Task(self._next, stage, data))
        self._open[stage] += 1
        self._next += 1

    def _emit_all(self, emissions: Sequence[Emission]) -> None:
        for one in emissions:
            if self._is_wanted(one):
                self._add(one.stage, one.data)

    def _is_wanted(self, one: Emission) -> bool:
        if self._until and STAGES.index(one.stage) > STAGES.index(self._until):
            return False
        left = self._budgets.get(one.budget)
        if left is not None and left <= 0:
            self.over_budget += one.once not in self._emitted_once
            return False
        if one.once:
            if one.once in self._emitted_once:
                return False
            self._emitted_once.add(one.once)
        if left is not None:
            self._budgets[one.budget] = left - 1
        return True

    def _join(self, closed: StageName, ending: JobStatus) -> None:
        """What a closed task means for the job; `ending` is how it ends if this was its compile."""
        if self.is_over or sum(self._open[stage] for stage in WORK_STAGES) > 0:
            return
        if closed == "compile":
            self._end(ending)
        elif closed == "notify":
            self._end(ending, notify=False)
        elif not sum(self.done[stage] for stage in WORK_STAGES):
            self._end(JobStatus.FAILED, self.error or "nothing was done")
        elif self._until in WORK_STAGES:
            self._end(self._outcome(), notify=False)
        else:
            self._add("compile", orjson.dumps({"v": 1, "revision": REVISION}))

    def _outcome(self) -> JobStatus:
        dead = sum(self.failed[stage] for stage in WORK_STAGES)
        return JobStatus.PARTIAL if dead or self.missing else JobStatus.SUCCEEDED

    def _end(self, status: JobStatus, reason: str = "", *, notify: bool = True) -> None:
        self.status = status
        self.error = reason or self.error
        if notify and self._until in {None, "notify"}:
            self._add("notify", orjson.dumps({"v": 1, "revision": REVISION, "status": status.value}))
