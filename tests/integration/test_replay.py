"""Jobs run again, on real servers: from each stage, from the archive alone, stopped and gone on with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from api.demo.build import ensure_site
from api.demo.site import DemoSite
from api.demo.web_pages import annual_report_path
from consumers.context import StageContext
from consumers.flow import Flow
from consumers.outcome import Done, Emit, Outcome
from consumers.replays import run
from consumers.replays.record import ReplayRecord, Replays
from consumers.replays.run import Lost, Run
from consumers.stage import stage
from consumers.store import upgrade
from consumers.store.models import Contribution
from consumers.worker.follow import HistoryFollower
from schemas.jobs import Asked
from schemas.names import STAGES
from schemas.stages import CompileRequest, Payload
from streams import replay
from streams.sweep import sweep_claims
from tests.support.flow_place import TENANT, Place, place
from tests.support.replay_place import archive_and_trim, asked, means_of, new_id, planned, replayed
from tests.support.tree_flow import Leaf, TreeResult
from tests.support.tree_flow import flow as tree


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    asyncio.run(upgrade(postgres_url))
    return postgres_url


@pytest.fixture
async def here(valkey_url: str, database_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with place(
        valkey_url, database_url, tmp_path, flow=tree, namespace=namespace, follows=(HistoryFollower,)
    ) as running:
        yield running


def node(name: str, stage: str = "crawl", *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "stage": stage, "children": list(children), **more}


def wide() -> dict[str, Any]:
    """A tree with all that a replay must reproduce: failures, gaps, keys of once, budgets, early emissions."""
    return node(
        "root", "crawl",
        node("page", "crawl", node("late", "download", once="late"), act="miss"),
        node("refused", "crawl", act="refuse"),
        node("told", "classify", node("a", "download", node("a1", "extract"), node("a2", "extract"), early=True)),
        node("dead", "classify", act="reject"),
        node("again", "classify", node("late", "download", once="late")),
        node("spent", "classify", node("b", "download", budget="pages"), node("c", "download", budget="pages")),
        node("direct", "extract", act="crash"),
        node("paid", "classify", budget="pages"),
    )  # fmt: skip


async def result_of(place: Place, job_id: str) -> dict[str, Any]:
    kept = await place.store.results.get(job_id, tenant=TENANT)
    assert kept is not None
    found: dict[str, Any] = kept.payload
    return {"names": found["names"], "failures": found["failures"]}


async def test_from_each_stage_the_result_is_the_same_also_from_the_archive_alone(here: Place, valkey_url: str) -> None:
    origin = (await here.run(root=wide(), budgets={"pages": 2})).job_id
    expected = await result_of(here, origin)
    assert expected["failures"]
    before = await here.worker.jobs.job(origin)
    for is_trimmed in (False, True):
        if is_trimmed:
            await archive_and_trim(here, valkey_url)
        for start in STAGES:
            record = await replayed(here, asked(start, jobs=[origin]))
            assert (record.status, record.jobs, record.missing) == ("done", 1, {}), (start, record.problems)
            job = await here.ended(new_id(record.replay_id, origin))
            assert (job.fields["origin"], job.fields["replay"], job.lane) == (origin, record.replay_id, "low")
            assert job.status == "partial", start
            assert await result_of(here, job.job_id) == expected, start
            ran = {name for name, counts in job.stages().items() if counts["done"] or counts["failed"]}
            assert not ran & set(STAGES[: STAGES.index(start)]), start
    # The origin is as it was.
    assert await here.worker.jobs.job(origin) == before
    assert await result_of(here, origin) == expected


async def ended_jobs(here: Place, count: int) -> list[str]:
    """So many jobs that have ended and are in history."""
    ids = [(await here.run(root=node(f"n{n}", "crawl", node("x", "extract")))).job_id for n in range(count)]
    await in_history(here, ids)
    return ids


async def in_history(here: Place, ids: list[str]) -> None:
    async with asyncio.timeout(20):
        while True:
            page = await here.store.jobs.page(tenant=TENANT, limit=200)
            if {job.job_id for job in page.items if job.finished_at} >= set(ids):
                return
            await asyncio.sleep(0.02)


async def jobs_of(here: Place, replay_id: str) -> list[str]:
    """The origins of all jobs that a replay has submitted, as the log tells them."""
    rows = await here.worker.client.xrange(here.worker.keys.partition(0).lifecycle)
    return [
        raw[b"origin"].decode()
        for _, raw in rows
        if raw[b"type"] == b"submitted" and raw.get(b"replay") == replay_id.encode()
    ]


async def test_a_replay_that_dies_goes_on_and_submits_nothing_twice(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = datetime.now(UTC).isoformat()
    origins = await ended_jobs(here, 7)
    monkeypatch.setattr(run, "NOTED_EVERY_S", 0.0)
    monkeypatch.setattr(run, "TOGETHER", 1)
    replays = Replays(here.worker.client, here.worker.keys)
    record = await replays.create(asked(flow="tree", since=since), tenant=TENANT, created_by="test")
    note, left = Replays.note, iter([3, 5, 0])

    async def dies(self: Replays, kept: ReplayRecord) -> bool:
        if kept.jobs == limit:
            raise ConnectionError
        return await note(self, kept)

    monkeypatch.setattr(Replays, "note", dies)
    for runner in ("a", "b", "c"):
        limit = next(left)
        found = await replays.get(record.replay_id)
        carried = Run(means_of(here.worker), replays, found, runner)
        if limit:
            with pytest.raises(ConnectionError):
                await carried.carry_out()
            # It was submitted, and that was not noted.
            assert len(await jobs_of(here, record.replay_id)) == limit
            with pytest.raises(Lost):  # its right to it has not run out yet
                await Run(means_of(here.worker), replays, await replays.get(record.replay_id), "z").carry_out()
            await here.worker.client.delete(here.worker.keys.replay_runner(record.replay_id))
        else:
            await carried.carry_out()
    done = await replays.get(record.replay_id)
    assert (done.status, done.selected, done.jobs, done.missing) == ("done", 7, 7, {})
    assert sorted(await jobs_of(here, record.replay_id)) == sorted(origins)
    for origin in origins:
        await here.ended(new_id(record.replay_id, origin))


async def test_a_wide_job_that_was_half_opened_is_opened_to_its_end_or_cancelled(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay.ReplayedJob.calls, "__defaults__", (2, 1_000))
    origin = (await here.run(root=node("root", "crawl", *(node(f"c{n}", "extract") for n in range(7))))).job_id
    call, calls = replay._call, []

    async def dies(*args: Any, **more: Any) -> Any:
        calls.append(args)
        if len(calls) == 3:
            raise ConnectionError
        return await call(*args, **more)

    replays = Replays(here.worker.client, here.worker.keys)
    request = asked("extract", jobs=[origin])
    ids = [(await replays.create(request, tenant=TENANT, created_by="test")).replay_id for _ in range(2)]
    for replay_id in ids:
        calls.clear()
        with monkeypatch.context() as patched:
            patched.setattr(replay, "_call", dies)
            begun = Run(means_of(here.worker), replays, await replays.get(replay_id), "a")
            with pytest.raises(ConnectionError):
                await begun.carry_out()
    await replays.cancel(ids[1], tenant=TENANT)
    for replay_id in ids:
        half = await here.worker.jobs.job(new_id(replay_id, origin))
        assert half is not None
        assert half.fields["opening"] == "4"
        await here.worker.client.delete(here.worker.keys.replay_runner(replay_id))
        await Run(means_of(here.worker), replays, await replays.get(replay_id), "b").carry_out()
    whole = await here.ended(new_id(ids[0], origin))
    assert (whole.status, whole.number("extract.done")) == ("succeeded", 7)
    assert await result_of(here, whole.job_id) == await result_of(here, origin)
    cut_short = await here.ended(new_id(ids[1], origin))
    assert (cut_short.status, cut_short.fields["error"]) == ("cancelled", "its replay was cancelled")
    assert (await replays.get(ids[1])).status == "cancelled"


async def test_what_is_gone_is_said_and_nothing_runs(here: Place, valkey_url: str) -> None:
    (origin,) = await ended_jobs(here, 1)
    other = (await here.run(root=node("root", "crawl", node("y", "extract")))).job_id
    await in_history(here, [other])
    await archive_and_trim(here, valkey_url)
    chunks, namespace = here.worker.resources.blobs.chunks, here.worker.keys.namespace
    async with here.store.database.begin() as session:
        await session.execute(delete(Contribution).where(Contribution.job_id == other))
    assert (await planned(here, asked("crawl", jobs=[other]))).jobs == 1
    for request, reason, text in (
        (asked("compile", jobs=[other]), "contributions_gone", "of 2 things that job"),
        (asked("crawl", jobs=["0-unheard-of"]), "not_found", "no job 0-unheard-of"),
        (asked("crawl", jobs=[origin]), "not_recorded", "older than what is kept"),
    ):
        if reason == "not_recorded":
            async for stored in chunks.list_raw(f"archive/{namespace}"):
                await chunks.delete_raw(stored.key)
        plan = await planned(here, request)
        assert (plan.jobs, plan.missing) == (0, {reason: 1})
        assert text in plan.problems[0].detail
        record = await replayed(here, request)
        assert (record.status, record.jobs, record.missing) == ("done", 0, {reason: 1})


class Text(Payload):
    text: str = ""


class NoSpec(Asked):
    pass


@stage(name="crawl", accepts=Text, emits=("extract",))
async def writes(_: Text, __: StageContext) -> Outcome:
    return Done((Emit("extract", Text(text="x" * 70_000)),))


@stage(name="extract", accepts=Text)
async def reads(text: Text, ctx: StageContext) -> Outcome:
    await ctx.collect(Leaf(name=f"{len(text.text)}"))
    return Done()


@stage(name="compile", accepts=CompileRequest)
async def sums_up(_: CompileRequest, ctx: StageContext) -> Outcome:
    return Done(result=TreeResult(names=[leaf.name async for leaf in ctx.collected(Leaf)], failures=[]))


LONG = Flow("long", NoSpec, (writes, reads, sums_up), lambda _: Text())


async def test_payloads_that_were_put_aside_are_needed_and_kept(
    valkey_url: str, database_url: str, namespace: str, tmp_path: Path
) -> None:
    async with place(
        valkey_url, database_url, tmp_path, flow=LONG, namespace=namespace, follows=(HistoryFollower,)
    ) as here:
        client, keys, blobs = here.worker.client, here.worker.keys, here.worker.resources.blobs
        origin = (await here.run()).job_id
        await in_history(here, [origin])
        await archive_and_trim(here, valkey_url)
        (sha,) = [one.key async for one in blobs.chunks.list_claims(tenant=TENANT)]
        file = tmp_path / "artifacts" / "claims" / TENANT / sha[:2] / sha
        os.utime(file, (0, 0))
        # Nothing in Redis refers to it any more, but the archive does.
        swept = await sweep_claims(client, keys, blobs.chunks)
        assert (swept.removed, swept.referred) == (0, 1)
        plan = await planned(here, asked("crawl", jobs=[origin]))
        assert (plan.starts_at, plan.size_bytes) == ({"long": {"extract": 1}}, 70_017)
        record = await replayed(here, asked("extract", jobs=[origin]))
        assert (record.jobs, record.missing) == (1, {})
        assert file.stat().st_mtime > 0  # young again, so that no sweep takes it from under the new job
        job = await here.ended(new_id(record.replay_id, origin))
        assert await result_of(here, job.job_id) == {"names": ["70000"], "failures": []}
        file.unlink()
        plan = await planned(here, asked("extract", jobs=[origin]))
        assert plan.missing == {"payload_gone": 1}


async def test_filings_are_compiled_again_without_a_request(
    valkey_url: str, database_url: str, namespace: str, tmp_path: Path
) -> None:
    folder = await asyncio.to_thread(ensure_site, tmp_path / "site")
    async with DemoSite.serve(folder, refused=[annual_report_path(2022)]) as site, place(
        valkey_url, database_url, tmp_path, namespace=namespace, follows=(HistoryFollower,),
        allow_hosts=[f"127.0.0.1:{site.port}"],
    ) as here:  # fmt: skip
        origin = await here.run(url=site.url, years=3)
        expected = await here.result(origin.job_id)
        assert origin.status == "partial"
        requests = sum(dict(site.answered).values())
        await archive_and_trim(here, valkey_url)
        for start in ("crawl", "extract", "compile"):
            record = await replayed(here, asked(start, jobs=[origin.job_id]))
            job = await here.ended(new_id(record.replay_id, origin.job_id))
            assert job.status == "partial", (start, await here.errors(job.job_id))
            again = await here.result(job.job_id)
            # What is new since the last compile is told in each: this time nothing.
            assert again.model_copy(update={"news": expected.news}) == expected, start
            files = {one.name for one in await here.store.artifacts.of(job.job_id, tenant=TENANT)}
            assert files == {one.name for one in await here.store.artifacts.of(origin.job_id, tenant=TENANT)}
        assert sum(dict(site.answered).values()) == requests
        record = await replayed(here, asked("extract", jobs=[origin.job_id], fetch=True))
        job = await here.ended(new_id(record.replay_id, origin.job_id))
        answered = dict(site.answered)
        assert sum(answered.values()) > requests
        assert answered[annual_report_path(2022), 403] == 2  # asked again, and no page
        assert answered["/", 200] == dict(site.answered)["/", 200]
        assert (await here.result(job.job_id)).statements == expected.statements
