"""Frontiers: what a job has parked beyond a bound lies in the artifact store, comes back in order, and goes with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from consumers.outcome import Done, Outcome
from streams.findings import Findings
from streams.frontier import LEAST, Frontier, Named, last_run, pack, unpack
from streams.objects import BlobCorrupt
from streams.policy import StagePolicy
from streams.sweep import sweep_claims, sweep_spilled
from tests.support.chaos_local import QUICK, Here, Note, flow_of, handing_on, here

if TYPE_CHECKING:
    from pathlib import Path

    from consumers.context import StageContext

MANY = 20_000
IN_MEMORY = 1_000


def parked(place: Here, job: str) -> str:
    return place.log.keys.partition(0).parked(job, "extract")


async def chunks(place: Here) -> list[str]:
    return [one.key async for one in place.resources.blobs.chunks.list_raw("spill")]


async def test_one_task_emits_20000_and_redis_keeps_1000(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    ran: Counter[int] = Counter()
    may_run = asyncio.Event()

    async def counts(note: Note, _: StageContext) -> Outcome:
        await may_run.wait()
        ran[note.n] += 1
        return Done()

    policies: dict[Any, StagePolicy] = {"extract": StagePolicy(window=256, retry=QUICK)}
    flow = flow_of(crawl=handing_on("extract", MANY), extract=counts, policies=policies)
    async with here(valkey_url, namespace, flow, artifacts_url=str(tmp_path), parked_in_memory=IN_MEMORY) as place:
        worker = await place.start()
        most, watched = [0], await place.start(stages=("compile",))

        async def watches() -> None:
            while True:
                most[0] = max(most[0], await watched.client.llen(parked(place, job)))
                await asyncio.sleep(0.002)

        job = await place.submit()
        watching = asyncio.create_task(watches())

        async def all_are_open() -> bool:
            record = await place.log.job(job)
            return record is not None and record.open("extract") == MANY

        await place.until(all_are_open, "20,000 open tasks", 30)
        assert len(await chunks(place)) >= MANY // 1_000 - 2
        assert await place.log.client.llen(parked(place, job)) < IN_MEMORY + 256
        may_run.set()
        record = await place.ended(job, 60)
        watching.cancel()
        assert record.status == "succeeded"
        assert record.number("extract.done") == MANY
        assert set(ran.values()) == {1}
        assert set(ran) == set(range(MANY))
        assert IN_MEMORY / 2 < most[0] <= 2 * IN_MEMORY + 500, "a chunk that was read back, and what is ahead of it"
        # Who spills at the same time as another leaves a chunk that nothing names.
        left, later = await chunks(place), datetime.now(UTC) + timedelta(days=2)
        swept = await sweep_spilled(place.log.client, place.log.keys, place.resources.blobs.chunks, now=later)
        assert len(left) == swept.removed < 10
        assert not worker.crashed
        await place.check()


async def _none_of(found: Any) -> bool:
    return not await found


async def test_what_was_spilled_comes_back_in_order(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    order: list[int] = []

    async def notes(note: Note, _: StageContext) -> Outcome:
        order.append(note.n)
        return Done()

    policies: dict[Any, StagePolicy] = {"extract": StagePolicy(window=8, concurrency=1, retry=QUICK)}
    flow = flow_of(crawl=handing_on("extract", 600), extract=notes, policies=policies)
    async with here(valkey_url, namespace, flow, artifacts_url=str(tmp_path), parked_in_memory=256) as place:
        await place.start()
        job = await place.submit()
        assert (await place.ended(job, 60)).status == "succeeded"
        assert order == list(range(600))


async def spilled_job(place: Here) -> tuple[str, Frontier]:
    """A job whose frontier is spilled, with nobody who works on it."""
    worker = await place.start(stages=("crawl",))
    job = await place.submit()
    await place.until(lambda: worker.committer.counts.get("completed"), "the crawl")
    assert len(await chunks(place)) > 1
    await worker.drain()
    chunks_of = place.resources.blobs.chunks
    return job, Frontier(place.log.client, place.log.keys, place.flows, lambda: chunks_of, in_memory=256)


@pytest.fixture
def wide() -> Any:
    return flow_of(crawl=handing_on("extract", 1_000))


async def test_cancelling_removes_the_chunks(valkey_url: str, namespace: str, tmp_path: Path, wide: Any) -> None:
    async with here(valkey_url, namespace, wide, artifacts_url=str(tmp_path), parked_in_memory=256) as place:
        job, _ = await spilled_job(place)
        await place.log.cancel(job)
        record = await place.log.job(job)
        assert record is not None
        assert (record.number("work"), record.number("extract.spilled")) == (0, 0)
        await place.start()
        await place.until(lambda: _none_of(chunks(place)), "the chunks to be gone")
        await place.check()


async def test_a_chunk_that_nothing_names_is_swept_and_one_that_is_named_stays(
    valkey_url: str, namespace: str, tmp_path: Path, wide: Any
) -> None:
    """A worker that dies between the writing of a chunk and the script leaves one; the list is as it was."""
    async with here(valkey_url, namespace, wide, artifacts_url=str(tmp_path), parked_in_memory=256) as place:
        job, frontier = await spilled_job(place)
        store, named = place.resources.blobs.chunks, set(await chunks(place))
        await store.put_raw(f"spill/{namespace}/{job}/extract/orphan", pack([b"[]", b"[]"]))
        later = datetime.now(UTC) + timedelta(days=2)
        keys = place.log.keys
        assert (await sweep_spilled(place.log.client, keys, store)).removed == 0, "it is young"
        assert (await sweep_spilled(place.log.client, keys, store, now=later, dry_run=True)).removed == 1
        assert (await sweep_spilled(place.log.client, keys, store, now=later)).removed == 1
        assert set(await chunks(place)) == named
        assert await frontier.spill(keys.partition(0), job, "extract") == 250
        assert await frontier.spill(keys.partition(0), job, "extract") == 0, "it is short enough"
        await place.start()
        assert (await place.ended(job, 30)).status == "succeeded"


async def test_a_lost_chunk_is_told_and_read_when_it_is_there_again(
    valkey_url: str, namespace: str, tmp_path: Path, wide: Any
) -> None:
    async with here(valkey_url, namespace, wide, artifacts_url=str(tmp_path), parked_in_memory=256) as place:
        job, frontier = await spilled_job(place)
        store, (key, *_) = place.resources.blobs.chunks, sorted(await chunks(place))
        body = await store.get_raw(key)
        await store.delete_raw(key)
        swept = await sweep_spilled(place.log.client, place.log.keys, store)
        assert swept.missing == (key,)
        await place.start()

        async def is_told() -> bool:
            found = await Findings(place.log.client, place.log.keys).all()
            return [one.kind for one in found] == ["frontier_lost"]

        await place.until(is_told, "a finding")
        record = await place.log.job(job)
        assert record is not None
        assert record.number("extract.open") > 1
        await store.put_raw(key, body)
        await frontier.read_back(place.log.keys.partition(0), job, "extract")
        assert (await place.ended(job, 30)).status == "succeeded"
        await place.check()


async def test_claim_checks_in_chunks_are_kept(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    async with here(valkey_url, namespace, flow_of(), artifacts_url=str(tmp_path)) as place:
        store = place.resources.blobs.chunks
        sha = await store.put_claim(b"x" * 100_000, tenant="default")
        task = b'[2,"one","00-t","{\\"v\\":1,\\"$claim\\":\\"%s\\"}"]' % sha.encode()
        await store.put_raw(f"spill/{namespace}/0-a/extract/one", pack([task, task]))
        await place.log.client.rpush(parked(place, "0-a"), f"@2 spill/{namespace}/0-a/extract/one")
        later = datetime.now(UTC) + timedelta(days=2)
        assert (await sweep_claims(place.log.client, place.log.keys, store, now=later)).removed == 0
        await place.log.client.delete(parked(place, "0-a"))
        assert (await sweep_claims(place.log.client, place.log.keys, store, now=later)).removed == 1


def test_the_end_of_the_last_long_run_is_spilled() -> None:
    tasks = [b"[%d]" % n for n in range(LEAST)]
    assert last_run(tasks, 1_000, 1_000_000) == (0, LEAST)
    assert last_run(tasks[1:], 1_000, 1_000_000) is None
    assert last_run([b"[0]", *tasks], 10, 1_000_000) == (LEAST - 9, LEAST + 1)
    assert last_run([*tasks, b"@9 c", *tasks[1:], b"@9 d"], 1_000, 1_000_000) == (0, LEAST)
    assert last_run([b"@9 c", *tasks, b"@9 d", b"[1]"], 1_000, 1_000_000) == (1, LEAST + 1)
    assert last_run(tasks, 1_000, 10) == (LEAST - 3, LEAST)
    assert last_run([], 1_000, 10) is None


def test_a_chunk_is_held_against_its_name() -> None:
    body = pack([b"[1]", b"[2]"])
    assert Named.of(b"[1]") is None
    named = Named.of(b"@2 spill/x")
    assert named == Named("spill/x", 2)
    assert unpack(body, named) == [b"[1]", b"[2]"]
    for wrong in (pack([b"[1]"]), b"no zstd", body[:-2]):
        with pytest.raises(BlobCorrupt):
            unpack(wrong, named)
