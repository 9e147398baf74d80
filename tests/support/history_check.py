"""Holds what the log says happened against what it holds: nothing lost, nothing twice, nothing left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from schemas.names import LANES, POOLS, STAGES, WORK_STAGES
from streams.keys import Keys, PartitionKeys
from streams.reader import GROUP
from streams.record import JobRecord
from streams.states import CLOSED, ENDED, JobStatus

_CLOSING: Final = {"completed", "retried", "dead_lettered"}
"""What spends an attempt."""

Row = dict[str, str]


class HistoryBroken(AssertionError):  # noqa: N818 - it says what is wrong
    """What does not fit, a line each."""


@dataclass(slots=True)
class _Task:
    stage: str
    state: str = "open"
    generation: int = 0
    attempts: Counter[tuple[int, str]] = field(default_factory=Counter)


@dataclass(slots=True)
class _Job:
    tasks: dict[int, _Task] = field(default_factory=dict)
    accepted: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    compiles: Counter[str] = field(default_factory=Counter)


class _Replay:
    """The lifecycle stream, told as the states of its tasks."""

    def __init__(self) -> None:
        self.jobs: dict[str, _Job] = {}
        self.problems: list[str] = []
        self.types: Counter[str] = Counter()

    def tell(self, entry_id: str, row: Row) -> None:
        kind = row["type"]
        self.types[kind] += 1
        if kind == "dead_lettered" and not row.get("revision"):
            return  # a stray belongs to no job
        job = self.jobs.setdefault(row["job"], _Job())
        if kind in {"submitted", "adopted"}:
            job.accepted += 1
            if "task" in row:  # a replay tells what it opens as emitted
                job.tasks[int(row["task"])] = _Task(row["stage"])
        elif "task" in row:
            self._task(f"{entry_id} {kind} {row['job']}/{row['task']}", job, kind, row)
        for opened in orjson.loads(row.get("emitted", "[]")):
            if opened["task"] in job.tasks:
                self.problems.append(f"{entry_id}: task {row['job']}/{opened['task']} is opened twice")
            job.tasks[opened["task"]] = _Task(opened["stage"])
            if opened["stage"] == "compile":
                job.compiles[str(opened["data"]["revision"])] += 1
        if row.get("status") in ENDED:
            job.endings[row["revision"]] += 1

    def _task(self, where: str, job: _Job, kind: str, row: Row) -> None:
        task = job.tasks.get(int(row["task"]))
        if task is None:
            self.problems.append(f"{where}: this task was never opened")
            return
        if kind in _CLOSING:
            spent = (task.generation, row.get("attempt", "1"))
            task.attempts[spent] += 1
            if task.attempts[spent] > 1:
                self.problems.append(f"{where}: attempt {spent[1]} closes twice")
        before, after = {
            "completed": ({"open"}, "done"),
            "dropped": ({"open", "delayed", "dead"}, "dropped"),
            "retried": ({"open"}, "delayed"),
            "snoozed": ({"open"}, "delayed"),
            "promoted": ({"delayed", "open"}, "open"),  # open: a first task that waited for its run_at
            "dead_lettered": ({"open"}, "dead"),
            "redriven": ({"dead"}, "open"),
        }.get(kind, ({"open"}, "open"))
        if task.state not in before:
            self.problems.append(f"{where}: the task is {task.state}")
        task.state = after
        task.generation += kind == "redriven"


async def check_history(client: Any, keys: Keys, accepted: Iterable[str], *, settled: bool = True) -> Counter[str]:
    """Check a namespace.

    Args:
        client: A Redis client without decoding.
        keys: The namespace's keys.
        accepted: Ids of every job that a submitter was told to be accepted.
        settled: Nothing is at work any more: every job has ended, nothing is open or pending.

    Returns:
        How often each type of move was made.

    Raises:
        HistoryBroken: Naming all that does not fit.
    """
    replay = _Replay()
    for partition in keys.all_partitions:
        for entry_id, raw in await client.xrange(partition.lifecycle):
            replay.tell(entry_id.decode(), _row(raw))
    problems = replay.problems
    records: dict[str, JobRecord] = {}
    for job_id in {*accepted, *replay.jobs}:
        raw = await client.hgetall(keys.of_job(job_id).job(job_id))
        if not raw:
            problems.append(f"job {job_id} was accepted and has no record")
        elif job_id not in replay.jobs:
            problems.append(f"job {job_id} has a record and no history")
        else:
            records[job_id] = JobRecord.of(job_id, raw)
            problems += _against_record(replay.jobs[job_id], records[job_id], settled=settled)
    for partition in keys.all_partitions:
        problems += await _against_streams(client, partition, records, settled=settled)
        problems += await _against_timers(client, partition, records)
    if problems:
        raise HistoryBroken("\n".join(problems[:50]))
    return replay.types


def _against_record(job: _Job, record: JobRecord, *, settled: bool) -> list[str]:
    found: list[str] = []
    status = JobStatus(record.fields["status"])
    if job.accepted != 1:
        found.append(f"was opened {job.accepted} times")
    found += [f"revision {revision} ended {n} times" for revision, n in job.endings.items() if n != 1]
    found += [f"revision {revision} was compiled {n} times" for revision, n in job.compiles.items() if n != 1]
    if status in ENDED:
        missing = {str(n) for n in range(1, record.revision + 1)} - set(job.endings)
        found += [f"is {status} but no ending of revision {revision} is told" for revision in sorted(missing)]
    elif settled:
        found.append(f"has not ended: {status}, {record.stages()}")
    counted = {stage: Counter(t.state for t in job.tasks.values() if t.stage == stage) for stage in STAGES}
    for stage in STAGES:
        told = (counted[stage]["open"] + counted[stage]["delayed"], counted[stage]["done"], counted[stage]["dead"])
        kept = tuple(record.number(f"{stage}.{what}") for what in ("open", "done", "failed"))
        # What a job that was closed left behind is dropped in one sweep, not told task by task.
        if told[1:] != kept[1:] or (status not in CLOSED and told[0] != kept[0]):
            found.append(f"{stage}: the history tells open, done, failed {told}, the record {kept}")
        if settled and kept[0] != 0:
            found.append(f"{stage}: {kept[0]} are still open")
    work = sum(record.open(stage) for stage in WORK_STAGES)
    tail = record.open("compile") + record.open("notify")
    if (work, tail) != (record.number("work"), record.number("tail")):
        found.append(f"joins {record.number('work')}, {record.number('tail')} are not what is open: {work}, {tail}")
    if record.number("dead") != sum(place.kind == "dead" for place in record.tasks.values()):
        found.append(f"counts {record.number('dead')} dead, its register says otherwise")
    if record.number("delayed") != sum(place.kind == "delayed" for place in record.tasks.values()):
        found.append(f"counts {record.number('delayed')} delayed, its register says otherwise")
    return [f"job {record.job_id} {text}" for text in found]


async def _against_streams(  # noqa: C901 - a list of checks
    client: Any, keys: PartitionKeys, records: dict[str, JobRecord], *, settled: bool
) -> list[str]:
    found: list[str] = []
    registered = {
        (place.stream, place.entry_id)
        for record in records.values()
        for place in record.tasks.values()
        if place.kind in {"queued", "running"} and record.job_id.startswith(f"{keys.partition}-")
    }
    for stage in STAGES:
        for pool in POOLS:
            for lane in LANES:
                stream = keys.stream(stage, pool, lane)
                if not await client.exists(stream):
                    continue
                name = stream.removeprefix(keys.prefix)
                entries = {entry_id.decode(): _row(raw) for entry_id, raw in await client.xrange(stream)}
                held = {row["message_id"].decode() for row in await _pending(client, stream)}
                found += [f"{name}: pending {entry_id} has no entry" for entry_id in held - set(entries)]
                found += [
                    f"{name}: {entry_id} of job {row.get('job')!r} is in no register"
                    for entry_id, row in entries.items()
                    if row.get("job") in records and (name, entry_id) not in registered
                ]
                if settled and entries:
                    found.append(f"{name}: holds {len(entries)} entries, {len(held)} of them pending: {entries}")
    for dead_id, raw in await client.xrange(keys.dlq):
        row = _row(raw)
        record = records.get(row["job"])
        if record is not None and "fields" not in row:
            place = record.tasks.get(int(row["task"]))
            if place is None or place.kind != "dead" or place.entry_id != dead_id.decode():
                found.append(f"dlq {dead_id.decode()}: job {record.job_id} does not know it: {place}")
    if settled:
        async for key in client.scan_iter(f"{keys.prefix}job:*:parked:*", count=1_000):
            found.append(f"{key.decode()}: is still parked")
    return found


async def _against_timers(client: Any, keys: PartitionKeys, records: dict[str, JobRecord]) -> list[str]:
    timers = {member.decode() for member in await client.zrange(keys.timers, 0, -1)}
    waiting = {member.decode() for member in await client.hkeys(keys.waiting)}
    tasks = {member for member in timers if member.startswith(("task/", "then/"))}
    found = [f"timers: {member} is in one place only" for member in tasks ^ waiting]
    delayed = {
        f"task/{record.job_id}/{task}"
        for record in records.values()
        for task, place in record.tasks.items()
        if place.kind == "delayed" and record.job_id.startswith(f"{keys.partition}-")
    }
    found += [f"timers: {member} waits for nothing" for member in delayed - tasks]
    return found


async def _pending(client: Any, stream: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    start = "-"
    while page := await client.xpending_range(stream, GROUP, start, "+", 1_000):
        rows += page
        start = f"({page[-1]['message_id'].decode()}"
    return rows


def _row(raw: dict[bytes, bytes]) -> Row:
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in raw.items()}
