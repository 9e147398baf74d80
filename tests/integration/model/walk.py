"""A seeded random walk over every move, on the server and the model at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from random import Random
from typing import Any, Final

from schemas.names import STAGES, WORK_STAGES, StageName
from streams.codec import Delivery
from streams.moves import RELEASED, Beat, Completion, Death, Emission, Held, PutBack
from streams.replay import ReplayedJob
from streams.scripts import Code
from streams.states import JobStatus, TaskState
from tests.integration.model.entities import Job
from tests.integration.model.partition import Claim
from tests.integration.model.world import WORKERS, World, claim_of, new_job, replayed

MOST_JOBS: Final = 4
MOST_TASKS: Final = 12


def _named_job(fields: dict[bytes, bytes] | list[bytes]) -> str:
    """The job that an entry's own fields name."""
    named = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    return named.get(b"job", b"").decode()


class Walk:
    """One walk. The same seed takes the same steps."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.model = world.model
        self.random = Random(seed)  # noqa: S311 - a test that can be repeated
        self.hands: dict[str, list[Delivery]] = {worker: [] for worker in WORKERS}
        self.names = 0
        self.replays: list[ReplayedJob] = []
        self.spilled: dict[str, tuple[str, StageName]] = {}
        self.trail: list[str] = []
        self.actions: dict[Callable[[], object], int] = {
            self.submit: 5, self.read: 16, self.start: 18, self.complete: 26, self.emit: 5, self.retry: 5,
            self.snooze: 3, self.dead_letter: 10, self.heartbeat: 5, self.release: 3, self.reclaim: 6,
            self.redrive: 8, self.drop: 2, self.cancel: 1, self.promote: 8, self.expire: 3, self.trim: 2,
            self.pass_time: 6, self.put: 2, self.reject: 1, self.replay: 2, self.lose_record: 0,
            self.spill: 6, self.unspill: 4,
        }  # fmt: skip

    def run(self, steps: int) -> None:
        """Take some steps, then finish what is open and see every job ended."""
        actions, weights = list(self.actions), list(self.actions.values())
        for _ in range(steps):
            self.step(self.random.choices(actions, weights)[0])
        self.finish()

    def step(self, action: Callable[[], object]) -> None:
        """One step; now and then the same call is sent twice."""
        self.trail.append(action.__name__)
        action()

    # -- choosing -----------------------------------------------------------------------------------------------

    def worker(self) -> str:
        return self.random.choice(WORKERS)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def held(self, worker: str, *, started: bool) -> list[Delivery]:
        """Up to four entries of a hand, most of them truly held, some lost, forged or malformed."""
        hand = [e for e in self.hands[worker] if not started or self.may_settle(e)]
        live = [e for e in hand if self.model._refusal(str(e.name), e.entry_id, worker, e.delivery) is None]
        lost = [e for e in hand if e not in live]
        picked = self.random.sample(live, min(len(live), self.random.choice((1, 1, 2, 3))))
        if lost and self.chance(0.2):
            picked.append(self.random.choice(lost))
        if live and self.chance(0.12):
            picked.append(self.forged(self.random.choice(live)))
        self.random.shuffle(picked)
        return picked

    def may_settle(self, entry: Delivery) -> bool:
        """Started, or (as what the worker's own moves opened) not the first of its job."""
        job = self.model.jobs.get(entry.job)
        return bool(entry.started_ms) or (job is not None and job.status is not JobStatus.QUEUED and entry.job != "")

    def forged(self, entry: Delivery) -> Delivery:
        """An entry like this one that is not."""
        return replace(
            entry,
            **self.random.choice((
                {"delivery": entry.delivery + 1}, {"entry_id": "1-1"}, {"entry_id": "no id"}, {"task": "99"},
                {"task": "x"}, {"task": str(self.random.randint(1, 4))}, {"job": "0-unheard-of"}, {"job": ""},
            )),
        )  # fmt: skip

    def twice(self, call: Callable[[], Any]) -> Any:
        """Make a call, perhaps again as a client does whose answer was cut off; the first answer."""
        answer = call()
        if self.chance(0.15):
            call()
        return answer

    def open_jobs(self) -> list[Job]:
        return [job for job in self.model.jobs.values() if not job.is_ended]

    # -- actions ------------------------------------------------------------------------------------------------

    def submit(self) -> None:
        """New jobs, old ones again, old ones with another body."""
        batch = []
        for _ in range(self.random.choice((1, 1, 2))):
            if len(self.open_jobs()) < MOST_JOBS and self.chance(0.8):
                self.names += 1
                batch.append(self.new_job(f"j{self.names}"))
            elif self.names:
                again = f"j{self.random.randint(1, self.names)}"
                batch.append(new_job(again, spec=self.random.choice((b'{"url":"x"}', b'{"url":"y"}'))))
        self.world.bound_backlog(self.random.choice((0, 0, 0, 0, 3, 6)))
        if self.chance(0.1) and batch:
            batch.append(replace(batch[-1], spec=self.random.choice((batch[-1].spec, b"other"))))
        self.twice(lambda: self.world.submit(*batch))

    def new_job(self, name: str) -> Any:
        pick, now = self.random.choice, self.model.now
        stage: StageName = pick(("crawl", "crawl", "crawl", "crawl", "classify", "extract", "compile", "notify"))
        later: list[StageName] = [s for s in STAGES if STAGES.index(s) >= STAGES.index(stage)]
        return new_job(
            name,
            stage=stage,
            lane=pick(("normal", "normal", "high")),
            until_stage=pick(later) if self.chance(0.25) else None,
            run_at_ms=now + pick((-5, 50, 200)) if self.chance(0.2) else 0,
            expires_at_ms=now + pick((20, 100)) if self.chance(0.25) else 0,
            budgets={"pages": pick((0, 1, 3))} if self.chance(0.5) else {},
            limit_ms=pick((100, 400)) if self.chance(0.25) else None,
            follow_up=b'{"flow":"next"}' if self.chance(0.3) else b"",
            parent="0-before" if self.chance(0.1) else "",
            notify=b'{"mail":"a@b"}' if self.chance(0.1) else b"",
            is_owed=self.chance(0.1),
        )

    def replay(self) -> None:
        """A job that repeats a part of another, or more of the calls that open one; all are opened in the end."""
        if len(self.open_jobs()) < MOST_JOBS and self.chance(0.6):
            stage: StageName = self.random.choice(("crawl", "download", "extract", "extract", "compile", "notify"))
            count = 1 if stage in {"compile", "notify"} else self.random.randint(1, 5)
            numbers = sorted(self.random.sample(range(1, 9), count))
            self.replays.append(
                replayed(
                    f"r{len(self.replays)}", *((n, stage) for n in numbers), missing=self.random.choice((0, 0, 1)),
                    reused=self.random.choice((0, 2)), once=self.random.choice(((), ("a", "b", "c"))),
                    lane=self.random.choice(("low", "normal")), limit_ms=self.random.choice((None, None, 400)),
                    until_stage=stage if self.chance(0.2) else None,
                )
            )  # fmt: skip
        if self.replays:
            calls = self.random.choice((slice(1), slice(2), slice(None)))
            self.world.replay(self.random.choice(self.replays[-3:]), calls=calls)

    def read(self) -> None:
        """Read some streams, a few entries each."""
        worker = self.worker()
        names = sorted(self.model.streams)
        streams = self.random.sample(names, self.random.randint(0, len(names)))
        self.hands[worker] += self.world.read(worker, self.random.choice((1, 2, 5)), streams)
        del self.hands[worker][:-25]

    def start(self) -> None:
        """Start what is in hand; strays among it are adopted or buried."""
        worker = self.worker()
        picked = [e for e in self.held(worker, started=False) if e.job]
        at_once = self.chance(0.3)
        rows = self.twice(lambda: self.world.start(worker, *picked, at_once=at_once)) if picked else []
        for entry, row in zip(picked, rows, strict=True):
            if row[0] == Code.CLOSED:
                self.world.cancel(self.model.jobs[entry.job], JobStatus.FAILED)
        for entry in list(self.hands[worker]):
            is_stray = not entry.job or not self.is_known(entry)
            if is_stray and self.chance(0.3):
                self.settle_stray(worker, entry)

    def settle_stray(self, worker: str, entry: Delivery) -> None:
        if not entry.job and self.chance(0.7):
            self.twice(lambda: self.world.adopt(worker, entry, f"0-adopted-{entry.entry_id}"))
        elif self.chance(0.5):
            self.world.dead_letter(worker, Death(entry, "unknown_task", "why", is_stray=True))
        self.hands[worker].remove(entry)

    def is_known(self, entry: Delivery) -> bool:
        """Whether the entry was ever issued; a stray was not."""
        kept = self.model._entry(str(entry.name), entry.entry_id)
        return kept is None or self.model._task_of(kept) is not None

    def emissions(self, entry: Delivery) -> tuple[Emission, ...]:
        job = self.model.jobs.get(entry.job)
        if entry.name.stage not in WORK_STAGES or job is None or len(job.tasks) > MOST_TASKS:
            return ()
        later: list[StageName] = [s for s in WORK_STAGES if WORK_STAGES.index(s) >= WORK_STAGES.index(entry.name.stage)]
        return tuple(
            Emission(
                self.random.choice(later),
                f'{{"v":1,"n":{self.random.randint(1, 99)}}}'.encode(),
                once=self.random.choice(("", "", "a", "b", "c", "d")),
                budget=self.random.choice(("", "pages", "none")),
            )
            for _ in range(self.random.choice((0, 1, 1, 2, 4)))
        )

    def complete(self) -> None:
        """Complete a batch."""
        worker = self.worker()
        batch = [
            Completion(
                e, self.emissions(e), self.random.choice(("", "00-c")), self.random.choice((0, 0, 0, 1)),
                is_touched=True, collected=self.random.choice((0, 0, 2)),
            )
            for e in self.held(worker, started=True)
        ]  # fmt: skip
        self.twice(lambda: self.world.complete(worker, *batch))

    def emit(self) -> None:
        """Emit from a handler; the same sequence again changes nothing."""
        worker = self.worker()
        held = self.held(worker, started=True)
        if held:
            entry = held[0]
            out = self.emissions(entry)
            task = self.model._task_of(self.model._entry(str(entry.name), entry.entry_id) or _NOWHERE)
            sequence = (task.emitted if task else 0) + self.random.choice((1, 1, 1, 0))
            if out:
                self.twice(lambda: self.world.emit(worker, entry, max(1, sequence), *out))

    def retry(self) -> None:
        """A batch of failures."""
        self.put_back("retry", started=True)

    def snooze(self) -> None:
        """A batch that waits."""
        self.put_back("snooze", started=False)

    def put_back(self, move: str, *, started: bool) -> None:
        worker = self.worker()
        picked = [e for e in self.held(worker, started=started) if self.is_known(e)]
        held = move == "snooze" and self.chance(0.4)
        batch = [PutBack(e, self.random.choice((0, 10, 100)), "why", is_held=held) for e in picked]
        self.twice(lambda: self.world.put_back(worker, move, *batch))

    def dead_letter(self) -> None:
        """A batch that cannot succeed."""
        worker = self.worker()
        batch = [
            Death(e, self.random.choice(("http_403", "bad_pdf")), "e", "t") for e in self.held(worker, started=True)
        ]
        self.twice(lambda: self.world.dead_letter(worker, *batch))

    def heartbeat(self) -> None:
        """Renew a batch, some with news."""
        worker = self.worker()
        batch = [
            Beat(
                e, self.random.choice((None, None, 10.5, 40.0, 7.0)), self.random.choice(("", "page 3")),
                self.random.choice((b"", b'{"at":3}')),
            )
            for e in self.held(worker, started=False)
        ]  # fmt: skip
        codes = self.twice(lambda: self.world.heartbeat(worker, *batch))
        for beat, code in zip(batch, codes, strict=True):
            if code == Code.CLOSED and self.chance(0.7) and not self.model.jobs[beat.entry.job].is_ended:
                self.world.cancel(self.model.jobs[beat.entry.job], JobStatus.FAILED, kill=self.chance(0.5))

    def release(self) -> None:
        """Give a batch back."""
        worker = self.worker()
        # An entry of no job is given back too, so its job's name must be its own.
        picked = [e for e in self.held(worker, started=False) if e.job == _named_job(e.fields)]
        self.twice(lambda: self.world.release(worker, *picked))

    def reclaim(self) -> None:
        """Take over what was released, or what its holder seems to have left."""
        worker = self.worker()
        pending = [e for entries in self.model.streams.values() for e in entries if e.owner is not None]
        to = RELEASED if self.chance(0.25) else None
        batch = []
        for entry in self.random.sample(pending, min(len(pending), 3)):
            fields = entry.fields
            if to == RELEASED and entry.owner == RELEASED:
                continue
            batch.append(Held(
                entry.stream, entry.entry_id, (entry.owner or "") if self.chance(0.9) else "w9",
                entry.delivery + (0 if self.chance(0.9) else 1), 0, fields.get("job", ""), fields.get("task", ""),
                entry.stream.partition(":")[0].partition(".")[0],
            ))  # fmt: skip
        is_idle = self.chance(0.85)
        taken = self.world.reclaim(worker, *batch, to=to, is_idle=is_idle)
        self.hands[worker] += taken

    def redrive(self) -> None:
        """Some dead letters, or all of a job."""
        if self.chance(0.4):
            dead = [job for job in self.model.jobs.values() if job.count(None, TaskState.DEAD)]
            if dead:
                self.world.retry_job(self.random.choice(dead))
            return
        letters = [letter.entry_id for letter in self.random.sample(self.model.dlq, min(len(self.model.dlq), 2))]
        if self.chance(0.1):
            letters.append("1-1")
        batch = [(entry_id, self.random.choice(("", '{"v":1,"edited":1}'))) for entry_id in letters]
        most, delay_ms = self.random.choice((0, 0, 2)), self.random.choice((0, 0, 50))
        self.twice(lambda: self.world.redrive(*batch, most=most, delay_ms=delay_ms))

    def drop(self) -> None:
        """A dead letter that nobody wants, and now and then one that is not there."""
        letters = [letter.entry_id for letter in self.random.sample(self.model.dlq, min(len(self.model.dlq), 1))]
        if self.chance(0.2):
            letters.append("1-1")
        self.twice(lambda: self.world.drop(*letters))

    def cancel(self) -> None:
        """Cancel as the log does, or with claims that may be wrong."""
        jobs = list(self.model.jobs.values())
        if not jobs:
            return
        job = self.random.choice(self.open_jobs() if self.open_jobs() and self.chance(0.8) else jobs)
        if self.chance(0.6):
            kill = self.chance(0.3)
            self.twice(lambda: self.world.cancel(job, kill=kill))
            return
        claims = [
            self.random.choice((claim_of(job, n) or Claim(n, task.stage), Claim(n, task.stage), self.at(job, n)))
            for n, task in job.tasks.items()
        ]
        parked: list[StageName] = [stage for stage in WORK_STAGES if self.chance(0.7)]
        code = self.twice(lambda: self.world.cancel_as_told(job.job_id, claims, parked))
        if code == Code.OK:
            self.world.cancel(job)
        if self.chance(0.2):
            self.world.cancel_as_told("0-unheard-of", [])

    @staticmethod
    def at(job: Job, number: int) -> Claim:
        """A claim that a task waits in its stream, though it may run."""
        task = job.tasks[number]
        if task.entry is None:
            return Claim(number, task.stage, "crawl", "1-1")
        return Claim(number, task.stage, task.entry.stream, task.entry.entry_id)

    def promote(self) -> None:
        """What is due, and something that is not."""
        members = [m for m in self.model.timers if m.startswith("task/")]
        due = [m for m in members if self.model.timers[m] <= self.model.now]
        batch = due if self.chance(0.5) else self.random.sample(members, min(len(members), 3))
        if self.chance(0.1):
            batch = [*batch, *batch[:1], "task/0-unheard-of/1"]
        self.twice(lambda: self.world.promote(*batch))

    def spill(self) -> None:
        """Some of what is parked goes into a chunk; or what went there, or was let in since, is sent again."""
        world, pick = self.world, self.random.choice
        if world.chunks and self.chance(0.15):
            chunk = pick(list(world.chunks))
            job_id, stage = self.spilled[chunk]
            world.spill(job_id, stage, 0, 0, chunk)
            return
        runs: list[tuple[str, StageName, int, int]] = []
        for job in self.model.jobs.values():
            for stage in WORK_STAGES:
                at = 0
                for is_chunk, rows in groupby(job.parked_list(stage), key=lambda one: isinstance(one, str)):
                    size = len(list(rows))
                    if not is_chunk and size > 1:
                        runs.append((job.job_id, stage, at, size))
                    at += size
        if runs:
            job_id, stage, at, size = pick(runs)
            count = self.random.randint(2, size)
            chunk, _ = world.spill(job_id, stage, at + self.random.randint(0, size - count), count)
            self.spilled[chunk] = job_id, stage
            if self.chance(0.2):
                world.spill(job_id, stage, 0, 0, chunk)

    def unspill(self) -> None:
        """A chunk comes back, asked for or not; or there is none to read."""
        if self.spilled:
            chunk = self.random.choice(list(self.spilled))
            job_id, stage = self.spilled[chunk]
            self.twice(lambda: self.world.unspill(job_id, stage, self.random.choice((chunk, chunk, ""))))

    def read_back(self) -> None:
        """What was asked for, as workers do."""
        for member in [one for one in self.model.timers if one.startswith("unspill/")]:
            _, job_id, name = member.split("/")
            stage: StageName = next(one for one in STAGES if one == name)
            job = self.model.jobs.get(job_id)
            chunks = [task.chunk for task in job.parked[stage] if task.chunk] if job else []
            self.world.unspill(job_id, stage, chunks[0] if chunks else "")

    def expire(self) -> None:
        """Jobs with an expiry, due or not; most claims are right."""
        timers = [m.partition("/")[2] for m in self.model.timers if m.startswith("expire/")]
        for job_id in self.random.sample(timers, min(len(timers), 2)):
            job = self.model.jobs.get(job_id)
            claim = Claim(1, "crawl") if job is None else self.at(job, 1)
            if job is not None and (job.tasks[1].state is TaskState.DELAYED) == self.chance(0.85):
                claim = Claim(1, job.tasks[1].stage)
            self.twice(lambda at=claim, job_id=job_id: self.world.expire(job_id, at))  # type: ignore[misc]

    def trim(self) -> None:
        """Followers of the lifecycle get on, then it is trimmed."""
        for group in ("archive", "history"):
            if self.chance(0.7):
                self.world.follow(group, self.random.randint(0, 6), acked=self.chance(0.8))
        groups = self.random.choice((("archive", "history"), ("archive", "history"), ("archive",), ("archive", "none")))
        self.world.trim(self.random.choice((0.3, 0.7, 1.0)), self.random.choice((1, 3, 100)), groups)

    def pass_time(self) -> None:
        """A while."""
        self.world.advance(self.random.choice((1, 10, 60, 150)))

    def put(self) -> None:
        """Someone else's entry: no job, an unknown one, or a copy of one of ours."""
        stream = self.random.choice(("crawl", "download", "crawl:high", "extract.heavy"))
        fields = {"flow": "f", "data": '{"v":1}', "traceparent": "00-f"}
        entries = [e for rows in self.model.streams.values() for e in rows]
        if self.chance(0.3):
            fields = {"job": "0-unheard-of", "task": "1", **fields}
        elif entries and self.chance(0.5):
            fields = dict(self.random.choice(entries).fields)
        self.world.put(stream, fields)

    def reject(self) -> None:
        """What came in at the door and does not parse, perhaps for the second time."""
        self.world.reject(f"7-{self.random.randint(1, 5)}")

    def lose_record(self) -> None:
        """A job's record goes."""
        if self.model.jobs:
            self.world.lose_record(self.random.choice(list(self.model.jobs)))

    # -- the end ------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """One worker takes everything over and completes it; then nothing may be open."""
        worker, world, model = WORKERS[0], self.world, self.model
        for job in self.replays:
            world.replay(job)
        for _ in range(200):
            world.advance(1_000)
            world.promote(*[m for m in model.timers if m.startswith("task/")])
            self.read_back()
            mine = world.read(worker)
            owned = {e.entry_id for e in mine}
            pending = [
                Held(e.stream, e.entry_id, e.owner or "", e.delivery, 0, e.fields.get("job", ""),
                     e.fields.get("task", ""), e.stream.partition(":")[0].partition(".")[0])
                for entries in model.streams.values() for e in entries if e.entry_id not in owned
            ]  # fmt: skip
            mine += world.reclaim(worker, *pending)
            strays = [e for e in mine if not self.is_known(e)]
            known = [e for e in mine if e not in strays]
            world.dead_letter(worker, *[Death(e, "stray", is_stray=True) for e in strays])
            for entry, row in zip(known, world.start(worker, *known), strict=True):
                if row[0] == Code.CLOSED:
                    world.cancel(model.jobs[entry.job], JobStatus.FAILED)
            world.complete(worker, *[Completion(e, is_touched=True) for e in known])
            if not mine and not any(m.startswith(("task/", "unspill/")) for m in model.timers):
                break
        left = {job_id: job.status for job_id, job in model.jobs.items() if not job.is_ended or job.work or job.tail}
        assert not left, f"never ended: {left}"
        assert not any(model.streams.values())


_NOWHERE: Any = type("Nowhere", (), {"fields": {}})()


def walk(world: World, seed: int, steps: int, *, losing: bool = False) -> Walk:
    """Take a walk; what goes wrong names the seed.

    Args:
        losing: Records vanish on the way, as by their time to live.
    """
    taken = Walk(world, seed)
    if losing:
        taken.actions[taken.lose_record] = 2
    try:
        taken.run(steps)
    except AssertionError as error:
        error.add_note(f"seed {seed}, {steps} steps, losing={losing}; the last were {' '.join(taken.trail[-12:])}")
        raise
    return taken
