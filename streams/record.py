"""A job's live record as read from Redis; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from schemas.names import STAGES, Lane, StageName
from streams.keys import StreamName
from streams.states import JobStatus, shown_status


@dataclass(frozen=True, slots=True)
class TaskPlace:
    """Where an open or dead task is: the register's ``task.<n>``.

    Attributes:
        stream: Name within the partition, empty unless queued or running.
        entry_id: In the stream, or in the dead-letter stream.
        due_ms: When a delayed one is due.
        since_ms, worker, delivery: Since when it runs, and under which lease.
    """

    kind: Literal["queued", "running", "delayed", "dead"]
    stream: str = ""
    entry_id: str = ""
    due_ms: int = 0
    since_ms: int = 0
    worker: str = ""
    delivery: int = 0
    stage: str = ""

    @classmethod
    def parse(cls, text: str) -> TaskPlace:
        """Read the register's value back."""
        head, _, rest = text.partition(" ")
        if head == "delayed":
            due, _, stage = rest.partition(" ")
            return cls("delayed", due_ms=int(due), stage=stage)
        if head == "dead":
            return cls("dead", entry_id=rest)
        entry_id, _, run = rest.partition(" run ")
        stage = StreamName.parse(head).stage
        if not run:
            return cls("queued", head, entry_id.removesuffix(" again"), stage=stage)
        since, worker, delivery = run.split(" ")
        return cls("running", head, entry_id, since_ms=int(since), worker=worker, delivery=int(delivery), stage=stage)


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job's live record. `fields` has all of it; the properties read what is asked for most."""

    job_id: str
    fields: dict[str, str]
    tasks: dict[int, TaskPlace]

    @classmethod
    def of(cls, job_id: str, raw: Mapping[bytes, bytes]) -> JobRecord:
        """From the reply of HGETALL."""
        fields = {name.decode(): value.decode("utf-8", "replace") for name, value in raw.items()}
        tasks = {
            int(name[5:]): TaskPlace.parse(value)
            for name, value in fields.items()
            if name.startswith("task.") and name[5:].isdigit()
        }
        return cls(job_id, fields, tasks)

    def number(self, name: str) -> int:
        """A numeric field, 0 when absent."""
        return int(float(self.fields.get(name, 0)))

    def open(self, stage: StageName) -> int:
        """Open tasks at a stage, parked and delayed ones included."""
        return self.number(f"{stage}.open")

    @property
    def status(self) -> JobStatus:
        """The status to show."""
        return shown_status(
            self.fields["status"], open_tasks=sum(self.open(stage) for stage in STAGES),
            delayed=self.number("delayed"), running=sum(place.kind == "running" for place in self.tasks.values()),
        )  # fmt: skip

    @property
    def flow(self) -> str:
        """The flow's name."""
        return self.fields["flow"]

    @property
    def tenant(self) -> str:
        """Whose job it is."""
        return self.fields.get("tenant", "default")

    @property
    def lane(self) -> Lane:
        """Its priority's lane."""
        lane = self.fields.get("lane")
        return "high" if lane == "high" else "low" if lane == "low" else "normal"

    @property
    def revision(self) -> int:
        """1, and one more each time dead letters are redriven after compile."""
        return self.number("revision")

    @property
    def created_ms(self) -> int:
        """When it was accepted."""
        return self.number("created_at")

    @property
    def spec(self) -> Any:
        """What the user asked for."""
        return orjson.loads(self.fields.get("spec") or "{}")

    @property
    def origin(self) -> str:
        """The job that this one repeats; empty for most."""
        return self.fields.get("origin", "")

    @property
    def trace_id(self) -> str:
        """The id of its trace, empty when it has none."""
        parts = self.fields.get("traceparent", "").split("-")
        return parts[1] if len(parts) == 4 else ""  # noqa: PLR2004 - W3C trace context

    def stages(self) -> dict[str, dict[str, int]]:
        """Open, done and failed tasks of every stage that the job has reached."""
        return {
            stage: {count: self.number(f"{stage}.{count}") for count in ("open", "done", "failed")}
            for stage in STAGES
            if any(f"{stage}.{count}" in self.fields for count in ("open", "done", "failed"))
        }

    def waiting_tasks(self) -> list[tuple[int, TaskPlace]]:
        """Tasks in streams or timers that nobody runs; notifications not counted."""
        return [
            (task, place)
            for task, place in self.tasks.items()
            if place.kind in {"queued", "delayed"} and place.stage != "notify"
        ]
