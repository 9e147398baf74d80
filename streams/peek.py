"""A stage stream's entries as an operator handles them: looked at, taken from a worker, closed unhandled."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import ResponseError

from streams.codec import Delivery, deliver
from streams.dlq import DeadLetters
from streams.keys import PartitionKeys, StreamName, partition_of
from streams.log import Log
from streams.moves import RELEASED, Death, Held, Moves
from streams.policy import Routes
from streams.reader import GROUP
from streams.scripts import Code

ACKNOWLEDGED: Final = "acknowledged"
"""Reason of the dead letter that an entry is for a moment before it is dropped."""


@dataclass(frozen=True, slots=True)
class Peeked:
    """An entry of a stage stream.

    Attributes:
        held_by: Its consumer; empty when it waits.
        idle_ms: Since its lease was renewed.
    """

    entry: Delivery
    held_by: str = ""
    delivery: int = 0
    idle_ms: int = 0

    @property
    def at_ms(self) -> int:
        """When it came into the stream."""
        return int(self.entry.entry_id.partition("-")[0])

    @property
    def is_held(self) -> bool:
        """Whether a worker has it."""
        return self.held_by not in {"", RELEASED}


class Entries:
    """The entries of one stream, in every partition."""

    def __init__(self, log: Log, name: StreamName, routes: Routes) -> None:
        self._log = log
        self._name = name
        # Never the name of a worker: a lease under it is nobody's that could come back.
        self._moves = Moves(log.client, f"operator-{uuid.uuid4().hex[:12]}", routes, log.record_ttl_s)

    async def page(self, keys: PartitionKeys, *, after: str = "", limit: int = 100) -> list[Peeked]:
        """The next entries of a partition, oldest first, with who holds them.

        Args:
            after: Id of the last one of the page before.
        """
        stream = keys.named(str(self._name))
        rows = await self._log.client.xrange(stream, f"({after}" if after else "-", "+", count=limit)
        return await self._held(keys, stream, rows)

    async def named(self, keys: PartitionKeys, ids: Sequence[str]) -> list[Peeked]:
        """Entries of a partition by id; those that are gone are left out."""
        stream = keys.named(str(self._name))
        pipe = self._log.client.pipeline(transaction=False)
        for entry_id in ids:
            pipe.xrange(stream, entry_id, entry_id)
        rows = [row for found in (await pipe.execute() if ids else ()) for row in found]
        return await self._held(keys, stream, rows)

    async def tenants(self, found: Sequence[Peeked]) -> dict[str, str]:
        """Job -> tenant; jobs that nobody knows, and what is no job id, are left out."""
        return await self._log.tenants_of([one.entry.job for one in found if _is_job(one.entry.job)])

    async def claim(self, keys: PartitionKeys, found: Sequence[Peeked]) -> list[Code]:
        """Break the leases: whoever has room takes the entries at once. Each counts as a crash of its task."""
        held = [one for one in found if one.is_held]
        answers = await self._moves.reclaim(keys, [_as_held(one) for one in held], to=RELEASED) if held else []
        codes = {one.entry.entry_id: _code(answer) for one, answer in zip(held, answers, strict=True)}
        return [codes.get(one.entry.entry_id, Code.NOT_PENDING) for one in found]

    async def acknowledge(self, keys: PartitionKeys, found: Sequence[Peeked], *, by: str) -> list[Code]:
        """Close entries for good without working on them; each counts as missing in its job.

        One that a worker settles meanwhile is the worker's: the fence refuses us.
        """
        codes = []
        for one in found:
            entry = await self._take(keys, one)
            codes.append(await self._bury(keys, entry, by) if entry is not None else Code.SUPERSEDED)
        return codes

    async def _take(self, keys: PartitionKeys, one: Peeked) -> Delivery | None:
        if one.held_by:
            (answer,) = await self._moves.reclaim(keys, [_as_held(one)])
            delivery = int(answer)
        else:
            try:
                rows = await self._log.client.xclaim(
                    one.entry.stream, GROUP, self._moves.consumer, 0, [one.entry.entry_id], force=True
                )
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                return None
            # How many deliveries a forced claim counts differs between servers.
            pending = await self._log.client.xpending_range(
                one.entry.stream, GROUP, one.entry.entry_id, one.entry.entry_id, 1, self._moves.consumer
            )
            delivery = int(pending[0]["times_delivered"]) if rows and pending else 0
        if delivery <= 0:
            return None
        return deliver(keys, one.entry.stream, one.entry.entry_id.encode(), _dict(one.entry.fields), delivery)

    async def _bury(self, keys: PartitionKeys, entry: Delivery, by: str) -> Code:
        dead_id: Any = Code.UNKNOWN_JOB
        if _is_job(entry.job):
            (dead_id,) = await self._moves.dead_letter(keys, [Death(entry, ACKNOWLEDGED, f"by {by}")])
        if dead_id in {Code.UNKNOWN_JOB, Code.UNKNOWN_TASK}:
            (dead_id,) = await self._moves.dead_letter(
                keys, [Death(entry, ACKNOWLEDGED, f"by {by}", is_stray=True)]
            )  # fmt: skip
        if isinstance(dead_id, int):
            return Code(dead_id)
        letter = await self._log.dead_letter(f"{keys.partition}-{dead_id.decode()}")
        if letter is None:
            return Code.OK
        (code,) = await DeadLetters(self._log).drop_letters([letter], reason=f"acknowledged by {by}")
        return code

    async def _held(self, keys: PartitionKeys, stream: str, rows: Sequence[Any]) -> list[Peeked]:
        pipe = self._log.client.pipeline(transaction=False)
        for entry_id, _ in rows:
            pipe.xpending_range(stream, GROUP, entry_id, entry_id, 1)
        pending = await pipe.execute(raise_on_error=False) if rows else []
        found = []
        for (entry_id, raw), holder in zip(rows, pending, strict=True):
            entry = deliver(keys, stream, entry_id, raw, 0)
            if isinstance(holder, list) and holder:
                one = holder[0]
                found.append(
                    Peeked(entry, one["consumer"].decode(), one["times_delivered"], one["time_since_delivered"])
                )
            else:  # it waits; or there is no group yet, so everything does
                found.append(Peeked(entry))
        return found


def _as_held(one: Peeked) -> Held:
    entry = one.entry
    job, task = (entry.job, entry.task) if _is_job(entry.job) else ("", "")
    return Held(
        entry.stream, entry.entry_id, one.held_by, one.delivery, one.idle_ms, job, task, entry.name.stage
    )  # fmt: skip


def _is_job(job_id: str) -> bool:
    try:
        partition_of(job_id)
    except ValueError:
        return False
    return True


def _code(answer: int) -> Code:
    return Code.OK if answer > 0 else Code(answer)


def _dict(fields: dict[bytes, bytes] | list[bytes]) -> dict[bytes, bytes]:
    return fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
