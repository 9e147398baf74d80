"""The lifecycle stream, told as the states of its jobs' tasks; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import orjson

from streams.states import ENDED

Row = dict[str, str]
Kind = Literal["lost", "unreplicated", "twice", "orphan", "join", "effects"]

CLOSING: Final = frozenset({"completed", "retried", "dead_lettered"})
"""What spends an attempt."""

STEPS: Final = {
    "completed": (frozenset({"open"}), "done"),
    "dropped": (frozenset({"open", "delayed", "dead"}), "dropped"),
    "retried": (frozenset({"open"}), "delayed"),
    "snoozed": (frozenset({"open"}), "delayed"),
    "promoted": (frozenset({"delayed", "open"}), "open"),  # open: a first task that waited for its run_at
    "dead_lettered": (frozenset({"open"}), "dead"),
    "redriven": (frozenset({"dead"}), "open"),
}
"""Type of a move -> states of the task before it, state after it. All others leave an open task open."""

_STAYS: Final = (frozenset({"open"}), "open")


class Finding(NamedTuple):
    """Something that does not fit."""

    kind: Kind
    text: str


@dataclass(slots=True)
class ToldTask:
    """A task as the history tells it; `spent` are the (redrives, attempts) that were closed."""

    stage: str
    state: str = "open"
    generation: int = 0
    spent: set[tuple[int, str]] | None = None


@dataclass(slots=True)
class ToldJob:
    """A job as the history tells it."""

    tasks: dict[int, ToldTask] = field(default_factory=dict)
    opened: int = 0
    endings: dict[str, int] = field(default_factory=dict)
    compiles: dict[str, int] = field(default_factory=dict)
    stream_entry: str = ""


class Told:
    """Takes lifecycle entries in their order, and notes what cannot be.

    Attributes:
        types: How often each type of move was made.
        listeners: Are told of each entry too: its id's milliseconds and its fields.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, ToldJob] = {}
        self.findings: list[Finding] = []
        self.types: Counter[str] = Counter()
        self.listeners: list[Callable[[int, Row], None]] = []

    def tell(self, entry_id: str, row: Row) -> None:
        """Take one entry."""
        kind = row["type"]
        self.types[kind] += 1
        for listener in self.listeners:
            listener(int(entry_id.partition("-")[0]), row)
        if kind == "dead_lettered" and not row.get("revision"):
            return  # a stray belongs to no job
        job = self.jobs.setdefault(row["job"], ToldJob())
        if kind in {"submitted", "adopted"}:
            job.opened += 1
            job.stream_entry = row.get("origin", "") if kind == "adopted" else ""
            if "task" in row:  # a replay tells what it opens as emitted
                job.tasks[int(row["task"])] = ToldTask(row["stage"])
        elif "task" in row:
            self._task(f"{entry_id} {kind} {row['job']}/{row['task']}", job, kind, row)
        if "emitted" in row:
            self._emitted(entry_id, job, row)
        if row.get("status") in ENDED:
            revision = row["revision"]
            job.endings[revision] = job.endings.get(revision, 0) + 1

    def _emitted(self, entry_id: str, job: ToldJob, row: Row) -> None:
        for opened in orjson.loads(row["emitted"]):
            if opened["task"] in job.tasks:
                self._note("twice", f"{entry_id}: task {row['job']}/{opened['task']} is opened twice")
            job.tasks[opened["task"]] = ToldTask(opened["stage"])
            if opened["stage"] == "compile":
                revision = str(opened["data"]["revision"])
                job.compiles[revision] = job.compiles.get(revision, 0) + 1

    def _task(self, where: str, job: ToldJob, kind: str, row: Row) -> None:
        task = job.tasks.get(int(row["task"]))
        if task is None:
            self._note("orphan", f"{where}: this task was never opened")
            return
        if kind in CLOSING:
            spent = (task.generation, row.get("attempt", "1"))
            if task.spent is None:
                task.spent = {spent}
            elif spent in task.spent:
                self._note("twice", f"{where}: attempt {spent[1]} closes twice")
            else:
                task.spent.add(spent)
        before, after = STEPS.get(kind, _STAYS)
        if task.state not in before:
            self._note("twice", f"{where}: the task is {task.state}")
        task.state = after
        task.generation += kind == "redriven"

    def _note(self, kind: Kind, text: str) -> None:
        self.findings.append(Finding(kind, text))


def row_of(raw: dict[bytes, bytes]) -> Row:
    """An entry's fields as text."""
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in raw.items()}
