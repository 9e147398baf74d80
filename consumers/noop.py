"""The flow that does nothing, six stages long: for benchmarks, health checks and trying things out."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from consumers.context import StageContext
from consumers.flow import Flow
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from schemas.jobs import Asked
from schemas.stages import CompileRequest, Ending, Payload


class NoopSpec(Asked):
    """How wide: `fan_out` tasks at each stage from classify on."""

    fan_out: Annotated[int, Field(ge=1, le=10_000)] = 1
    n: int = 0


class Step(Payload):
    """What the stages hand on."""

    n: int = 0
    fan_out: int = 1


@stage(name="crawl", accepts=Step, emits=("classify",))
async def crawl(step: Step, _: StageContext) -> Outcome:
    """Fan out."""
    return Done(tuple(Emit("classify", Step(n=step.n + i)) for i in range(step.fan_out)))


@stage(name="classify", accepts=Step, emits=("download",))
async def classify(step: Step, _: StageContext) -> Outcome:
    """Pass on."""
    return Done((Emit("download", Step(n=step.n + 1)),))


@stage(name="download", accepts=Step, emits=("extract",))
async def download(step: Step, _: StageContext) -> Outcome:
    """Pass on."""
    return Done((Emit("extract", Step(n=step.n + 1)),))


@stage(name="extract", accepts=Step)
async def extract(_: Step, __: StageContext) -> Outcome:
    """End of the work."""
    return Done()


@stage(name="compile", accepts=CompileRequest)
async def compile_nothing(_: CompileRequest, __: StageContext) -> Outcome:
    """Nothing to compile."""
    return Done()


@stage(name="notify", accepts=Ending)
async def notify_nobody(_: Ending, __: StageContext) -> Outcome:
    """Nobody to tell."""
    return Done()


flow = Flow(
    name="noop",
    spec=NoopSpec,
    stages=(crawl, classify, download, extract, compile_nothing),
    first=lambda spec: Step(n=spec.n, fan_out=spec.fan_out),
    about="does nothing in six stages",
)

bare = replace(flow, stages=(*flow.stages, notify_nobody))
"""The same without telling anybody of its end, not even the outcomes stream: to compare with the bare loop."""
