"""The log as its clients see it: submit a job, look at it, cancel it, put its dead letters back to work."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from schemas.names import LANES, STAGES, JobId, Lane, StageName
from streams import scripts
from streams.connect import is_cluster
from streams.errors import Refused
from streams.keys import Keys, PartitionKeys, StreamName
from streams.moves import KeyTable, record_fields
from streams.policy import Routes
from streams.pressure import backlog_full, most_waiting
from streams.record import JobRecord
from streams.scripts import Code

_DEAD_ID: Final = re.compile(r"([0-9]{1,3})-([0-9]{1,19}-[0-9]{1,19})")
IDEMPOTENCY_WINDOW_S = 86_400
"""How long the same submission is recognised, at least."""

REDRIVEN_TOGETHER = 100
"""Dead letters in one script call: those of a job in one call open one revision."""

MAX_REDRIVES: Final = 5
"""Redrives of one task after which its dead letter is quarantined, unless the settings say otherwise."""

REPLICATED_WITHIN_MS: Final = 1_000
"""How long replicas may take to acknowledge a submission."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to open. Equal `job_id` and equal body: the same submission.

    Attributes:
        data: Payload of its first task, JSON with ``v``.
        spec: What the user asked for, JSON; kept on the record.
        body_digest: Tells two submissions of one identity apart; by default that of flow, spec and stage.
        run_at_ms, expires_at_ms: Milliseconds since the epoch, 0 for none.
        budgets: Budget name -> how many emissions may count against it.
        parent: The job that this one follows or repeats.
        is_owed: Taken in whatever the backlog: it belongs to what was accepted before.
        follow_up: A submission (see `api`) that is made in the move that ends this job well.
        limit_ms: Running time after which the job fails.
    """

    job_id: JobId
    flow: str
    data: bytes
    spec: bytes
    traceparent: str
    stage: StageName = "crawl"
    until_stage: StageName | None = None
    tenant: str = "default"
    lane: Lane = "normal"
    body_digest: str = ""
    run_at_ms: int = 0
    expires_at_ms: int = 0
    result_ttl_s: int | None = None
    notify: bytes = b""
    follow_up: bytes = b""
    budgets: Mapping[str, int] = field(default_factory=dict)
    limit_ms: int | None = None
    parent: str = ""
    is_owed: bool = False

    @property
    def digest(self) -> str:
        """The digest that is kept with the identity."""
        if self.body_digest:
            return self.body_digest
        return digest_of(self.flow, self.spec, self.stage)


def digest_of(*parts: str | bytes) -> str:
    """A short digest of a submission's body."""
    joined = b"\0".join(part if isinstance(part, bytes) else part.encode() for part in parts)
    return hashlib.sha256(joined).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One entry of the dead-letter stream. `dead_id` is its id outside: ``{p}-{entry id}``."""

    dead_id: str
    fields: dict[str, str]

    @property
    def place(self) -> tuple[int, int, int]:
        """Its place among all: milliseconds, sequence, partition."""
        partition, ms, seq = map(int, self.dead_id.split("-"))
        return ms, seq, partition

    @property
    def redriven(self) -> int:
        """How often its task was redriven before."""
        return int(self.fields.get("redriven") or 0)


class Log:
    """A client of the log. One per process is enough; it holds no state but its connection."""

    def __init__(
        self,
        client: Any,
        keys: Keys,
        routes: Routes,
        *,
        record_ttl_s: int,
        wait_replicas: int = 0,
        max_redrives: int = MAX_REDRIVES,
        max_backlog: int = 0,
    ) -> None:
        self.client = client
        self.keys = keys
        self.routes = routes
        self.record_ttl_s = record_ttl_s
        self.max_redrives = max_redrives
        self.max_backlog = max_backlog
        self._wait_replicas = wait_replicas

    async def submit(self, job: NewJob) -> bool:
        """Open a job; False when the same submission was accepted before.

        Raises:
            Refused: ``CONFLICT``: accepted before with another body.
            Overloaded: Too much waits at its first stage.
        """
        (code,) = await self.submit_many([job])
        if code == Code.FULL:
            partition = self.keys.of_job(job.job_id).partition
            raise backlog_full(job.stage, job.lane, partition, most_waiting(self.max_backlog, job.lane))
        if code == Code.CONFLICT:
            msg = f"job {job.job_id} was submitted before with another body; use another key or the same body"
            raise Refused(msg, code=Code.CONFLICT)
        return code == Code.OK

    async def submit_many(self, jobs: Sequence[NewJob]) -> list[Code]:
        """Open jobs, one call a partition; a code per job: ``OK``, ``DUPLICATE``, ``CONFLICT`` or ``FULL``."""
        codes: dict[int, Code] = {}
        by_partition: dict[int, list[int]] = {}
        for at, job in enumerate(jobs):
            by_partition.setdefault(self.keys.of_job(job.job_id).partition, []).append(at)
        for partition, places in by_partition.items():
            keys = self.keys.partition(partition)
            table = KeyTable(keys)
            crowds: dict[tuple[StageName, str], int] = {}
            args: list[Any] = []
            for at in places:
                self._new_job(args, table, keys, jobs[at], crowds)
            head: list[Any] = [IDEMPOTENCY_WINDOW_S, len(crowds)]
            for stage, pool in crowds:
                head += (table.of(keys.stream(stage, pool, lane)) for lane in LANES)
            answer = await scripts.run(self.client, "submit", table.keys, [*head, len(places), *args])
            if self._wait_replicas:
                await self._replicated(keys)
            codes.update(zip(places, map(Code, answer), strict=True))
        return [codes[at] for at in range(len(jobs))]

    async def job(self, job_id: str) -> JobRecord | None:
        """A job's live record; None when there is none (it ended long ago, or never was)."""
        fields = await self.client.hgetall(self.keys.of_job(job_id).job(job_id))
        return JobRecord.of(job_id, fields) if fields else None

    async def tenants_of(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Whose jobs these are; those without a record are left out."""
        asked = [job_id for job_id in dict.fromkeys(job_ids) if job_id]
        pipe = self.client.pipeline(transaction=False)
        for job_id in asked:
            pipe.hget(self.keys.of_job(job_id).job(job_id), "tenant")
        known = await pipe.execute() if asked else []
        return {job_id: tenant.decode() for job_id, tenant in zip(asked, known, strict=True) if tenant is not None}

    async def cancel(
        self, job_id: str, *, reason: str = "cancelled", status: str = "cancelled", kill: bool = False
    ) -> JobRecord:
        """End a job at once. What waits is dropped, what runs is told.

        Raises:
            Refused: ``UNKNOWN_JOB``, or ``CLOSED``: it is over already.
        """
        keys = self.keys.of_job(job_id)
        while True:
            record = await self.job(job_id)
            if record is None:
                raise Refused(f"there is no job {job_id}", code=Code.UNKNOWN_JOB)
            waiting = record.waiting_tasks()[:500]
            table = KeyTable(keys)
            table.of(keys.job(job_id))
            table.of(keys.stream("notify", self.routes.policy(record.flow, "notify").pool, record.lane))
            args: list[Any] = [job_id, status, reason, int(kill), self.record_ttl_s, len(waiting)]
            for task, place in waiting:
                stream = table.of(keys.named(place.stream)) if place.stream else 0
                args += (task, place.stage, stream, place.entry_id)
            parked = [stage for stage in STAGES[:4] if record.open(stage)]
            args.append(len(parked))
            for stage in parked:
                args += (table.of(keys.parked(job_id, stage)), stage)
            code = Code(await scripts.run(self.client, "cancel", table.keys, args))
            if code != Code.OK:
                text = "there is no such job" if code == Code.UNKNOWN_JOB else f"it is over already ({record.status})"
                raise Refused(f"job {job_id} cannot be cancelled: {text}", code=code)
            after = await self.job(job_id)
            if after is None or not after.waiting_tasks() or after.waiting_tasks()[:500] == waiting:
                if kill:
                    await self.client.incr(self.keys.control)  # workers look at once
                return after or record

    async def redrive(
        self,
        dead_ids: Sequence[str],
        *,
        overlay: Mapping[str, bytes] | None = None,
        is_forced: bool = False,
    ) -> list[Code]:
        """Put dead letters back to work, up to `REDRIVEN_TOGETHER` of a partition in one call; a code per id.

        Args:
            overlay: Dead id -> the payload to run with instead, JSON.
            is_forced: Also what is in quarantine.
        """
        letters = {dead_id: await self.dead_letter(dead_id) for dead_id in dead_ids}
        there = [letter for letter in letters.values() if letter is not None]
        codes = dict(
            zip(
                (letter.dead_id for letter in there),
                await self.redrive_letters(there, overlay=overlay, is_forced=is_forced),
                strict=True,
            )
        )
        return [codes.get(dead_id, Code.NOT_FOUND) for dead_id in dead_ids]

    async def redrive_letters(
        self,
        letters: Sequence[DeadLetter],
        *,
        overlay: Mapping[str, bytes] | None = None,
        is_forced: bool = False,
        delays_ms: Mapping[str, int] | None = None,
    ) -> list[Code]:
        """As `redrive`, of letters that were read before.

        Args:
            delays_ms: Dead id -> how long it waits in the timers before it runs.
        """
        codes: dict[str, Code] = {}
        by_partition: dict[int, list[DeadLetter]] = {}
        for letter in letters:
            if letter.fields["job"]:
                by_partition.setdefault(letter.place[2], []).append(letter)
            else:
                codes[letter.dead_id] = Code.UNKNOWN_JOB  # from outside: it never became a job's
        most = 0 if is_forced else self.max_redrives
        for partition, mine in by_partition.items():
            for start in range(0, len(mine), REDRIVEN_TOGETHER):
                batch = mine[start : start + REDRIVEN_TOGETHER]
                keys = self.keys.partition(partition)
                answers = await self._redrive(keys, batch, overlay or {}, delays_ms or {}, most)
                codes.update(zip((letter.dead_id for letter in batch), answers, strict=True))
        return [codes[letter.dead_id] for letter in letters]

    async def _redrive(
        self,
        keys: PartitionKeys,
        letters: Sequence[DeadLetter],
        overlay: Mapping[str, bytes],
        delays_ms: Mapping[str, int],
        most: int,
    ) -> list[Code]:
        table = KeyTable(keys)
        args: list[Any] = [most, len(letters)]
        for letter in letters:
            row, name = letter.fields, StreamName.parse(letter.fields["stream"])
            pool = self.routes.policy(row["flow"], name.stage).pool
            args += (
                letter.dead_id.partition("-")[2], table.of(keys.stream(name.stage, pool, name.lane)),
                table.of(keys.job(row["job"])), row["job"], row["task"], name.stage, overlay.get(letter.dead_id, b""),
                delays_ms.get(letter.dead_id, 0),
            )  # fmt: skip
        return [Code(code) for code in await scripts.run(self.client, "redrive", table.keys, args)]

    async def retry(self, job_id: str) -> int:
        """Redrive all dead letters of a job as its next revision; answers how many.

        Raises:
            Refused: ``UNKNOWN_JOB``; ``NOT_FOUND``: it has no dead letters; ``CLOSED``: cancelled or expired;
                ``QUARANTINED``: those it has were redriven too often.
        """
        record = await self.job(job_id)
        if record is None:
            raise Refused(f"there is no job {job_id}", code=Code.UNKNOWN_JOB)
        partition = self.keys.of_job(job_id).partition
        dead = [f"{partition}-{place.entry_id}" for _, place in sorted(record.tasks.items()) if place.kind == "dead"]
        if not dead:
            raise Refused(f"job {job_id} has no dead letters to retry (it is {record.status})", code=Code.NOT_FOUND)
        codes = await self.redrive(dead)
        if all(code == Code.CLOSED for code in codes):
            raise Refused(f"job {job_id} is {record.status}; submit it again instead", code=Code.CLOSED)
        if all(code in {Code.CLOSED, Code.QUARANTINED} for code in codes):
            text = (
                f"the dead letters of job {job_id} were redriven {self.max_redrives} times and are in quarantine: look "
                f"at the cause (`./millrace dlq show {dead[0]}`), then `./millrace dlq retry {dead[0]} --force`"
            )
            raise Refused(text, code=Code.QUARANTINED)
        return sum(code == Code.OK for code in codes)

    async def dead_letter(self, dead_id: str) -> DeadLetter | None:
        """One dead letter by its id outside."""
        match = _DEAD_ID.fullmatch(dead_id)
        if match is None:
            return None
        partition, entry_id = match.groups()
        rows = await self.client.xrange(self.keys.partition(int(partition)).dlq, entry_id, entry_id)
        return DeadLetter(dead_id, _texts(rows[0][1])) if rows else None

    async def dead_letters(
        self, *, limit: int = 100, partition: int | None = None, before: str = "+", since: str = "-"
    ) -> list[DeadLetter]:
        """The newest dead letters first, of these entry ids."""
        found: list[DeadLetter] = []
        for keys in self.keys.all_partitions if partition is None else (self.keys.partition(partition),):
            rows = await self.client.xrevrange(keys.dlq, before, since, count=limit)
            found += [_letter(keys, entry_id, raw) for entry_id, raw in rows]
        found.sort(key=lambda letter: letter.place, reverse=True)
        return found[:limit]

    async def oldest_letters(self, partition: int, low: str, high: str, *, limit: int) -> list[DeadLetter]:
        """A partition's dead letters of these entry ids, the oldest first."""
        keys = self.keys.partition(partition)
        return [_letter(keys, entry_id, raw) for entry_id, raw in await self.client.xrange(keys.dlq, low, high, limit)]

    async def lifecycle(
        self, job_id: str, *, after: str = "-", limit: int = 100_000
    ) -> list[tuple[str, dict[str, str]]]:
        """What happened to a job, oldest first, as far as Redis keeps it: (entry id, fields)."""
        keys = self.keys.of_job(job_id)
        record = await self.job(job_id)
        at = after if after != "-" else str(record.created_ms) if record else "-"
        mine: list[tuple[str, dict[str, str]]] = []
        wanted = job_id.encode()
        while limit > 0:
            rows = await self.client.xrange(keys.lifecycle, at, "+", count=1_000)
            mine += [(entry_id.decode(), _texts(raw)) for entry_id, raw in rows if raw.get(b"job") == wanted]
            limit -= len(rows)
            if len(rows) < 1_000:  # noqa: PLR2004 - the page size above
                break
            at = "(" + rows[-1][0].decode()
        return mine

    def _new_job(
        self,
        args: list[Any],
        table: KeyTable,
        keys: PartitionKeys,
        job: NewJob,
        crowds: dict[tuple[StageName, str], int],
    ) -> None:
        policy = self.routes.policy(job.flow, job.stage)
        options = [name for name, value in (("until_stage", job.until_stage), ("limit_ms", job.limit_ms)) if value]
        budgets = {f"budget.{name}": amount for name, amount in job.budgets.items()}
        fields = record_fields(
            flow=job.flow, tenant=job.tenant, lane=job.lane, traceparent=job.traceparent, spec=job.spec,
            digest=job.digest, from_stage=job.stage if job.stage != "crawl" else None, until_stage=job.until_stage,
            notify=job.notify, then=job.follow_up, parent=job.parent,
            run_at=job.run_at_ms or None, expires_at=job.expires_at_ms or None, result_ttl_s=job.result_ttl_s,
            limit_ms=job.limit_ms, options=",".join(options), **budgets,
        )  # fmt: skip
        args += (
            table.of(keys.job(job.job_id)), table.of(keys.idempotency(job.job_id)),
            table.of(keys.stream(job.stage, policy.pool, job.lane)),
            crowds.setdefault((job.stage, policy.pool), len(crowds) + 1),
            0 if job.is_owed else most_waiting(self.max_backlog, job.lane), job.job_id, job.digest, job.stage, job.flow,
            job.tenant, job.traceparent, job.data, job.run_at_ms, job.expires_at_ms, len(fields) // 2, *fields,
        )  # fmt: skip

    async def _replicated(self, keys: PartitionKeys) -> None:
        # WAIT counts for what its own connection wrote: a mark, which every replica has after the submission.
        node = {"target_nodes": self.client.get_node_from_key(keys.mark)} if is_cluster(self.client) else {}
        pipe = self.client.pipeline(transaction=False)
        pipe.set(keys.mark, "", px=REPLICATED_WITHIN_MS)
        pipe.execute_command("WAIT", self._wait_replicas, REPLICATED_WITHIN_MS, **node)
        marked, waited = await pipe.execute(raise_on_error=False)
        acknowledged = waited if marked is True and isinstance(waited, int) else 0
        if acknowledged < self._wait_replicas:
            msg = (
                f"{acknowledged} of {self._wait_replicas} replicas have the submission (MILLRACE_WAIT_REPLICAS); "
                "it is in the log and may be sent again"
            )
            raise Refused(msg, code=Code.NOT_PENDING)


def _letter(keys: PartitionKeys, entry_id: bytes, raw: Mapping[bytes, bytes]) -> DeadLetter:
    return DeadLetter(f"{keys.partition}-{entry_id.decode()}", _texts(raw))


def _texts(raw: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode("utf-8", "replace") for name, value in raw.items()}


def json_bytes(value: Any) -> bytes:
    """JSON as it goes on the wire."""
    return orjson.dumps(value)
