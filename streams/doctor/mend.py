"""Repairing what does not fit: one script a repair, which looks again before it writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from schemas.names import STAGES
from streams import archive
from streams.connect import transaction
from streams.doctor.look import WIDEST, Suspect
from streams.doctor.scripts import run
from streams.errors import Refused
from streams.keys import PartitionKeys, StreamName, partition_of_key
from streams.scripts import Code

if TYPE_CHECKING:
    from streams.chunks import Chunks
    from streams.log import Log

NO_PAYLOAD: Final = b"null"
"""Refused by its stage as an unreadable payload: so a task whose payload nobody kept ends as a dead letter."""


@dataclass(frozen=True, slots=True)
class Mended:
    """What a repair did, in words; empty `did` when the thing was in order by then."""

    suspect: Suspect
    did: str


async def mend(log: Log, chunks: Chunks, suspects: Iterable[Suspect]) -> list[Mended]:
    """Repair what can be repaired.

    An entry that no job knows goes to the dead letters, whole. A task whose entry or timer is gone gets an entry again,
    with the payload that lifecycle or the archive tell; one whose payload nobody has runs into a dead letter. Counters
    are set to what is there. A job that goes on with nothing to do fails.
    """
    done: list[Mended] = []
    settled: set[str] = set()
    for one in suspects:
        keys = log.keys.partition(one.partition)
        if one.kind in {"no_job", "not_issued"}:
            did = await _evict(log, keys, one)
        elif one.kind in {"no_entry", "no_timer"}:
            did = await _put_back(log, chunks, keys, one)
        elif one.kind == "letter_without_task":
            did = await _unlink(log, keys, one)
        elif one.kind in {"counters", "no_letter", "nothing_left"} and one.job not in settled:
            settled.add(one.job)
            did = await _settle(log, keys, one)
        else:
            did = ""
        done.append(Mended(one, did))
    return done


async def _evict(log: Log, keys: PartitionKeys, one: Suspect) -> str:
    stage = StreamName.parse(one.stream.removeprefix(keys.prefix)).stage
    why = "its job is not there" if one.kind == "no_job" else "its job does not know this entry"
    args = [one.entry_id, one.job, one.task, stage, "orphan_entry", f"{why}; moved here by the doctor"]
    dead = await run(log.client, "evict", [*keys.fixed, one.stream, keys.job(one.job)], args)
    return (
        f"entry {one.entry_id} is dead letter {keys.partition}-{dead.decode()} now" if isinstance(dead, bytes) else ""
    )


async def _unlink(log: Log, keys: PartitionKeys, one: Suspect) -> str:
    """A letter that its job does not know cannot be redriven: it is kept as a stray, which says so."""
    rows = await log.client.xrange(keys.dlq, one.entry_id, one.entry_id)
    if not rows:
        return ""
    fields = rows[0][1]
    stray = {**fields, b"fields": orjson.dumps({k.decode(): v.decode("utf-8", "replace") for k, v in fields.items()})}
    pipe = await transaction(log.client)
    pipe.xadd(keys.dlq, stray)
    pipe.xdel(keys.dlq, one.entry_id)
    added, _ = await pipe.execute()
    return f"letter {keys.partition}-{one.entry_id} is a stray now: {keys.partition}-{added.decode()}"


async def _put_back(log: Log, chunks: Chunks, keys: PartitionKeys, one: Suspect) -> str:
    record = await log.job(one.job)
    place = record.tasks.get(int(one.task)) if record is not None else None
    if record is None or place is None:
        return ""
    told = await _told_of(log, chunks, one)
    stage = StreamName.parse(place.stream).stage if place.stream else next(s for s in STAGES if s == place.stage)
    stream = (
        keys.named(place.stream)
        if place.stream
        else keys.stream(stage, log.routes.policy(record.flow, stage).pool, record.lane)
    )
    args = [
        one.job, one.task, stage, one.told, told.attempt, record.fields.get("traceparent", ""),
        NO_PAYLOAD if told.data is None else told.data,
    ]  # fmt: skip
    entry = await run(log.client, "put_back", [*keys.fixed, stream, keys.job(one.job)], args)
    if not isinstance(entry, bytes):
        return ""
    lost = "" if told.data is not None else ", without its payload, which nobody kept"
    return f"task {one.task} of {one.job} has entry {entry.decode()} in {stream} again{lost}"


@dataclass(slots=True)
class _Told:
    attempt: int = 1
    data: bytes | None = None


async def _told_of(log: Log, chunks: Chunks, one: Suspect) -> _Told:
    """A task's payload and attempt, from lifecycle; from the archive what that has no longer."""
    told = _Told()
    for entry in await log.lifecycle(one.job):
        _tell(told, one, entry[1])
    if told.data is None:
        async for fields in _archived(log, chunks, one):
            _tell(told, one, fields)
    return told


async def _archived(log: Log, chunks: Chunks, one: Suspect) -> AsyncIterator[dict[str, str]]:
    record = await log.job(one.job)
    if record is None:
        return
    partition = partition_of_key(log.keys.of_job(one.job).lifecycle)
    async for _, fields in archive.read(chunks, log.keys.namespace, partition, from_ms=record.created_ms):
        if fields.get("job") == one.job:
            yield fields


def _tell(told: _Told, one: Suspect, fields: dict[str, str]) -> None:
    if fields.get("task") == one.task:
        told.attempt = max(told.attempt, int(fields.get("attempt") or 1) + (fields["type"] == "retried"))
        if fields["type"] in {"submitted", "adopted"} or (fields["type"] == "redriven" and fields.get("data")):
            told.data = fields["data"].encode()
    for child in orjson.loads(fields.get("emitted") or "[]"):
        if str(child["task"]) == one.task:
            told.data = orjson.dumps(child["data"])


async def _settle(log: Log, keys: PartitionKeys, one: Suspect) -> str:
    answer = await run(log.client, "settle", [*keys.fixed, keys.job(one.job)], [WIDEST])
    if isinstance(answer, int):
        return ""
    changed, is_idle = answer
    if not is_idle:
        return f"{changed} fields of {one.job} are set to what is there" if changed else ""
    try:
        await log.cancel(one.job, reason="nothing of it was left to do (found by the doctor)", status="failed")
    except Refused as refusal:
        if refusal.code == Code.CLOSED:
            return ""
        raise
    return f"{one.job} had nothing left to do and is failed"
