"""Flows whose handlers do what their payload says, and tell when they begin and end."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Annotated, Final, Literal

import orjson
from pydantic import Field

from consumers.context import StageContext
from consumers.flow import Flow, Flows
from consumers.outcome import Done, Emit, Outcome, Reject, Snooze
from consumers.stage import Stage, stage
from schemas.jobs import Asked
from schemas.names import StageName
from schemas.stages import CompileRequest, Ending, Payload
from streams.errors import TransientError
from streams.policy import RetryPolicy, StagePolicy
from tests.support import cpu_tasks

Work = Literal["pass", "sleep", "hang_once", "linger", "mixed"]


class ChaosSpec(Asked):
    """`width` tasks at classify, each of which does `work` and passes on to download and extract."""

    width: Annotated[int, Field(ge=1, le=10_000)] = 1
    work: Work = "pass"
    seconds: float = 0.0
    fifo: str = ""
    marker: str = ""


class Step(Payload):
    """What the stages hand on."""

    n: int
    spec: ChaosSpec


class _Journal:
    """Where the handlers of this process write what they do: a pipe's end, a line an event."""

    fd = -1
    worker = ""

    def tell(self, event: str, **fields: object) -> None:
        line = {"event": event, "worker": self.worker, "pid": os.getpid(), "at": time.time(), **fields}
        if self.fd >= 0:
            os.write(self.fd, orjson.dumps(line, default=str) + b"\n")

    def tell_of(self, event: str, ctx: StageContext) -> None:
        self.tell(event, job=ctx.job_id, task=ctx.task, stage=ctx.stage, attempt=ctx.attempt)


journal: Final = _Journal()


async def _work(step: Step, ctx: StageContext) -> Outcome:
    spec = step.spec
    match spec.work:
        case "mixed":
            return await _mixed(step, ctx)
        case "sleep":
            await asyncio.sleep(spec.seconds)
        case "linger":  # longer the higher the task, so that ends meet every moment of a tick
            await asyncio.sleep(spec.seconds * (ctx.task % 50) / 50)
        case "hang_once":
            if not os.path.exists(spec.marker):  # noqa: ASYNC240, PTH110 - a local file that only a test makes
                os.close(os.open(spec.marker, os.O_CREAT))
                await ctx.run_cpu(cpu_tasks.with_grandchildren, spec.fifo)
        case "pass":
            pass

    return Done((Emit("download", step),))


async def _mixed(step: Step, ctx: StageContext) -> Outcome:
    """Every way to end: one in six is snoozed once, retried once, rejected, emits while it runs, or passes on."""
    match step.n % 6:
        case 1:
            if ctx.checkpointed is None:
                await ctx.checkpoint({"snoozed": step.n})
                return Snooze(0.1, "not yet")
            assert ctx.checkpointed == {"snoozed": step.n}
        case 2:
            if ctx.attempt == 1:
                raise TransientError("the first attempt never works", reason="flaky")
        case 3:
            return Reject("unwanted", f"step {step.n}")
        case 4:
            await ctx.emit(Emit("download", step), Emit("download", step))
            return Done()
        case _:
            pass
    return Done((Emit("download", step),))


async def _told(step: Step, ctx: StageContext) -> Outcome:
    journal.tell_of("began", ctx)
    try:
        outcome = await _work(step, ctx)
    except BaseException:
        journal.tell_of("stopped", ctx)
        raise
    journal.tell_of("done", ctx)
    return outcome


def _passing(name: StageName, to: StageName | None, policy: StagePolicy) -> Stage:
    @stage(name=name, accepts=Step, emits=(to,) if to else (), policy=policy)
    async def handler(step: Step, _: StageContext) -> Outcome:
        return Done((Emit(to, step),) if to else ())

    return handler


def chaos_flow(name: str = "chaos", policy: StagePolicy | None = None) -> Flow:
    """A flow through six stages; its classify stage has the policy."""
    plain = StagePolicy()

    @stage(name="crawl", accepts=Step, emits=("classify",), policy=plain)
    async def crawl(step: Step, _: StageContext) -> Outcome:
        return Done(tuple(Emit("classify", Step(n=n, spec=step.spec)) for n in range(step.spec.width)))

    @stage(name="classify", accepts=Step, emits=("download",), policy=policy or plain)
    async def classify(step: Step, ctx: StageContext) -> Outcome:
        return await _told(step, ctx)

    @stage(name="compile", accepts=CompileRequest, policy=plain)
    async def compile_(_: CompileRequest, ctx: StageContext) -> Outcome:
        journal.tell_of("compiled", ctx)
        return Done()

    @stage(name="notify", accepts=Ending, policy=plain)
    async def notify(_: Ending, ctx: StageContext) -> Outcome:
        journal.tell_of("notified", ctx)
        return Done()

    return Flow(
        name=name,
        spec=ChaosSpec,
        stages=(
            crawl,
            classify,
            _passing("download", "extract", plain),
            _passing("extract", None, plain),
            compile_,
            notify,
        ),
        first=lambda spec: Step(n=0, spec=spec),
    )


_PATIENT: Final = StagePolicy(retry=RetryPolicy(max_attempts=10, base_s=0.05, cap_s=0.5, max_crashes=100))
FLOWS: Final = Flows([chaos_flow(), chaos_flow("patient", _PATIENT)])
