"""A flow whose jobs are told by their spec what happens in them: for comparing the ways to run a flow."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import BaseModel, Field

from consumers.context import StageContext
from consumers.flow import Flow
from consumers.outcome import Cancel, Done, Emit, Outcome, Reject, Snooze
from consumers.stage import stage
from schemas.jobs import Asked
from schemas.names import StageName
from schemas.stages import CompileRequest, Ending, Payload
from streams.errors import PermanentError
from streams.policy import RetryPolicy, StagePolicy

Act = Literal["", "reject", "refuse", "cancel", "snooze", "crash", "miss", "spoil compile"]


class Node(Payload):
    """What a task does, and what it emits."""

    name: str
    stage: StageName = "crawl"
    act: Act = ""
    once: str = ""
    budget: str = ""
    early: bool = False
    children: tuple[Node, ...] = ()


class TreeSpec(Asked):
    """The first node, and the job's budgets."""

    root: Node
    budgets: dict[str, int] = Field(default_factory=dict)


class Leaf(BaseModel):
    """What every task collects."""

    name: str


class TreeResult(BaseModel):
    """What compile found."""

    names: list[str]
    failures: list[str]


class WontWork(Exception):  # noqa: N818 - it says what happens
    """In the policy's never_retry."""


POLICY = StagePolicy(retry=RetryPolicy(max_attempts=1), never_retry=(WontWork,))


async def run_node(node: Node, ctx: StageContext) -> Outcome:
    await ctx.collect(Leaf(name=node.act if node.act == "spoil compile" else node.name))
    emits = tuple(Emit(child.stage, child, child.once, child.budget) for child in node.children)
    if node.early:
        await ctx.emit(*emits)
        emits = ()
    ctx.progress(node.name, 10.0)
    match node.act:
        case "reject":
            return Reject("no_good", f"{node.name} is no good")
        case "refuse":
            raise PermanentError(f"{node.name} is refused", reason="http_403")
        case "crash":
            raise WontWork(node.name)
        case "cancel":
            return Cancel("enough")
        case "snooze":
            if ctx.checkpointed is None:
                await ctx.checkpoint({"slept": True})
                return Snooze(0.01, "a moment")
        case "miss":
            return Done(emits, missing=(node.name,))
        case _:
            pass
    return Done(emits)


node_stage = partial(stage, accepts=Node, policy=POLICY, fetches=False)
crawl = node_stage(name="crawl", emits=("crawl", "classify", "download", "extract"))(run_node)
classify = node_stage(name="classify", emits=("classify", "download", "extract"))(run_node)
download = node_stage(name="download", emits=("download", "extract"))(run_node)
extract = node_stage(name="extract", emits=("extract",))(run_node)


@stage(name="compile", accepts=CompileRequest, policy=POLICY)
async def compile_names(_: CompileRequest, ctx: StageContext) -> Outcome:
    names = sorted([leaf.name async for leaf in ctx.collected(Leaf)])
    if "spoil compile" in names:
        raise PermanentError("compile is refused", reason="no_way")
    failures = sorted(f"{Node.model_validate_json(one.data).name} {one.reason}" for one in await ctx.failures())
    return Done(result=TreeResult(names=names, failures=failures))


@stage(name="notify", accepts=Ending)
async def notify(_: Ending, __: StageContext) -> Outcome:
    return Done()


flow = Flow(
    name="tree",
    spec=TreeSpec,
    stages=(crawl, classify, download, extract, compile_names, notify),
    first=lambda spec: spec.root,
    budgets=lambda spec: spec.budgets,
    about="does what its spec says",
)
