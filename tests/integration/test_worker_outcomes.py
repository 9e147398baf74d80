"""How handlers end, and what follows from it."""

from __future__ import annotations

import asyncio
from functools import partial

from consumers.context import StageContext
from consumers.execute import Next
from consumers.outcome import Cancel, Done, Emit, Outcome, Reject, Snooze
from streams.errors import PermanentError, TransientError
from streams.policy import RetryPolicy, StagePolicy
from tests.support.chaos_local import QUICK, Note, flow_of, handing_on, here


def _has(items: list[int], count: int) -> bool:
    return len(items) == count


class CorruptDocumentError(ValueError):
    pass


async def test_a_failed_attempt_is_tried_again_after_its_delay(valkey_url: str, namespace: str) -> None:
    attempts: list[int] = []

    async def flaky(_: Note, ctx: StageContext) -> Outcome:
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise TransientError("not yet", reason="busy", retry_after_s=0.3)
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=flaky)) as place:
        await place.start()
        job = await place.submit()

        async def is_retrying() -> bool:
            record = await place.log.job(job)
            return record is not None and record.status == "retrying"

        await place.until(is_retrying, "the status retrying")
        assert (await place.ended(job)).status == "succeeded"
        assert attempts == [1, 2, 3]
        retried = await place.told(job, "retried")
        assert [(row["attempt"], row["reason"]) for row in retried] == [("1", "busy"), ("2", "busy")]
        promoted = [entry_id for entry_id, row in await place.log.lifecycle(job) if row["type"] == "promoted"]
        for row, entry_id in zip(retried, promoted, strict=True):
            assert int(row["due_at"]) <= int(entry_id.partition("-")[0])
        await place.check()


async def test_a_surprise_dead_letters_after_the_last_attempt_with_its_traceback(
    valkey_url: str, namespace: str
) -> None:
    async def broken(_: Note, __: StageContext) -> Outcome:
        raise KeyError("total")

    async with here(valkey_url, namespace, flow_of(crawl=broken)) as place:
        await place.start()
        job = await place.submit()
        record = await place.ended(job)
        assert (record.status, record.fields["error"]) == ("failed", "KeyError")
        (letter,) = await place.log.dead_letters()
        assert (letter.fields["reason"], letter.fields["attempt"]) == ("KeyError", "3")
        assert "raise KeyError" in letter.fields["traceback"]
        await place.check()


async def test_what_cannot_succeed_is_not_tried_again(valkey_url: str, namespace: str) -> None:
    async def refuses(note: Note, _: StageContext) -> Outcome:
        match note.n:
            case 0:
                raise PermanentError("403", reason="forbidden")
            case 1:
                raise CorruptDocumentError("page 7")
            case _:
                return Reject("unwanted", "nobody asked for it")

    policy = StagePolicy(retry=QUICK, never_retry=(CorruptDocumentError,))
    flow = flow_of(crawl=handing_on("classify", 3), classify=refuses, policies={"classify": policy})
    async with here(valkey_url, namespace, flow) as place:
        await place.start()
        job = await place.submit()
        record = await place.ended(job)
        assert record.status == "partial"
        assert record.stages()["classify"] == {"open": 0, "done": 0, "failed": 3}
        letters = {letter.fields["reason"]: letter.fields for letter in await place.log.dead_letters()}
        assert set(letters) == {"forbidden", "CorruptDocumentError", "unwanted"}
        assert letters["unwanted"]["error"] == "nobody asked for it"
        assert {row["attempt"] for row in letters.values()} == {"1"}
        await place.check()


async def test_a_snooze_spends_no_attempt(valkey_url: str, namespace: str) -> None:
    attempts: list[int] = []

    async def waits(_: Note, ctx: StageContext) -> Outcome:
        attempts.append(ctx.attempt)
        return Snooze(0.02, "retry_after") if len(attempts) < 6 else Done()

    async with here(valkey_url, namespace, flow_of(crawl=waits)) as place:
        await place.start()
        job = await place.submit()
        assert (await place.ended(job)).status == "succeeded"
        assert attempts == [1] * 6
        assert {row["reason"] for row in await place.told(job, "snoozed")} == {"retry_after"}
        await place.check()


async def test_a_handler_may_cancel_its_job(valkey_url: str, namespace: str) -> None:
    async def cancels(note: Note, _: StageContext) -> Outcome:
        return Cancel("nothing to see") if note.n == 2 else Snooze(60, "long")

    flow = flow_of(crawl=handing_on("classify", 3), classify=cancels)
    async with here(valkey_url, namespace, flow) as place:
        await place.start()
        job = await place.submit()
        record = await place.ended(job)
        assert (record.status, record.fields["error"]) == ("cancelled", "nothing to see")
        await place.check()


async def test_emissions_beyond_budget_and_repeats_are_dropped(valkey_url: str, namespace: str) -> None:
    seen: list[int] = []

    async def crawls(note: Note, _: StageContext) -> Outcome:
        if note.n:
            seen.append(note.n)
        return Done(
            tuple(Emit("crawl", Note(n=n), once=f"http://x/{n}", budget="pages") for n in range(1, 20) for _ in "ab")
        )

    async with here(valkey_url, namespace, flow_of(crawl=crawls, budgets={"pages": 7})) as place:
        await place.start()
        job = await place.submit()
        assert (await place.ended(job)).status == "succeeded"
        assert sorted(seen) == [1, 2, 3, 4, 5, 6, 7]
        await place.check()


async def test_a_fan_out_beyond_the_window_is_parked_and_ends_exactly(valkey_url: str, namespace: str) -> None:
    flow = flow_of(
        crawl=handing_on("classify", 40),
        classify=handing_on("download", 10),
        policies={"classify": StagePolicy(window=4), "download": StagePolicy(window=8)},
    )
    most = 0

    async with here(valkey_url, namespace, flow) as place:
        await place.start(concurrency=16)
        job = await place.submit()
        keys = place.log.keys.partition(0)

        async def is_over() -> bool:
            nonlocal most
            most = max(most, await place.log.client.xlen(keys.stream("download")))
            record = await place.log.job(job)
            return record is not None and "finished_at" in record.fields

        await place.until(is_over, "the end")
        record = await place.ended(job)
        assert record.status == "succeeded"
        assert record.stages()["download"] == {"open": 0, "done": 400, "failed": 0}
        assert 0 < most <= 8
        await place.check()


async def test_a_partial_job_is_completed_by_a_retry_as_its_next_revision(valkey_url: str, namespace: str) -> None:
    is_repaired = False
    compiled: list[int] = []

    async def classifies(note: Note, _: StageContext) -> Outcome:
        if note.n % 2 and not is_repaired:
            raise PermanentError("no", reason="broken")
        return Done()

    async def compiles(_: Note, ctx: StageContext) -> Outcome:
        compiled.append(ctx.revision)
        return Done()

    flow = flow_of(crawl=handing_on("classify", 4), classify=classifies, compile=compiles)
    async with here(valkey_url, namespace, flow) as place:
        await place.start()
        job = await place.submit()
        assert (await place.ended(job)).status == "partial"
        is_repaired = True
        assert await place.log.retry(job) == 2
        record = await place.ended(job)
        assert (record.status, record.revision, compiled) == ("succeeded", 2, [1, 2])
        await place.check()


async def test_middleware_runs_before_and_after_each_handler(valkey_url: str, namespace: str) -> None:
    trail: list[str] = []

    async def outer(_: object, ctx: StageContext, proceed: Next) -> Outcome:
        trail.append(f"{ctx.stage} outer in")
        outcome = await proceed()
        trail.append(f"{ctx.stage} outer out")
        return outcome

    async def inner(_: object, ctx: StageContext, proceed: Next) -> Outcome:
        trail.append(f"{ctx.stage} inner in")
        if ctx.stage == "classify":
            return Reject("screened")
        return await proceed()

    flow = flow_of(crawl=handing_on("classify"))
    async with here(valkey_url, namespace, flow) as place:
        await place.start(middleware=(outer, inner))
        job = await place.submit()
        assert (await place.ended(job)).status == "partial"
        assert trail[:6] == [
            "crawl outer in", "crawl inner in", "crawl outer out",
            "classify outer in", "classify inner in", "classify outer out",
        ]  # fmt: skip
        assert [letter.fields["reason"] for letter in await place.log.dead_letters()] == ["screened"]
        await place.check()


async def test_progress_is_never_set_back(valkey_url: str, namespace: str) -> None:
    async def works(_: Note, ctx: StageContext) -> Outcome:
        ctx.progress("reading", 60.0)
        await ctx.checkpoint({"at": 60})
        ctx.progress("reading again", 20.0)
        await ctx.checkpoint({"at": 20})
        if ctx.attempt == 1:
            raise TransientError("again")
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=works)) as place:
        await place.start()
        job = await place.submit()
        record = await place.ended(job)
        assert (record.fields["progress.step"], record.fields["progress.percent"]) == ("reading again", "60.0")
        percents = [float(row["percent"]) for row in await place.told(job, "progressed")]
        assert percents == sorted(percents)
        await place.check()


async def test_a_crashed_tasks_checkpoint_is_there_for_the_next(valkey_url: str, namespace: str) -> None:
    found: list[object] = []

    async def works(_: Note, ctx: StageContext) -> Outcome:
        found.append(ctx.checkpointed)
        if len(found) == 1:
            await ctx.checkpoint({"page": 7})
            await asyncio.Event().wait()
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=works), lease_ms=1_000) as place:
        worker = await place.start()
        job = await place.submit()
        await place.until(lambda: any(name == "lease.renewed" for name, _ in place.signals), "the checkpoint")
        assert await place.disown(worker) == 1
        assert (await place.ended(job)).status == "succeeded"
        assert found == [None, {"page": 7}]
        await place.check()


async def test_what_a_task_emits_while_it_runs_is_opened_once_over_redeliveries(
    valkey_url: str, namespace: str
) -> None:
    deliveries: list[int] = []

    async def works(_: Note, ctx: StageContext) -> Outcome:
        deliveries.append(ctx.attempt)
        await ctx.emit(Emit("classify", Note(n=1)), Emit("classify", Note(n=2)))
        if len(deliveries) == 1:
            await asyncio.Event().wait()
        await ctx.emit(Emit("classify", Note(n=3)))
        return Done((Emit("classify", Note(n=4)),))

    async with here(valkey_url, namespace, flow_of(crawl=works), lease_ms=1_000) as place:
        worker = await place.start()
        job = await place.submit()
        await place.until(lambda: any(name == "settled" for name, _ in place.signals), "an emission")
        assert await place.disown(worker) >= 1
        record = await place.ended(job)
        assert record.stages()["classify"]["done"] == 4
        assert deliveries == [1, 1]
        await place.check()


async def test_a_task_that_kills_its_workers_is_poison(valkey_url: str, namespace: str) -> None:
    began: list[int] = []

    async def kills(_: Note, ctx: StageContext) -> Outcome:
        began.append(ctx.attempt)
        await asyncio.Event().wait()
        return Done()

    policy = StagePolicy(retry=RetryPolicy(max_crashes=2))
    flow = flow_of(crawl=kills, policies={"crawl": policy})
    async with here(valkey_url, namespace, flow, lease_ms=1_000) as place:
        worker = await place.start()
        job = await place.submit()
        for crash in (1, 2):
            await place.until(partial(_has, began, crash), "the handler")
            await place.until(lambda: place.disown(worker), "the crash")
        record = await place.ended(job)
        assert (record.status, record.fields["error"]) == ("failed", "poison")
        assert began == [1, 1]
        await place.check()
