"""The context that a worker gives to a handler."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel

from consumers.context import Failure, Resources
from consumers.cpu.errors import CpuTaskFailed
from consumers.cpu.wire import Kind, pack_result, unpack_result
from consumers.encode import encode
from consumers.memo import key_of
from consumers.net.browser import Browser
from consumers.outcome import Emit
from consumers.stage import Stage
from consumers.store.logs import LogLine, LogShipper
from consumers.store.memos import Remembered
from consumers.worker.hand import InHand, Stop
from consumers.worker.limit import Limiter
from schemas.names import StageName
from streams.errors import MillraceError, TransientError
from streams.frontier import Frontier
from streams.log import Log
from streams.moves import Moves
from streams.policy import RateLimit
from streams.record import JobRecord

Model = TypeVar("Model", bound=BaseModel)
logger = logging.getLogger("millrace.job")
EMITTED_TOGETHER: Final = 250
"""Emissions in one script call: about 2 ms of the server's time."""

_LEVELS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}


class LeaseLost(MillraceError):  # noqa: N818 - it says what happened
    """This delivery was superseded; nothing the handler does counts any more."""


@dataclass(frozen=True, slots=True)
class Workbench:
    """What the contexts of one worker share."""

    resources: Resources
    log: Log
    moves: Moves
    logs: LogShipper | None
    nudge: Callable[[], None]
    limiter: Limiter
    frontier: Frontier


class JobLogger(logging.LoggerAdapter[logging.Logger]):
    """Writes to the process's log with the job's ids, and to the job's own log."""

    def __init__(self, context: Context) -> None:
        self._context = context
        entry = context.one.entry
        super().__init__(
            logger, {"job_id": entry.job, "task": entry.task, "stage": entry.name.stage, "flow": entry.flow}
        )

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Take keyword arguments as fields of the line."""
        fields = {k: kwargs.pop(k) for k in list(kwargs) if k not in {"exc_info", "stack_info", "stacklevel", "extra"}}
        kwargs["extra"] = {**(self.extra or {}), **fields}
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write a line; keyword arguments become its fields."""
        fields = {k: v for k, v in kwargs.items() if k not in {"exc_info", "stack_info", "stacklevel", "extra"}}
        super().log(level, msg, *args, **kwargs)
        context, entry = self._context, self._context.one.entry
        if context.bench.logs is not None and level >= logging.INFO:
            context.bench.logs.put(
                LogLine(
                    entry.job, entry.tenant, datetime.now(UTC), _LEVELS.get(level, "error"),
                    str(msg) % args if args else str(msg), fields, trace_id=context.traceparent[3:35] or None,
                    task=int(entry.task), stage=entry.name.stage, attempt=entry.attempt,
                )
            )  # fmt: skip


class WorkerContext:
    """`consumers.context.StageContext` for an entry in hand."""

    __slots__ = ("_collected", "_emitted", "_log", "_spec", "_unlooked", "bench", "one", "stage_of", "traceparent")

    def __init__(self, one: InHand, stage: Stage, bench: Workbench, traceparent: str) -> None:
        self.one = one
        self.stage_of = stage
        self.bench = bench
        self.traceparent = traceparent
        self._collected = 0
        self._emitted = 0
        self._unlooked = 0
        self._log: JobLogger | None = None
        self._spec: bytes | None = None

    job_id = property(lambda self: self.one.entry.job)
    task = property(lambda self: int(self.one.entry.task))
    flow = property(lambda self: self.one.entry.flow)
    stage = property(lambda self: self.one.entry.name.stage)
    attempt = property(lambda self: self.one.entry.attempt)
    is_last_attempt = property(lambda self: self.one.entry.attempt >= self.one.policy.retry.max_attempts)
    tenant = property(lambda self: self.one.entry.tenant)
    revision = property(lambda self: self.one.entry.revision)
    idempotency_key = property(lambda self: f"{self.one.entry.job}/{self.one.entry.task}")
    deadline = property(lambda self: self.one.began_s + self.one.policy.soft_timeout_s)
    settings = property(lambda self: self.bench.resources.settings)
    fetch = property(lambda self: self.bench.resources.fetch)
    robots = property(lambda self: self.bench.resources.robots)
    politeness = property(lambda self: self.bench.resources.politeness)
    blobs = property(lambda self: self.bench.resources.blobs)
    store = property(lambda self: self.bench.resources.store)
    jobs = property(lambda self: self.bench.log)

    @property
    def collects(self) -> int:
        """How many contributions this delivery has collected so far."""
        return self._collected

    llm = property(lambda self: self.bench.resources.llm)

    @property
    def checkpointed(self) -> Any:
        """What the last `checkpoint` of this task kept."""
        return orjson.loads(self.one.entry.checkpoint) if self.one.entry.checkpoint else None

    @property
    def log(self) -> JobLogger:
        """The job's log."""
        if self._log is None:
            self._log = JobLogger(self)
        return self._log

    async def spec(self, model: type[Model]) -> Model:
        """What the user asked for."""
        if self._spec is None:
            entry = self.one.entry
            self._spec = await self.bench.log.client.hget(entry.keys.job(entry.job), "spec") or b"{}"
        return model.model_validate_json(self._spec)

    async def browser(self) -> Browser:
        """The process's browser."""
        return await self.bench.resources.browser()

    async def run_cpu(self, work: Callable[..., Any], *args: Any) -> Any:
        """Run a function in a killable subprocess; or have what it returned before, where the stage has a memo."""
        resources, stage = self.bench.resources, self.stage_of
        if stage.memo is None or not resources.settings.memo or not resources.has_store:
            return await self._run_cpu(work, *args)
        key = await asyncio.to_thread(key_of, stage, self.flow, resources.settings, work, args)
        if key is None:
            return await self._run_cpu(work, *args)
        whose: dict[str, Any] = {
            "tenant": self.tenant, "job_id": self.job_id, "task": self.task, "stage": stage.name,
        }  # fmt: skip
        known = await self.store.memos.get(key, **whose)
        if known is not None:
            try:
                value = unpack_result(work, Kind.JSON if known.is_json else Kind.BYTES, known.body)
            except CpuTaskFailed:  # of another version, under the same key: computed anew
                return await self._run_cpu(work, *args)
            self.log.info("had from memo what took %.2f s to compute", known.took_s)
            return value
        began_s = asyncio.get_running_loop().time()
        value = await self._run_cpu(work, *args)
        took_s = asyncio.get_running_loop().time() - began_s
        kind, body = await asyncio.to_thread(pack_result, work, value)
        await self.store.memos.put(key, Remembered(kind is Kind.JSON, body, took_s), **whose)
        return value

    async def _run_cpu(self, work: Callable[..., Any], *args: Any) -> Any:
        policy, left_s = self.one.policy, self.deadline - asyncio.get_running_loop().time()
        soft_s = max(0.1, left_s)
        self.one.cpu_calls += 1
        try:
            return await self.bench.resources.cpu(policy.pool).run(
                work,
                *args,
                timeout_s=soft_s + policy.timeout_s - policy.soft_timeout_s,
                soft_timeout_s=soft_s,
                memory_mb=policy.memory_mb,
                progress=self.progress,
            )
        finally:
            self.one.cpu_calls -= 1

    def progress(self, step: str, percent: float | None = None) -> None:
        """Say what is being done."""
        self.one.step = step
        if percent is not None:
            self.one.percent = min(100.0, max(0.0, percent))
        self._note()

    async def checkpoint(self, value: Any) -> None:
        """Keep a small JSON value for the next delivery of this task."""
        self.one.checkpoint = orjson.dumps(value)
        if len(self.one.checkpoint) > 65_536:  # noqa: PLR2004 - as the docstring of the protocol says, small
            msg = f"a checkpoint of {len(self.one.checkpoint)} bytes: keep at most 65536, and larger things as a blob"
            raise ValueError(msg)
        answered = asyncio.get_running_loop().create_future()
        self.one.waiters.append(answered)
        self.one.is_touched = True
        self._note()
        await answered

    async def emit(self, *emits: Emit) -> None:
        """Open entries now."""
        entry = self.one.entry
        emissions = await encode(emits, self.stage_of, self.blobs, entry.tenant)
        for at in range(0, len(emissions), EMITTED_TOGETHER):
            some = emissions[at : at + EMITTED_TOGETHER]
            code = await self.bench.moves.emit(entry.keys, entry, self._emitted + 1, some, self.traceparent)
            self._emitted += len(some)
            self._unlooked += len(some)
            self.one.is_touched = True
            if code < 0:
                msg = f"{self.idempotency_key} is no longer held by this worker; its emissions were refused"
                raise LeaseLost(msg)
            if self._unlooked >= EMITTED_TOGETHER:
                self._unlooked = 0
                await self._spill({one.stage for one in some})

    async def _spill(self, stages: Iterable[StageName]) -> None:
        """Who emits much waits until that is out of memory; without an artifact store it goes on all the same."""
        entry = self.one.entry
        for stage in stages:
            try:
                await self.bench.frontier.spill(entry.keys, entry.job, stage)
            except TransientError as error:
                self.log.warning("what is parked stays in memory: %s", error)

    async def collect(self, payload: BaseModel) -> None:
        """Keep something for compile."""
        await self.store.contributions.put(
            self.job_id, self.task, self._collected, payload.model_dump(mode="json"), tenant=self.tenant,
            revision=self.revision,
        )  # fmt: skip
        self._collected += 1

    async def collected(self, model: type[Model]) -> AsyncIterator[Model]:
        """Everything that the job's tasks collected."""
        async for payload in self.store.contributions.of(self.job_id, tenant=self.tenant):
            yield model.model_validate(payload)

    async def reserve(self, limit: RateLimit, what: str) -> float:
        """Seconds until `what` may begin under a rate that all workers share; 0: now."""
        return await self.bench.limiter.reserve(limit, f"{self.idempotency_key}/{what}")

    async def failures(self) -> list[Failure]:
        """The job's dead letters, and those that a replay took over from its origin."""
        record = await self.bench.log.job(self.job_id)
        found: list[Failure] = []
        if record is not None and record.origin and self.bench.resources.has_store:
            found += [
                Failure(old.task, old.stage, old.reason, old.error, old.data.encode())
                for old in await self.store.inherited.failures(self.job_id, tenant=self.tenant)
            ]
        for task, place in sorted((record.tasks if record else {}).items()):
            if place.kind == "dead":
                letter = await self.bench.log.dead_letter(f"{self.one.entry.keys.partition}-{place.entry_id}")
                if letter is not None:
                    row = letter.fields
                    found.append(Failure(task, row["stage"], row["reason"], row["error"], row["data"].encode()))
        return found

    async def job(self, job_id: str = "") -> JobRecord | None:
        """The live record of the job, or of another one."""
        return await self.bench.log.job(job_id or self.job_id)

    async def publish_outcome(self, event: Mapping[str, str]) -> None:
        """Put an event on the outcomes stream."""
        await self.bench.log.client.xadd(self.bench.log.keys.outcomes, dict(event))

    async def finish(self) -> None:
        """Before the move: drop what an earlier delivery of this task collected beyond this one."""
        entry = self.one.entry
        is_first = entry.delivery == 1 and entry.attempt == 1 and entry.revision == 1
        if self._collected or (self.bench.resources.has_store and not is_first):
            await self.store.contributions.trim(
                self.job_id, self.task, self._collected, tenant=self.tenant, revision=self.revision
            )

    def _note(self) -> None:
        if self.one.stop is Stop.LOST:
            msg = f"{self.idempotency_key} is no longer held by this worker"
            raise LeaseLost(msg)
        self.one.is_noted = True
        self.bench.nudge()


Context = WorkerContext
