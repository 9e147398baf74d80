"""Holds what the log says happened against what it holds: nothing lost, nothing twice, nothing left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from api.chaos.told import Finding, Kind, Row, Told, ToldJob, row_of
from schemas.names import LANES, POOLS, STAGES, WORK_STAGES
from streams.keys import Keys, PartitionKeys
from streams.reader import GROUP
from streams.record import JobRecord
from streams.states import CLOSED, ENDED, JobStatus

PAGE: Final = 2_000
RECORDS_TOGETHER: Final = 500
SHOWN: Final = 50


class HistoryBroken(AssertionError):  # noqa: N818 - it says what is wrong
    """What does not fit, a line each."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a job has to show when it has ended, where its submitter knows.

    Attributes:
        done: Stage -> tasks that end well.
        dead: Tasks that end as dead letters.
    """

    done: Mapping[str, int]
    dead: int = 0


@dataclass(slots=True)
class History:
    """What was found.

    Attributes:
        types: How often each type of move was made.
        statuses: Jobs by how they stand.
        records: Live records by job id.
        told: The jobs as lifecycle tells them.
    """

    types: Counter[str]
    findings: list[Finding] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    records: dict[str, JobRecord] = field(default_factory=dict)
    told: dict[str, ToldJob] = field(default_factory=dict)

    def count(self, kind: Kind) -> int:
        """How many findings of a kind there are."""
        return sum(finding.kind == kind for finding in self.findings)

    @property
    def broken(self) -> list[Finding]:
        """All findings but what a failover may cost: what no replica had acknowledged."""
        return [finding for finding in self.findings if finding.kind != "unreplicated"]


async def check_history(
    client: Any,
    keys: Keys,
    accepted: Iterable[str],
    *,
    settled: bool = True,
    unacknowledged: Collection[str] = (),
) -> Counter[str]:
    """Check a namespace, as `examine`; for tests.

    Returns:
        How often each type of move was made.

    Raises:
        HistoryBroken: Naming all that does not fit.
    """
    history = await examine(client, keys, accepted, settled=settled, unacknowledged=unacknowledged)
    if history.broken:
        raise HistoryBroken("\n".join(finding.text for finding in history.broken[:SHOWN]))
    return history.types


async def examine(
    client: Any,
    keys: Keys,
    accepted: Iterable[str],
    *,
    settled: bool = True,
    unacknowledged: Collection[str] = (),
    expected: Callable[[JobRecord], Expected | None] | None = None,
    listeners: Iterable[Callable[[int, Row], None]] = (),
) -> History:
    """Hold a namespace's lifecycle, records, streams, timers and dead letters against each other.

    Args:
        client: A Redis client without decoding.
        keys: The namespace's keys.
        accepted: Ids of every job that a submitter was told to be accepted.
        settled: Nothing is at work any more: every job has ended, nothing is open or pending.
        unacknowledged: Those of the accepted that no replica acknowledged: when a failover lost them, they are told
            apart, as ``unreplicated``.
        expected: Says of a job that has ended what it has to show; None where that is not known.
        listeners: Are told of each lifecycle entry, see `Told`.
    """
    told = Told()
    told.listeners += listeners
    for partition in keys.all_partitions:
        async for entry_id, raw in entries(client, partition.lifecycle):
            told.tell(entry_id.decode(), row_of(raw))
    history = History(told.types, told.findings, told=told.jobs)
    wanted = list({*accepted, *told.jobs})
    for first in range(0, len(wanted), RECORDS_TOGETHER):
        together = wanted[first : first + RECORDS_TOGETHER]
        pipe = client.pipeline(transaction=False)
        for job_id in together:
            pipe.hgetall(keys.of_job(job_id).job(job_id))
        for job_id, raw in zip(together, await pipe.execute(), strict=True):
            _against_record(history, job_id, raw, settled=settled, unacknowledged=unacknowledged)
    if settled and expected is not None:
        for record in history.records.values():
            if (wanted_of := expected(record)) is not None:
                _against_expected(history, record, wanted_of)
    for partition in keys.all_partitions:
        await _against_streams(client, partition, history, settled=settled)
        await _against_letters(client, partition, history)
        await _against_timers(client, partition, history)
    return history


async def entries(client: Any, stream: str) -> AsyncIterator[tuple[bytes, dict[bytes, bytes]]]:
    """Every entry of a stream, oldest first, in pages."""
    at = "-"
    while rows := await client.xrange(stream, at, "+", count=PAGE):
        for row in rows:
            yield row
        at = f"({rows[-1][0].decode()}"


def _against_record(history: History, job_id: str, raw: Any, *, settled: bool, unacknowledged: Collection[str]) -> None:
    told = history.told.get(job_id)
    if not raw or told is None:
        kind: Kind = "unreplicated" if job_id in unacknowledged else "lost"
        text = "was accepted and has no record" if not raw else "has a record and no history"
        history.findings.append(Finding(kind, f"job {job_id} {text}"))
        return
    record = history.records[job_id] = JobRecord.of(job_id, raw)
    history.statuses[record.fields["status"]] += 1
    for finding in (*_endings(told, record, settled=settled), *_counters(told, record, settled=settled)):
        history.findings.append(Finding(finding.kind, f"job {job_id} {finding.text}"))


def _endings(told: ToldJob, record: JobRecord, *, settled: bool) -> list[Finding]:
    found: list[Finding] = []
    status = JobStatus(record.fields["status"])
    if told.opened != 1:
        found.append(Finding("twice", f"was opened {told.opened} times"))
    found += [
        Finding("twice", f"revision {revision} ended {n} times") for revision, n in told.endings.items() if n != 1
    ]
    found += [
        Finding("twice", f"revision {revision} was compiled {n} times")
        for revision, n in told.compiles.items()
        if n != 1
    ]
    if status in ENDED:
        missing = {str(n) for n in range(1, record.revision + 1)} - set(told.endings)
        found += [
            Finding("lost", f"is {status} but no ending of revision {revision} is told") for revision in sorted(missing)
        ]
    elif settled:
        found.append(Finding("lost", f"has not ended: {status}, {record.stages()}"))
    return found


def _counters(told: ToldJob, record: JobRecord, *, settled: bool) -> list[Finding]:
    found: list[str] = []
    is_closed = JobStatus(record.fields["status"]) in CLOSED
    states = Counter((task.stage, task.state) for task in told.tasks.values())
    for stage in STAGES:
        tells = (states[stage, "open"] + states[stage, "delayed"], states[stage, "done"], states[stage, "dead"])
        kept = tuple(record.number(f"{stage}.{what}") for what in ("open", "done", "failed"))
        # What a job that was closed left behind is dropped in one sweep, not told task by task.
        if tells[1:] != kept[1:] or (not is_closed and tells[0] != kept[0]):
            found.append(f"{stage}: the history tells open, done, failed {tells}, the record {kept}")
        if settled and kept[0] != 0:
            found.append(f"{stage}: {kept[0]} are still open")
    work = sum(record.open(stage) for stage in WORK_STAGES)
    tail = record.open("compile") + record.open("notify")
    if (work, tail) != (record.number("work"), record.number("tail")):
        found.append(f"joins {record.number('work')}, {record.number('tail')} are not what is open: {work}, {tail}")
    found += [
        f"counts {record.number(kind)} {kind}, its register says otherwise"
        for kind in ("dead", "delayed")
        if record.number(kind) != sum(place.kind == kind for place in record.tasks.values())
    ]
    return [Finding("join", text) for text in found]


def _against_expected(history: History, record: JobRecord, expected: Expected) -> None:
    for stage, wanted in expected.done.items():
        if (done := record.number(f"{stage}.done")) != wanted:
            kind: Kind = "lost" if done < wanted else "twice"
            text = f"job {record.job_id} {stage}: {done} tasks ended well, its spec asks for {wanted}"
            history.findings.append(Finding(kind, text))
    if (dead := record.number("dead")) != expected.dead:
        text = f"job {record.job_id} has {dead} dead letters, its spec asks for {expected.dead}"
        history.findings.append(Finding("lost", text))


async def _against_streams(client: Any, keys: PartitionKeys, history: History, *, settled: bool) -> None:
    registered = {
        (place.stream, place.entry_id)
        for record in history.records.values()
        for place in record.tasks.values()
        if place.kind in {"queued", "running"} and record.job_id.startswith(f"{keys.partition}-")
    }
    found: list[str] = []
    for stream in (keys.stream(stage, pool, lane) for stage in STAGES for pool in POOLS for lane in LANES):
        if not await client.exists(stream):
            continue
        name = stream.removeprefix(keys.prefix)
        held = {entry_id.decode(): row_of(raw) async for entry_id, raw in entries(client, stream)}
        pending = await _pending(client, stream)
        found += [f"{name}: pending {entry_id} has no entry" for entry_id in pending - set(held)]
        found += [
            f"{name}: {entry_id} of job {row.get('job')!r} is in no register"
            for entry_id, row in held.items()
            if row.get("job") in history.records and (name, entry_id) not in registered
        ]
        if settled and held:
            few = dict(list(held.items())[:3])
            found.append(f"{name}: holds {len(held)} entries, {len(pending)} of them pending, the first: {few}")
    if settled:
        async for key in client.scan_iter(f"{keys.prefix}job:*:parked:*", count=1_000):
            found.append(f"{key.decode()}: is still parked")
    history.findings += [Finding("orphan", text) for text in found]


async def _against_letters(client: Any, keys: PartitionKeys, history: History) -> None:
    async for dead_id, raw in entries(client, keys.dlq):
        row = row_of(raw)
        record = history.records.get(row["job"])
        if record is None or "fields" in row:
            continue
        place = record.tasks.get(int(row["task"]))
        if place is None or place.kind != "dead" or place.entry_id != dead_id.decode():
            text = f"dlq {dead_id.decode()}: job {record.job_id} does not know it: {place}"
            history.findings.append(Finding("orphan", text))


async def _against_timers(client: Any, keys: PartitionKeys, history: History) -> None:
    timers = {member.decode() for member in await client.zrange(keys.timers, 0, -1)}
    waiting = {member.decode() for member in await client.hkeys(keys.waiting)}
    tasks = {member for member in timers if member.startswith(("task/", "then/"))}
    found = [f"timers: {member} is in one place only" for member in tasks ^ waiting]
    delayed = {
        f"task/{record.job_id}/{task}"
        for record in history.records.values()
        for task, place in record.tasks.items()
        if place.kind == "delayed" and record.job_id.startswith(f"{keys.partition}-")
    }
    found += [f"timers: {member} waits for nothing" for member in delayed - tasks]
    history.findings += [Finding("orphan", text) for text in found]


async def left_over(client: Any, keys: Keys) -> list[Finding]:
    """What came in by `events` and has become neither a job nor a dead letter."""
    if not await client.exists(keys.events):
        return []
    left, pending = await client.xlen(keys.events), await _pending(client, keys.events)
    if not left and not pending:
        return []
    return [Finding("orphan", f"{keys.events}: {left} entries were not taken in, {len(pending)} of them pending")]


async def _pending(client: Any, stream: str) -> set[str]:
    found: set[str] = set()
    groups = {group["name"] for group in await client.xinfo_groups(stream)}
    if GROUP.encode() not in groups and GROUP not in groups:
        return found
    start = "-"
    while page := await client.xpending_range(stream, GROUP, start, "+", PAGE):
        found |= {row["message_id"].decode() for row in page}
        start = f"({page[-1]['message_id'].decode()}"
    return found
