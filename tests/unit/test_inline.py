from __future__ import annotations

import asyncio
import traceback
from typing import Any

import pytest
from pydantic import BaseModel

from consumers.context import StageContext
from consumers.execute import Next
from consumers.flow import Flow
from consumers.inline import Progress, run_inline
from consumers.outcome import Cancel, Done, Emit, Outcome, Snooze
from consumers.stage import stage
from consumers.submit import BadSpec
from consumers.testing import NeedsDatabase, StillSnoozing, failure, fake_context
from schemas.names import StageName
from schemas.settings import Settings
from schemas.stages import CompileRequest, Payload
from streams.errors import MalformedEntry, PermanentError, TransientError
from streams.policy import AtOnce, RateLimit, StagePolicy
from tests.support.tree_flow import Leaf, Node, TreeResult, TreeSpec
from tests.support.tree_flow import flow as tree

SETTINGS = Settings()


def node(name: str, stage_name: StageName = "crawl", *children: Node, **fields: Any) -> Node:
    return Node(name=name, stage=stage_name, children=children, **fields)


def asked(root: Node, **fields: Any) -> TreeSpec:
    return TreeSpec(root=root, **fields)


class Said(Payload):
    word: str = ""


class Spec(BaseModel):
    word: str = "go"


def flow_of(handler: Any, *, emits: tuple[StageName, ...] = (), policy: StagePolicy | None = None) -> Flow:
    """A flow whose crawl is this handler and whose compile counts what was collected."""

    @stage(name="compile", accepts=CompileRequest)
    async def count(_: CompileRequest, ctx: StageContext) -> Outcome:
        words = [said.word async for said in ctx.collected(Said)]
        return Done(result=Said(word=" ".join(words)))

    crawl = stage(name="crawl", accepts=Said, emits=emits, policy=policy)(handler)
    return Flow(name="small", spec=Spec, stages=(crawl, count), first=lambda spec: Said(word=spec.word))


async def test_all_six_stages_run_and_compile_reads_what_they_collected() -> None:
    leaf = node("e", "extract")
    run = await run_inline(tree, asked(node("a", "crawl", node("b", "classify", node("c", "download", leaf)))))
    assert run.status == "succeeded"
    assert run.result == TreeResult(names=["a", "b", "c", "e"], failures=[])
    assert [entry.stage for entry in run.entries] == ["crawl", "classify", "download", "extract", "compile", "notify"]
    assert [one.name for one in run.payloads("extract")] == ["e"]
    assert run.stages["download"].done == 1


async def test_once_and_budgets_drop_what_repeats_and_what_is_too_much() -> None:
    pages = tuple(node(f"p{i}", once=f"u{i % 3}", budget="pages") for i in range(6))
    run = await run_inline(tree, asked(node("root", "crawl", *pages), budgets={"pages": 2}))
    assert [one.name for one in run.payloads("crawl")] == ["root", "p0", "p1"]


@pytest.mark.parametrize("act", ["reject", "refuse", "crash"])
async def test_what_the_log_would_dead_letter_is_a_failure_that_compile_is_told_of(act: Any) -> None:
    run = await run_inline(
        tree, asked(node("root", "crawl", node("bad", "download", act=act), node("good", "download")))
    )
    assert run.status == "partial"
    assert [(one.stage, one.task) for one in run.failures] == [("download", 2)]
    assert isinstance(run.result, TreeResult)
    assert run.result.failures == [f"bad {run.failures[0].reason}"]
    assert run.result.names == ["bad", "good", "root"]


async def test_a_job_that_fails_raises_what_failed_it() -> None:
    with pytest.raises(PermanentError, match="root is refused") as raised:
        await run_inline(tree, asked(node("root", act="refuse")))
    assert "in crawl of flow tree, task 1" in "".join(traceback.format_exception(raised.value))


async def test_a_failed_compile_raises() -> None:
    with pytest.raises(PermanentError, match="compile is refused"):
        await run_inline(tree, asked(node("root", act="spoil compile")))


async def test_missing_makes_the_job_partial() -> None:
    run = await run_inline(tree, asked(node("root", act="miss")))
    assert (run.status, run.missing) == ("partial", ("root",))


async def test_cancel_ends_the_job_and_drops_what_waits() -> None:
    run = await run_inline(
        tree, asked(node("r", "crawl", node("stop", "classify", act="cancel"), node("x", "classify")))
    )
    assert run.status == "cancelled"
    assert run.result is None
    assert [entry.stage for entry in run.entries] == ["crawl", "classify", "notify"]


async def test_until_stage_ends_the_job_there() -> None:
    root = node("a", "crawl", node("b", "classify", node("c", "download")))
    run = await run_inline(tree, asked(root), until_stage="classify")
    assert run.status == "succeeded"
    assert [entry.stage for entry in run.entries] == ["crawl", "classify"]


async def test_from_stage_takes_that_stages_payload() -> None:
    run = await run_inline(tree, node("d", "download", node("e", "extract")), from_stage="download")
    assert [entry.stage for entry in run.entries] == ["download", "extract", "compile", "notify"]


async def test_a_bad_spec_is_refused_by_name() -> None:
    with pytest.raises(BadSpec, match="wings"):
        await run_inline(tree, {"root": {"name": "a", "wings": 2}})


async def test_a_snoozed_task_runs_again_with_its_checkpoint() -> None:
    run = await run_inline(
        tree, asked(node("root", "crawl", node("s", "classify", act="snooze"), node("t", "classify")))
    )
    assert [(e.task, type(e.outcome).__name__) for e in run.entries if e.stage == "classify"] == [
        (2, "Snooze"),
        (3, "Done"),
        (2, "Done"),
    ]
    assert isinstance(run.result, TreeResult)
    assert run.result.names == ["root", "s", "t"]


async def test_a_snooze_is_waited_for_when_asked() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    root = node("root", "crawl", node("s", "classify", act="snooze"), node("t", "classify"))
    await run_inline(tree, asked(root), sleep=sleep)
    assert waits == [pytest.approx(0.01, abs=0.01)]


async def test_snoozing_for_ever_is_an_error_that_says_so() -> None:
    async def crawl(_: Said, __: StageContext) -> Outcome:
        return Snooze(1.0, "robots_unreachable")

    with pytest.raises(StillSnoozing, match=r"100 times \(robots_unreachable\)"):
        await run_inline(flow_of(crawl), {})


@pytest.mark.parametrize("error", [TransientError("the host is away"), KeyError("price"), ZeroDivisionError()])
async def test_what_the_log_would_try_again_is_raised_with_stage_and_payload(error: Exception) -> None:
    async def crawl(_: Said, __: StageContext) -> Outcome:
        raise error

    with pytest.raises(type(error)) as raised:
        await run_inline(flow_of(crawl), {"word": "hello"})
    assert raised.value is error
    assert raised.value.__notes__ == ['in crawl of flow small, task 1, payload {"v":1,"word":"hello"}']


async def test_an_emission_that_is_not_declared_is_raised() -> None:
    async def crawl(_: Said, __: StageContext) -> Outcome:
        return Done((Emit("extract", Said()),))

    with pytest.raises(PermanentError, match="emitted to 'extract' but declares crawl"):
        await run_inline(flow_of(crawl, emits=("crawl",)), {})


async def test_a_payload_that_the_next_stage_does_not_accept_is_raised() -> None:
    async def crawl(_: Said, __: StageContext) -> Outcome:
        return Done((Emit("crawl", Node(name="n")),))

    with pytest.raises(MalformedEntry, match="is no Said"):
        await run_inline(flow_of(crawl, emits=("crawl",)), {})


async def test_a_handler_that_returns_nothing_is_raised() -> None:
    async def crawl(_: Said, __: StageContext) -> None:
        return None

    with pytest.raises(PermanentError, match="returned NoneType"):
        await run_inline(flow_of(crawl), {})


async def test_a_handler_past_its_soft_limit_is_raised() -> None:
    async def crawl(_: Said, __: StageContext) -> Outcome:
        await asyncio.Event().wait()
        return Done()

    with pytest.raises(TransientError, match=r"past its limit of 0\.01 s"):
        await run_inline(flow_of(crawl, policy=StagePolicy(soft_timeout_s=0.01)), {})


async def test_emitting_early_is_once_over_a_snooze() -> None:
    async def crawl(said: Said, ctx: StageContext) -> Outcome:
        if said.word != "go":
            return Done()
        await ctx.emit(Emit("crawl", Said(word="one")), Emit("crawl", Said(word="two")))
        if ctx.checkpointed is None:
            await ctx.checkpoint(1)
            return Snooze(0, "again")
        return Done()

    run = await run_inline(flow_of(crawl, emits=("crawl",)), {})
    assert [said.word for said in run.payloads("crawl")] == ["go", "one", "two"]


async def test_a_large_payload_goes_by_claim_check() -> None:
    async def crawl(said: Said, ctx: StageContext) -> Outcome:
        if said.word == "go":
            return Done((Emit("crawl", Said(word="x" * 100_000)),))
        await ctx.collect(Said(word=str(len(said.word))))
        return Done()

    run = await run_inline(flow_of(crawl, emits=("crawl",)), {})
    assert run.result == Said(word="100000")


def doubled(word: str) -> str:
    return word * 2


async def test_cpu_work_runs_here_and_lambdas_are_refused_as_a_subprocess_would() -> None:
    async def crawl(said: Said, ctx: StageContext) -> Outcome:
        if said.word == "lambda":
            await ctx.run_cpu(lambda: "no")
        await ctx.collect(Said(word=await ctx.run_cpu(doubled, said.word)))
        return Done()

    assert (await run_inline(flow_of(crawl), {})).result == Said(word="gogo")
    with pytest.raises(TypeError):
        await run_inline(flow_of(crawl), {"word": "lambda"})


async def test_artifacts_can_be_read_after_the_run() -> None:
    async def crawl(_: Said, ctx: StageContext) -> Outcome:
        await ctx.blobs.put(b"a,b\n", tenant=ctx.tenant, content_type="text/csv")
        return Done()

    run = await run_inline(flow_of(crawl), {})
    (artifact,) = run.artifacts
    assert artifact.content_type == "text/csv"
    assert await run.blobs.read(artifact.sha256, tenant=run.tenant) == b"a,b\n"


async def test_progress_is_told_as_it_is_said_and_never_set_back() -> None:
    async def crawl(_: Said, ctx: StageContext) -> Outcome:
        ctx.progress("reading", 40)
        ctx.progress("looking back", 10)
        ctx.progress("thinking")
        return Done()

    heard: list[Progress] = []
    run = await run_inline(flow_of(crawl), {}, on_progress=heard.append)
    assert [(one.step, one.percent) for one in heard] == [("reading", 40), ("looking back", 40), ("thinking", 40)]
    assert run.progress == tuple(heard)


async def test_middleware_wraps_every_handler_in_order_and_may_answer_in_its_place() -> None:
    calls: list[str] = []

    async def outer(payload: BaseModel, ctx: StageContext, following: Next) -> Outcome:
        calls.append(f"before {ctx.stage}")
        outcome = await following()
        calls.append(f"after {ctx.stage}: {type(outcome).__name__}")
        return outcome

    async def inner(payload: BaseModel, ctx: StageContext, following: Next) -> Outcome:
        if isinstance(payload, Said):
            return Cancel("not today")
        return await following()

    async def crawl(_: Said, __: StageContext) -> Outcome:
        raise AssertionError

    run = await run_inline(flow_of(crawl), {}, middleware=(outer, inner))
    assert run.status == "cancelled"
    assert calls == ["before crawl", "after crawl: Cancel", "before notify", "after notify: Done"]


async def test_what_only_postgresql_does_is_refused_with_the_command_to_use() -> None:
    async def crawl(_: Said, ctx: StageContext) -> Outcome:
        await ctx.store.companies.page(tenant=ctx.tenant)
        return Done()

    with pytest.raises(NeedsDatabase, match="millrace submit"):
        await run_inline(flow_of(crawl), {})


async def test_a_fake_context_tries_one_handler() -> None:
    root = node("root", "crawl", node("kid", "classify"), early=True)
    async with fake_context(tree, "crawl", spec=asked(root)) as ctx:
        assert await ctx.run(root) == Done()
        assert [(where, what["name"]) for where, what in ctx.emitted] == [("classify", "kid")]
        assert await ctx.contributions() == [{"name": "root"}]
        assert [one.step for one in ctx.said] == ["root"]


async def test_a_fake_context_gives_compile_what_it_reads() -> None:
    lost = failure("download", node("lost", "download"), reason="http_403")
    async with fake_context(
        tree, "compile", spec=asked(node("r")), collected=[Leaf(name="b"), Leaf(name="a")], failures=[lost]
    ) as ctx:
        outcome = await ctx.run(CompileRequest())
    assert isinstance(outcome, Done)
    assert outcome.result == TreeResult(names=["a", "b"], failures=["lost http_403"])


@pytest.mark.parametrize("waits", [True, False])
async def test_a_run_that_waits_holds_its_rates(waits: bool) -> None:  # noqa: FBT001 - a parameter of the test
    limits = (RateLimit("mail", 10, 60), AtOnce("mailbox", 1))
    slept: list[float] = []

    async def sleep(delay_s: float) -> None:
        slept.append(round(delay_s))

    @stage(name="crawl", accepts=Said, emits=("crawl",), policy=StagePolicy(limits=limits))
    async def crawl(said: Said, ctx: StageContext) -> Outcome:
        await ctx.reserve(RateLimit("page", 1, 100), "x")
        return Done((Emit("crawl", Said(word=said.word + "a")),) if len(said.word) < 2 else ())

    @stage(name="compile", accepts=CompileRequest)
    async def compile_it(_: CompileRequest, __: StageContext) -> Outcome:
        return Done()

    flow = Flow("said", Said, (crawl, compile_it), lambda spec: spec)
    await run_inline(flow, {}, settings=SETTINGS, sleep=sleep if waits else None)
    assert slept == ([6, 100, 12, 200] if waits else [])
