"""The flow that chaos submits: every way in which work can go, each predictable from the spec."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field
from sqlalchemy import text

from api.chaos.history import Expected
from consumers.context import StageContext
from consumers.flow import Flow, Flows
from consumers.notify import notify
from consumers.outcome import Done, Emit, Outcome, Reject, Snooze
from consumers.stage import stage
from schemas.jobs import Asked
from schemas.stages import CompileRequest, Payload
from streams.errors import TransientError
from streams.policy import RetryPolicy, StagePolicy

NAME: Final = "chaos"
PAGES: Final = 2
"""Of a `mixed` job: its crawl emits to itself."""
WIDTH: Final = 6
BIG_BYTES: Final = 70_000
"""More than goes into an entry: it becomes a claim check."""

Shape = Literal["small", "chain", "mixed", "slow"]

SINK: Final = "chaos_effects"
SINK_TABLE: Final = f"CREATE TABLE IF NOT EXISTS {SINK} (key text PRIMARY KEY, job_id text NOT NULL, runs int NOT NULL)"
_EFFECT: Final = text(
    f"INSERT INTO {SINK} AS kept (key, job_id, runs) VALUES (:key, :job, 1) "  # noqa: S608 - a name of ours
    "ON CONFLICT (key) DO UPDATE SET runs = kept.runs + 1"
)


class ChaosSpec(Asked):
    """What a job does.

    Attributes:
        shape: ``small`` crawls and ends. ``chain`` passes all stages. ``mixed`` fans out, emits to itself, snoozes,
            retries, rejects, emits while it runs, repeats itself, and carries a payload too big for an entry.
            ``slow`` works for `seconds`.
        sink: Whether it writes to PostgreSQL and to the artifact store.
        n: Makes specs differ.
    """

    shape: Shape = "small"
    sink: bool = False
    seconds: Annotated[float, Field(ge=0, le=600)] = 0.0
    n: int = 0


class _Sinking(BaseModel):
    """Of a spec what compile needs; the spec of an adopted entry is its payload, which has none of it."""

    sink: bool = False


class Step(Payload):
    """What the stages hand on; `n` is its place in the job, `page` the crawl that it comes from."""

    spec: ChaosSpec = ChaosSpec()
    n: int = 0
    page: int = 0
    ballast: str = ""


class Found(Payload):
    """From extract, collected for compile."""

    n: int


class Tally(Payload):
    """The result: how many extracts compile saw."""

    found: int


PATIENT: Final = StagePolicy(retry=RetryPolicy(max_attempts=10_000, base_s=0.1, cap_s=1.0, max_crashes=10_000))
"""Whatever chaos does to an attempt, it is tried again: only what rejects itself may end as a dead letter."""


@stage(name="crawl", accepts=Step, emits=("crawl", "classify"), policy=PATIENT, fetches=False)
async def crawl(step: Step, _: StageContext) -> Outcome:
    """Fan out."""
    if step.spec.shape == "small":
        return Done()
    if step.spec.shape != "mixed":
        return Done((Emit("classify", step),))
    inner = tuple(
        Emit("classify", step.model_copy(update={"n": step.page * WIDTH + n})) for n in range(WIDTH)
    )  # fmt: skip
    if step.page + 1 < PAGES:
        return Done((*inner, Emit("crawl", step.model_copy(update={"page": step.page + 1}))))
    return Done(inner)


@stage(name="classify", accepts=Step, emits=("download",), policy=PATIENT, fetches=False)
async def classify(step: Step, ctx: StageContext) -> Outcome:
    """Go well, in one of many ways; or not."""
    if step.spec.shape == "slow":
        await asyncio.sleep(step.spec.seconds)
    elif step.spec.shape == "mixed":
        return await _mixed(step, ctx)
    return Done((Emit("download", step),))


async def _mixed(step: Step, ctx: StageContext) -> Outcome:
    on = Emit("download", step)
    match step.n % WIDTH:
        case 1 if ctx.checkpointed is None:
            await ctx.checkpoint({"snoozed": step.n})
            return Snooze(0.2, "not yet")
        case 2 if ctx.attempt == 1:
            raise TransientError("the first attempt never works", reason="flaky")
        case 3 if ctx.revision == 1:
            return Reject("unwanted", f"step {step.n} of the first revision")
        case 4:
            await ctx.emit(on, on)
            return Done()
        case 5:  # of all pages one is enough
            big = step.model_copy(update={"ballast": "x" * BIG_BYTES, "n": 5, "page": 0})
            return Done((Emit("download", big, once="the big one"),))
        case _:
            return Done((on,))


@stage(name="download", accepts=Step, emits=("extract",), policy=PATIENT, fetches=False)
async def download(step: Step, ctx: StageContext) -> Outcome:
    """Keep bytes."""
    if step.spec.sink:
        await ctx.blobs.put(ctx.idempotency_key.encode(), tenant=ctx.tenant, content_type="text/plain")
    return Done((Emit("extract", step.model_copy(update={"ballast": ""})),))


@stage(name="extract", accepts=Step, policy=PATIENT)
async def extract(step: Step, ctx: StageContext) -> Outcome:
    """Have an effect outside, made idempotent by the key; the sink counts how often it was asked for."""
    if step.spec.sink:
        await ctx.collect(Found(n=step.n))
        async with ctx.store.database.begin() as session:
            await session.execute(_EFFECT, {"key": ctx.idempotency_key, "job": ctx.job_id})
    return Done()


@stage(name="compile", accepts=CompileRequest, policy=PATIENT)
async def compile_tally(_: CompileRequest, ctx: StageContext) -> Outcome:
    """Count what was collected: a join that came too early would see less."""
    if not (await ctx.spec(_Sinking)).sink:
        return Done()
    return Done(result=Tally(found=len([one async for one in ctx.collected(Found)])))


flow: Final = Flow(
    name=NAME,
    spec=ChaosSpec,
    stages=(crawl, classify, download, extract, compile_tally, replace(notify, policy=PATIENT)),
    first=lambda spec: Step(spec=spec),
    about="every way in which work can go",
)
FLOWS: Final = Flows([flow])


def expected_of(shape: Shape, *, revision: int = 1) -> Expected:
    """What a job of this shape has to show at the end of a revision: the second one redrives what was rejected."""
    tail: Mapping[str, int] = {"compile": revision, "notify": revision}
    if shape == "small":
        return Expected({"crawl": 1, "classify": 0, **tail})
    if shape != "mixed":
        return Expected({"crawl": 1, "classify": 1, "download": 1, "extract": 1, **tail})
    rejected = PAGES if revision == 1 else 0
    # Of the six places of a page: three pass one on, one may, one passes two on, and one passes one for all pages.
    passed = PAGES * 3 + PAGES - rejected + PAGES * 2 + 1
    return Expected(
        {"crawl": PAGES, "classify": PAGES * WIDTH - rejected, "download": passed, "extract": passed, **tail}, rejected
    )
