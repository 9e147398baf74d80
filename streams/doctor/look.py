"""Looking through a partition page by page: what of it does not fit together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from schemas.names import LANES, POOLS, STAGES
from streams.connect import is_cluster
from streams.doctor.scripts import run
from streams.keys import Keys, PartitionKeys

Kind = Literal[
    "no_job",
    "not_issued",
    "no_entry",
    "no_timer",
    "no_letter",
    "counters",
    "nothing_left",
    "letter_without_task",
    "wide",
]

ENTRIES_A_CALL: Final = 120
TASKS_A_CALL: Final = 180
WIDEST: Final = 500
"""Fields of the largest record that one call looks through: more of them would hold the server up. Measured: 1.4 ms."""
RECORDS_A_CALL: Final = 64
SCANNED_A_CALL: Final = 500
MOST_SUSPECTS: Final = 1_000
"""Of a partition; the rest is found when these are repaired."""
CONFIRM_AFTER_S: Final = 0.5
"""An entry that somebody put there by hand is dead-lettered by a worker as soon as it is read: that is no finding."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """Something that does not fit.

    Attributes:
        kind: ``no_job``, ``not_issued``: an entry whose job, or task, is not there. ``no_entry``, ``no_timer``,
            ``no_letter``: a task whose entry, timer or dead letter is gone. ``counters``: a job's counters are not the
            sums of its tasks. ``nothing_left``: a job goes on, and nothing of it is open. ``letter_without_task``: a
            dead letter that its job does not know. ``wide``: a record too large to look through.
        stream: Key of the stream that has the entry; empty for what a record says.
        entry_id: In that stream.
        told: What the register, or the counters, say.
    """

    kind: Kind
    partition: int
    job: str
    task: str = ""
    stream: str = ""
    entry_id: str = ""
    told: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was looked through, and what does not fit.

    Attributes:
        is_cut: A partition had more suspects than are listed.
    """

    entries: int
    letters: int
    jobs: int
    suspects: tuple[Suspect, ...]
    is_cut: bool = False

    def of(self, *kinds: Kind) -> list[Suspect]:
        """The suspects of some kinds."""
        return [one for one in self.suspects if one.kind in kinds]


async def survey(client: Any, keys: Keys, *, confirm_after_s: float = CONFIRM_AFTER_S) -> Survey:
    """Look through every partition; what does not fit is looked at again, and told when it still does not."""
    entries = letters = jobs = 0
    suspects: list[Suspect] = []
    is_cut = False
    for partition in keys.all_partitions:
        looking = _Looking(client, partition)
        # Beside each other: the server works for one while the other reads its answer.
        found = await asyncio.gather(looking.at_streams(), looking.at_entries(partition.dlq), looking.at_jobs())
        entries, letters, jobs = (sum(pair) for pair in zip((entries, letters, jobs), found, strict=True))
        suspects += looking.suspects
        is_cut = is_cut or looking.is_cut
    if suspects:
        await asyncio.sleep(confirm_after_s)
        suspects = await confirmed(client, keys, suspects)
    return Survey(entries, letters, jobs, tuple(suspects), is_cut)


async def confirmed(client: Any, keys: Keys, suspects: Iterable[Suspect]) -> list[Suspect]:
    """Those that are still so."""
    still: list[Suspect] = []
    for one in suspects:
        looking = _Looking(client, keys.partition(one.partition))
        if one.entry_id:
            await looking.at_page(one.stream, one.entry_id, 1)
        else:
            await looking.at_records([looking.keys.job(one.job)])
        still += [again for again in looking.suspects if again == one]
    return still


class _Looking:
    """One partition while it is looked through."""

    def __init__(self, client: Any, keys: PartitionKeys) -> None:
        self._client = client
        self.keys = keys
        self.suspects: list[Suspect] = []
        self.is_cut = False

    async def at_streams(self) -> int:
        """Every stage stream; answers how many entries they have."""
        streams = [self.keys.stream(stage, pool, lane) for stage in STAGES for pool in POOLS for lane in LANES]
        return sum([await self.at_entries(stream) for stream in streams])

    async def at_entries(self, stream: str) -> int:
        """A whole stream, page by page; answers how many entries it has."""
        seen, at = 0, "-"
        while True:
            count, last = await self.at_page(stream, at, ENTRIES_A_CALL)
            seen += count
            if count < ENTRIES_A_CALL:
                return seen
            at = f"({last}"

    async def at_page(self, stream: str, at: str, most: int) -> tuple[int, str]:
        """A page of a stream; answers how many entries, and the last one's id."""
        is_dead = stream == self.keys.dlq
        count, last, wrong = await run(self._client, "entries", [*self.keys.fixed, stream], [at, most, int(is_dead)])
        for entry_id, job, task, kind in _texts(wrong):
            told: Kind = "letter_without_task" if is_dead else "no_job" if kind == "no_job" else "not_issued"
            self._found(Suspect(told, self.keys.partition, job, task, stream, entry_id))
        return int(count), last.decode()

    async def at_jobs(self) -> int:
        """Every job's record; answers how many there are."""
        seen = 0
        async for records in self._records():
            seen += len(records)
            await self.at_records(records)
        return seen

    async def at_records(self, records: Sequence[str]) -> None:
        """Some jobs' records."""
        while records:
            page = list(records[:RECORDS_A_CALL])
            looked, wrong = await run(self._client, "jobs", [*self.keys.fixed, *page], [TASKS_A_CALL, WIDEST])
            for job, task, kind, told in _texts(wrong):
                self._found(Suspect(_kind(kind), self.keys.partition, job, task, told=told))
            records = records[int(looked) :]

    async def _records(self) -> AsyncIterator[list[str]]:
        """Keys of the job records, page by page, some perhaps twice."""
        prefix = self.keys.job("")
        node = {"target_nodes": self._client.get_node_from_key(prefix)} if is_cluster(self._client) else {}
        cursor: Any = 0
        while True:
            match = "".join(f"[{c}]" if c in "*?[" else c for c in prefix) + "*"
            answer = await self._client.execute_command("SCAN", cursor, "MATCH", match, "COUNT", SCANNED_A_CALL, **node)
            cursor, found = answer
            if isinstance(cursor, dict):  # a Cluster's client tells the cursor of each node it asked
                (cursor,) = cursor.values()
            names = (key.decode() for key in found)
            page = [name for name in names if ":" not in name[len(prefix) :]]  # not its parked lists and once sets
            if page:
                yield page
            if int(cursor) == 0:
                return

    def _found(self, suspect: Suspect) -> None:
        if len(self.suspects) < MOST_SUSPECTS:
            self.suspects.append(suspect)
        else:
            self.is_cut = True


def _kind(text: str) -> Kind:
    known: tuple[Kind, ...] = ("no_entry", "no_timer", "no_letter", "counters", "nothing_left", "wide")
    return next(kind for kind in known if kind == text)


def _texts(rows: list[list[bytes]]) -> list[list[str]]:
    return [[value.decode("utf-8", "replace") for value in row] for row in rows]
