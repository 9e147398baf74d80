"""The moves a worker makes on the entries it holds: each method sends one script call for a batch of one partition.

Every method answers a code (or reply) per entry, in order; one refused entry refuses only itself. All are safe to
send twice, so a call whose answer was cut off is simply made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from schemas.names import StageName
from streams import scripts
from streams.codec import Delivery
from streams.keys import PartitionKeys
from streams.policy import Routes
from streams.scripts import Code

_WIDE_JOBS = 10_000
"""Jobs whose width is remembered."""

RELEASED = "released"
"""The consumer name of entries that were given back."""


class Emission(NamedTuple):
    """What a handler emits, encoded.

    Attributes:
        once: Key under which the job emits this at most once (a URL, say); empty for none.
        budget: Name of the job's budget that it counts against; empty for none.
    """

    stage: StageName
    data: bytes
    once: str = ""
    budget: str = ""


class Completion(NamedTuple):
    """A finished entry: what it emits, how many things it could not do, and how many it collected for compile."""

    entry: Delivery
    emissions: tuple[Emission, ...] = ()
    traceparent: str = ""
    missing: int = 0
    is_touched: bool = False
    collected: int = 0


@dataclass(frozen=True, slots=True)
class PutBack:
    """An entry that waits: for its next attempt, or (snooze) without spending one.

    Attributes:
        is_held: By a pause, before it began: its job does not begin with it, and the end of the pause wakes it.
    """

    entry: Delivery
    delay_ms: int
    reason: str
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Death:
    """An entry that cannot succeed. `is_stray`: it belongs to no job that was issued here."""

    entry: Delivery
    reason: str
    error: str = ""
    traceback: str = ""
    is_stray: bool = False


@dataclass(frozen=True, slots=True)
class Beat:
    """One lease to renew, and what its handler has to say."""

    entry: Delivery
    percent: float | None = None
    step: str = ""
    checkpoint: bytes = b""


@dataclass(frozen=True, slots=True)
class Held:
    """A pending entry as a sweep saw it."""

    stream: str
    entry_id: str
    consumer: str
    delivery: int
    idle_ms: int
    job: str = ""
    task: str = ""
    stage: str = ""


class KeyTable:
    """KEYS of one call: every key once, named in ARGV by its index from 1; 0 is none."""

    __slots__ = ("_index", "keys")

    def __init__(self, keys: PartitionKeys) -> None:
        self.keys: list[str] = list(keys.fixed)
        self._index: dict[str, int] = {}

    def of(self, key: str) -> int:
        """The index of a key."""
        index = self._index.get(key)
        if index is None:
            self.keys.append(key)
            index = self._index[key] = len(self.keys)
        return index


class Moves:
    """The moves of one consumer."""

    def __init__(self, client: Any, consumer: str, routes: Routes, record_ttl_s: int) -> None:
        self._client = client
        self.consumer = consumer
        self._routes = routes
        self._record_ttl_s = record_ttl_s
        self._wide: set[str] = set()

    async def start(
        self, keys: PartitionKeys, entries: Sequence[Delivery], *, at_once: bool = False
    ) -> list[list[Any]]:
        """Vet just-read entries and mark those that may run as running.

        Args:
            at_once: Answer for what nobody was given before without marking it, which saves the fsync. If its handler
                takes long, a second start tells the log.
        """
        table = KeyTable(keys)
        args: list[Any] = [self.consumer, self._record_ttl_s, int(at_once), len(entries)]
        for e in entries:
            args += (
                table.of(e.stream), table.of(keys.job(e.job)), e.entry_id, e.delivery, e.job, e.task, e.name.stage,
            )  # fmt: skip
        return await self._each("start", table, args)

    async def complete(self, keys: PartitionKeys, batch: Sequence[Completion]) -> list[int | bytes]:
        """Close entries and open what they emit; answers a code, or the ids of the entries that one opened."""
        codes = await self._complete(keys, batch)
        wide = [at for at, code in enumerate(codes) if code == Code.IS_WIDE]
        if wide:
            # Jobs with several tasks at a stage need their parked lists named; remembered, so as to ask once.
            if len(self._wide) > _WIDE_JOBS:
                self._wide.clear()
            self._wide.update(batch[at].entry.job for at in wide)
            again = await self._complete(keys, [batch[at] for at in wide])
            for at, code in zip(wide, again, strict=True):
                codes[at] = code
        return codes

    async def _complete(self, keys: PartitionKeys, batch: Sequence[Completion]) -> list[int | bytes]:
        table = KeyTable(keys)
        of, policy = table.of, self._routes.policy
        routes: dict[tuple[str, str], int] = {}
        targets: dict[tuple[str, str, str], int] = {}
        route_args: list[Any] = []
        target_args: list[Any] = []
        args: list[Any] = []
        for c in batch:
            e = c.entry
            stage, flow, lane, job = e.name.stage, e.flow, e.name.lane, e.job
            is_wide = job in self._wide
            route = routes.get((e.stream, flow))
            if route is None:
                route = routes[e.stream, flow] = len(routes) + 1
                route_args += (
                    stage, flow, of(e.stream), policy(flow, stage).window,
                    of(keys.stream("compile", policy(flow, "compile").pool, lane)),
                    of(keys.stream("notify", policy(flow, "notify").pool, lane)),
                )  # fmt: skip
            emissions = c.emissions
            is_touched = c.is_touched or e.delivery > 1 or e.checkpoint or e.crashes
            # The common case says little: what an entry needs beyond it follows only then.
            is_plain = not (
                is_wide
                or is_touched
                or c.missing
                or c.collected
                or e.attempt > 1
                or any(o.once or o.budget for o in emissions)
            )
            args += (
                route, of(keys.job(job)), e.entry_id, e.task, e.started_ms, c.traceparent or e.traceparent,
                int(is_plain), len(emissions),
            )  # fmt: skip
            if not is_plain:
                args += (
                    of(keys.parked(job, stage)) if is_wide else 0, e.delivery, e.attempt, c.missing,
                    c.collected, int(bool(is_touched)),
                )  # fmt: skip
            for out in emissions:
                place = (out.stage, flow, lane)
                target = targets.get(place)
                if target is None:
                    target = targets[place] = len(targets) + 1
                    of_stage = policy(flow, out.stage)
                    target_args += (out.stage, of(keys.stream(out.stage, of_stage.pool, lane)), of_stage.window)
                args += (target, out.data)
                if not is_plain:
                    args.append(of(keys.parked(job, out.stage)) if is_wide else 0)
                    args += (of(keys.once(job)), out.once, out.budget) if out.once or out.budget else (0,)
        head = [self.consumer, self._record_ttl_s, len(routes), *route_args, len(targets), *target_args, len(batch)]
        return await self._each("complete", table, head + args)

    async def emit(
        self, keys: PartitionKeys, entry: Delivery, sequence: int, emissions: Sequence[Emission], traceparent: str
    ) -> int:
        """Open what a handler emits while it runs; `sequence` is the number of the first one, from 1."""
        table = KeyTable(keys)
        table.of(entry.stream)
        table.of(keys.job(entry.job))
        args: list[Any] = [
            self.consumer, entry.entry_id, entry.delivery, entry.job, entry.task, entry.name.stage, entry.flow,
            traceparent or entry.traceparent, sequence, len(emissions),
        ]  # fmt: skip
        for out in emissions:
            self._emission(args, table.of, keys, entry.job, entry.flow, entry.name.lane, out)
        return int(await self._run("emit", table, args))

    async def retry(self, keys: PartitionKeys, batch: Sequence[PutBack]) -> list[int]:
        """Let failed entries wait for their next attempt."""
        return await self._put_back("retry", keys, batch)

    async def snooze(self, keys: PartitionKeys, batch: Sequence[PutBack]) -> list[int]:
        """Let entries wait without spending an attempt."""
        return await self._put_back("snooze", keys, batch)

    async def dead_letter(self, keys: PartitionKeys, batch: Sequence[Death]) -> list[Any]:
        """Move entries to the dead-letter stream; answers each one's id there, or a refusal's code."""
        table = KeyTable(keys)
        of = table.of
        args: list[Any] = [self.consumer, self._record_ttl_s, len(batch)]
        for d in batch:
            e = d.entry
            args += (
                of(e.stream), 0 if d.is_stray else of(keys.job(e.job)), *self._places(of, keys, e),
                e.entry_id, e.delivery, e.job, e.task, e.name.stage, e.attempt, e.started_ms,
                d.reason, d.error[:4_000], d.traceback[-16_000:],
            )  # fmt: skip
        return await self._each("dead_letter", table, args)

    async def heartbeat(self, keys: PartitionKeys, batch: Sequence[Beat]) -> list[int]:
        """Renew leases."""
        table = KeyTable(keys)
        args: list[Any] = [self.consumer, len(batch)]
        for b in batch:
            e = b.entry
            args += (
                table.of(e.stream), table.of(keys.job(e.job)), e.entry_id, e.delivery, e.job, e.task, e.name.stage,
                "" if b.percent is None else b.percent, b.step, b.checkpoint,
            )  # fmt: skip
        return await self._each("heartbeat", table, args)

    async def release(self, keys: PartitionKeys, entries: Sequence[Delivery]) -> list[int]:
        """Give entries back unfinished."""
        table = KeyTable(keys)
        args: list[Any] = [self.consumer, len(entries)]
        for e in entries:
            args += (
                table.of(e.stream), table.of(keys.job(e.job)), e.entry_id, e.delivery, e.job, e.task, e.name.stage,
            )  # fmt: skip
        return await self._each("release", table, args)

    async def reclaim(
        self, keys: PartitionKeys, batch: Sequence[Held], *, to: str | None = None, least_idle_ms: int = 0
    ) -> list[int]:
        """Take entries over as they were seen, for this consumer or (``to=RELEASED``) for whoever has room.

        Answers each one's new delivery count, or a refusal's code.
        """
        table = KeyTable(keys)
        args: list[Any] = [to or self.consumer, len(batch)]
        for h in batch:
            args += (
                table.of(h.stream), table.of(keys.job(h.job)) if h.job else 0, h.entry_id, h.consumer, h.delivery,
                least_idle_ms, h.job, h.task, h.stage,
            )  # fmt: skip
        return await self._each("reclaim", table, args)

    async def adopt(self, entry: Delivery, job_id: str, *, tenant: str, traceparent: str, digest: str) -> int:
        """Make a job of an entry that names none."""
        keys = entry.keys
        table = KeyTable(keys)
        table.of(entry.stream)
        table.of(keys.job(job_id))
        fields = record_fields(
            flow=entry.flow, tenant=tenant, lane=entry.name.lane, traceparent=traceparent, spec=entry.data,
            digest=digest, from_stage=entry.name.stage,
        )  # fmt: skip
        args = [
            self.consumer, entry.entry_id, entry.delivery, job_id, entry.name.stage, entry.flow, tenant, traceparent,
            entry.data, len(fields) // 2, *fields,
        ]  # fmt: skip
        return int(await self._run("adopt", table, args))

    async def _put_back(self, name: str, keys: PartitionKeys, batch: Sequence[PutBack]) -> list[int]:
        table = KeyTable(keys)
        args: list[Any] = [self.consumer, self._record_ttl_s, len(batch)]
        for p in batch:
            e = p.entry
            args += (
                table.of(e.stream), table.of(keys.job(e.job)), e.entry_id, e.delivery, e.job, e.task, e.name.stage,
                e.attempt, e.started_ms, p.delay_ms, p.reason, int(p.is_held),
            )  # fmt: skip
        return await self._each(name, table, args)

    def _places(self, of: Any, keys: PartitionKeys, e: Delivery) -> tuple[int, int, int, int]:
        """Where a closing entry's successors go: its own stage's parked list and window, compile, notify."""
        stage, flow, lane = e.name.stage, e.flow, e.name.lane
        policy = self._routes.policy
        return (
            of(keys.parked(e.job, stage)), policy(flow, stage).window,
            of(keys.stream("compile", policy(flow, "compile").pool, lane)),
            of(keys.stream("notify", policy(flow, "notify").pool, lane)),
        )  # fmt: skip

    def _emission(
        self, args: list[Any], of: Any, keys: PartitionKeys, job: str, flow: str, lane: Any, out: Emission
    ) -> None:
        policy = self._routes.policy(flow, out.stage)
        args += (
            of(keys.stream(out.stage, policy.pool, lane)), of(keys.parked(job, out.stage)), policy.window, out.stage,
            of(keys.once(job)) if out.once else 0, out.once, out.budget, out.data,
        )  # fmt: skip

    async def _each(self, name: str, table: KeyTable, args: list[Any]) -> list[Any]:
        """A batch: a code or reply an entry."""
        replies: list[Any] = await self._run(name, table, args)
        return replies

    async def _run(self, name: str, table: KeyTable, args: list[Any]) -> Any:
        return await scripts.run(self._client, name, table.keys, args)


def record_fields(**fields: Any) -> list[Any]:
    """The unchanging fields of a job's record as a flat list, those without a value left out."""
    return flatten((name, value) for name, value in fields.items() if value not in (None, "", b""))


def flatten(pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
    """Pairs as one flat list."""
    return [part for pair in pairs for part in pair]
