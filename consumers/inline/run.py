"""The inline runner: a flow's handlers one after the other, in this process, by the log's rules, without its servers.

Tasks run in the order in which they were opened. Emissions pass through JSON and are counted against ``once`` and
budgets as in the log; when no work is open, compile runs, then notify. What a handler raises is raised, with a note
that names stage and payload, except for what the log would dead-letter at once (`Reject`, `PermanentError`, the
policy's ``never_retry``): that is a failure of the job which compile is told of, as in the log. A job that ends as
failed raises its last failure.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from consumers.context import Failure
from consumers.encode import check_out, encode
from consumers.execute import Middleware, attempt, payload_of
from consumers.flow import Flow, Flows
from consumers.inline.context import InlineBench, InlineContext, InlineResources, KeptBlobs
from consumers.inline.job import REVISION, InlineJob, Task
from consumers.inline.progress import Progress
from consumers.outcome import Cancel, Done, Outcome, Reject, Snooze
from consumers.stage import Stage
from consumers.store import MemoryStore, NeedsDatabase, Store
from consumers.submit import check, new_job
from schemas.jobs import JobRequest, NotifySpec, StageCounts
from schemas.names import STAGES, JobId, StageName
from schemas.settings import Settings
from streams.blobs import Artifact, Blobs
from streams.errors import MalformedEntry, MillraceError, PermanentError, TransientError
from streams.objects import IN_MEMORY
from streams.policy import RateLimit, limit_key, reason_of
from streams.states import JobStatus
from streams.telemetry import submit_span

MAX_SNOOZES: Final = 100
"""Times a task may snooze when nobody waits for it."""

_NOTED_BYTES: Final = 500
_MISTAKES: Final = frozenset({"undeclared_emission", "no_outcome"})
"""Permanent errors that are the handler's own: raised, never kept as a failure of the job."""


class StillSnoozing(MillraceError):  # noqa: N818 - it says what happens
    """A task snoozes again and again, and the run does not wait."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One run of one task.

    Attributes:
        outcome: What its handler returned; None when it raised.
        error: What it raised.
    """

    task: int
    stage: StageName
    payload: BaseModel
    outcome: Outcome | None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class InlineRun:
    """What a run left behind.

    Attributes:
        status: ``succeeded``, ``partial`` or ``cancelled``; a failed run raises instead.
        result: What compile returned.
        entries: Every run of every task, in order; a snoozed task has several.
        missing: What the handlers could not have, in their words.
        failures: What the log would hold as dead letters.
        progress: What the handlers said, in order.
        artifacts: What they put into the artifact store, in order, each once.
        blobs: That store: ``await run.blobs.read(artifact.sha256, tenant=run.tenant)``.
        store: The repositories that they used.
    """

    job_id: str
    tenant: str
    status: JobStatus
    result: BaseModel | None
    entries: tuple[Entry, ...]
    missing: tuple[str, ...]
    failures: tuple[Failure, ...]
    progress: tuple[Progress, ...]
    artifacts: tuple[Artifact, ...]
    stages: Mapping[str, StageCounts]
    blobs: Blobs
    store: Store

    def payloads(self, stage: StageName) -> list[Any]:
        """What the tasks of a stage were given, in order, each once."""
        return list({entry.task: entry.payload for entry in self.entries if entry.stage == stage}.values())


async def run_inline(
    flow: Flow,
    spec: BaseModel | Mapping[str, Any],
    *,
    settings: Settings | None = None,
    from_stage: StageName | None = None,
    until_stage: StageName | None = None,
    notify: NotifySpec | None = None,
    tenant: str = "default",
    middleware: Sequence[Middleware] = (),
    on_progress: Callable[[Progress], None] | None = None,
    artifacts: str | Path = IN_MEMORY,
    store: Store | None = None,
    in_subprocesses: bool = False,
    sleep: Callable[[float], Awaitable[None]] | None = None,
) -> InlineRun:
    """Run a job of a flow in this process.

    Args:
        flow: Any; it need not be installed.
        spec: What a user would submit; with `from_stage` that stage's payload.
        settings: Read from the environment when None. Its servers are not used.
        from_stage, until_stage: As in a submission.
        notify: As in a submission: mails and webhooks are sent.
        tenant: Whose job it is.
        middleware: Around every handler, the first one outermost.
        on_progress: Called with what handlers say of their progress, as they say it.
        artifacts: Where artifacts are kept: a folder or ``s3://bucket/prefix``; in memory by default.
        store: PostgreSQL for handlers that need more of it than memory offers. The run's own results stay in memory.
        in_subprocesses: Whether `ctx.run_cpu` uses killable subprocesses, as a worker does; else threads.
        sleep: How to wait for a snooze, as ``asyncio.sleep``. None: the task runs again at once, behind what is open.

    Raises:
        BadSpec: The flow cannot be run with this.
        StillSnoozing: A task snoozed 100 times and `sleep` is None.
        NeedsDatabase: A handler asked for something that only PostgreSQL does, and there is no `store`.
        Exception: What a handler raised, with a note; a `TransientError` too: the log would try again, this does not.
    """
    asked = spec.model_dump(mode="json", exclude_unset=True) if isinstance(spec, BaseModel) else dict(spec)
    request = JobRequest(flow=flow.name, spec=asked, from_stage=from_stage, until_stage=until_stage, notify=notify)
    check(Flows([flow]), request)
    job_id = JobId(f"0-{uuid.uuid4().hex[:20]}")
    with submit_span(flow.name, job_id) as traceparent:
        new = new_job(flow, request, job_id, tenant=tenant, traceparent=traceparent)
    job = InlineJob(new.stage, new.data, until_stage=until_stage, budgets=new.budgets)
    kept, kept_blobs = MemoryStore(), KeptBlobs(str(artifacts))
    async with InlineResources(settings or Settings(), kept_blobs, store or kept) as resources:
        bench = InlineBench(
            flow.name,
            job,
            job_id,
            new.spec,
            resources,
            kept,
            traceparent,
            tenant,
            new.notify,
            in_subprocesses,
            on_progress,
            sleep=sleep,
        )
        runner = Runner(flow, bench, middleware, sleep)
        await runner.run()
    if job.status is JobStatus.FAILED and runner.last_error is not None:
        raise runner.last_error
    counts: dict[str, StageCounts] = {
        stage: StageCounts(done=job.done[stage], failed=job.failed[stage]) for stage in STAGES
    }
    return InlineRun(
        job_id, tenant, job.status, runner.result, tuple(runner.entries), tuple(bench.missing), tuple(bench.failures),
        tuple(bench.progress), tuple(kept_blobs.put_here), counts, kept_blobs, store or kept,
    )  # fmt: skip


class Runner:
    """Runs what is open until nothing is."""

    def __init__(
        self,
        flow: Flow,
        bench: InlineBench,
        middleware: Sequence[Middleware],
        sleep: Callable[[float], Awaitable[None]] | None,
    ) -> None:
        self.result: BaseModel | None = None
        self.entries: list[Entry] = []
        self.last_error: Exception | None = None
        self._flow = flow
        self._bench = bench
        self._job = bench.job
        self._middleware = middleware
        self._sleep = sleep
        self._due: dict[int, float] = {}
        self._snoozes: dict[int, int] = {}

    async def run(self) -> None:
        """Run every task."""
        while self._job.ready:
            task = await self._next()
            stage = self._flow.by_name.get(task.stage)
            if stage is None:
                msg = f"flow {self._flow.name} has no stage {task.stage}; declare it, or end the job with until_stage"
                raise PermanentError(msg, reason="unknown_flow")
            try:
                await self._run(stage, task)
            except Exception as error:
                self._note(error, task)
                raise

    async def _next(self) -> Task:
        """The oldest task that is due."""
        ready, now_s = self._job.ready, asyncio.get_running_loop().time()
        while True:
            for task in ready:
                if self._due.get(task.number, 0.0) <= now_s:
                    ready.remove(task)
                    return task
            if self._sleep is not None:
                await self._sleep(min(self._due[task.number] for task in ready) - now_s)
            now_s = max(asyncio.get_running_loop().time(), min(self._due[task.number] for task in ready))

    async def _run(self, stage: Stage, task: Task) -> None:
        bench = self._bench
        payload = payload_of(stage, await check_out(task.data, bench.resources.blobs, bench.tenant))
        context = InlineContext(bench, stage, task)
        outcome: Outcome | None = None
        error: Exception | None = None
        try:
            outcome = await self._attempt(stage, payload, context)
            await self._settle(stage, task, context, outcome)
        except Exception as raised:
            error = raised
            if not _is_dead_letter(raised, stage):
                raise
            self._bury(task, raised, reason_of(raised), str(raised))
        finally:
            self.entries.append(Entry(task.number, task.stage, payload, outcome, error))

    async def _attempt(self, stage: Stage, payload: BaseModel, context: InlineContext) -> Outcome:
        for shared in stage.policy.limits:
            # How many at once is no question here: one task runs at a time.
            key = limit_key(shared, payload)
            if key is not None and isinstance(shared, RateLimit):
                await self._bench.wait_for(shared, key)
        limit_s = stage.policy.soft_timeout_s
        try:
            async with asyncio.timeout(limit_s) as limit:
                return await attempt(stage, payload, context, self._middleware)
        except TimeoutError:
            if not limit.expired():
                raise
            msg = f"{stage.name} of {self._flow.name} ran past its limit of {limit_s:g} s"
            raise TransientError(msg, reason="soft_time_limit") from None

    async def _settle(self, stage: Stage, task: Task, context: InlineContext, outcome: Outcome) -> None:
        bench, job = self._bench, self._job
        match outcome:
            case Done():
                emissions = await encode(outcome.emits, stage, bench.resources.blobs, bench.tenant)
                await context.finish()
                if outcome.result is not None:
                    written = outcome.result.model_dump(mode="json")
                    await bench.kept.results.put(bench.job_id, written, tenant=bench.tenant, revision=REVISION)
                    self.result = outcome.result
                for missing in outcome.missing:
                    context.log.warning("missing: %s", missing)
                bench.missing += outcome.missing
                job.complete(task, emissions, len(outcome.missing))
            case Snooze():
                self._snooze(task, outcome)
            case Reject():
                error = PermanentError(outcome.detail or outcome.reason, reason=outcome.reason)
                self._bury(task, error, outcome.reason, outcome.detail)
            case Cancel():
                job.cancel(outcome.reason)
                job.complete(task)

    def _snooze(self, task: Task, outcome: Snooze) -> None:
        times = self._snoozes[task.number] = self._snoozes.get(task.number, 0) + 1
        if self._sleep is None and times >= MAX_SNOOZES:
            msg = (
                f"task {task.number} of {task.stage} snoozed {times} times ({outcome.reason}) and nobody waits for it; "
                "hand run_inline sleep=asyncio.sleep, or a settings and a spec under which it need not wait"
            )
            raise StillSnoozing(msg)
        if self._sleep is not None:
            self._due[task.number] = asyncio.get_running_loop().time() + outcome.delay_s
        self._job.again(task)

    def _bury(self, task: Task, error: Exception, reason: str, text: str) -> None:
        self._bench.failures.append(Failure(task.number, task.stage, reason, text, task.data))
        if not self._job.is_over:
            self._note(error, task)
            self.last_error = error
        self._job.dead_letter(task, reason)

    def _note(self, error: Exception, task: Task) -> None:
        data = task.data[:_NOTED_BYTES].decode(errors="replace")
        error.add_note(f"in {task.stage} of flow {self._flow.name}, task {task.number}, payload {data}")


def _is_dead_letter(error: Exception, stage: Stage) -> bool:
    """Whether the log would dead-letter this at once, for a cause outside of the flow's own code."""
    if isinstance(error, MalformedEntry | NeedsDatabase) or getattr(error, "reason", "") in _MISTAKES:
        return False
    return isinstance(error, (PermanentError, *stage.policy.never_retry))
