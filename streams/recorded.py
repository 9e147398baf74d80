"""What lifecycle tells of a job that has ended, and the cut by which a part of it can be run again. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast

import orjson

from schemas.names import STAGES, WORK_STAGES, Lane, StageName
from streams.errors import MillraceError
from streams.mentions import is_erased
from streams.replay import OldTask
from streams.states import ENDED

ORDER: Final = {stage: place for place, stage in enumerate(STAGES)}
_SIZE: Final = re.compile(rb'"size_bytes":(\d{1,12})\}$')
_CLOSING: Final = {"completed": "done", "dead_lettered": "dead", "dropped": "dropped"}


class NotRecorded(MillraceError):  # noqa: N818 - it says what happened
    """What is kept of a job does not suffice to run it again from there.

    Attributes:
        reason: A short code: ``not_recorded``, ``incomplete``, ``running``, ``nothing_to_do``, ``is_a_replay``,
            ``erased``.
    """

    def __init__(self, text: str, *, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(slots=True)
class RecordedTask:
    """A task as it was.

    Attributes:
        parent: The task that emitted it; None for the first, and for those that the log itself emitted.
        collected, missing: How much it kept for compile, and how much it could not do.
    """

    number: int
    stage: StageName
    data: bytes
    parent: int | None
    once: str = ""
    budget: str = ""
    state: Literal["open", "done", "dead", "dropped"] = "open"
    collected: int = 0
    missing: int = 0
    reason: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """Which part of a job is run again, and what of the rest goes with it.

    Attributes:
        starts_at: The stage of the earliest task that runs.
        tasks: What is opened, by number.
        upstream: Numbers of the tasks that are not run again; what they collected is used.
        next_task: The first number that the job did not use.
        once: Keys that upstream emitted under.
        spent: Budget name -> what upstream has used of it, the opened tasks included.
        reused: Upstream tasks that were done.
        missing: What upstream could not do, its dead letters included.
        failures: Upstream's dead letters.
        collected: Contributions that upstream made.
        entries: Stage -> the tasks that ran there then, from the opened ones on.
    """

    starts_at: StageName
    tasks: tuple[OldTask, ...]
    upstream: tuple[int, ...]
    next_task: int
    once: tuple[str, ...] = ()
    spent: Mapping[str, int] = field(default_factory=dict)
    reused: int = 0
    missing: int = 0
    failures: tuple[RecordedTask, ...] = ()
    collected: int = 0
    entries: Mapping[StageName, int] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Payload of what is opened, that of claim checks included."""
        return sum(payload_bytes(task.data) for task in self.tasks)


class Recorded:
    """A job, read from its lifecycle entries in their order; an entry that comes twice counts once."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.flow = ""
        self.tenant = ""
        self.lane: Lane = "normal"
        self.spec = b"{}"
        self.origin = ""
        self.until_stage: StageName | None = None
        self.status = ""
        self.tasks: dict[int, RecordedTask] = {}
        self.is_born = False
        self.is_spoilt = False

    def take(self, fields: Mapping[str, str]) -> None:
        """Add what one entry tells. One that is not as the log writes them spoils the record."""
        try:
            self._take(fields)
        except (ValueError, KeyError, TypeError):
            self.is_spoilt = True

    def _take(self, fields: Mapping[str, str]) -> None:
        kind, number = fields.get("type", ""), int(fields.get("task") or 0)
        self.flow = self.flow or fields.get("flow", "")
        self.tenant = self.tenant or fields.get("tenant", "")
        self.status = fields.get("status") or self.status
        if kind in {"submitted", "adopted"}:
            self._born(kind, number, fields)
        task = self.tasks.get(number)
        if task is not None:
            self._moved(task, kind, fields)
        for row in orjson.loads(fields.get("emitted") or "[]"):
            opened = RecordedTask(
                int(row["task"]), row["stage"], orjson.dumps(row["data"]), number or None, row.get("once", ""),
                row.get("budget", ""),
            )  # fmt: skip
            self.tasks.setdefault(opened.number, opened)

    def _born(self, kind: str, number: int, fields: Mapping[str, str]) -> None:
        self.is_born = True
        self.spec = (fields.get("spec") or fields.get("data") or "{}").encode()
        lane = fields.get("lane", "normal")
        self.lane = "high" if lane == "high" else "low" if lane == "low" else "normal"
        self.origin = fields.get("origin", "") if kind == "submitted" else ""
        self.until_stage = cast("StageName", fields["until_stage"]) if fields.get("until_stage") else None
        if number:
            stage = cast("StageName", fields["stage"])
            self.tasks[number] = RecordedTask(number, stage, fields.get("data", "{}").encode(), None)

    @staticmethod
    def _moved(task: RecordedTask, kind: str, fields: Mapping[str, str]) -> None:
        if kind in _CLOSING:
            task.state = cast("Literal['done', 'dead', 'dropped']", _CLOSING[kind])
            task.collected, task.missing = int(fields.get("collected") or 0), int(fields.get("missing") or 0)
            task.reason, task.error = fields.get("reason", ""), fields.get("error", "")
        elif kind == "redriven":
            task.state = "open"
            if fields.get("data"):
                task.data = fields["data"].encode()

    @property
    def is_whole(self) -> bool:
        """Whether its beginning and its end are known."""
        return self.is_born and self.status in ENDED

    def cut(self, start: StageName) -> Cut:
        """Run it again from a stage on, with what was recorded before.

        What runs are the tasks from that stage on that a task before it emitted (or nobody: the first one). Where
        there was no such work, it begins with compile, as the job went on then.

        Raises:
            NotRecorded: What is kept does not suffice, or there is nothing to run.
        """
        self.check()
        if self.until_stage and ORDER[start] > ORDER[self.until_stage]:
            text = f"job {self.job_id} was to end after {self.until_stage}, so nothing of it runs from {start} on"
            raise NotRecorded(text, reason="nothing_to_do")
        upstream = [task for task in self._work() if ORDER[task.stage] < ORDER[start]]
        before = {task.number for task in upstream}
        opened = [task for task in self._work() if task.number not in before and task.parent in {None, *before}]
        if start in WORK_STAGES and opened:
            self._check_whole(before)
            tasks = tuple(OldTask(task.number, task.stage, task.data) for task in opened)
        else:
            self._check_whole({task.number for task in upstream})
            if start != "notify" and not any(task.state == "done" for task in upstream):
                text = f"nothing of job {self.job_id} was done before {start}: there is nothing to go on from"
                raise NotRecorded(f"{text}; replay it from an earlier stage, or --fetch again", reason="nothing_to_do")
            tasks = (self._tail(start if start in {"compile", "notify"} else "compile"),)
        if is_erased(self.spec) or any(is_erased(task.data) for task in tasks):
            text = f"what job {self.job_id} was given was erased, as somebody asked: submit it anew without that"
            raise NotRecorded(text, reason="erased")
        starts_at = min((task.stage for task in tasks), key=ORDER.__getitem__)
        return Cut(
            starts_at, tasks, tuple(sorted(before)), max(self.tasks) + 1,
            once=tuple(task.once for task in (*upstream, *opened) if task.once),
            spent=Counter(task.budget for task in (*upstream, *opened) if task.budget),
            reused=sum(task.state == "done" for task in upstream),
            missing=sum(task.missing if task.state == "done" else 1 for task in upstream),
            failures=tuple(task for task in upstream if task.state == "dead"),
            collected=sum(task.collected for task in upstream if task.state == "done"),
            entries=self._entries(starts_at, before),
        )  # fmt: skip

    def _work(self) -> Iterator[RecordedTask]:
        return (self.tasks[number] for number in sorted(self.tasks) if self.tasks[number].stage in WORK_STAGES)

    def _tail(self, stage: StageName) -> OldTask:
        """Compile or notify of the new job's only revision."""
        if self.until_stage and ORDER[stage] > ORDER[self.until_stage]:
            text = f"job {self.job_id} was to end after {self.until_stage}: it has no {stage} to run again"
            raise NotRecorded(text, reason="nothing_to_do")
        number = max((n for n, task in self.tasks.items() if task.stage == stage), default=max(self.tasks) + 1)
        told = f',"status":"{self.status}"' if stage == "notify" else ""
        return OldTask(number, stage, f'{{"v":1,"revision":1{told}}}'.encode())

    def _entries(self, starts_at: StageName, before: set[int]) -> Mapping[StageName, int]:
        counts = Counter(
            task.stage for task in self._work() if task.number not in before and starts_at in WORK_STAGES
        )  # fmt: skip
        last = self.until_stage or "notify"
        for stage in STAGES[4:]:
            counts[stage] += ORDER[starts_at] <= ORDER[stage] <= ORDER[last]
        return {stage: counts[stage] for stage in STAGES if counts[stage]}

    def check(self) -> None:
        """See that it was recorded from its beginning to its end, and is no replay itself.

        Raises:
            NotRecorded: It was not.
        """
        if not self.is_born or not self.tasks:
            text = (
                f"job {self.job_id} is neither in lifecycle nor in the archive from its beginning: it is older than "
                "what is kept (MILLRACE_ARCHIVE_MAX_AGE_S), or was not archived"
            )
            raise NotRecorded(text, reason="not_recorded")
        if self.is_spoilt:
            text = f"an entry of job {self.job_id} in lifecycle is not as the log writes them"
            raise NotRecorded(text, reason="incomplete")
        if self.origin:
            text = f"job {self.job_id} is itself a replay, of {self.origin}: replay that one"
            raise NotRecorded(text, reason="is_a_replay")
        if self.status not in ENDED:
            raise NotRecorded(
                f"job {self.job_id} has not ended ({self.status or 'no status is recorded'})", reason="running"
            )

    def _check_whole(self, needed: set[int]) -> None:
        """Nothing that upstream did may be unknown: every number has its task, every upstream task its end."""
        lost = next((number for number in range(1, max(self.tasks) + 1) if number not in self.tasks), None)
        if needed and lost is not None:
            text = (
                f"task {lost} of job {self.job_id} is in neither lifecycle nor archive; replay it from an earlier stage"
            )
            raise NotRecorded(text, reason="incomplete")
        stopped = self.status in {"cancelled", "failed", "expired"}
        for number in sorted(needed):
            if self.tasks[number].state == "open" and not stopped:
                text = f"the end of task {number} of job {self.job_id} is in neither lifecycle nor archive"
                raise NotRecorded(f"{text}; replay it from an earlier stage", reason="incomplete")


def payload_bytes(data: bytes) -> int:
    """Size of a payload; of a claim check, of what it stands for."""
    said = _SIZE.search(data) if b'"$claim"' in data[:64] else None
    return int(said[1]) if said else len(data)
