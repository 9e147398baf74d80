"""Time limits, cancelling, and when a job may start."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from consumers.context import StageContext
from consumers.outcome import Done, Emit, Outcome, Snooze
from streams.errors import Refused, TransientError
from streams.findings import Findings
from streams.policy import RetryPolicy, StagePolicy
from streams.timers import THEN_GIVE_UP_S
from tests.support import cpu_tasks
from tests.support.chaos_local import QUICK, Here, Note, flow_of, handing_on, here
from tests.support.processes import Held

if TYPE_CHECKING:
    from pathlib import Path

LIMITED = StagePolicy(soft_timeout_s=0.3, timeout_s=1.2, retry=QUICK)


async def _began(place: Here, count: int = 1) -> None:
    await place.until(lambda: sum(name == "started" for name, _ in place.signals) >= count, "a start")


async def test_at_its_soft_limit_a_handler_may_clean_up(valkey_url: str, namespace: str) -> None:
    async def works(_: Note, __: StageContext) -> Outcome:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
        return Done((Emit("classify", Note()),), missing=("the rest",))

    async with here(valkey_url, namespace, flow_of(crawl=works, policies={"crawl": LIMITED})) as place:
        await place.start()
        job = await place.submit()
        record = await place.ended(job)
        assert record.status == "partial"
        assert record.stages()["classify"]["done"] == 1
        assert await place.told(job, "retried") == []
        await place.check()


async def test_at_its_soft_limit_a_handler_ends_and_an_attempt_is_spent(valkey_url: str, namespace: str) -> None:
    async def works(_: Note, ctx: StageContext) -> Outcome:
        if ctx.attempt == 1:
            await asyncio.Event().wait()
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=works, policies={"crawl": LIMITED})) as place:
        await place.start()
        job = await place.submit()
        assert (await place.ended(job)).status == "succeeded"
        assert [row["reason"] for row in await place.told(job, "retried")] == ["soft_time_limit"]
        await place.check()


async def test_a_handler_that_does_not_stop_is_settled_without_at_its_hard_limit(
    valkey_url: str, namespace: str
) -> None:
    release = asyncio.Event()

    async def works(_: Note, ctx: StageContext) -> Outcome:
        while ctx.attempt == 1 and not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Done((Emit("classify", Note(n=ctx.attempt)),))

    async with here(valkey_url, namespace, flow_of(crawl=works, policies={"crawl": LIMITED})) as place:
        await place.start()
        job = await place.submit()
        record = await place.ended(job)
        assert record.status == "succeeded"
        assert [row["reason"] for row in await place.told(job, "retried")] == ["hard_time_limit"]
        release.set()  # what it still does has no effect
        assert record.stages()["classify"] == {"open": 0, "done": 1, "failed": 0}
        await place.check()


async def test_cpu_work_may_clean_up_at_the_soft_limit(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    """The limit is raised in the subprocess; its handler is not cancelled around it."""

    async def works(_: Note, ctx: StageContext) -> Outcome:
        assert await ctx.run_cpu(cpu_tasks.clean_up, str(tmp_path / "marker")) == "partial"
        return Done()

    policy = StagePolicy(soft_timeout_s=1.5, timeout_s=10, retry=RetryPolicy(max_attempts=1))
    async with here(valkey_url, namespace, flow_of(crawl=works, policies={"crawl": policy})) as place:
        await place.start()
        record = await place.ended(await place.submit())
        assert (record.status, record.fields.get("error")) == ("succeeded", None)
        assert (tmp_path / "marker").read_text() == "cleaned"


async def test_cpu_work_is_killed_at_the_hard_limit(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    held = Held(tmp_path)

    async def works(_: Note, ctx: StageContext) -> Outcome:
        if ctx.attempt == 1:
            await ctx.run_cpu(cpu_tasks.with_grandchildren, held.path)
        return Done()

    policy = StagePolicy(soft_timeout_s=1.0, timeout_s=2.0, retry=QUICK)
    async with here(valkey_url, namespace, flow_of(crawl=works, policies={"crawl": policy})) as place:
        await place.start()
        job = await place.submit()
        await asyncio.to_thread(held.wait_held_by, 3)
        assert (await place.ended(job)).status == "succeeded"
        assert len(await place.told(job, "retried")) == 1
        await asyncio.to_thread(held.wait_gone)
        await place.check()


async def test_cancelling_a_job_stops_its_handlers_and_drops_the_rest(valkey_url: str, namespace: str) -> None:
    stopped: list[int] = []

    async def works(note: Note, _: StageContext) -> Outcome:
        if note.n > 5:
            return Snooze(60, "later")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(note.n)
            raise
        return Done()

    flow = flow_of(
        crawl=handing_on("classify", 12), classify=works, policies={"classify": StagePolicy(window=8, concurrency=4)}
    )
    async with here(valkey_url, namespace, flow, lease_ms=1_000) as place:
        await place.start()
        job = await place.submit()
        await _began(place, 5)
        await place.log.cancel(job, reason="not needed")
        record = await place.ended(job)
        assert (record.status, record.fields["error"]) == ("cancelled", "not needed")
        assert stopped == [0, 1, 2, 3]
        with pytest.raises(Refused):
            await place.log.retry(job)
        await place.check()


async def test_a_forced_cancel_waits_for_no_clean_up(valkey_url: str, namespace: str) -> None:
    release = asyncio.Event()

    async def works(_: Note, __: StageContext) -> Outcome:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=works), lease_ms=1_000) as place:
        await place.start()
        job = await place.submit()
        await _began(place)
        await place.log.cancel(job, kill=True)
        assert (await place.ended(job, timeout_s=5)).status == "cancelled"
        release.set()
        await place.check()


async def test_a_job_past_its_time_limit_fails_and_waits_are_not_counted(valkey_url: str, namespace: str) -> None:
    async def works(note: Note, ctx: StageContext) -> Outcome:
        if note.n == 0 and ctx.checkpointed is None:
            await ctx.checkpoint({"waited": True})
            return Snooze(1.2, "busy")
        if note.n == 1:
            await asyncio.Event().wait()
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=works, limit_s=0.8), lease_ms=1_000) as place:
        await place.start()
        waits, hangs = await place.submit(n=0), await place.submit(n=1)
        assert (await place.ended(waits)).status == "succeeded"
        record = await place.ended(hangs)
        assert (record.status, record.fields["error"]) == ("failed", "time_limit")
        await place.check()


async def test_a_job_starts_at_its_time_or_expires(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, flow_of()) as place:
        soon = datetime.now(UTC) + timedelta(seconds=0.6)
        later = await place.submit(run_at=soon.isoformat())
        stale = await place.submit(expires_at=soon.isoformat())
        delayed = await place.submit(
            run_at=(soon + timedelta(hours=1)).isoformat(), expires_at=(soon + timedelta(hours=2)).isoformat()
        )
        place.accepted.remove(delayed)
        await place.until(lambda: datetime.now(UTC) > soon, "the time")
        await place.start()
        record = await place.ended(later)
        assert record.status == "succeeded"
        assert record.number("started_at") >= soon.timestamp() * 1_000 - 1
        assert (await place.ended(stale)).status == "expired"
        waiting = await place.log.job(delayed)
        assert waiting is not None
        assert waiting.status == "queued"
        await place.log.cancel(delayed)
        assert (await place.ended(delayed)).status == "cancelled"
        await place.check()


async def test_part_of_a_flow(valkey_url: str, namespace: str) -> None:
    ran: list[str] = []

    async def note_it(_: object, ctx: StageContext) -> Outcome:
        ran.append(ctx.stage)
        following = {"crawl": "classify", "classify": "download", "download": "extract"}.get(ctx.stage)
        return Done((Emit(following, Note()),) if following else ())  # type: ignore[arg-type]

    flow = flow_of(crawl=note_it, classify=note_it, download=note_it, extract=note_it, compile=note_it, notify=note_it)
    async with here(valkey_url, namespace, flow) as place:
        await place.start()
        part = await place.submit(from_stage="classify", until_stage="download")
        assert (await place.ended(part)).status == "succeeded"
        assert ran == ["classify", "download"]
        ran.clear()
        assert (await place.ended(await place.submit(from_stage="extract"))).status == "succeeded"
        assert ran == ["extract", "compile", "notify"]
        ran.clear()
        assert (await place.ended(await place.submit(until_stage="compile"))).status == "succeeded"
        assert ran == ["crawl", "classify", "download", "extract", "compile"]
        await place.check()


async def test_then_submits_the_next_job_once_when_the_first_ends_well(valkey_url: str, namespace: str) -> None:
    async def works(note: Note, _: StageContext) -> Outcome:
        if note.n == 13:
            raise TransientError("bad luck")
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=works)) as place:
        for _ in range(2):
            await place.start()
        then = {"flow": "one", "spec": {"n": 7}, "then": {"flow": "one", "spec": {"n": 8}}}
        first = await place.submit(n=1, then=then)
        fails = await place.submit(n=13, then=then)
        await place.ended(first)
        for follow in (f"{first}.then", f"{first}.then.then"):

            async def is_there(job_id: str = follow) -> bool:
                return await place.log.job(job_id) is not None

            await place.until(is_there, "the follow-up")
            record = await place.ended(follow)
            assert record.status == "succeeded"
            place.accepted.append(follow)
        assert (await place.ended(fails)).status == "failed"
        assert await place.log.job(f"{fails}.then") is None
        await place.check()


async def test_a_follow_up_that_cannot_be_submitted_stops_nothing_else(valkey_url: str, namespace: str) -> None:
    """It names a flow that this worker does not have: another one may."""
    async with here(valkey_url, namespace, flow_of(), flow_of("other")) as place:
        strange = await place.submit(then={"flow": "other", "spec": {}})
    async with here(valkey_url, namespace, flow_of()) as place:
        worker = await place.start()
        await place.ended(strange)
        snoozed = await place.submit(run_at=(datetime.now(UTC) + timedelta(seconds=0.5)).isoformat())
        assert (await place.ended(snoozed)).status == "succeeded"
        assert not worker.crashed
    async with here(valkey_url, namespace, flow_of(), flow_of("other")) as place:
        keys = place.log.keys.partition(0)
        assert await place.log.client.zscore(keys.timers, f"then/{strange}") is not None
        await place.log.client.zadd(keys.timers, {f"then/{strange}": 0})  # it is tried again after a minute
        await place.start()
        assert (await place.ended(f"{strange}.then")).status == "succeeded"


async def test_a_follow_up_that_can_never_be_submitted_is_given_up_and_told(valkey_url: str, namespace: str) -> None:
    async with here(valkey_url, namespace, flow_of(), flow_of("other")) as place:
        strange = await place.submit(then={"flow": "other", "spec": {}})
    async with here(valkey_url, namespace, flow_of()) as place:
        await place.start()
        await place.ended(strange)
        keys, client = place.log.keys.partition(0), place.log.client
        job, member = keys.job(strange), f"then/{strange}"

        async def is_put_off() -> bool:
            score = await client.zscore(keys.timers, member)
            return score is not None and score > time.time() * 1_000

        await place.until(is_put_off, "the first try")
        await client.hincrby(job, "finished_at", -THEN_GIVE_UP_S * 1_000)
        await client.zadd(keys.timers, {member: 0})

        async def is_given_up() -> bool:
            return await client.zscore(keys.timers, member) is None

        await place.until(is_given_up, "the last try")
        assert await client.hget(keys.waiting, member) is None
        record = await place.log.job(strange)
        assert record is not None
        assert "other" in record.fields["then_error"]
        findings = Findings(client, place.log.keys)
        (finding,) = await findings.all()
        assert (finding.kind, finding.subject) == ("follow_up_given_up", strange)
        assert await findings.drop(finding.kind, finding.subject)
        assert await findings.all() == []


async def test_high_priority_goes_first_and_low_is_not_starved(valkey_url: str, namespace: str) -> None:
    order: list[int] = []

    async def works(note: Note, _: StageContext) -> Outcome:
        order.append(note.n)
        return Done()

    async with here(valkey_url, namespace, flow_of(crawl=works)) as place:
        jobs = [await place.submit(n=0, priority="low") for _ in range(100)]
        jobs += [await place.submit(n=2, priority="high") for _ in range(100)]
        await place.start(concurrency=2)
        for job in jobs:
            await place.ended(job)
        assert sum(order[:100]) / 2 > 75, f"high is not preferred: {order}"
        assert 0 in order[:90], f"low is starved: {order}"
        await place.check()


async def test_a_stage_runs_as_many_at_once_as_its_policy_says(valkey_url: str, namespace: str) -> None:
    running = most = 0

    async def works(_: Note, __: StageContext) -> Outcome:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return Done()

    flow = flow_of(crawl=handing_on("classify", 30), classify=works, policies={"classify": StagePolicy(concurrency=3)})
    async with here(valkey_url, namespace, flow) as place:
        await place.start()
        assert (await place.ended(await place.submit())).status == "succeeded"
        assert most == 3
        await place.check()


async def test_a_full_pool_does_not_stop_the_others(valkey_url: str, namespace: str) -> None:
    """With every heavy slot busy, work of the default pool runs on."""
    release = asyncio.Event()

    async def hangs(_: Note, __: StageContext) -> Outcome:
        await release.wait()
        return Done()

    heavy = flow_of("heavy", crawl=hangs, policies={"crawl": StagePolicy(pool="heavy")})
    async with here(valkey_url, namespace, heavy, flow_of()) as place:
        await place.start()
        jobs = [await place.submit("heavy") for _ in range(5)]
        await _began(place, 2)
        assert (await place.ended(await place.submit(), timeout_s=5)).status == "succeeded"
        release.set()
        for job in jobs:
            await place.ended(job)
        await place.check()


async def test_a_worker_whose_every_stage_is_at_its_concurrency_does_not_spin(valkey_url: str, namespace: str) -> None:
    """It then has slots free and no stream to read or wait at; it used to ask for nothing without end."""
    release = asyncio.Event()

    async def waits(_: Note, __: StageContext) -> Outcome:
        await release.wait()
        return Done()

    async with here(
        valkey_url, namespace, flow_of(crawl=waits, policies={"crawl": StagePolicy(concurrency=1)})
    ) as place:
        worker = await place.start(stages=("crawl",))
        for _ in range(2):
            await place.submit()
        await place.until(worker.hand.closed, "a full stage")
        release.set()
        await place.until(lambda: worker.committer.counts.get("completed") == 2, "both to complete")
