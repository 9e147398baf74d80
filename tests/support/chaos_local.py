"""Workers in this process, with handlers that a test writes: to look at one behaviour at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from api.chaos.history import check_history
from consumers.context import StageContext
from consumers.flow import Flow, Flows
from consumers.outcome import Done, Emit, Outcome
from consumers.resources import SharedResources
from consumers.stage import stage
from consumers.submit import submit
from consumers.worker.worker import Worker, WorkerOptions
from schemas.jobs import Asked, JobRequest
from schemas.names import WORK_STAGES, StageName
from schemas.settings import Settings
from schemas.stages import CompileRequest, Ending, Payload
from streams.connect import connect
from streams.keys import Keys
from streams.log import Log
from streams.moves import Moves
from streams.policy import RetryPolicy, StagePolicy
from streams.reader import Reader
from streams.reclaimer import Reclaimer
from streams.record import JobRecord


class NoteSpec(Asked):
    """Anything."""

    n: int = 0


class Note(Payload):
    """What the stages hand on."""

    n: int = 0


Handler = Callable[[Note, StageContext], Awaitable[Outcome]]
QUICK = RetryPolicy(max_attempts=3, base_s=0.02, cap_s=0.05)


async def passes(_: Any, __: StageContext) -> Outcome:
    """Nothing to do."""
    return Done()


def handing_on(to: StageName, width: int = 1) -> Handler:
    """Emits so many notes to a stage."""

    async def handler(note: Note, _: StageContext) -> Outcome:
        return Done(tuple(Emit(to, Note(n=note.n + n)) for n in range(width)))

    return handler


def flow_of(
    name: str = "one",
    *,
    policies: dict[StageName, StagePolicy] | None = None,
    limit_s: float | None = None,
    budgets: dict[str, int] | None = None,
    **handlers: Handler,
) -> Flow:
    """A flow whose stages do what the given handlers do; those not given do nothing."""
    policies = policies or {}
    stages = [
        stage(
            name=one,
            accepts=Note,
            emits=WORK_STAGES[WORK_STAGES.index(one) :],
            policy=policies.get(one, StagePolicy(retry=QUICK)),
        )(handlers.get(one, passes))
        for one in WORK_STAGES
    ]
    tail = StagePolicy(retry=QUICK)
    compile_ = stage(name="compile", accepts=CompileRequest, policy=tail)(handlers.get("compile", passes))
    notify = stage(name="notify", accepts=Ending, policy=tail)(handlers.get("notify", passes))
    return Flow(
        name=name,
        spec=NoteSpec,
        stages=(*stages, compile_, notify),
        first=lambda spec: Note(n=spec.n),
        budgets=lambda _: budgets or {},
        limit_s=limit_s,
    )


@dataclass(slots=True)
class Here:
    """A namespace and the workers of this process in it."""

    redis_url: str
    settings: Settings
    flows: Flows
    log: Log
    resources: SharedResources
    accepted: list[str] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    signals: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    async def start(self, *, redis_url: str | None = None, **options: Any) -> Worker:
        """Start a worker."""
        worker = Worker(
            self.settings,
            redis_url=redis_url or self.redis_url,
            flows=self.flows,
            resources=self.resources,
            options=WorkerOptions(**options),
        )
        worker.signals.listen(self._heard)
        self.workers.append(worker)
        await worker.start()
        return worker

    async def submit(self, flow: str = "one", n: int = 0, **request: Any) -> str:
        """Submit a job."""
        asked = JobRequest.model_validate({"flow": flow, "spec": {"n": n}, **request})
        submitted = await submit(self.log, self.flows, asked)
        self.accepted.append(submitted.job_id)
        return submitted.job_id

    async def until(self, is_so: Callable[[], Any], what: str, timeout_s: float = 20) -> None:
        """Wait for a signal after which `is_so` (it may be a coroutine function) holds."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            answer = is_so()
            if await answer if asyncio.iscoroutine(answer) else answer:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"waited {timeout_s} s for {what}")
            async with self.news:
                try:
                    await asyncio.wait_for(self.news.wait(), 0.05)
                except TimeoutError:
                    continue

    async def ended(self, job_id: str, timeout_s: float = 20) -> JobRecord:
        """Wait until a job has ended with nothing left open."""
        found: list[JobRecord] = []

        async def has_ended() -> bool:
            record = await self.log.job(job_id)
            if record is not None and "finished_at" in record.fields and record.number("tail") == 0:
                found.append(record)
                return all(place.kind == "dead" for place in record.tasks.values())
            return False

        try:
            await self.until(has_ended, f"the end of {job_id}", timeout_s)
        except AssertionError as error:
            record = await self.log.job(job_id)
            raise AssertionError(f"{error}: {record and record.fields}") from None
        return found[-1]

    async def told(self, job_id: str, kind: str) -> list[dict[str, str]]:
        """The lifecycle entries of a job of one type."""
        return [row for _, row in await self.log.lifecycle(job_id) if row["type"] == kind]

    async def disown(self, worker: Worker) -> int:
        """Take from a worker what it holds, as a supervisor does that saw it die."""
        streams = Reader(self.log.client, self.log.client, self.log.keys, "x", pools=worker.options.pools).streams
        moves = Moves(self.log.client, "supervisor", self.flows, 3_600)
        return await Reclaimer(self.log.client, moves, streams, lease_ms=1, interval_s=1).disown(worker.name)

    async def check(self, *, settled: bool = True) -> None:
        """Hold the history against the log."""
        await check_history(self.log.client, self.log.keys, self.accepted, settled=settled)

    def _heard(self, name: str, values: tuple[Any, ...]) -> None:
        self.signals.append((name, values))

        async def tell() -> None:
            async with self.news:
                self.news.notify_all()

        task = asyncio.get_running_loop().create_task(tell())
        task.add_done_callback(lambda _: None)


@asynccontextmanager
async def here(
    redis_url: str, namespace: str, *flows: Flow, store_url: str | None = None, **settings: Any
) -> AsyncIterator[Here]:
    """A namespace for workers of this process, with a database where there is a URL; they are drained at the end."""
    made = Settings(namespace=namespace, **{"drain_s": 5.0, **settings})
    client = connect(redis_url)
    async with SharedResources(made, store_url) as resources:
        known = Flows(flows)
        log = Log(
            client, Keys(namespace, made.partitions), known, record_ttl_s=3_600, max_backlog=made.max_backlog
        )  # fmt: skip
        place = Here(redis_url, made, known, log, resources)
        try:
            yield place
        finally:
            for worker in place.workers:
                await worker.drain(0 if worker.crashed else None)
            await client.aclose()
