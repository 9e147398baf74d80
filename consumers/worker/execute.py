"""Running what is ready: vet it with the log, run its handler, and say how it is to be settled."""

from __future__ import annotations

import asyncio
import logging
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from mode import Service
from pydantic import BaseModel

from consumers.encode import CLAIM, check_out, encode
from consumers.execute import Middleware, attempt, payload_of
from consumers.flow import Flows
from consumers.outcome import Cancel, Done, Outcome, Reject, Snooze
from consumers.stage import Stage
from consumers.worker.adopt import Adopter
from consumers.worker.context import EMITTED_TOGETHER, Workbench, WorkerContext
from consumers.worker.control import Control
from consumers.worker.hand import Hand, InHand, Stop
from consumers.worker.settle import Abandoned, Committer, OnHold, Released, Retried, Settlement, Snoozed
from consumers.worker.signals import Signals
from streams.codec import Delivery, host_of
from streams.connect import AWAY, NOT_NOW
from streams.errors import NotNow, PermanentError, Refused, TransientError
from streams.keys import PartitionKeys
from streams.moves import Beat, Completion, Death, Emission
from streams.pauses import HELD_S, LANDED_S
from streams.policy import WAITING_FOR, Bury, on_crashes, on_failure
from streams.scripts import Code
from streams.telemetry import delivery_span, unrecorded

logger = logging.getLogger(__name__)

T = TypeVar("T")
BATCH: Final = 128


class Executor(Service):
    """Starts ready entries; those that the log must be asked about a tick's worth in one call a partition."""

    def __init__(
        self,
        bench: Workbench,
        flows: Flows,
        hand: Hand,
        committer: Committer,
        adopter: Adopter,
        signals: Signals,
        control: Control,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self._bench = bench
        self._flows = flows
        self._hand = hand
        self._committer = committer
        self._adopter = adopter
        self._signals = signals
        self._control = control
        self._middleware = middleware
        self._fresh: list[InHand] = []
        self._has_fresh = asyncio.Event()
        self._random = random.Random()  # noqa: S311 - jitter
        self._clock = asyncio.get_event_loop().time
        self._server_ahead_ms = int((time.time() - self._clock()) * 1_000)
        super().__init__()

    @Service.task
    async def _start_ready(self) -> None:
        hand = self._hand
        while not self.should_stop:
            await hand.has_ready.wait()
            hand.has_ready.clear()
            while hand.ready:
                self._start(hand.ready.popleft())
            if self._fresh:
                self._has_fresh.set()

    @Service.task
    async def _vet_fresh(self) -> None:
        # Beside the others: what need not be vetted does not wait for an answer about what must.
        while not self.should_stop:
            await self._has_fresh.wait()
            self._has_fresh.clear()
            batch, self._fresh = self._fresh[:BATCH], self._fresh[BATCH:]
            if self._fresh:
                self._has_fresh.set()
            try:
                if self._hand.paused:
                    batch = await self._not_held(batch)
                await self._vet_all(batch)
            except AWAY as error:
                waiting = [one for one in batch if one.task is None and not one.is_settling]
                logger.warning("the log is away, %d entries wait to start: %s", len(waiting), error)
                self._fresh = waiting + self._fresh
                self._has_fresh.set()
                await asyncio.sleep(0.2)

    async def on_stop(self) -> None:
        """Let the loops see that they may end."""
        self._hand.has_ready.set()
        self._has_fresh.set()

    def _start(self, one: InHand) -> None:
        entry = one.entry
        if one.is_settling:  # the drain gave it back
            return
        if entry.is_adoptable:
            self._run(one, self._adopt(one))
        elif not self._hand.paused and self._hand.issued.take(entry):
            # Our own: it runs at once, and is announced when it turns out to take longer than a tick.
            one.began_s = self._clock()
            entry.started_ms = int(one.began_s * 1_000) + self._server_ahead_ms
            self._run(one, self._execute(one))
            self._signals.send("started", entry)
        else:
            self._fresh.append(one)

    async def _not_held(self, batch: list[InHand]) -> list[InHand]:
        """Put back what a pause holds; answers the rest."""
        await self._control.read()  # it may have ended just now
        paused = self._hand.paused
        jobs = [one.entry.job for one in batch] if paused.tenants else []
        tenants = await self._bench.log.tenants_of(jobs)
        free: list[InHand] = []
        for one in batch:
            entry = one.entry
            pause = paused.over(
                stage=entry.name.stage, flow=entry.flow, host=host_of(entry.data) if paused.hosts else "",
                tenant=tenants.get(entry.job, ""),
            )  # fmt: skip
            if pause is None:
                free.append(one)
                continue
            self._control.has_held(entry)
            delay_s = LANDED_S if pause.kind == "stage" else self._random.uniform(*HELD_S)
            self._committer.put(one, OnHold(entry, int(delay_s * 1_000), f"paused {pause.scope}", is_held=True))
        return free

    async def _vet_all(self, batch: list[InHand]) -> None:
        groups: dict[PartitionKeys, list[InHand]] = {}
        for one in batch:
            if not one.is_settling:
                groups.setdefault(one.entry.keys, []).append(one)
        vetted = [self._vet(keys, rows) for keys, rows in groups.items()]
        # All have ended before any failure is told: what is not answered then is asked again.
        for failure in await asyncio.gather(*vetted, return_exceptions=True):
            if failure is not None:
                raise failure

    async def _vet(self, keys: PartitionKeys, rows: list[InHand]) -> None:
        replies = await self._bench.moves.start(keys, [one.entry for one in rows], at_once=True)
        for one, reply in zip(rows, replies, strict=True):
            self._vetted(one, reply)

    async def announce(self, late: list[InHand]) -> None:
        """Tell the log what runs here since a while; stop what should not."""
        groups: dict[Any, list[InHand]] = {}
        for one in late:
            groups.setdefault(one.entry.keys, []).append(one)
        for keys, rows in groups.items():
            replies = await self._bench.moves.start(keys, [one.entry for one in rows])
            for one, reply in zip(rows, replies, strict=True):
                one.is_announced = True
                if reply[0] == Code.OK:
                    one.entry.started_ms = int(reply[5])
                elif not one.is_settling and one.task is not None:
                    if reply[0] == Code.CLOSED:  # first, else the handler's end could close the job as done
                        await self.fail_job(one.entry, "time_limit")
                    one.stop = Stop.CANCELLED if reply[0] == Code.CLOSED else Stop.LOST
                    one.task.cancel(one.stop.value)

    def _vetted(self, one: InHand, reply: list[Any]) -> None:
        code, entry = reply[0], one.entry
        if one.is_settling:  # given back meanwhile
            return
        if code == Code.OK:
            _, tenant, revision, crashes, checkpoint, started_ms, is_marked = reply
            one.is_announced = is_marked == 1
            entry.tenant, entry.revision = tenant.decode(), int(revision)
            entry.crashes, entry.checkpoint, entry.started_ms = int(crashes), checkpoint, int(started_ms)
            one.began_s = self._clock()
            self._server_ahead_ms = entry.started_ms - int(one.began_s * 1_000)
            poison = on_crashes(entry.crashes, one.policy.retry) if entry.crashes else None
            if poison is not None:
                text = f"{entry.crashes} workers died while they ran this task; it was not tried again"
                self._committer.put(one, Death(entry, poison.reason, text))
                return
            self._run(one, self._execute(one))
            self._signals.send("started", entry)
        elif code in {Code.UNKNOWN_JOB, Code.UNKNOWN_TASK}:
            text = (
                f"the entry names job {entry.job!r}, task {entry.task!r}, which were not issued here; submit a job, "
                "or XADD without `job` to have one made"
            )
            self._committer.put(one, Death(entry, "unknown_task", text, is_stray=True))
        elif code == Code.CLOSED:
            self._run(one, self._over_limit(one))
        else:
            self._hand.settled(one)
            self._signals.send("settled", entry, Code(code).name.lower())

    def _run(self, one: InHand, work: Any) -> None:
        one.task = asyncio.create_task(work)

    async def _adopt(self, one: InHand) -> None:
        death = await self._insist(lambda: self._adopter.adopt(one.entry))
        if death is None:
            self._hand.settled(one)
        else:
            self._committer.put(one, death)

    async def _over_limit(self, one: InHand) -> None:
        await self.fail_job(one.entry, "time_limit")
        self._committer.put(one, Completion(one.entry))

    @staticmethod
    async def _insist(move: Callable[[], Awaitable[T]]) -> T:
        """Make a move until it is answered."""
        while True:
            try:
                return await move()
            except NOT_NOW as error:
                logger.warning("the log is away or full, a move waits: %s", error)
            await asyncio.sleep(0.2)

    async def fail_job(self, entry: Delivery, reason: str) -> None:
        """End an entry's job as failed."""
        try:
            await self._insist(lambda: self._bench.log.cancel(entry.job, reason=reason, status="failed"))
        except Refused:
            logger.debug("job %s ended before it could be failed: %s", entry.job, reason)

    async def _execute(self, one: InHand) -> None:
        entry = one.entry
        numbered = 0 if entry.name.stage in {"compile", "notify"} else int(entry.task)
        span = unrecorded(entry.traceparent, numbered) or delivery_span(
            entry.traceparent, stream=entry.stream, entry_id=entry.entry_id, consumer=self._bench.moves.consumer,
            stage=entry.name.stage, flow=entry.flow, job=entry.job, task=int(entry.task), attempt=entry.attempt,
            delivery=entry.delivery, enqueued_ms=entry.enqueued_ms, started_ms=entry.started_ms,
        )  # fmt: skip
        one.span = span
        try:
            with span:
                settlement = await self._settlement(one, span.traceparent)
        except asyncio.CancelledError:
            settlement = self.stopped(one)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is settled by policy
            settlement = self._failed(one, error)
        if one.stop is Stop.LOST:
            settlement = Abandoned()
        span.handled()
        self._committer.put(one, settlement)

    async def _settlement(self, one: InHand, traceparent: str) -> Settlement:
        entry = one.entry
        flow = self._flows.by_name.get(entry.flow)
        stage = flow.by_name.get(entry.name.stage) if flow is not None else None
        if flow is None or stage is None:
            what = f"flow {entry.flow!r}" if flow is None else f"stage {entry.name.stage!r} in flow {entry.flow!r}"
            return Death(entry, "unknown_flow", f"no {what} is installed in this worker; install it and redrive")
        data = entry.data
        if data.startswith(CLAIM):
            data = await check_out(data, self._bench.resources.blobs, entry.tenant)
        payload = payload_of(stage, data)
        context = WorkerContext(one, stage, self._bench, traceparent)
        outcome = await self._outcome(one, stage, payload, context)
        if isinstance(outcome, Done):
            return await self._done(one, stage, context, outcome)
        if isinstance(outcome, Snooze):
            if outcome.reason.startswith(WAITING_FOR):
                await self._bench.moves.heartbeat(entry.keys, [Beat(entry, None, outcome.reason)])
            return Snoozed(entry, int(outcome.delay_s * 1_000), outcome.reason)
        if isinstance(outcome, Reject):
            return Death(entry, outcome.reason, outcome.detail)
        return await self._cancelled(one, outcome)

    async def _outcome(self, one: InHand, stage: Stage, payload: BaseModel, context: WorkerContext) -> Outcome:
        """Run the handler under its limits."""
        limiter = self._bench.limiter
        if not limiter.concerns(one, payload):
            return await attempt(stage, payload, context, self._middleware)
        try:
            snooze = await limiter.take(one, payload)
            if snooze is not None:
                return snooze
            step = await self._bench.log.client.hget(one.entry.keys.job(one.entry.job), "progress.step")
            if step is not None and step.startswith(WAITING_FOR.encode()):
                await self._bench.moves.heartbeat(one.entry.keys, [Beat(one.entry, None, f"at {stage.name}")])
            return await attempt(stage, payload, context, self._middleware)
        finally:
            await limiter.release(one)

    async def _done(self, one: InHand, stage: Stage, context: WorkerContext, outcome: Done) -> Settlement:
        entry = one.entry
        emissions: tuple[Emission, ...] = ()
        if outcome.result is not None or entry.name.stage == "extract":
            await context.finish()
        if outcome.result is not None:
            ttl_s = await self._bench.log.client.hget(entry.keys.job(entry.job), "result_ttl_s")
            kept_s = int(ttl_s or self._bench.resources.settings.result_ttl_s)
            await context.store.results.put(
                entry.job, outcome.result.model_dump(mode="json"), tenant=entry.tenant, revision=entry.revision,
                expires_at=datetime.now(UTC) + timedelta(seconds=kept_s),
            )  # fmt: skip
        emits = outcome.emits
        if len(emits) > EMITTED_TOGETHER:  # what would hold up the server, as one call, goes before
            await context.emit(*emits[:-EMITTED_TOGETHER])
            emits = emits[-EMITTED_TOGETHER:]
        if emits:
            emissions = await encode(emits, stage, self._bench.resources.blobs, entry.tenant)
        for missing in outcome.missing:
            context.log.warning("missing: %s", missing)
        return Completion(entry, emissions, context.traceparent, len(outcome.missing), one.is_touched, context.collects)

    async def _cancelled(self, one: InHand, outcome: Cancel) -> Settlement:
        try:
            await self._bench.log.cancel(one.entry.job, reason=outcome.reason)
        except Refused as refusal:
            logger.info("the handler's cancel came late: %s", refusal)
        return Completion(one.entry)

    def stopped(self, one: InHand) -> Settlement:
        """The handler was stopped: by a limit, by its job's end, by the loss of its lease or by the drain."""
        match one.stop:
            case Stop.SOFT_LIMIT | Stop.HARD_LIMIT:
                limit_s = one.policy.soft_timeout_s if one.stop is Stop.SOFT_LIMIT else one.policy.timeout_s
                error = TransientError(
                    f"{one.entry.name.stage} of {one.entry.flow} ran past its limit of {limit_s:g} s",
                    reason=one.stop.value,
                )
                return self._failed(one, error)
            case Stop.CANCELLED:
                return Completion(one.entry)
            case Stop.LOST:
                return Abandoned()
            case _:
                return Released()

    def _failed(self, one: InHand, error: Exception) -> Settlement:
        entry = one.entry
        if isinstance(error, NOT_NOW) and not isinstance(error, TransientError):
            error = TransientError(str(error), reason="connection")
        if isinstance(error, NotNow):
            spread_s = 1.0 + self._random.random() / 10  # not all of them at the same time
            return Snoozed(entry, int((error.retry_after_s or 1.0) * spread_s * 1_000), error.reason)
        decision = on_failure(error, entry.attempt, one.policy, self._random.random())
        log = WorkerContext(one, self._stage_or_none(entry), self._bench, entry.traceparent).log
        if isinstance(decision, Bury):
            log.error("%s: %s", decision.reason, error)
            is_surprise = not isinstance(error, PermanentError | TransientError)
            trace = "".join(traceback.format_exception(error)) if is_surprise or error.__cause__ else ""
            return Death(entry, decision.reason, str(error) or type(error).__name__, trace)
        log.warning("attempt %d: %s: %s; again in %.1f s", entry.attempt, decision.reason, error, decision.delay_s)
        return Retried(entry, int(decision.delay_s * 1_000), decision.reason)

    def _stage_or_none(self, entry: Delivery) -> Any:
        flow = self._flows.by_name.get(entry.flow)
        return flow.by_name.get(entry.name.stage) if flow is not None else None
