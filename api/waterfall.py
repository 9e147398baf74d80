"""A job's trace, read back from its lifecycle entries: as data, and as a waterfall for the terminal. Pure.

It needs no trace backend and no sampled span: every move of a job left an entry, and an entry tells when.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import orjson
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

SpanKind = Literal["wait", "run", "snooze", "retry", "crash_gap"]

_ENDINGS: Final = frozenset({"completed", "retried", "snoozed", "dead_lettered", "released", "cancelled", "expired"})
"""Moves that end a delivery when they name a task."""
_CLOSINGS: Final = frozenset({"completed", "dead_lettered", "cancelled", "expired"})
"""Moves that close a task."""
_JOB_ENDINGS: Final = frozenset({"cancelled", "expired", "failed"})
"""Moves that, without a task, end what still waits in the whole job."""
_DELAYS: Final[Mapping[str, SpanKind]] = {"retried": "retry", "snoozed": "snooze"}
_JOINED: Final = frozenset({"compile", "notify"})
"""Stages whose tasks the join opens when another task closes, so that no `emitted` names them."""


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """A stretch of a task's life.

    Attributes:
        name: Kind and stage, as in the exported trace: `run extract`.
        stage: Of the task.
        task: The task's number within its job.
        kind: `wait` in the stream, parked or queued; `run` a delivery; `snooze` and `retry` until it was due again;
            `crash_gap` from the start of a delivery that died to its reclaim.
        start_ms: Since the epoch.
        end_ms: None while it lasts.
        attempt: Of policy; 0 when not told.
        delivery: Redis's count; 0 when not told.
        worker: Name of the consumer; empty for what no worker did.
        outcome: The move that ended it, `open` while it lasts, empty when the next span of the task tells.
        parent: The task that emitted this one; None for the first.
        reason: What the move gave as its reason.
    """

    name: str
    stage: str
    task: int
    kind: SpanKind
    start_ms: int
    end_ms: int | None
    attempt: int = 0
    delivery: int = 0
    worker: str = ""
    outcome: str = ""
    parent: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class JobTrace:
    """What a job did and when.

    Attributes:
        job_id: The job's.
        flow: The job's.
        status: The last one its entries tell; empty when they tell none.
        trace_id: 32 hex digits, to look it up in a trace backend; empty when no entry carries a context.
        start_ms: The first entry's time; 0 for a job without entries.
        end_ms: The last thing known to have happened.
        spans: By start.
        left_out: Later spans that are not among them.
    """

    job_id: str
    flow: str
    status: str
    trace_id: str
    start_ms: int
    end_ms: int
    spans: tuple[TraceSpan, ...]
    left_out: int = 0


def capped(trace: JobTrace, most: int) -> JobTrace:
    """The trace with its first `most` spans, and how many are left out."""
    left_out = max(0, len(trace.spans) - most)
    return replace(trace, spans=trace.spans[:most], left_out=left_out) if left_out else trace


@dataclass(slots=True)
class _Task:
    """A task while its entries are read: what it does now, and since when."""

    number: int
    stage: str
    parent: int | None
    doing: SpanKind | None = "wait"
    since_ms: int = 0
    attempt: int = 0
    delivery: int = 0
    worker: str = ""


def trace_of(entries: Iterable[tuple[str, Mapping[str, str]]]) -> JobTrace:
    """Read a job's trace from its lifecycle.

    Args:
        entries: Id and fields of one job's lifecycle entries, oldest first. Entries that were trimmed are missed,
            not guessed at: a task then begins with the first that is known of it.
    """
    reading = _Reading()
    for entry_id, fields in entries:
        reading.take(int(entry_id.partition("-")[0]), fields)
    return reading.trace()


class _Reading:
    def __init__(self) -> None:
        self._tasks: dict[int, _Task] = {}
        self._spans: list[TraceSpan] = []
        self._job = self._flow = self._status = self._trace_id = ""
        self._start_ms = self._end_ms = 0
        self._submitted_ms = 0
        self._last_closed: tuple[int, int] | None = None  # (task, ms): what the join followed

    def take(self, at_ms: int, fields: Mapping[str, str]) -> None:
        self._start_ms = self._start_ms or at_ms
        self._end_ms = max(self._end_ms, at_ms)
        self._job = self._job or fields.get("job", "")
        self._flow = self._flow or fields.get("flow", "")
        self._status = fields.get("status") or self._status
        self._trace_id = self._trace_id or fields.get("traceparent", "")[3:35]
        move = fields.get("type", "")
        task = self._task(at_ms, move, fields)
        if task is not None:
            self._move(task, at_ms, move, fields)
        elif move == "submitted":
            self._submitted_ms = at_ms
        elif move in _JOB_ENDINGS:
            for other in self._tasks.values():
                if other.doing != "run":
                    self._leave(other, at_ms, move, fields.get("reason", ""))
        for child in orjson.loads(fields.get("emitted") or "[]"):
            self._open(int(child["task"]), child["stage"], None if task is None else task.number, at_ms)

    def trace(self) -> JobTrace:
        for task in self._tasks.values():
            if task.doing is not None:
                self._leave(task, None, "open")
        self._spans.sort(key=lambda span: (span.start_ms, span.task))
        return JobTrace(
            self._job, self._flow, self._status, self._trace_id, self._start_ms, self._end_ms, tuple(self._spans)
        )

    def _task(self, at_ms: int, move: str, fields: Mapping[str, str]) -> _Task | None:
        if not fields.get("task"):
            return None
        number = int(fields["task"])
        task = self._tasks.get(number)
        if task is not None:
            return task
        stage = fields.get("stage", "")
        if move in {"submitted", "adopted"}:
            return self._open(number, stage, None, at_ms)
        if not self._tasks and self._submitted_ms:
            return self._open(number, stage, None, self._submitted_ms)
        if stage in _JOINED and self._last_closed is not None:
            return self._open(number, stage, *self._last_closed)
        task = self._open(number, stage, None, _ms(fields, "started_at") or at_ms)
        task.doing = None  # when it came into the stream is not known
        return task

    def _open(self, number: int, stage: str, parent: int | None, at_ms: int) -> _Task:
        task = _Task(number, stage, parent, since_ms=at_ms)
        self._tasks[number] = task
        return task

    def _move(self, task: _Task, at_ms: int, move: str, fields: Mapping[str, str]) -> None:
        started_ms = _ms(fields, "started_at")
        task.attempt = int(fields.get("attempt") or task.attempt)
        if move == "started":
            self._run(task, started_ms or at_ms, fields)
        elif move == "reclaimed":
            if started_ms and task.doing != "run":
                self._run(task, started_ms, {})
            if task.doing == "run":
                task.doing = "crash_gap"
                self._leave(task, max(at_ms, task.since_ms), "reclaimed")
                task.doing, task.since_ms = "wait", max(at_ms, task.since_ms)
            task.delivery = 0  # the next run tells its own
        elif move in {"promoted", "redriven"}:
            self._become(task, "wait", at_ms)
        elif move in _ENDINGS:
            if started_ms:
                self._run(task, started_ms, fields)
            self._leave(task, at_ms, move, fields.get("reason", ""))
            if move in _CLOSINGS:
                self._last_closed = (task.number, at_ms)
            else:
                task.doing, task.since_ms, task.delivery, task.worker = _DELAYS.get(move, "wait"), at_ms, 0, ""

    def _run(self, task: _Task, started_ms: int, fields: Mapping[str, str]) -> None:
        """The task runs since then, if it did not already in this very delivery."""
        delivery = int(fields.get("delivery") or 0)
        if task.doing == "run":
            if task.delivery == 0 or delivery <= task.delivery:
                return
            task.doing = "crash_gap"  # a later delivery began and nothing ended this one
        self._become(task, "run", started_ms)
        task.delivery = delivery or task.delivery
        task.worker = fields.get("worker", "")

    def _become(self, task: _Task, kind: SpanKind, at_ms: int) -> None:
        if task.doing is not None:
            at_ms = max(at_ms, task.since_ms)  # the worker's clock may be behind the server's
            if at_ms > task.since_ms or task.doing == "crash_gap":
                self._leave(task, at_ms, "")
        task.doing, task.since_ms = kind, at_ms

    def _leave(self, task: _Task, end_ms: int | None, outcome: str, reason: str = "") -> None:
        if task.doing is None:
            return
        ran = task.doing in {"run", "crash_gap"}
        self._spans.append(
            TraceSpan(
                name=f"{task.doing.replace('_', ' ')} {task.stage}",
                stage=task.stage,
                task=task.number,
                kind=task.doing,
                start_ms=task.since_ms,
                end_ms=None if end_ms is None else max(end_ms, task.since_ms),
                attempt=task.attempt,
                delivery=task.delivery,
                worker=task.worker if ran else "",
                outcome=outcome,
                parent=task.parent,
                reason=reason,
            )
        )
        task.doing = None


_GLYPHS: Final[Mapping[SpanKind, tuple[str, str, str]]] = {
    "wait": ("░", "bright_black", "wait"),
    "snooze": ("·", "cyan", "snooze"),
    "retry": ("╌", "yellow", "wait for a retry"),
    "run": ("█", "green", "run"),
    "crash_gap": ("▒", "red", "crash gap"),
}
"""Glyph, style and legend; what comes later is drawn over what comes earlier."""
_FAILURES: Final = frozenset({"retried", "dead_lettered", "expired"})
_MAX_INDENT: Final = 8


def waterfall(trace: JobTrace, *, max_rows: int = 60) -> RenderableType:
    """Draw a job's trace: a row a task, below the task that emitted it, its life as a bar on the job's time.

    Args:
        trace: The job's.
        max_rows: Tasks drawn; how many were left out is said.
    """
    rows = lives(trace.spans)
    until_ms = max([trace.end_ms, *(span.end_ms or span.start_ms for span in trace.spans)])
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, min_width=20)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=44)
    for depth, life in rows[:max_rows]:
        first, last = life[0], life[-1]
        end_ms = until_ms if last.end_ms is None else last.end_ms
        label = Text(f"{'  ' * min(depth, _MAX_INDENT)}{first.stage} ").append(f"#{first.task}", "bright_black")
        bar = _Bar(life, trace.start_ms, until_ms)
        table.add_row(label, bar, _duration(end_ms - first.start_ms), Text(_notes(life), _style_of(last)))
    parts: list[RenderableType] = [_heading(trace, until_ms), table]
    if len(rows) > max_rows:
        parts.append(Text(f"… and {len(rows) - max_rows:,} more tasks", "bright_black"))
    parts.append(_legend(trace.spans))
    return Group(*parts)


class _Bar:
    """A task's spans on the job's time, as wide as there is room."""

    def __init__(self, spans: Sequence[TraceSpan], start_ms: int, until_ms: int) -> None:
        self._spans = spans
        self._start_ms = start_ms
        self._until_ms = until_ms

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.draw(options.max_width)

    def draw(self, width: int) -> Text:
        length_ms = max(self._until_ms - self._start_ms, 1)
        kinds: list[SpanKind | None] = [None] * width
        for kind in _GLYPHS:
            for span in self._spans:
                if span.kind == kind:
                    end_ms = self._until_ms if span.end_ms is None else span.end_ms
                    first = min((span.start_ms - self._start_ms) * width // length_ms, width - 1)
                    last = min(-((self._start_ms - end_ms) * width // length_ms), width)
                    for cell in range(max(first, 0), max(last, first + 1)):
                        kinds[cell] = kind
        bar = Text(no_wrap=True)
        for drawn in kinds:
            glyph, style, _ = _GLYPHS[drawn] if drawn else (" ", "", "")
            bar.append(glyph, style)
        return bar


def lives(spans: Sequence[TraceSpan]) -> list[tuple[int, list[TraceSpan]]]:
    """Each task's spans with its depth, a task before those that it emitted, siblings by their start."""
    spans_of: dict[int, list[TraceSpan]] = {}
    for span in spans:
        spans_of.setdefault(span.task, []).append(span)
    children: dict[int | None, list[int]] = {}
    for task, life in spans_of.items():
        parent = life[0].parent
        children.setdefault(parent if parent in spans_of else None, []).append(task)
    ordered = []
    left = [(0, task) for task in reversed(children.get(None, []))]
    while left:
        depth, task = left.pop()
        ordered.append((depth, spans_of[task]))
        left.extend((depth + 1, child) for child in reversed(children.get(task, [])))
    return ordered


def _heading(trace: JobTrace, until_ms: int) -> Text:
    heading = Text.assemble((trace.flow, "bold"), f" {trace.job_id}")
    for part in (trace.status, _duration(until_ms - trace.start_ms), trace.trace_id and f"trace {trace.trace_id}"):
        if part:
            heading.append(f" · {part}")
    return heading


def _legend(spans: Sequence[TraceSpan]) -> Text:
    drawn = {span.kind for span in spans}
    legend = Text()
    for kind, (glyph, style, name) in _GLYPHS.items():
        if kind in drawn:
            legend.append(f"{glyph}{glyph}", style).append(f" {name}   ", "bright_black")
    return legend


def _notes(life: Sequence[TraceSpan]) -> str:
    last = life[-1]
    notes = [] if last.outcome in {"completed", ""} else [last.outcome.replace("_", " ")]
    if last.attempt > 1:
        notes.append(f"attempt {last.attempt}")
    lost_ms = sum((span.end_ms or span.start_ms) - span.start_ms for span in life if span.kind == "crash_gap")
    if any(span.kind == "crash_gap" for span in life):
        notes.append(f"a worker died, {_duration(lost_ms)} lost")
    reason = next((span.reason for span in reversed(life) if span.reason), "")
    return " · ".join([*notes, reason] if reason else notes)


def _style_of(span: TraceSpan) -> str:
    return "red" if span.outcome in _FAILURES else "bright_black"


def _duration(milliseconds: int) -> str:
    seconds = milliseconds / 1000
    if seconds < 1:
        return f"{milliseconds} ms"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"


def _ms(fields: Mapping[str, str], name: str) -> int:
    return int(float(fields.get(name) or 0))
