"""The scripts and the reference model in step: every action is made on both, then everything is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from schemas.names import STAGES, JobId, StageName
from streams import scripts
from streams.codec import Delivery, deliver
from streams.errors import Refused
from streams.keys import Keys
from streams.log import Log, NewJob
from streams.moves import RELEASED, Beat, Completion, Death, Emission, Held, KeyTable, Moves, PutBack
from streams.replay import OldTask, ReplayedJob, _call
from streams.scripts import Code
from streams.states import JobStatus, TaskState
from tests.integration.model.entities import Job, Letter
from tests.integration.model.observed import History, Observed, check_structure
from tests.integration.model.partition import Claim
from tests.integration.model.reference import Reference
from tests.integration.model.routes import SmallWindows
from tests.integration.model.server import Server, drive

GROUP = "millrace"
Answer = TypeVar("Answer")
WORKERS = ("w1", "w2")
TTL_S = 3_600


@dataclass(slots=True)
class Follower:
    """A required group of the lifecycle."""

    read_to: str = "0-0"
    pending: list[str] = field(default_factory=list)


class World:
    """One partition, two workers. Actions raise AssertionError when the scripts and the model disagree."""

    def __init__(self, server: Server, namespace: str) -> None:
        self.server = server
        self.routes = SmallWindows()
        self.keys = Keys(namespace).partition(0)
        self.model = Reference(self.routes)
        self.log = Log(server, Keys(namespace), self.routes, record_ttl_s=TTL_S)
        self.moves = {worker: Moves(server, worker, self.routes, TTL_S) for worker in WORKERS}
        self.history = History()
        self.groups: set[str] = set()
        self.followers: dict[str, Follower] = {}
        self.lifecycle: list[str] = []
        self.lifecycle_at = "0-0"
        self.chunks: dict[str, list[bytes]] = {}
        self.advance(0)

    # -- time and reading ---------------------------------------------------------------------------------------

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.model.now += ms
        self.server.redis.set(f"{self.keys.prefix}clock", self.model.now)

    def read(self, worker: str, count: int = 10, streams: Sequence[str] | None = None) -> list[Delivery]:
        """Read new entries; creates the groups that are missing."""
        names = list(self.model.streams) if streams is None else list(streams)
        for name in set(names) - self.groups:
            self.server.redis.xgroup_create(self.keys.named(name), GROUP, id="0", mkstream=True)
            self.groups.add(name)
        if not names:
            return []
        wanted: Any = {self.keys.named(name): ">" for name in names}
        rows = dict(self.server.redis.xreadgroup(GROUP, worker, wanted, count=count))
        expected = self.model.read(names, worker, count)
        got = [
            deliver(self.keys, self.keys.named(name), entry_id, fields, 1)
            for name in names
            for entry_id, fields in rows.get(self.keys.named(name).encode(), ())
        ]
        assert [(str(e.name), e.entry_id) for e in got] == [(e.stream, e.entry_id) for e in expected]
        self.check()
        return got

    # -- moves --------------------------------------------------------------------------------------------------

    def bound_backlog(self, most: int) -> None:
        """From now on jobs are refused when so much waits; 0: never."""
        self.log.max_backlog = self.model.max_backlog = most

    def submit(self, *jobs: NewJob) -> list[Code]:
        """Submit a batch."""
        return self._agree(drive(self.log.submit_many(jobs)), self.model.submit(jobs))

    def replay(self, job: ReplayedJob, *, calls: slice = slice(None), width: int = 2) -> list[Code]:
        """Open a job with tasks of another, by some of the calls of `width` tasks that it takes; each one's answer."""
        codes = []
        for before, tasks, once, is_last in list(job.calls(width, 2))[calls]:
            code = drive(_call(self.log, job, before, tasks, once, is_last=is_last))
            codes.append(self._agree(code, self.model.replay(job, before, tasks, once, is_last=is_last)))
        return codes

    def adopt(self, worker: str, entry: Delivery, job_id: str, digest: str = "d") -> Code:
        """Adopt a foreign entry."""
        options = {"tenant": "default", "traceparent": entry.traceparent or "00-a", "digest": digest}
        code = drive(self.moves[worker].adopt(entry, job_id, **options))
        return self._agree(Code(code), self.model.adopt(entry, worker, job_id, **options))

    def start(self, worker: str, *entries: Delivery, at_once: bool = False) -> list[list[Any]]:
        """Start a batch."""
        rows = drive(self.moves[worker].start(self.keys, entries, at_once=at_once))
        expected = self.model.start(entries, worker, at_once=at_once)
        seen = [[str(part.decode() if isinstance(part, bytes) else part) for part in row] for row in rows]
        self._agree(seen, [[str(part) for part in row] for row in expected])
        for entry, row in zip(entries, expected, strict=True):
            if row[0] == Code.OK:
                entry.started_ms, entry.crashes, entry.checkpoint = self.model.now, row[3], row[4].encode()
        return expected

    def complete(self, worker: str, *batch: Completion) -> None:
        """Complete a batch."""
        wide = set(self.moves[worker]._wide)
        replies = drive(self.moves[worker].complete(self.keys, batch))
        expected = self.model.complete(batch, worker, wide)
        self.check()
        self._agree(
            [reply.decode() if isinstance(reply, bytes) else reply for reply in replies],
            [" ".join(e.entry_id for e in known) if isinstance(known, list) else known for known in expected],
        )

    def emit(self, worker: str, entry: Delivery, sequence: int, *emissions: Emission) -> Code:
        """Emit from a running handler."""
        code = drive(self.moves[worker].emit(self.keys, entry, sequence, emissions, "00-e"))
        return self._agree(Code(code), self.model.emit(entry, worker, sequence, emissions, "00-e"))

    def put_back(self, worker: str, move: str, *batch: PutBack) -> list[Code]:
        """Retry or snooze a batch."""
        send = self.moves[worker].retry if move == "retry" else self.moves[worker].snooze
        codes = drive(send(self.keys, batch))
        return self._agree(codes, self.model.put_back(move, batch, worker))

    def dead_letter(self, worker: str, *batch: Death) -> list[Code | Letter]:
        """Bury a batch."""
        replies = drive(self.moves[worker].dead_letter(self.keys, batch))
        expected = self.model.dead_letter(batch, worker)
        self.check()
        self._agree(
            [reply.decode() if isinstance(reply, bytes) else reply for reply in replies],
            [known.entry_id if isinstance(known, Letter) else known for known in expected],
        )
        return expected

    def heartbeat(self, worker: str, *batch: Beat) -> list[Code]:
        """Renew a batch."""
        codes = drive(self.moves[worker].heartbeat(self.keys, batch))
        return self._agree(codes, self.model.heartbeat(batch, worker))

    def release(self, worker: str, *entries: Delivery) -> list[Code]:
        """Give a batch back."""
        codes = drive(self.moves[worker].release(self.keys, entries))
        return self._agree(codes, self.model.release(entries, worker))

    def reclaim(self, worker: str, *batch: Held, to: str | None = None, is_idle: bool = True) -> list[Delivery]:
        """Take entries over as they were seen; answers those that `worker` holds now."""
        whole = [self._whole(held) for held in batch]
        least = 0 if is_idle else 10**9
        replies = drive(self.moves[worker].reclaim(self.keys, whole, to=to, least_idle_ms=least))
        self._agree(replies, self.model.reclaim(batch, to or worker, is_idle=is_idle))
        if to == RELEASED:
            return []
        taken: list[Delivery] = []
        for held, count in zip(whole, replies, strict=True):
            if count > 0:
                ((entry_id, fields),) = self.server.redis.xrange(held.stream, held.entry_id, held.entry_id)
                taken.append(deliver(self.keys, held.stream, entry_id, fields, count))
        return taken

    def redrive(self, *letters: tuple[str, str], most: int = 0, delay_ms: int = 0) -> list[Code]:
        """Put dead letters (entry id, overlay) back to work, as a batch."""
        table, args = KeyTable(self.keys), []
        for entry_id, overlay in letters:
            rows = [known.fields for known in self.model.dlq if known.entry_id == entry_id]
            row = rows[0] if rows else {"job": "0-nobody", "task": "1", "stage": "crawl", "flow": "f"}
            job = self.model.jobs.get(row["job"])
            lane: Any = job.fixed["lane"] if job else "normal"
            stage: Any = row["stage"] or "crawl"
            stream = self.keys.stream(stage, self.routes.policy(row["flow"], stage).pool, lane)
            args += [
                entry_id, table.of(stream), table.of(self.keys.job(row["job"])), row["job"], row["task"], stage,
                overlay, delay_ms,
            ]  # fmt: skip
        codes = self._run("redrive", table, [most, len(letters), *args])
        return self._agree(codes, self.model.redrive(letters, most, delay_ms))

    def drop(self, *entry_ids: str) -> list[Code]:
        """Give dead letters up, as a batch."""
        table, args = KeyTable(self.keys), []
        for entry_id in entry_ids:
            rows = [known.fields for known in self.model.dlq if known.entry_id == entry_id]
            row = rows[0] if rows else {"job": "", "task": "", "stage": ""}
            key = table.of(self.keys.job(row["job"])) if row["job"] else 0
            args += [entry_id, key, row["job"], row["task"], row["stage"]]
        codes = self._run("drop", table, [TTL_S, "enough", len(entry_ids), *args])
        return self._agree(codes, self.model.drop(entry_ids, "enough"))

    def retry_job(self, job: Job) -> None:
        """All dead letters of a job, as `Log.retry` sends them."""
        dead = [t for t in sorted(job.tasks.values(), key=lambda t: t.number) if t.state is TaskState.DEAD]
        assert dead
        letters = [(task.letter.entry_id, "") for task in dead if task.letter]
        try:
            why, count = Code.OK, drive(self.log.retry(job.job_id))
        except Refused as refused:
            count = 0
            why = Code(refused.code)
        most = self.log.max_redrives
        codes = [self.model.redrive([letter], most)[0] for letter in letters]
        assert count == codes.count(Code.OK)
        if not count and set(codes) <= {Code.CLOSED, Code.QUARANTINED}:
            _same("why nothing is retried", why, Code.CLOSED if set(codes) == {Code.CLOSED} else Code.QUARANTINED)
        self.check()

    def cancel(self, job: Job, status: JobStatus = JobStatus.CANCELLED, *, kill: bool = False) -> Code:
        """Cancel as the log does it."""
        claims = self._claims(job)
        parked = [stage for stage in STAGES if job.parked[stage]]
        try:
            drive(self.log.cancel(job.job_id, reason="enough", status=status, kill=kill))
            code = Code.OK
        except Refused as refused:
            code = Code(refused.code)
        return self._agree(
            code, self.model.cancel(job.job_id, status, "enough", kill=kill, claims=claims, parked=parked)
        )

    def cancel_as_told(self, job_id: str, claims: Sequence[Claim], parked: Sequence[StageName] = ()) -> Code:
        """Cancel with claims of the caller's that may be wrong."""
        table = KeyTable(self.keys)
        job = self.model.jobs.get(job_id)
        table.of(self.keys.job(job_id))
        table.of(self.keys.stream("notify", "default", self._lane(job)))
        args: list[Any] = [job_id, "cancelled", "enough", 0, TTL_S, len(claims)]
        for claim in claims:
            place = table.of(self.keys.named(claim.stream)) if claim.stream else 0
            args += (claim.task, claim.stage, place, claim.entry_id)
        args.append(len(parked))
        for stage in parked:
            args += (table.of(self.keys.parked(job_id, stage)), stage)
        code = self._run("cancel", table, args)
        model = self.model.cancel(job_id, JobStatus.CANCELLED, "enough", kill=False, claims=claims, parked=parked)
        return self._agree(code, model)

    def spill(self, job_id: str, stage: StageName, at: int, count: int, chunk: str = "") -> tuple[str, Code]:
        """Put parked tasks of a list, `count` from its element `at` on, into a chunk; its name, and the answer.

        With the name of a chunk there is, its tasks are sent again.
        """
        parked, chunk = self.keys.parked(job_id, stage), chunk or f"spill/{len(self.chunks)}"
        rows = self.chunks.get(chunk) or self.server.redis.lrange(parked, at, at + count - 1)
        self.chunks[chunk] = rows
        table = KeyTable(self.keys)
        table.of(self.keys.job(job_id))
        table.of(parked)
        code = self._run("spill", table, [job_id, stage, chunk, len(rows), rows[0], rows[-1]])
        numbers = [orjson.loads(row)[0] for row in rows]
        return chunk, self._agree(code, self.model.spill(job_id, stage, chunk, numbers))

    def unspill(self, job_id: str, stage: StageName, chunk: str) -> Code:
        """Read a chunk back; an empty name only looks whether one is near."""
        job, rows = self.model.jobs.get(job_id), self.chunks.get(chunk, [])
        table = KeyTable(self.keys)
        table.of(self.keys.job(job_id))
        table.of(self.keys.parked(job_id, stage))
        policy = self.routes.policy("f", stage)
        table.of(self.keys.stream(stage, policy.pool, self._lane(job)))
        code = self._run("unspill", table, [job_id, stage, policy.window, chunk, len(rows), *rows])
        return self._agree(code, self.model.unspill(job_id, stage, chunk))

    def expire(self, job_id: str, claim: Claim) -> Code:
        """Expire a job whose first task is said to wait there."""
        table = KeyTable(self.keys)
        table.of(self.keys.job(job_id))
        table.of(self.keys.stream("notify", "default", self._lane(self.model.jobs.get(job_id))))
        place = table.of(self.keys.named(claim.stream)) if claim.stream else 0
        code = self._run("expire", table, [job_id, claim.stage, place, claim.entry_id, TTL_S])
        return self._agree(code, self.model.expire(job_id, claim))

    def promote(self, *members: str) -> list[Code]:
        """Promote members, due or not."""
        table, args = KeyTable(self.keys), []
        for member in members:
            _, job_id, task = member.split("/")
            body = self.model.waiting.get(member, {"stream": "crawl"})
            stream = table.of(self.keys.named(body["stream"]))
            args += [member, stream, table.of(self.keys.job(job_id)), job_id, task]
        codes = self._run("promote", table, [TTL_S, len(members), *args])
        return self._agree(codes, self.model.promote(members))

    def reject(self, entry_id: str, reason: str = "bad_json") -> None:
        """Something came in that cannot be acted on."""
        keys = [*self.keys.fixed, self.keys.rejected(entry_id)]
        reply = drive(scripts.run(self.server, "reject", keys, ["events", entry_id, reason, "e", '{"x":"1"}', TTL_S]))
        known = self.model.reject("events", entry_id, reason, "e", '{"x":"1"}')
        self.check()
        seen = reply.decode() if isinstance(reply, bytes) else reply
        _same("the answer", seen, known.entry_id if isinstance(known, Letter) else known)

    def put(self, stream: str, fields: dict[str, str]) -> None:
        """Someone else's XADD."""
        self.server.redis.xadd(self.keys.named(stream), fields)
        self.model.put(stream, fields)
        self.check()

    def follow(self, group: str, count: int, *, acked: bool) -> None:
        """A follower of the lifecycle reads on, and acknowledges what it holds or leaves it pending."""
        if group not in self.followers:
            self.server.redis.xgroup_create(self.keys.lifecycle, group, id="0", mkstream=True)
            self.followers[group] = Follower()
        follower = self.followers[group]
        if count:
            rows: Any = self.server.redis.xreadgroup(group, "one", {self.keys.lifecycle: ">"}, count=count)
            ids = [entry_id.decode() for _, entries in rows for entry_id, _ in entries]
            expected = [entry_id for entry_id in self.lifecycle if _place(entry_id) > _place(follower.read_to)][:count]
            _same("what a follower reads", ids, expected)
            follower.read_to = ids[-1] if ids else follower.read_to
            follower.pending += ids
        if acked and follower.pending:
            self.server.redis.xack(self.keys.lifecycle, group, *follower.pending)
            follower.pending.clear()

    def trim(self, share: float, limit: int, groups: Sequence[str]) -> None:
        """Trim the older part of the lifecycle; nothing may go that one of the groups still needs."""
        at = min(int(len(self.lifecycle) * share), len(self.lifecycle) - 1)
        cutoff = self.lifecycle[at] if self.lifecycle else "5-0"
        args = [cutoff, limit, len(groups), *groups]
        removed, low_water = drive(scripts.run(self.server, "trim", [self.keys.lifecycle], args))
        if not self.lifecycle or any(group not in self.followers for group in groups):
            _same("trimmed", (removed, low_water), (0, b"0-0"))
            return
        needs = [
            min(f.pending, key=_place) if f.pending else f.read_to for f in map(self.followers.__getitem__, groups)
        ]
        low = min((cutoff, *needs), key=_place)
        gone = [entry_id for entry_id in self.lifecycle if _place(entry_id) < _place(low)][:limit]
        _same("trimmed", (removed, low_water.decode()), (len(gone), low))
        del self.lifecycle[: len(gone)]
        kept: Any = self.server.redis.xrange(self.keys.lifecycle)
        _same("lifecycle kept", [entry_id.decode() for entry_id, _ in kept], self.lifecycle)

    def lose_identity(self, job_id: str) -> None:
        """The window in which the same submission is recognised passes."""
        self.server.redis.delete(self.keys.idempotency(job_id))
        del self.model.accepted[job_id]

    def age(self, entry: Delivery, worker: str) -> None:
        """An entry's lease was last renewed a minute ago."""
        self.server.redis.xclaim(entry.stream, GROUP, worker, 0, [entry.entry_id], idle=60_000, justid=True)

    def idle_ms(self, entry: Delivery) -> int:
        """How long ago an entry's lease was renewed."""
        rows: Any = self.server.redis.xpending_range(entry.stream, GROUP, entry.entry_id, entry.entry_id, 1)
        idle: int = rows[0]["time_since_delivered"]
        return idle

    def lose_record(self, job_id: str) -> None:
        """A record goes, as by its time to live or an operator's hand; its tasks become unknown."""
        self.server.redis.delete(self.keys.job(job_id), self.keys.once(job_id))
        for stage in STAGES:
            self.server.redis.delete(self.keys.parked(job_id, stage))
        del self.model.jobs[job_id]
        self.check()

    # -- comparing ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Compare all that the server holds with all that the model holds."""
        seen = Observed.of(self.server.dump(self.keys.prefix, self.lifecycle_at))
        self._learn(seen)
        check_structure(seen)
        self.history.take(seen.lifecycle)
        self.lifecycle += [entry_id for entry_id, _ in seen.lifecycle]
        if seen.lifecycle:
            self.lifecycle_at = seen.lifecycle[-1][0]
        model = self.model
        _same("lifecycle", [_event(fields) for _, fields in seen.lifecycle], [_expected(e) for e in model.events])
        model.events.clear()
        _same(
            "pending", seen.pending,
            _filled({
                name: {e.entry_id: (e.owner, e.delivery) for e in entries if e.owner is not None}
                for name, entries in model.streams.items()
            }),
        )  # fmt: skip
        _same("timers", seen.timers, model.timers)
        _same("waiting", seen.waiting, model.waiting)
        _same("rejected", seen.rejected, model.rejected)
        _same("accepted", seen.accepted, model.accepted)
        _same("records", seen.records, {job_id: job.record() for job_id, job in model.jobs.items()})
        _same("once", seen.once, _filled({job_id: job.once for job_id, job in model.jobs.items()}))
        _same(
            "parked", seen.parked,
            _filled({
                f"{job_id}:parked:{stage}": job.parked_list(stage)
                for job_id, job in model.jobs.items()
                for stage in STAGES
            }),
        )  # fmt: skip
        _same("records that may go", seen.expiring, {job_id for job_id, job in model.jobs.items() if _may_go(job)})

    def _learn(self, seen: Observed) -> None:
        """Streams and dead letters agree in order and content; the ids of new ones are the server's to give."""
        model = {name: [e.fields for e in entries] for name, entries in self.model.streams.items()}
        _same("streams", {name: [fields for _, fields in rows] for name, rows in seen.streams.items()}, _filled(model))
        for name, rows in seen.streams.items():
            for (entry_id, _), entry in zip(rows, self.model.streams[name], strict=True):
                assert entry.entry_id in {"", entry_id}, f"{name}: {entry.entry_id} became {entry_id}"
                entry.entry_id = entry_id
        _same("dlq", [_letter(fields) for _, fields in seen.dlq], [_letter(known.fields) for known in self.model.dlq])
        for (entry_id, _), letter in zip(seen.dlq, self.model.dlq, strict=True):
            assert letter.entry_id in {"", entry_id}
            letter.entry_id = entry_id

    def _agree(self, server: Any, model: Answer) -> Answer:
        self.check()
        _same("the answer", server, model)
        return model

    def _run(self, name: str, table: KeyTable, args: list[Any]) -> Any:
        return drive(scripts.run(self.server, name, table.keys, args))

    def _claims(self, job: Job) -> list[Claim]:
        return [claim for task in job.tasks.values() if (claim := claim_of(job, task.number)) is not None]

    def _whole(self, held: Held) -> Held:
        return Held(
            self.keys.named(held.stream), held.entry_id, held.consumer, held.delivery, held.idle_ms, held.job,
            held.task, held.stage,
        )  # fmt: skip

    @staticmethod
    def _lane(job: Job | None) -> Any:
        return job.fixed["lane"] if job else "normal"


def claim_of(job: Job, number: int) -> Claim | None:
    """Where a task waits; None when it does not."""
    task = job.tasks[number]
    if task.state is TaskState.DELAYED:
        return Claim(number, task.stage)
    if task.entry is not None and task.run is None:
        return Claim(number, task.stage, task.entry.stream, task.entry.entry_id)
    return None


def new_job(name: str, **options: Any) -> NewJob:
    """A job of the partition."""
    given = {"flow": "f", "data": b'{"v":1}', "spec": b'{"url":"x"}', "traceparent": "00-t"}
    return NewJob(job_id=JobId(f"0-{name}"), **{**given, **options})


def replayed(name: str, *tasks: tuple[int, StageName], **options: Any) -> ReplayedJob:
    """A job of the partition with tasks that another had."""
    old = tuple(OldTask(number, stage, f'{{"v":1,"n":{number}}}'.encode()) for number, stage in tasks)
    given = {"flow": "f", "spec": b'{"url":"x"}', "traceparent": "00-r", "origin": "0-before", "replay": "r1"}
    return ReplayedJob(job_id=JobId(f"0-{name}"), tasks=old, next_task=max(tasks)[0] + 1, **{**given, **options})


def _place(entry_id: str) -> tuple[int, int]:
    ms, _, sequence = entry_id.partition("-")
    return int(ms), int(sequence)


def _may_go(job: Job) -> bool:
    return job.is_ended and not (job.work or job.tail or job.count(None, TaskState.DEAD))


def _filled(rows: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in rows.items() if value}


def _event(fields: dict[str, str]) -> dict[str, Any]:
    return {name: orjson.loads(v) if name == "emitted" else v for name, v in fields.items()}


def _expected(event: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        return value.entry_id if isinstance(value, Letter) else value if isinstance(value, list) else str(value)

    emitted = [{**row, "data": orjson.loads(row["data"])} for row in event.get("emitted", ())]
    return {name: plain(value) for name, value in event.items()} | ({"emitted": emitted} if emitted else {})


def _letter(fields: dict[str, str]) -> dict[str, Any]:
    return {name: orjson.loads(v) if name == "fields" else v for name, v in fields.items()}


def _same(what: str, server: Any, model: Any) -> None:
    if server == model:
        return
    if isinstance(server, dict) and isinstance(model, dict):
        names = sorted(name for name in {*server, *model} if server.get(name) != model.get(name))
        for name in names:
            _same(f"{what}/{name}", server.get(name), model.get(name))
    raise AssertionError(f"{what}: the server has {server!r}, the model {model!r}")
