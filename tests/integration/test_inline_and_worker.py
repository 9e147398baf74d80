"""The inline runner and a worker end the same jobs in the same way."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from consumers.context import StageContext
from consumers.execute import Next
from consumers.flow import Flow, Flows
from consumers.inline import InlineRun, run_inline
from consumers.outcome import Done, Outcome
from consumers.resources import SharedResources
from consumers.stage import stage
from consumers.store import upgrade
from consumers.submit import submit
from consumers.worker.worker import Worker, WorkerOptions
from schemas.jobs import JobRequest
from schemas.names import StageName
from schemas.settings import Settings
from schemas.stages import CompileRequest, Payload
from streams.errors import MillraceError
from streams.record import JobRecord
from streams.states import ENDED
from tests.support import cpu_tasks
from tests.support.tree_flow import Node, TreeSpec
from tests.support.tree_flow import flow as tree


def node(name: str, stage_name: StageName = "crawl", *children: Node, **fields: Any) -> Node:
    return Node(name=name, stage=stage_name, children=children, **fields)


LINE = node("a", "crawl", node("b", "classify", node("c", "download", node("d", "extract"))))
PAGES = tuple(node(f"p{i}", once=f"u{i % 3}", budget="pages") for i in range(8))


@dataclass(frozen=True)
class Case:
    root: Node
    budgets: dict[str, int] | None = None
    until_stage: StageName | None = None


CASES = {
    "six stages": Case(LINE),
    "once": Case(node("r", "crawl", *(node(f"p{i}", once="same") for i in range(3)))),
    "budget": Case(node("r", "crawl", *PAGES), budgets={"pages": 2}),
    "early emissions": Case(node("r", "crawl", node("x", "extract"), node("y", "download"), early=True)),
    "reject": Case(node("r", "crawl", node("x", "extract", act="reject"), node("y", "extract"))),
    "refuse": Case(node("r", "crawl", node("x", "classify", act="refuse"), node("y", "extract"))),
    "never retry": Case(node("r", "crawl", node("x", "download", act="crash"))),
    "miss": Case(node("r", "crawl", node("x", "download", act="miss"))),
    "snooze": Case(node("r", "crawl", node("x", "download", act="snooze"), node("y", "download"))),
    "cancel": Case(node("r", act="cancel")),
    "all fail": Case(node("r", act="refuse")),
    "compile fails": Case(node("r", act="spoil compile")),
    "until classify": Case(LINE, until_stage="classify"),
    "until compile": Case(LINE, until_stage="compile"),
}


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    asyncio.run(upgrade(postgres_url))
    return postgres_url


@pytest.fixture
async def seen() -> list[str]:
    """What the middleware of `worker` saw."""
    return []


@pytest.fixture
async def worker(
    valkey_url: str, database_url: str, namespace: str, tmp_path: Path, seen: list[str]
) -> AsyncIterator[Worker]:
    async def middleware(payload: BaseModel, ctx: StageContext, following: Next) -> Outcome:
        seen.append(f"before {ctx.stage}")
        outcome = await following()
        seen.append(f"after {ctx.stage}")
        return outcome

    settings = Settings(namespace=namespace, artifacts_url=str(tmp_path / "artifacts"))
    async with SharedResources(settings, database_url) as resources:
        worker = Worker(
            settings,
            redis_url=valkey_url,
            flows=Flows([tree]),
            resources=resources,
            options=WorkerOptions(middleware=(middleware,)),
        )
        await worker.start()
        yield worker
        await worker.drain()


async def finished(worker: Worker, job_id: str) -> JobRecord:
    """The record of a job when it has ended and nothing of it is open."""
    settled = asyncio.Event()
    worker.signals.listen(lambda name, _: settled.set() if name in {"settled", "timers.promoted"} else None)
    while True:
        settled.clear()
        record = await worker.jobs.job(job_id)
        assert record is not None
        if record.status in ENDED and not record.number("tail") and not record.number("work"):
            return record
        await asyncio.wait_for(settled.wait(), 20)


def told(run: InlineRun) -> dict[str, Any]:
    counts = {name: (count.done, count.failed) for name, count in run.stages.items() if count.done or count.failed}
    result = run.result.model_dump() if run.result is not None else None
    return {"status": run.status, "counts": counts, "missing": len(run.missing), "result": result}


@pytest.mark.parametrize("name", CASES)
async def test_a_job_ends_alike(worker: Worker, name: str) -> None:
    case = CASES[name]
    spec = TreeSpec(root=case.root, budgets=case.budgets or {})
    try:
        inline = told(await run_inline(tree, spec, until_stage=case.until_stage))
    except MillraceError as error:
        inline = {"status": "failed", "reason": getattr(error, "reason", "")}
    request = JobRequest(flow="tree", spec=spec.model_dump(mode="json"), until_stage=case.until_stage)
    job_id = (await submit(worker.jobs, worker.flows, request)).job_id
    record = await finished(worker, job_id)
    if inline["status"] == "failed":
        assert (record.status, record.fields["error"]) == ("failed", inline["reason"])
        return
    kept = await worker.resources.store.results.get(job_id, tenant="default")
    counts = {
        stage_name: (count["done"], count["failed"])
        for stage_name, count in record.stages().items()
        if count["done"] or count["failed"]
    }
    assert inline == {
        "status": record.status,
        "counts": counts,
        "missing": record.number("missing"),
        "result": kept.payload if kept is not None else None,
    }


async def test_middleware_wraps_every_handler_of_a_worker(worker: Worker, seen: list[str]) -> None:
    request = JobRequest(flow="tree", spec=TreeSpec(root=LINE).model_dump(mode="json"))
    await finished(worker, (await submit(worker.jobs, worker.flows, request)).job_id)
    names = ("crawl", "classify", "download", "extract", "compile", "notify")
    assert seen == [f"{when} {name}" for name in names for when in ("before", "after")]


class Start(Payload):
    """A payload with nothing in it."""


class Pid(Payload):
    pid: int


async def test_cpu_work_of_an_inline_run_goes_to_a_subprocess_when_asked() -> None:
    @stage(name="crawl", accepts=Start)
    async def crawl(_: Start, ctx: StageContext) -> Outcome:
        await ctx.collect(Pid(pid=await ctx.run_cpu(cpu_tasks.pid)))
        return Done()

    @stage(name="compile", accepts=CompileRequest)
    async def compile_pids(_: CompileRequest, ctx: StageContext) -> Outcome:
        return Done(result=await anext(aiter(ctx.collected(Pid))))

    flow = Flow(name="pids", spec=Start, stages=(crawl, compile_pids), first=lambda _: Start())
    here, there = await run_inline(flow, {}), await run_inline(flow, {}, in_subprocesses=True)
    assert here.result == Pid(pid=os.getpid())
    assert there.result != here.result
