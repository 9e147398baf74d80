"""What the server holds, read into the shapes of the reference model, and the rules that hold of it by itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson

from schemas.entries import DeadLetterEntry, LifecycleEntry
from schemas.names import STAGES, WORK_STAGES
from streams.keys import StreamName
from tests.integration.model.routes import WINDOWS

Row = tuple[str, dict[str, str]]


@dataclass(slots=True)
class Observed:
    """Everything under one partition's prefix, as text."""

    streams: dict[str, list[Row]] = field(default_factory=dict)
    pending: dict[str, dict[str, tuple[str, int]]] = field(default_factory=dict)
    dlq: list[Row] = field(default_factory=list)
    lifecycle: list[Row] = field(default_factory=list)
    timers: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, Any] = field(default_factory=dict)
    records: dict[str, dict[str, str]] = field(default_factory=dict)
    expiring: set[str] = field(default_factory=set)
    parked: dict[str, list[Any]] = field(default_factory=dict)
    once: dict[str, set[str]] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, dump: list[list[Any]]) -> Observed:
        """From `Server.dump`."""
        seen = cls()
        for raw_name, _, value, more in dump:
            seen._take(raw_name.decode(), value, more)
        return seen

    def _take(self, name: str, value: Any, more: Any) -> None:  # noqa: C901, PLR0912 - one branch a kind of key
        head, _, rest = name.partition(":")
        match head:
            case "clock":
                pass
            case "lifecycle":
                self.lifecycle = [_row(row) for row in value]
                for _, fields in self.lifecycle:
                    LifecycleEntry.model_validate(fields)
            case "dlq":
                self.dlq = [_row(row) for row in value]
                for _, fields in self.dlq:
                    DeadLetterEntry.model_validate(fields)
            case "timers":
                self.timers = {k.decode(): int(v) for k, v in zip(value[::2], value[1::2], strict=True)}
            case "waiting":
                flat = zip(value[::2], value[1::2], strict=True)
                self.waiting = {k.decode(): v.decode() if k.startswith(b"then/") else orjson.loads(v) for k, v in flat}
            case "accepted":
                assert more > 0, f"{name} is kept for ever"
                self.accepted[rest] = value.decode()
            case "rejected":
                assert more > 0, f"{name} is kept for ever"
                self.rejected.add(rest)
            case "job" if rest.endswith(":once"):
                assert more > 0, f"{name} is kept for ever"
                self.once[rest.removesuffix(":once")] = {v.decode() for v in value}
            case "job" if ":parked:" in rest:
                self.parked[rest] = [v.decode() if v.startswith(b"@") else orjson.loads(v) for v in value]
            case "job":
                self.records[rest] = {k: v for k, v in _pairs(value).items() if v not in {"", "0"}}
                if more >= 0:
                    self.expiring.add(rest)
            case _:
                StreamName.parse(name)
                if value:
                    self.streams[name] = [_row(row) for row in value]
                if more:
                    self.pending[name] = {row[0].decode(): (row[1].decode(), row[3]) for row in more}


def _row(row: list[Any]) -> Row:
    return row[0].decode(), _pairs(row[1])


def _pairs(flat: list[bytes]) -> dict[str, str]:
    return {k.decode(): v.decode() for k, v in zip(flat[::2], flat[1::2], strict=True)}


def check_structure(seen: Observed) -> None:
    """What must be true of the server's data whatever the model says."""
    places = {f"{stream} {entry_id}": fields for stream, rows in seen.streams.items() for entry_id, fields in rows}
    for stream, rows in seen.pending.items():
        for entry_id, (owner, delivery) in rows.items():
            assert owner, f"{stream} {entry_id} is pending without an owner"
            assert delivery >= 1
            assert f"{stream} {entry_id}" in places, f"{stream} {entry_id} is pending but gone"
    for job_id, record in seen.records.items():
        _check_record(seen, job_id, record, places)


def _check_record(seen: Observed, job_id: str, record: dict[str, str], places: dict[str, dict[str, str]]) -> None:
    def number(name: str) -> int:
        value = int(float(record.get(name, 0)))
        assert value >= 0, f"{job_id}: {name} is {value}"
        return value

    assert number("work") == sum(number(f"{stage}.open") for stage in WORK_STAGES), f"{job_id}: work"
    assert number("tail") == number("compile.open") + number("notify.open"), f"{job_id}: tail"
    kinds: Counter[str] = Counter()
    in_stream: Counter[str] = Counter()
    for name, value in record.items():
        if not name.startswith("task."):
            continue
        task = name.removeprefix("task.")
        head, _, rest = value.partition(" ")
        if head == "delayed":
            member = f"task/{job_id}/{task}"
            assert f"{seen.timers[member]} {seen.waiting[member]['stage']}" == rest, f"{job_id}: {name} {value}"
            in_stream[seen.waiting[member]["stage"]] += 1
            kinds["delayed"] += 1
        elif head == "dead":
            assert dict(seen.dlq)[rest]["task"] == task, f"{job_id}: {name} {value}"
            kinds["dead"] += 1
        else:
            place, _, run = value.removesuffix(" again").partition(" run ")
            assert places[place]["job"] == job_id, f"{job_id}: {name} {value}"
            assert places[place]["task"] == task, f"{job_id}: {name} {value}"
            in_stream[StreamName.parse(head).stage] += 1
            kinds["running"] += bool(run)
    if "limit_ms" not in record:
        kinds["running"] = 0  # counted only where a limit is set on it
    for kind in ("running", "delayed", "dead"):
        assert kinds[kind] == number(kind), f"{job_id}: {kind}"
    for stage in STAGES:
        listed = seen.parked.get(f"{job_id}:parked:{stage}", [])
        chunks = [int(one[1:].partition(" ")[0]) for one in listed if isinstance(one, str)]
        parked = len(listed) - len(chunks) + sum(chunks)
        assert number(f"{stage}.spilled") == sum(chunks) - len(chunks), f"{job_id}: {stage}.spilled"
        assert in_stream[stage] + parked == number(f"{stage}.open"), f"{job_id}: {stage}.open"
        # What a cancel that was not told of a list leaves parked is swept by the next one.
        is_over = record["status"] in {"cancelled", "expired", "failed"}
        is_away = bool(listed) and isinstance(listed[0], str)
        assert is_over or is_away or not parked or in_stream[stage] >= WINDOWS[stage], (
            f"{job_id}: parked at {stage}, the window is not full"
        )


@dataclass(slots=True)
class History:
    """The lifecycle so far: each transition once."""

    ended: set[tuple[str, str]] = field(default_factory=set)
    completed: set[tuple[str, str]] = field(default_factory=set)
    opened: set[tuple[str, str]] = field(default_factory=set)

    def take(self, rows: list[Row]) -> None:
        """Add what just happened."""
        for _, event in rows:
            if event.get("status") in {"succeeded", "partial", "failed", "cancelled", "expired"}:
                self._once(self.ended, event["job"], event["revision"])
            if event["type"] == "completed":
                self._once(self.completed, event["job"], event["task"])
            if event["type"] in {"submitted", "adopted"} and "task" in event:
                self._once(self.opened, event["job"], event["task"])
            for opened in orjson.loads(event.get("emitted", "[]")):
                self._once(self.opened, event["job"], str(opened["task"]))

    @staticmethod
    def _once(known: set[tuple[str, str]], job: str, what: str) -> None:
        assert (job, what) not in known, f"twice in the lifecycle: {job} {what}"
        known.add((job, what))
