"""The dead letters as an operator works on them: found by filter, put back to work at a pace, given up, in pages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final

from streams import scripts
from streams.codec import host_of
from streams.errors import Refused
from streams.incidents import fingerprint_of
from streams.keys import PartitionKeys
from streams.log import DeadLetter, Log
from streams.moves import KeyTable
from streams.scripts import Code

PAGE: Final = 50
"""Letters that one XRANGE asks for: each may have 64 KiB of payload and 16 KiB of traceback."""

TOGETHER: Final = 25
"""Letters in one script call: about 1 ms of the server's time."""

GATHERED_MS: Final = 500
"""What is redriven without a pace waits so long: it is sent in several calls, and a job's letters are to be one
revision of it."""

Place = tuple[int, int, int]
"""Of a letter among all: milliseconds, sequence, partition."""


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters are meant; what is left empty does not matter.

    Attributes:
        host: Of the address that the payload is about.
        incident: Id of the incident that they are part of (`streams.incidents`).
        with_strays: Beside a tenant's letters also those that never were of a job, and so are nobody's.
        since_ms, until_ms: When it died, milliseconds since the epoch, both inclusive; 0 for no bound.
        quarantined: Only those in quarantine (True), or only those that are not.
    """

    stage: str = ""
    flow: str = ""
    reason: str = ""
    tenant: str = ""
    host: str = ""
    job: str = ""
    since_ms: int = 0
    until_ms: int = 0
    quarantined: bool | None = None
    with_strays: bool = True
    incident: str = ""

    def takes(self, letter: DeadLetter, tenant: str, max_redrives: int) -> bool:
        """Whether a letter of this tenant is meant; its time was looked at before."""
        row = letter.fields
        named = all(
            not wanted or wanted == row.get(name, "")
            for name, wanted in (("stage", self.stage), ("flow", self.flow), ("reason", self.reason), ("job", self.job))
        )
        return (
            named
            and (self.tenant in {"", tenant} or (not tenant and self.with_strays))
            and (self.quarantined is None or self.quarantined == (letter.redriven >= max_redrives))
            and (not self.host or self.host.lower() == host_of(row.get("data", "").encode()))
            and (not self.incident or self.incident == fingerprint_of(letter).id)
        )


@dataclass(slots=True)
class Worked:
    """What became of the letters that were meant.

    Attributes:
        done: Redriven, or given up.
        quarantined: Left where they are, because they were redriven too often.
        refused: Left, by the code's name: ``closed`` (its job was cancelled), ``unknown_job`` (it never was a job's).
        spread_s: What is redriven at a pace runs within so many seconds.
        next: Behind the last one looked at, when there may be more; None at the end.
    """

    done: int = 0
    quarantined: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    spread_s: float = 0.0
    next: Place | None = None

    def take(self, codes: Sequence[Code]) -> None:
        """Count a batch's answers."""
        for code in codes:
            if code == Code.OK:
                self.done += 1
            elif code == Code.QUARANTINED:
                self.quarantined += 1
            elif code != Code.NOT_FOUND:  # somebody else was there first
                self.refused[code.name.lower()] += 1


@dataclass(slots=True)
class Counted:
    """How many letters are meant, and what they are."""

    letters: int = 0
    quarantined: int = 0
    by_cause: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(flow, stage, reason) -> letters."""


class DeadLetters:
    """The dead letters of all partitions."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def find(
        self, chosen: LetterFilter, *, after: Place | None = None, limit: int = 50, look_at: int = 5_000
    ) -> tuple[list[DeadLetter], Place | None]:
        """Letters, newest first, and the place behind which to go on (None: there are no more).

        Args:
            after: Where the page before ended.
            look_at: Letters that are looked at most; a page may be short, and even empty, before the end.
        """
        found: list[DeadLetter] = []
        looked = 0
        async with aclosing(self._scan(chosen, after, newest_first=True)) as letters:
            async for letter, is_meant in letters:
                if looked >= look_at or len(found) == limit:
                    return found, after
                looked += 1
                after = letter.place
                if is_meant:
                    found.append(letter)
        return found, None

    async def meant(self, chosen: LetterFilter) -> AsyncGenerator[tuple[DeadLetter, str]]:
        """All that are meant, each with its tenant, newest first."""
        async with aclosing(self._scan(chosen, None, newest_first=True)) as letters:
            async for letter, is_meant in letters:
                if is_meant:
                    yield letter, await self.tenant_of(letter)

    async def count(self, chosen: LetterFilter) -> Counted:
        """All that are meant."""
        counted = Counted()
        async with aclosing(self._scan(chosen, None, newest_first=False)) as letters:
            async for letter, is_meant in letters:
                if is_meant:
                    row = letter.fields
                    counted.letters += 1
                    counted.quarantined += letter.redriven >= self._log.max_redrives
                    counted.by_cause[row.get("flow", ""), row.get("stage", ""), row.get("reason", "")] += 1
        return counted

    async def newest_ms(self) -> int:
        """When the newest letter died: what a mass redrive has as its bound, so as not to meet its own again."""
        found = await self._log.dead_letters(limit=1)
        return found[0].place[0] if found else 0

    async def redrive(
        self,
        chosen: LetterFilter,
        *,
        per_s: float | None = None,
        from_s: float = 0.0,
        after: Place | None = None,
        most: int | None = None,
        within_s: float | None = None,
        told: Callable[[Worked], None] = lambda _: None,
    ) -> Worked:
        """Put what is meant back to work, oldest first, what is in quarantine excepted.

        The pace is kept by the timers: each letter is put there with its time, so that the pace holds whatever happens
        to this process, and those of a job are one revision of it.

        Set the filter's `until_ms` (see `newest_ms`): what dies again meanwhile would be met again.

        Args:
            per_s: Letters a second; None: all at once, within a second.
            from_s: When the first of them runs, if there is a pace: the `spread_s` of the call before.
            after: Where an earlier call stopped.
            most: Letters in this call.
            within_s: Stop after so long.
            told: Is told how far it is after every batch.
        """
        chosen = replace(chosen, quarantined=None)  # the script leaves them out, and they are counted
        clock = asyncio.get_running_loop().time
        began_s, spread_s = clock(), from_s

        async def redrive(letters: Sequence[DeadLetter]) -> list[Code]:
            nonlocal spread_s
            delays_ms: dict[str, int] = {}
            sending_s = clock() - began_s  # has passed of the time that the pace takes
            for letter in letters:
                delays_ms[letter.dead_id] = GATHERED_MS + int(max(0.0, spread_s - sending_s) * 1_000)
                spread_s += 1 / per_s if per_s is not None else 0.0
            return await self._log.redrive_letters(letters, delays_ms=delays_ms)

        worked = await self._work(chosen, redrive, after, most, within_s, told)
        worked.spread_s = max(0.0, spread_s - (clock() - began_s))
        return worked

    async def drop(
        self,
        chosen: LetterFilter,
        *,
        reason: str = "given up by an operator",
        after: Place | None = None,
        most: int | None = None,
        within_s: float | None = None,
        told: Callable[[Worked], None] = lambda _: None,
    ) -> Worked:
        """Give up what is meant; `redrive` explains the arguments."""

        async def drop(letters: Sequence[DeadLetter]) -> list[Code]:
            return await self.drop_letters(letters, reason=reason)

        return await self._work(chosen, drop, after, most, within_s, told)

    async def drop_letters(
        self, letters: Sequence[DeadLetter], *, reason: str = "given up by an operator"
    ) -> list[Code]:
        """Give letters up: each is closed for good, and what it stood for counts as missing; a code per letter."""
        codes: dict[str, Code] = {}
        by_partition: dict[int, list[DeadLetter]] = {}
        for letter in letters:
            by_partition.setdefault(letter.place[2], []).append(letter)
        for partition, mine in by_partition.items():
            keys = self._log.keys.partition(partition)
            table = KeyTable(keys)
            args: list[Any] = [self._log.record_ttl_s, reason, len(mine)]
            for letter in mine:
                row = letter.fields
                job = table.of(keys.job(row["job"])) if row.get("job") else 0
                args += (
                    letter.dead_id.partition("-")[2], job, row.get("job", ""), row.get("task", ""), row.get("stage", "")
                )  # fmt: skip
            answers = await scripts.run(self._log.client, "drop", table.keys, args)
            codes.update(zip((letter.dead_id for letter in mine), map(Code, answers), strict=True))
        return [codes[letter.dead_id] for letter in letters]

    async def tenant_of(self, letter: DeadLetter) -> str:
        """Whose it is; empty for a stray, which never was of a job."""
        tenant = letter.fields.get("tenant")
        if tenant is not None:
            return tenant
        try:
            key = self._log.keys.of_job(letter.fields.get("job", "")).job(letter.fields["job"])
        except ValueError:
            return ""
        known = await self._log.client.hget(key, "tenant")
        return known.decode() if known is not None else ""

    async def _work(
        self,
        chosen: LetterFilter,
        act: Callable[[Sequence[DeadLetter]], Awaitable[list[Code]]],
        after: Place | None,
        most: int | None,
        within_s: float | None,
        told: Callable[[Worked], None],
    ) -> Worked:
        clock = asyncio.get_running_loop().time
        began_s, sent, worked = clock(), 0, Worked()
        batch: list[DeadLetter] = []

        async def send() -> None:
            nonlocal sent
            sent_s = clock()
            worked.take(await act(batch))
            await asyncio.sleep(clock() - sent_s)  # half of the server's time is for live work
            sent += len(batch)
            batch.clear()
            told(worked)

        async with aclosing(self._scan(chosen, after, newest_first=False)) as letters:
            async for letter, is_meant in letters:
                is_late = within_s is not None and clock() - began_s >= within_s
                if is_late or (most is not None and sent + len(batch) >= most):
                    worked.next = after
                    break
                after = letter.place
                if is_meant:
                    batch.append(letter)
                    if len(batch) == TOGETHER:
                        await send()
        if batch:
            await send()
        return worked

    async def _scan(
        self, chosen: LetterFilter, after: Place | None, *, newest_first: bool
    ) -> AsyncGenerator[tuple[DeadLetter, bool]]:
        """Every letter of the time that is meant, over all partitions in order, and whether it is meant."""
        sources = [self._of(keys, chosen, after, newest_first) for keys in self._log.keys.all_partitions]
        heads: dict[int, DeadLetter] = {}
        for at, source in enumerate(sources):
            if (letter := await anext(source, None)) is not None:
                heads[at] = letter
        first = max if newest_first else min
        while heads:
            at = first(heads, key=lambda at: heads[at].place)
            letter = heads.pop(at)
            yield letter, chosen.takes(letter, await self.tenant_of(letter), self._log.max_redrives)
            if (following := await anext(sources[at], None)) is not None:
                heads[at] = following

    async def _of(
        self,
        keys: PartitionKeys,
        chosen: LetterFilter,
        after: Place | None,
        newest_first: bool,  # noqa: FBT001
    ) -> AsyncGenerator[DeadLetter]:
        """A partition's letters of the time that is meant, behind a place."""
        low = str(chosen.since_ms) if chosen.since_ms else "-"
        high = str(chosen.until_ms) if chosen.until_ms else "+"
        if after is not None:
            # Equal ids are in the order of their partitions.
            is_behind = keys.partition < after[2] if newest_first else keys.partition > after[2]
            bound = f"{'' if is_behind else '('}{after[0]}-{after[1]}"
            low, high = (low, bound) if newest_first else (bound, high)
        while True:
            if newest_first:
                letters = await self._log.dead_letters(partition=keys.partition, before=high, since=low, limit=PAGE)
            else:
                letters = await self._log.oldest_letters(keys.partition, low, high, limit=PAGE)
            for letter in letters:
                yield letter
            if len(letters) < PAGE:
                return
            last = "(" + letters[-1].dead_id.partition("-")[2]
            low, high = (low, last) if newest_first else (last, high)


def refusal(dead_id: str, code: Code, max_redrives: int) -> Refused:
    """Why a dead letter was not put back to work, and what to do."""
    match code:
        case Code.QUARANTINED:
            text = (
                f"dead letter {dead_id} was redriven {max_redrives} times and died again each time, so it is in "
                'quarantine: mend the cause first, then redrive it by force (`dlq retry --force`, `"force": true`)'
            )
        case Code.UNKNOWN_JOB:
            text = f"dead letter {dead_id} is of no job here: submit what it asks for as a job, then drop the letter"
        case Code.CLOSED:
            text = f"the job of dead letter {dead_id} was cancelled or has expired: submit it again, or drop the letter"
        case Code.UNKNOWN_TASK:
            text = f"dead letter {dead_id} is not the one that its task has now: drop it"
        case _:
            text = f"there is no dead letter {dead_id}: it was redriven or dropped meanwhile"
    return Refused(text, code=code)
