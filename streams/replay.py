"""Opening a job anew with tasks that another one had: the same numbers and payloads, a job of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from schemas.names import JobId, Lane, StageName
from streams import scripts
from streams.log import IDEMPOTENCY_WINDOW_S, digest_of
from streams.moves import KeyTable, record_fields
from streams.scripts import Code

if TYPE_CHECKING:
    from streams.log import Log

MOST_TASKS: Final = 100
"""Tasks that one call opens at most."""

MOST_BYTES: Final = 512 * 1024
"""Payload that one call carries, about."""

MOST_ONCE: Final = 1_000
"""Keys of ``once`` that one call carries at most."""


@dataclass(frozen=True, slots=True)
class OldTask:
    """A task of another job: its number there, its stage and its payload (JSON, perhaps a claim check)."""

    number: int
    stage: StageName
    data: bytes


@dataclass(frozen=True, slots=True)
class ReplayedJob:
    """A job that repeats a part of another.

    Attributes:
        job_id: Of the new job; sending the same one again goes on where it was.
        tasks: What is opened, at least one, by number.
        next_task: Number of the first task that is new; above every number that the origin used.
        spec: What the user asked for then, JSON.
        origin: The job whose tasks they are.
        replay: The replay that this is a part of.
        until_stage: The last stage, as it was for the origin.
        budgets: Budget name -> what is left of it.
        once: Keys that upstream has emitted under ``once``.
        reused: Upstream tasks that were done then, and are not done again.
        missing: What upstream could not do then.
        limit_ms: Running time after which the job fails.
    """

    job_id: JobId
    flow: str
    tasks: tuple[OldTask, ...]
    next_task: int
    spec: bytes
    traceparent: str
    origin: str
    replay: str = ""
    tenant: str = "default"
    lane: Lane = "low"
    until_stage: StageName | None = None
    budgets: Mapping[str, int] = field(default_factory=dict)
    once: tuple[str, ...] = ()
    reused: int = 0
    missing: int = 0
    limit_ms: int | None = None

    @property
    def digest(self) -> str:
        """Kept with the identity; the same for every send of this job."""
        return digest_of(self.flow, self.spec, self.origin, self.replay)

    @property
    def is_wide(self) -> bool:
        """Whether it takes more than one call to open."""
        return sum(1 for _ in self.calls()) > 1

    def calls(
        self, most_tasks: int = MOST_TASKS, most_once: int = MOST_ONCE
    ) -> Iterator[tuple[int, Sequence[OldTask], Sequence[str], bool]]:
        """The calls that open it: tasks opened before, tasks, keys of once, whether it is the last.

        No task may run before every key of once is known, so what exceeds a call goes ahead of the tasks.
        """
        ahead = max(0, len(self.once) - 1) // most_once * most_once
        for start in range(0, ahead, most_once):
            yield 0, (), self.once[start : start + most_once], False
        once, opened = self.once[ahead:], 0
        while opened < len(self.tasks):
            size, count = 0, 0
            for task in self.tasks[opened : opened + most_tasks]:
                size += len(task.data)
                if count and size > MOST_BYTES:
                    break
                count += 1
            yield opened, self.tasks[opened : opened + count], once, opened + count == len(self.tasks)
            once, opened = (), opened + count


async def open_replayed(log: Log, job: ReplayedJob) -> Code:
    """Open the job, or go on opening it. Safe to send again, by anyone, at any time within a day.

    Returns:
        ``OK``; ``DUPLICATE``: it was open before; ``DROPPED``: it was cancelled meanwhile; ``CONFLICT``: its id is
        another job's.

    Raises:
        redis.exceptions.RedisError: The server is away, or full.
    """
    code = Code.DUPLICATE
    for before, tasks, once, is_last in job.calls():
        answer = await _call(log, job, before, tasks, once, is_last=is_last)
        if answer == Code.UNKNOWN_JOB and not before:
            return Code.DUPLICATE  # it was opened, has ended and is forgotten
        if answer not in {Code.OK, Code.DUPLICATE}:
            return answer
        code = Code.OK if answer == Code.OK else code
    return code


async def _call(
    log: Log, job: ReplayedJob, before: int, tasks: Sequence[OldTask], once: Sequence[str], *, is_last: bool
) -> Code:
    keys, lane = log.keys.of_job(job.job_id), job.lane
    table = KeyTable(keys)

    def stream(stage: StageName) -> int:
        return table.of(keys.stream(stage, log.routes.policy(job.flow, stage).pool, lane))

    # Named in this order, whatever repeats: the script knows the first of them by their places.
    table.keys += [
        keys.job(job.job_id), keys.idempotency(job.job_id), keys.once(job.job_id)
    ]  # fmt: skip
    args: list[Any] = [
        IDEMPOTENCY_WINDOW_S, job.job_id, job.digest, job.flow, job.traceparent, before,
        int(is_last), job.next_task,
    ]  # fmt: skip
    fields = _fields(job) if not before else []
    args += (len(fields) // 2, *fields, len(once), *once, len(tasks))
    for task in tasks:
        window = log.routes.policy(job.flow, task.stage).window
        args += (
            task.number, task.stage, stream(task.stage), table.of(keys.parked(job.job_id, task.stage)), window,
            task.data,
        )  # fmt: skip
    return Code(await scripts.run(log.client, "replay", table.keys, args))


def _fields(job: ReplayedJob) -> list[Any]:
    options = [name for name, value in (("until_stage", job.until_stage), ("limit_ms", job.limit_ms)) if value]
    budgets = {f"budget.{name}": left for name, left in job.budgets.items()}
    return record_fields(
        flow=job.flow, tenant=job.tenant, lane=job.lane, traceparent=job.traceparent, spec=job.spec,
        digest=job.digest, origin=job.origin, replay=job.replay, until_stage=job.until_stage,
        reused=job.reused or None, missing=job.missing or None, limit_ms=job.limit_ms, options=",".join(options),
        **budgets,
    )  # fmt: skip
