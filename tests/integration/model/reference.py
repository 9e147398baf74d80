"""The reference model: every move in plain Python, on top of the transition table. No Redis, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import orjson

from schemas.names import LANES, WORK_STAGES, StageName
from streams.codec import Delivery
from streams.log import NewJob
from streams.moves import RELEASED, Beat, Completion, Death, Emission, Held, PutBack
from streams.pressure import most_waiting
from streams.replay import OldTask, ReplayedJob
from streams.scripts import Code
from streams.states import JobStatus, TaskState
from tests.integration.model.entities import Entry, Job, Letter, Task
from tests.integration.model.partition import Claim, Fields, Partition, outcome_of, told

T = TaskState


class Reference(Partition):
    """Methods are moves: they answer what the scripts should answer, and change what a partition holds."""

    # -- opening ------------------------------------------------------------------------------------------------

    def submit(self, jobs: Sequence[NewJob]) -> list[Code]:
        """Open jobs, each once."""
        return [self._submit(new) for new in jobs]

    def _submit(self, new: NewJob) -> Code:
        known = self.accepted.get(new.job_id)
        if known is None and new.job_id in self.jobs:
            known = self.jobs[new.job_id].fixed["digest"]
        if known is not None:
            return Code.DUPLICATE if known == new.digest else Code.CONFLICT
        most = 0 if new.is_owed else most_waiting(self.max_backlog, new.lane)
        if most and self._waiting_where(new) >= most:
            return Code.FULL
        self.accepted[new.job_id] = new.digest
        fixed: dict[str, object] = {
            "flow": new.flow, "tenant": new.tenant, "lane": new.lane, "traceparent": new.traceparent,
            "spec": new.spec.decode(), "digest": new.digest, "from_stage": new.stage if new.stage != "crawl" else "",
            "until_stage": new.until_stage, "notify": new.notify.decode(), "run_at": new.run_at_ms or "",
            "expires_at": new.expires_at_ms or "", "result_ttl_s": new.result_ttl_s, "limit_ms": new.limit_ms,
            "parent": new.parent,
            "options": ",".join(name for name in ("until_stage", "limit_ms") if getattr(new, name)),
        }  # fmt: skip
        job = Job(new.job_id, {name: str(value) for name, value in fixed.items() if value not in (None, "")}, self.now)
        job.budgets = dict(new.budgets)
        job.limit_ms = new.limit_ms
        job.follow_up = new.follow_up.decode() or None
        task = self._first_task(job, "submit", new.stage, new.traceparent, new.data.decode())
        if new.run_at_ms > self.now:
            task.move("submit", T.DELAYED)
            self._wait(job, task, self._stream(job.flow, new.stage, new.lane), new.run_at_ms, 1, first=1)
        else:
            task.move("submit", T.QUEUED)
            self._add(job, task, self._stream(job.flow, new.stage, new.lane))
        if new.expires_at_ms:
            self.timers[f"expire/{new.job_id}"] = new.expires_at_ms
        self._moved_to = JobStatus.QUEUED
        self._happened(
            "submitted", job, task=1, stage=new.stage, traceparent=new.traceparent, data=new.data.decode(),
            **told(job),
        )  # fmt: skip
        return Code.OK

    def _waiting_where(self, new: NewJob) -> int:
        if new.run_at_ms > self.now:
            return len(self.timers)
        return sum(len(self.streams.get(self._stream(new.flow, new.stage, lane), ())) for lane in LANES)

    def replay(
        self, new: ReplayedJob, before: int, tasks: Sequence[OldTask], once: Collection[str], *, is_last: bool
    ) -> Code:
        """One call of those that open a job with tasks of another."""
        known = self.accepted.get(new.job_id)
        if known is None and new.job_id in self.jobs:
            known = self.jobs[new.job_id].fixed["digest"]
        if known is not None and known != new.digest:
            return Code.CONFLICT
        is_new = known is None and not before
        if is_new:
            self.accepted[new.job_id] = new.digest
            fixed: dict[str, object] = {
                "flow": new.flow, "tenant": new.tenant, "lane": new.lane, "traceparent": new.traceparent,
                "spec": new.spec.decode(), "digest": new.digest, "until_stage": new.until_stage,
                "limit_ms": new.limit_ms, "origin": new.origin, "replay": new.replay,
                "options": ",".join(name for name in ("until_stage", "limit_ms") if getattr(new, name)),
            }  # fmt: skip
            kept = {name: str(value) for name, value in fixed.items() if value not in (None, "")}
            self.jobs[new.job_id] = Job(
                new.job_id, kept, self.now, budgets=dict(new.budgets), limit_ms=new.limit_ms, missing=new.missing,
                reused=new.reused, opening=0, next_task=new.next_task,
            )  # fmt: skip
        job = self.jobs.get(new.job_id)
        if job is None:
            return Code.UNKNOWN_JOB
        if job.opening != before:
            return Code.DUPLICATE
        if job.is_closed:
            return Code.DROPPED
        job.once |= set(once)
        following = job.next_task
        for old in tasks:
            job.next_task = old.number
            window = self.routes.policy(job.flow, old.stage).window
            self._open(job, old.stage, job.flow, new.lane, new.traceparent, old.data.decode(), window)
            if old.stage == "compile":
                job.compiling = 1
        job.next_task = following
        job.opening = None if is_last else before + len(tasks)
        if is_new:
            self._moved_to = JobStatus.QUEUED
        more = told(job) if is_new else {}
        self._happened("submitted" if is_new else "emitted", job, traceparent=new.traceparent, **more)
        return Code.OK

    def adopt(self, entry: Delivery, consumer: str, job_id: str, *, tenant: str, traceparent: str, digest: str) -> Code:
        """Make a job of a foreign entry."""
        refusal = self._refusal(str(entry.name), entry.entry_id, consumer, entry.delivery)
        if refusal is not None:
            return refusal
        self._take_out(str(entry.name), entry.entry_id)
        if job_id in self.jobs:
            return Code.DUPLICATE
        stage, data = entry.name.stage, entry.data.decode()
        fixed = {
            "flow": entry.flow, "tenant": tenant, "lane": entry.name.lane, "traceparent": traceparent,
            "spec": data, "digest": digest, "from_stage": stage,
        }  # fmt: skip
        job = Job(job_id, fixed, self.now)
        task = self._first_task(job, "adopt", stage, traceparent, data)
        task.move("adopt", T.QUEUED)
        self._add(job, task, str(entry.name))
        self._moved_to = JobStatus.QUEUED
        self._happened(
            "adopted", job, task=1, stage=stage, traceparent=traceparent, data=data, worker=consumer,
            origin=f"{entry.name} {entry.entry_id}", **told(job),
        )  # fmt: skip
        return Code.OK

    def _first_task(self, job: Job, move: str, stage: StageName, traceparent: str, data: str) -> Task:
        assert move in {"submit", "adopt"}
        self.jobs[job.job_id] = job
        job.tasks[1] = Task(1, stage, job.flow, traceparent, data)
        return job.tasks[1]

    # -- reading and starting -----------------------------------------------------------------------------------

    def read(self, streams: Iterable[str], consumer: str, count: int) -> list[Entry]:
        """Hand out the oldest unread entries of each stream."""
        found = []
        for stream in streams:
            for entry in [e for e in self.streams.get(stream, ()) if not e.was_read][:count]:
                entry.was_read, entry.owner, entry.delivery = True, consumer, 1
                task = self._task_of(entry)
                if task is not None:
                    task.move("start", T.RUNNING)
                found.append(entry)
        return found

    def start(self, entries: Sequence[Delivery], consumer: str, *, at_once: bool = False) -> list[list[Any]]:
        """Vet entries and mark those that may run; `at_once` leaves those unmarked that nobody was given before."""
        return [self._start(e, consumer, at_once=at_once) for e in entries]

    def _start(self, e: Delivery, consumer: str, *, at_once: bool) -> list[Any]:
        found = self._issued(e)
        if isinstance(found, Code):
            return [found]
        job, task = found
        refusal = self._refusal(str(e.name), e.entry_id, consumer, e.delivery)
        if refusal is not None:
            return [refusal]
        if self._is_over(job, task.stage):
            self._take_out(str(e.name), e.entry_id)
            job.mark_stopped(task, self.now)
            task.move("start", T.DROPPED)
            self._happened("dropped", job, task=task.number, stage=task.stage)
            return [Code.DROPPED]
        revision = job.compiling if task.stage == "compile" and job.compiling is not None else job.revision
        row = [Code.OK, job.fixed["tenant"], revision, task.crashes, task.checkpoint, self.now]
        is_fresh = task.run is None and e.delivery == 1 and not task.was_taken
        if at_once and is_fresh and job.limit_ms is None:
            return [*row, 0]
        job.mark_running(task, self.now, consumer, e.delivery)
        if self._begin(job, self.now):
            self._happened("started", job, task=task.number, stage=task.stage, delivery=e.delivery, worker=consumer)
        if job.is_over_limit(self.now):
            return [Code.CLOSED]
        return [*row, 1]

    def _begin(self, job: Job, started_at: int) -> bool:
        """A job begins with its first task, whether or not the start of that was announced."""
        if job.status is not JobStatus.QUEUED:
            return False
        job.move_to("start", JobStatus.RUNNING)
        self._moved_to = job.status
        job.started_at = started_at
        return True

    # -- ending -------------------------------------------------------------------------------------------------

    def complete(self, batch: Sequence[Completion], consumer: str, wide: Collection[str]) -> list[Code | list[Entry]]:
        """Close entries and open what they emit; a code, or the entries that one opened.

        Args:
            wide: Jobs whose parked lists the caller names; entries that need theirs named are sent again at the end.
        """
        codes = [self._complete(c, consumer, is_wide=c.entry.job in wide) for c in batch]
        return [
            self._complete(c, consumer, is_wide=True) if code is Code.IS_WIDE else code
            for c, code in zip(batch, codes, strict=True)
        ]

    def _complete(self, c: Completion, consumer: str, *, is_wide: bool) -> Code | list[Entry]:
        e = c.entry
        if e.job not in self.jobs:
            return Code.UNKNOWN_JOB
        found = self._held(e, consumer)
        if isinstance(found, Code):
            return Code.NOT_PENDING if found is Code.UNKNOWN_TASK else found
        job, task = found
        # What a worker's own moves opened it runs without a start; the first delivery of it is its lease.
        is_first = task.run is None and e.delivery == 1 and not task.was_taken
        # The lease is the consumer and the delivery; when it started may be news still on the way to the consumer.
        if not is_first and (task.run is None or task.run[1:] != (consumer, e.delivery)):
            return Code.NOT_PENDING
        first = c.emissions[0].stage if c.emissions else None
        if not is_wide and (job.open(task.stage) > 1 or len(c.emissions) > 1 or (first and job.open(first))):
            return Code.IS_WIDE
        self._added = []
        self._take_out(str(e.name), e.entry_id)
        self._begin(job, e.started_ms)
        job.mark_stopped(task, self.now)
        traceparent = c.traceparent or e.traceparent
        is_over = self._is_over(job, task.stage)
        task.move("complete", T.DROPPED if is_over else T.DONE)
        if not is_over:
            if task.stage == "compile":
                job.missing += c.missing - job.compile_missing
                job.compile_missing = c.missing
            else:
                job.missing += c.missing
            self._admit(job, task.stage, e.name.lane)
            self._emit(job, c.emissions, e, traceparent)
            if task.stage == "compile":
                self._join_compile("complete", job, outcome_of(job), None, e, traceparent)
            elif task.stage == "notify":
                self._join_notify("complete", job, outcome_of(job), None, traceparent)
            else:
                self._join_work("complete", job, e, traceparent)
        self._happened(
            "dropped" if is_over else "completed", job, task=task.number, stage=task.stage, worker=consumer,
            started_at=e.started_ms,
            **({} if (e.attempt, e.delivery) == (1, 1) else {"attempt": e.attempt, "delivery": e.delivery}),
            **{name: n for name, n in (("missing", c.missing), ("collected", c.collected)) if n},
        )  # fmt: skip
        return Code.DROPPED if is_over else self._added or Code.OK

    def emit(self, e: Delivery, consumer: str, sequence: int, emissions: Sequence[Emission], traceparent: str) -> Code:
        """Open what a handler emits while it runs."""
        found = self._held(e, consumer)
        if isinstance(found, Code):
            return found
        job, task = found
        if job.is_closed:
            return Code.DROPPED
        fresh = [out for at, out in enumerate(emissions, sequence) if at > task.emitted]
        if not fresh:
            return Code.OK
        task.emitted = sequence + len(emissions) - 1
        self._emit(job, fresh, e, traceparent or e.traceparent)
        self._happened(
            "emitted", job, task=task.number, stage=task.stage, delivery=e.delivery, worker=consumer,
            traceparent=traceparent or e.traceparent,
        )  # fmt: skip
        return Code.OK

    def put_back(self, move: str, batch: Sequence[PutBack], consumer: str) -> list[Code]:
        """Retry or snooze."""
        return [self._put_back(move, p, consumer) for p in batch]

    def _put_back(self, move: str, p: PutBack, consumer: str) -> Code:
        e = p.entry
        found = self._held(e, consumer)
        if isinstance(found, Code):
            return found
        job, task = found
        self._take_out(str(e.name), e.entry_id)
        if not p.is_held:
            self._begin(job, e.started_ms)
        job.mark_stopped(task, self.now)
        is_over = self._is_over(job, task.stage)
        due_at = self.now + p.delay_ms
        if is_over:
            task.move(move, T.DROPPED)
        else:
            task.move(move, T.DELAYED)
            held = {"held": 1} if p.is_held else {}
            self._wait(job, task, str(e.name), due_at, e.attempt + (move == "retry"), **held)
        self._happened(
            "dropped" if is_over else {"retry": "retried", "snooze": "snoozed"}[move], job, task=task.number,
            stage=task.stage, attempt=e.attempt, delivery=e.delivery, worker=consumer,
            started_at="" if p.is_held else e.started_ms, reason=p.reason, due_at=due_at,
        )  # fmt: skip
        return Code.DROPPED if is_over else Code.OK

    def dead_letter(self, batch: Sequence[Death], consumer: str) -> list[Code | Letter]:
        """Bury entries; each one's letter, or a refusal."""
        return [self._dead_letter(d, consumer) for d in batch]

    def _dead_letter(self, d: Death, consumer: str) -> Code | Letter:
        e, stream = d.entry, str(d.entry.name)
        refusal = self._refusal(stream, e.entry_id, consumer, e.delivery)
        if refusal is not None:
            return refusal
        kept = self._entry(stream, e.entry_id)
        assert kept is not None
        fields: Fields = {
            "job": e.job, "task": e.task, "flow": kept.fields.get("flow", ""), "stage": e.name.stage,
            "stream": stream, "entry": e.entry_id, "attempt": e.attempt, "deliveries": e.delivery,
            "worker": consumer, "reason": d.reason, "error": d.error[:4_000], "traceback": d.traceback[-16_000:],
            "traceparent": kept.fields.get("traceparent", ""), "data": kept.fields.get("data", ""),
        }  # fmt: skip
        letter = Letter({name: str(value) for name, value in fields.items()})
        if d.is_stray:
            letter.fields["fields"] = orjson.dumps(kept.fields).decode()
            self._take_out(stream, e.entry_id)
            owner = self._task_of(kept)
            assert owner is None, "a stray is nobody's"
            self.dlq.append(letter)
            self.events.append({
                "type": "dead_lettered", "job": e.job, "flow": letter.fields["flow"], "tenant": "", "revision": "",
                "task": e.task, "stage": e.name.stage, "reason": d.reason, "dlq": letter,
            })  # fmt: skip
            return letter
        found = self._issued(e)
        if isinstance(found, Code):
            return found
        job, task = found
        self._take_out(stream, e.entry_id)
        self._begin(job, e.started_ms)
        job.mark_stopped(task, self.now)
        if self._is_over(job, task.stage):
            task.move("dead_letter", T.DROPPED)
            self._happened("dropped", job, task=task.number, stage=task.stage, worker=consumer)
            return Code.DROPPED
        letter.fields |= {"tenant": job.fixed["tenant"], "redriven": str(task.redriven)}
        task.move("dead_letter", T.DEAD)
        task.letter = letter
        self.dlq.append(letter)
        job.error = d.reason
        self._admit(job, task.stage, e.name.lane)
        traceparent = letter.fields["traceparent"]
        if task.stage == "compile":
            self._join_compile("dead_letter", job, JobStatus.FAILED, d.reason, e, traceparent)
        elif task.stage == "notify":
            self._join_notify("dead_letter", job, JobStatus.FAILED, d.reason, traceparent)
        else:
            self._join_work("dead_letter", job, e, traceparent)
        self._happened(
            "dead_lettered", job, task=task.number, stage=task.stage, attempt=e.attempt, delivery=e.delivery,
            worker=consumer, started_at=e.started_ms, reason=d.reason, error=letter.fields["error"], dlq=letter,
        )  # fmt: skip
        return letter

    # -- leases -------------------------------------------------------------------------------------------------

    def heartbeat(self, batch: Sequence[Beat], consumer: str) -> list[Code]:
        """Renew leases."""
        return [self._heartbeat(b, consumer) for b in batch]

    def _heartbeat(self, b: Beat, consumer: str) -> Code:
        found = self._held(b.entry, consumer)
        if isinstance(found, Code):
            return found
        job, task = found
        task.checkpoint = b.checkpoint.decode() or task.checkpoint
        if b.step or b.percent is not None:
            job.step = b.step or job.step
            if b.percent is not None and b.percent > float(job.percent or 0):
                job.percent = str(b.percent)
            self._happened(
                "progressed", job, task=task.number, stage=task.stage, step=b.step, percent=job.percent or "0"
            )  # fmt: skip
        if self._is_over(job, task.stage):
            return Code.KILL if job.is_killed else Code.DROPPED
        return Code.CLOSED if job.is_over_limit(self.now) else Code.OK

    def release(self, entries: Sequence[Delivery], consumer: str) -> list[Code]:
        """Give entries back."""
        return [self._release(e, consumer) for e in entries]

    def _release(self, e: Delivery, consumer: str) -> Code:
        refusal = self._refusal(str(e.name), e.entry_id, consumer, e.delivery)
        if refusal is not None:
            return refusal
        found = self._issued(e)
        if found is Code.UNKNOWN_TASK:
            return Code.UNKNOWN_TASK
        entry = self._entry(str(e.name), e.entry_id)
        assert entry is not None
        entry.owner = RELEASED
        if isinstance(found, Code):
            return found
        job, task = found
        job.mark_stopped(task, self.now)
        task.was_taken = True
        task.move("release", T.QUEUED)
        self._happened("released", job, task=task.number, stage=task.stage, delivery=e.delivery, worker=consumer)
        return Code.OK

    def reclaim(self, batch: Sequence[Held], to: str, *, is_idle: bool) -> list[int]:
        """Take entries over; `is_idle`: whether they are idle long enough."""
        return [self._reclaim(h, to, is_idle=is_idle) for h in batch]

    def _reclaim(self, h: Held, to: str, *, is_idle: bool) -> int:
        refusal = self._refusal(h.stream, h.entry_id, h.consumer, h.delivery)
        if refusal is not None:
            return refusal
        if not is_idle:
            return Code.SUPERSEDED
        entry = self._entry(h.stream, h.entry_id)
        assert entry is not None
        entry.owner = to
        entry.delivery += to != RELEASED
        task = self._task_of(entry)
        if task is not None:
            task.move("reclaim", T.QUEUED if to == RELEASED else T.RUNNING)
        if h.consumer == RELEASED or task is None:
            return entry.delivery
        job = self.jobs[h.job]
        since = str(task.run[0]) if task.run else ""
        task.crashes += 1
        task.was_taken = True
        job.mark_stopped(task, self.now)
        self._happened(
            "reclaimed", job, task=task.number, stage=task.stage, delivery=h.delivery, worker=h.consumer,
            started_at=since, reason="worker died" if to == RELEASED else "lease ran out",
        )  # fmt: skip
        return entry.delivery

    # -- operators and timers -----------------------------------------------------------------------------------

    def drop(self, entry_ids: Sequence[str], reason: str) -> list[Code]:
        """Give dead letters up."""
        return [self._drop(entry_id, reason) for entry_id in entry_ids]

    def _drop(self, entry_id: str, reason: str) -> Code:
        letter = next((known for known in self.dlq if known.entry_id == entry_id), None)
        if letter is None:
            return Code.NOT_FOUND
        self.dlq.remove(letter)
        row = letter.fields
        job = self.jobs.get(row["job"])
        task = job.tasks.get(int(row["task"])) if job is not None and row["task"].isdigit() else None
        extra = {"task": row["task"], "stage": row["stage"], "reason": reason, "dlq": letter}
        if job is None or task is None or task.letter is not letter:
            nobody = {"job": row["job"], "flow": row["flow"], "tenant": "", "revision": ""}
            self.events.append({"type": "dropped", **nobody, **extra})
            return Code.OK
        task.letter = None
        task.move("drop", T.DROPPED)
        job.missing += task.stage in WORK_STAGES
        self._happened("dropped", job, **extra)
        return Code.OK

    def redrive(self, letters: Sequence[tuple[str, str]], most: int = 0, delay_ms: int = 0) -> list[Code]:
        """Put dead letters (entry id, overlay) back to work; those redriven `most` times (unless 0) stay."""
        return [self._redrive(entry_id, overlay, most, delay_ms) for entry_id, overlay in letters]

    def _redrive(self, entry_id: str, overlay: str, most: int, delay_ms: int) -> Code:  # noqa: C901, PLR0911
        letter = next((known for known in self.dlq if known.entry_id == entry_id), None)
        if letter is None:
            return Code.NOT_FOUND
        row = letter.fields
        job = self.jobs.get(row["job"])
        if job is None:
            return Code.UNKNOWN_JOB
        task = job.tasks.get(int(row["task"])) if row["task"].isdigit() else None
        if task is None or task.letter is not letter:
            return Code.UNKNOWN_TASK
        if job.status in {JobStatus.CANCELLED, JobStatus.EXPIRED}:
            return Code.CLOSED
        is_busy = job.work > 0 or job.open("compile") > 0
        if is_busy and job.is_closed:
            return Code.CLOSED
        if 0 < most <= task.redriven:
            return Code.QUARANTINED
        task.redriven += 1
        self.dlq.remove(letter)
        task.letter = None
        if task.stage != "notify":
            self._reopen(job)
        if task.stage == "compile" and is_busy:
            task.move("redrive", T.DROPPED)
            job.is_compile_due |= job.work == 0
        else:
            if task.stage == "compile":
                job.compiling = job.revision
            task.move("redrive", T.DELAYED if delay_ms else T.QUEUED)
            task.data = overlay or row["data"]
            stream = self._stream(job.flow, task.stage, job.fixed["lane"])
            if delay_ms:
                self._wait(job, task, stream, self.now + delay_ms, 1)
                self.waiting[f"task/{job.job_id}/{task.number}"]["traceparent"] = row["traceparent"]
            else:
                self._add(job, task, stream, traceparent=row["traceparent"])
        self._happened("redriven", job, task=task.number, stage=task.stage, dlq=entry_id, data=overlay)
        return Code.OK

    def _reopen(self, job: Job) -> None:
        if not job.is_ended and (job.compiling or 0) < job.revision:
            return
        job.revision += 1
        if job.is_ended:
            job.move_to("redrive", JobStatus.RUNNING)
            self._moved_to = job.status
            job.finished_at, job.error, job.busy_ms = None, None, 0
            job.is_killed = job.is_compile_due = False

    def cancel(
        self,
        job_id: str,
        status: JobStatus,
        reason: str,
        *,
        kill: bool,
        claims: Sequence[Claim],
        parked: Sequence[StageName],
    ) -> Code:
        """End a job and drop what the caller found waiting."""
        job = self.jobs.get(job_id)
        if job is None:
            return Code.UNKNOWN_JOB
        is_again = job.status is status
        if job.is_ended and not is_again:
            return Code.CLOSED
        if not is_again:
            job.compiling = job.revision
            self._end("cancel", job, status, reason, job.revision, job.fixed["lane"], job.fixed["traceparent"])
        job.is_killed |= kill
        for claim in claims:
            if claim.stage == "notify":
                continue
            self._drop_waiting("cancel", job, claim)
        for stage in parked:
            if job.spilled(stage):
                self._ask_for("unspill", job, stage)
            for task in job.parked[stage]:
                task.move("cancel", T.DROPPED)
            job.parked[stage].clear()
        if not is_again:
            self._happened("cancelled" if status is JobStatus.CANCELLED else "failed", job, reason=reason)
        self._reset()
        return Code.OK

    def spill(self, job_id: str, stage: StageName, chunk: str, numbers: Sequence[int]) -> Code:
        """Some parked tasks, one behind the other, go into a chunk."""
        job = self.jobs.get(job_id)
        if job is None:
            return Code.UNKNOWN_JOB
        parked = job.parked[stage]
        if any(task.chunk == chunk for task in parked):
            return Code.DUPLICATE
        at = next((n for n, task in enumerate(parked) if task.number == numbers[0] and not task.chunk), None)
        if at is None:
            return Code.NOT_FOUND
        mine = parked[at : at + len(numbers)]
        if [task.number for task in mine] != list(numbers) or any(task.chunk for task in mine):
            return Code.NOT_FOUND
        for task in mine:
            task.chunk = chunk
        return Code.OK

    def unspill(self, job_id: str, stage: StageName, chunk: str) -> Code:
        """The tasks of a chunk come back."""
        self.timers.pop(f"unspill/{job_id}/{stage}", None)
        job = self.jobs.get(job_id)
        if job is None:
            return Code.UNKNOWN_JOB
        if job.is_closed:
            return Code.DROPPED
        mine = [task for task in job.parked[stage] if chunk and task.chunk == chunk]
        for task in mine:
            task.chunk = ""
        self._admit(job, stage, job.fixed["lane"])
        self._reset()
        return Code.OK if mine or not chunk else Code.NOT_FOUND

    def expire(self, job_id: str, claim: Claim) -> Code:
        """End a job that was not started in time."""
        timer = f"expire/{job_id}"
        job = self.jobs.get(job_id)
        if job is None:
            self.timers.pop(timer, None)
            return Code.UNKNOWN_JOB
        if self.timers.get(timer, self.now + 1) > self.now:
            return Code.DROPPED
        if job.status is JobStatus.QUEUED and not self._is_at(job, claim):
            return Code.UNKNOWN_TASK
        del self.timers[timer]
        if job.status is not JobStatus.QUEUED or not self._drop_waiting("expire", job, claim):
            return Code.DROPPED
        reason = "expires_at passed before the first start"
        self._end(
            "expire", job, JobStatus.EXPIRED, reason, job.revision, job.fixed["lane"], job.fixed["traceparent"]
        )  # fmt: skip
        self._happened("expired", job)
        return Code.OK

    def promote(self, members: Sequence[str]) -> list[Code]:
        """Put due entries back into their streams."""
        return [self._promote(member) for member in members]

    def _promote(self, member: str) -> Code:
        body = self.waiting.get(member)
        if body is None or self.timers[member] > self.now:
            return Code.NOT_FOUND
        del self.timers[member], self.waiting[member]
        _, job_id, number = member.split("/")
        job = self.jobs.get(job_id)
        if job is None:
            return Code.UNKNOWN_JOB
        task = job.tasks[int(number)]
        is_over = self._is_over(job, task.stage)
        if is_over:
            task.move("promote", T.DROPPED)
        else:
            task.move("promote", T.QUEUED)
            self._add(job, task, body["stream"], body["attempt"], body["traceparent"])
        self._happened(
            "dropped" if is_over else "promoted", job, task=task.number, stage=task.stage, attempt=body["attempt"]
        )  # fmt: skip
        return Code.DROPPED if is_over else Code.OK

    def reject(self, stream: str, entry_id: str, reason: str, error: str, fields: str) -> Code | Letter:
        """Bury what came in and cannot be acted on, once."""
        if entry_id in self.rejected:
            return Code.DUPLICATE
        self.rejected.add(entry_id)
        nothing = dict.fromkeys(("job", "task", "flow", "stage", "worker", "traceback", "traceparent", "data"), "")
        letter = Letter({
            **nothing, "stream": stream, "entry": entry_id, "attempt": "1", "deliveries": "1", "reason": reason,
            "error": error, "fields": fields,
        })  # fmt: skip
        self.dlq.append(letter)
        self.events.append({
            "type": "dead_lettered", "job": "", "flow": "", "tenant": "", "revision": "", "reason": reason,
            "dlq": letter,
        })  # fmt: skip
        return letter

    def put(self, stream: str, fields: dict[str, str]) -> None:
        """Someone else's XADD."""
        self.streams.setdefault(stream, []).append(Entry(stream, fields))
