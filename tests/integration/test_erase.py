"""What somebody asked to be erased is gone from Redis, the archive, payloads put aside and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumers.maintenance.erase import erase as chore
from consumers.maintenance.yard import Yard
from consumers.store import upgrade
from consumers.submit import submit
from consumers.worker.follow import HistoryFollower
from schemas.jobs import JobRequest
from schemas.maintenance import Order
from streams import archive
from streams.erase import AGAIN_MS, Erasure, Erasures
from tests.support.flow_place import TENANT, Place, place
from tests.support.kept import archived, everything, history_has_read
from tests.support.replay_place import archive_and_trim, asked, planned
from tests.support.tree_flow import flow as tree

JANE = "jane.roe@example.com"


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


def about(who: str) -> dict[str, Any]:
    """A job that says somebody's name in every place where a job can."""
    return node(
        "root", "crawl",
        node(who, "classify", node(f"page of {who}", "download"), once=f"https://a.example/{who}"),
        node(f"{who} is refused", "classify", act="reject"),
        node("john.doe@example.com", "download"),
    )  # fmt: skip


async def kept(place: Place, folder: Path) -> dict[str, bytes]:
    """All that is kept anywhere."""
    return await everything(place.worker.client, place.worker.keys.namespace, place.store, folder)


async def carried_out(place: Place, now: datetime | None = None) -> dict[str, int]:
    """What the chore counts."""
    worker = place.worker
    yard = Yard(
        Order(chore="erase"), now or datetime.now(UTC), worker.jobs, worker.settings, lambda: worker.resources.store,
        lambda: worker.resources.blobs,
    )  # fmt: skip
    return dict((await chore(yard)).counts)


async def put_aside(place: Place, job_id: str, who: str) -> None:
    """Have a job emit a payload that is too large for an entry."""
    worker = place.worker
    sha256 = await worker.resources.blobs.chunks.put_claim(f'{{"v":1,"to":"{who}"}}'.encode(), tenant=TENANT)
    data = {"v": 1, "$claim": sha256, "size_bytes": 70_000}
    fields = {"type": "emitted", "job": job_id, "flow": "tree", "tenant": TENANT, "revision": "1", "task": "1"}
    emitted = orjson.dumps([{"task": 99, "stage": "extract", "data": data}]).decode()
    await worker.client.xadd(worker.keys.of_job(job_id).lifecycle, {**fields, "emitted": emitted})


async def test_what_mentions_somebody_is_gone_everywhere_and_the_rest_stays(
    here: Place, valkey_url: str, tmp_path: Path
) -> None:
    jobs = [(await here.run(root=about(who))).job_id for who in (JANE, "mary@example.com")]
    for job_id, who in zip(jobs, (JANE, "mary@example.com"), strict=True):
        await put_aside(here, job_id, who)
    await history_has_read(here.worker)
    await archived(here.worker, valkey_url)
    places = {name for name, body in (await kept(here, tmp_path)).items() if JANE.encode() in body}
    kinds = ("lifecycle", "dlq", ":once", f"job:{jobs[0]}", "claims/", "archive/", "contributions", "results", "jobs")
    assert all(any(kind in one for one in places) for kind in kinds), places

    erasures = Erasures(here.worker.jobs, here.worker.resources.blobs.chunks)
    await erasures.ask(Erasure(tenant=TENANT, words=(JANE,)))
    counts = await carried_out(here)
    assert counts["entries"] > 0
    assert (counts["archived"], counts["letters"], counts["claims"]) == (counts["entries"], 1, 1)
    left = await kept(here, tmp_path)
    assert {name for name, body in left.items() if JANE.encode() in body} == {f"{here.worker.keys.namespace}:erasures"}
    assert b"mary@example.com" in b"".join(left.values())
    result = await here.store.results.get(jobs[0], tenant=TENANT)
    assert result is not None
    assert "john.doe@example.com" in result.payload["names"]

    # Looked for once more, when nobody can have had it in hand any longer, and then it is forgotten itself.
    assert (await carried_out(here))["open"] == 1
    later = datetime.now(UTC) + timedelta(milliseconds=AGAIN_MS + 1_000)
    assert (await carried_out(here, later))["open"] == 0
    assert not [name for name, body in (await kept(here, tmp_path)).items() if JANE.encode() in body]

    # What was not asked for can be replayed; what was, is refused with the reason.
    await archive_and_trim(here, valkey_url)
    plan = await planned(here, asked("crawl", jobs=jobs))
    assert (plan.jobs, plan.missing) == (1, {"erased": 1})


async def test_a_job_that_is_not_over_is_erased_when_it_is(here: Place, valkey_url: str, tmp_path: Path) -> None:
    request = JobRequest(flow="tree", spec={"root": node(JANE)}, run_at=datetime.now(UTC) + timedelta(hours=1))
    job_id = (await submit(here.worker.jobs, here.worker.flows, request)).job_id
    await archived(here.worker, valkey_url)
    erasures = Erasures(here.worker.jobs, here.worker.resources.blobs.chunks)
    await erasures.ask(Erasure(tenant=TENANT, words=(JANE,)))
    ((_, done),) = await erasures.carry_out()
    assert (done.waiting, done.entries) == ({job_id}, 0)
    assert (await here.worker.jobs.job(job_id)).spec["root"]["name"] == JANE  # type: ignore[union-attr]

    await here.worker.jobs.cancel(job_id)
    await history_has_read(here.worker)
    ((_, done),) = await erasures.carry_out()
    assert done.waiting == set()
    job = await here.worker.jobs.job(job_id)
    assert job is not None
    assert job.spec == {"v": 1, "$erased": True}
    assert not [
        name
        for name, body in (await kept(here, tmp_path)).items()
        if JANE.encode() in body and "erasures" not in name and name != "jobs"  # history comes with the chore
    ]


async def test_entries_stay_until_the_archive_has_them_and_others_are_not_touched(here: Place, valkey_url: str) -> None:
    worker = here.worker
    of, chunks = worker.keys.partition(0), worker.resources.blobs.chunks
    await worker.client.xgroup_create(of.lifecycle, archive.GROUP, id="0", mkstream=True)
    fields = {"type": "submitted", "flow": "f", "tenant": TENANT, "revision": "1", "spec": f'{{"to":"{JANE}"}}'}
    mine = await worker.client.xadd(of.lifecycle, {**fields, "job": "0-mine"})
    for job, other in (("0-theirs", {"tenant": "other"}), ("0-flow", {"flow": "other"})):
        await worker.client.xadd(of.lifecycle, {**fields, **other, "job": job})
    erasures = Erasures(worker.jobs, chunks)
    wanted = Erasure(tenant=TENANT, words=(JANE,), flow="f")
    await erasures.ask(wanted)
    ((_, done),) = await erasures.carry_out()
    assert (done.waiting, done.entries) == ({"0-mine"}, 0)
    # A job that comes afterwards is another matter.
    later = int(mine.decode().partition("-")[0]) + 60_000
    await worker.client.xadd(of.lifecycle, {**fields, "job": "0-later"}, id=f"{later}-0")

    await archived(here.worker, valkey_url)
    await history_has_read(here.worker)
    ((_, done),) = await erasures.carry_out()
    assert (done.waiting, done.entries, done.archived, done.jobs) == (set(), 1, 1, {"0-mine"})
    rows = [fields async for _, fields in archive.read(chunks, worker.keys.namespace, 0)]
    told = {row["job"]: orjson.loads(row["spec"]) for row in rows}
    assert told.pop("0-mine") == {"v": 1, "$erased": True}
    assert told == {job: {"to": JANE} for job in ("0-theirs", "0-flow", "0-later")}
    assert {raw[b"job"] for _, raw in await worker.client.xrange(of.lifecycle)} == {
        b"0-theirs", b"0-flow", b"0-later",
    }  # fmt: skip


async def test_all_payloads_of_a_job_go_when_no_words_are_named(here: Place, valkey_url: str) -> None:
    jobs = [(await here.run(root=node(f"n{n}", "crawl", node("x", "extract")))).job_id for n in range(2)]
    await history_has_read(here.worker)
    await archived(here.worker, valkey_url)
    erasures = Erasures(here.worker.jobs, here.worker.resources.blobs.chunks)
    with pytest.raises(ValueError, match="name words or jobs"):
        await erasures.ask(Erasure(tenant=TENANT))
    await erasures.ask(replace(Erasure(tenant=TENANT), jobs=(jobs[0],)))
    assert (await carried_out(here))["rows"] > 0
    first, second = [await here.worker.jobs.job(job_id) for job_id in jobs]
    assert first is not None
    assert second is not None
    assert first.spec == {"v": 1, "$erased": True}
    assert second.spec["root"]["name"] == "n1"
    left = [
        fields
        async for _, fields in archive.read(
            here.worker.resources.blobs.chunks, here.worker.keys.namespace, 0, jobs=frozenset(jobs[:1])
        )
    ]
    assert left
    assert not any('"n0"' in value for fields in left for value in fields.values())
