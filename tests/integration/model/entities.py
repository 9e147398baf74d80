"""What the reference model is made of: jobs, tasks, entries, letters. No Redis, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from schemas.names import STAGES, WORK_STAGES
from streams.states import CLOSED, ENDED, JOB_MOVES, JobStatus, TaskState, may_move

if TYPE_CHECKING:
    from schemas.names import StageName

OPEN = frozenset({TaskState.QUEUED, TaskState.RUNNING, TaskState.PARKED, TaskState.DELAYED})
IN_STREAM = frozenset({TaskState.QUEUED, TaskState.RUNNING})


@dataclass(slots=True, eq=False)
class Entry:
    """An entry of a stage stream. `entry_id` is learned from the server, which names new ones."""

    stream: str
    fields: dict[str, str]
    was_read: bool = False
    owner: str | None = None
    delivery: int = 0
    entry_id: str = ""


@dataclass(slots=True, eq=False)
class Letter:
    """An entry of the dead-letter stream."""

    fields: dict[str, str]
    entry_id: str = ""


@dataclass(slots=True, eq=False)
class Task:
    """A task; its moves are checked against the table."""

    number: int
    stage: StageName
    flow: str
    traceparent: str
    data: str
    state: TaskState | None = None
    entry: Entry | None = None
    letter: Letter | None = None
    due_at: int = 0
    run: tuple[int, str, int] | None = None
    was_taken: bool = False
    crashes: int = 0
    checkpoint: str = ""
    emitted: int = 0
    redriven: int = 0
    chunk: str = ""

    def move(self, name: str, after: TaskState) -> None:
        """Make a move that the table allows."""
        assert may_move(name, self.state, after), f"{name} of a task that is {self.state} to {after}"
        self.state = after
        if after is not TaskState.PARKED:
            self.chunk = ""
        if after not in IN_STREAM:
            self.entry = None
            self.run = None
            self.was_taken = False
        if after in {TaskState.DEAD, TaskState.DROPPED, TaskState.DONE}:
            self.crashes, self.checkpoint, self.emitted = 0, "", 0

    @property
    def register(self) -> str | None:
        """What the job's record says of it; None: nothing."""
        match self.state:
            case TaskState.QUEUED | TaskState.RUNNING if self.entry is not None:
                here = f"{self.entry.stream} {self.entry.entry_id}"
                if self.run is not None:
                    return f"{here} run {self.run[0]} {self.run[1]} {self.run[2]}"
                return f"{here} again" if self.was_taken else here
            case TaskState.DELAYED:
                return f"delayed {self.due_at} {self.stage}"
            case TaskState.DEAD if self.letter is not None:
                return f"dead {self.letter.entry_id}"
            case _:
                return None


@dataclass(slots=True, eq=False)
class Job:
    """A job. Counters are not kept but counted."""

    job_id: str
    fixed: dict[str, str]
    created_at: int
    status: JobStatus = JobStatus.QUEUED
    revision: int = 1
    tasks: dict[int, Task] = field(default_factory=dict)
    parked: dict[str, list[Task]] = field(default_factory=lambda: {stage: [] for stage in STAGES})
    budgets: dict[str, int] = field(default_factory=dict)
    once: set[str] = field(default_factory=set)
    started_at: int | None = None
    finished_at: int | None = None
    compiling: int | None = None
    is_compile_due: bool = False
    is_killed: bool = False
    follow_up: str | None = None
    missing: int = 0
    compile_missing: int = 0
    over_budget: int = 0
    error: str | None = None
    percent: str = ""
    step: str = ""
    limit_ms: int | None = None
    busy_ms: int = 0
    busy_since: int | None = None
    ended: dict[int, JobStatus] = field(default_factory=dict)
    next_task: int = 2
    opening: int | None = None
    reused: int = 0

    @property
    def flow(self) -> str:
        """Its flow."""
        return self.fixed["flow"]

    @property
    def until_stage(self) -> str | None:
        """The last stage it passes."""
        return self.fixed.get("until_stage")

    @property
    def is_closed(self) -> bool:
        """Whether what is left of it is dropped."""
        return self.status in CLOSED

    @property
    def is_ended(self) -> bool:
        """Whether its status is final for this revision."""
        return self.status in ENDED

    @property
    def running(self) -> int:
        """Tasks marked as running."""
        return sum(1 for task in self.tasks.values() if task.run is not None)

    @property
    def work(self) -> int:
        """Open tasks before compile."""
        return sum(self.open(stage) for stage in WORK_STAGES)

    @property
    def tail(self) -> int:
        """Open tasks from compile on."""
        return self.open("compile") + self.open("notify")

    def open(self, stage: StageName) -> int:
        """Open tasks of a stage."""
        return self.count(stage, *OPEN)

    def count(self, stage: StageName | None, *states: TaskState) -> int:
        """Tasks of a stage (None: of all) in some states."""
        return sum(1 for task in self.tasks.values() if task.state in states and stage in {None, task.stage})

    def free_places(self, stage: StageName, window: int) -> int:
        """Places in the window at a stage that nothing holds."""
        return window - (self.open(stage) - len(self.parked[stage]))

    def parked_list(self, stage: StageName) -> list[Any]:
        """A parked list as the server has it: tasks, and the names of chunks."""
        found: list[Any] = []
        for chunk, tasks in groupby(self.parked[stage], key=lambda task: task.chunk):
            rows = [[t.number, t.flow, t.traceparent, t.data] for t in tasks]
            found += [f"@{len(rows)} {chunk}"] if chunk else rows
        return found

    def spilled(self, stage: StageName) -> int:
        """Tasks that are only in chunks: those of each chunk but one."""
        return len(self.parked[stage]) - len(self.parked_list(stage))

    def move_to(self, move: str, status: JobStatus) -> None:
        """Change the status as the table allows."""
        assert status in JOB_MOVES[move].get(self.status, ()), f"{move} of a job that is {self.status} to {status}"
        self.status = status

    def is_over_limit(self, now: int) -> bool:
        """Whether its running time is used up."""
        if self.limit_ms is None or self.is_ended:
            return False
        since = now - (now if self.busy_since is None else self.busy_since) if self.running else 0
        return self.busy_ms + since > self.limit_ms

    def mark_running(self, task: Task, now: int, consumer: str, delivery: int) -> None:
        """A task starts, or starts again in other hands."""
        if task.run is None and self.running == 0 and self.limit_ms is not None:
            self.busy_since = now
        task.run = (now, consumer, delivery)

    def mark_stopped(self, task: Task, now: int) -> None:
        """A task runs no more."""
        if task.run is None:
            return
        task.run = None
        if self.limit_ms is not None and self.running == 0:
            self.busy_ms += now - (now if self.busy_since is None else self.busy_since)

    def record(self) -> dict[str, str]:
        """The live record, fields that are nothing or nought left out."""
        found: dict[str, object] = {
            **self.fixed, "status": self.status, "revision": self.revision, "next": self.next_task,
            "work": self.work, "tail": self.tail, "created_at": self.created_at, "started_at": self.started_at,
            "finished_at": self.finished_at,
            "running": self.running if self.limit_ms else 0, "delayed": self.count(None, TaskState.DELAYED),
            "dead": self.count(None, TaskState.DEAD), "missing": self.missing,
            "compile.missing": self.compile_missing, "over_budget": self.over_budget,
            "error": self.error, "compiling": self.compiling, "compile_due": int(self.is_compile_due),
            "kill": int(self.is_killed), "progress.percent": self.percent, "progress.step": self.step,
            "busy_ms": self.busy_ms, "busy_since": self.busy_since, "then": self.follow_up,
            "reused": self.reused, "opening": self.opening,
        }  # fmt: skip
        for stage in STAGES:
            found[f"{stage}.open"] = self.open(stage)
            found[f"{stage}.spilled"] = self.spilled(stage)
            found[f"{stage}.done"] = self.count(stage, TaskState.DONE)
            found[f"{stage}.failed"] = self.count(stage, TaskState.DEAD)
        found.update({f"budget.{name}": left for name, left in self.budgets.items()})
        for task in self.tasks.values():
            found[f"task.{task.number}"] = task.register
            found[f"crash.{task.number}"] = task.crashes
            found[f"checkpoint.{task.number}"] = task.checkpoint
            found[f"emitted.{task.number}"] = task.emitted
            found[f"redriven.{task.number}"] = task.redriven
        return {name: str(value) for name, value in found.items() if value not in (None, 0, "")}
