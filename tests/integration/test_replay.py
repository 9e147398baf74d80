"""Jobs run again, on real servers: from each stage, from the archive alone, stopped and gone on with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from consumers.store import upgrade
from consumers.worker.follow import HistoryFollower
from schemas.names import STAGES
from tests.support.flow_place import TENANT, Place, place
from tests.support.replay_place import archive_and_trim, asked, new_id, replayed
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
        for stage in STAGES:
            record = await replayed(here, asked(stage, jobs=[origin]))
            assert (record.status, record.jobs, record.missing) == ("done", 1, {}), (stage, record.problems)
            job = await here.ended(new_id(record.replay_id, origin))
            assert (job.fields["origin"], job.fields["replay"], job.lane) == (origin, record.replay_id, "low")
            assert job.status == "partial", stage
            assert await result_of(here, job.job_id) == expected, stage
            ran = {name for name, counts in job.stages().items() if counts["done"] or counts["failed"]}
            assert not ran & set(STAGES[: STAGES.index(stage)]), stage
    # The origin is as it was.
    assert await here.worker.jobs.job(origin) == before
    assert await result_of(here, origin) == expected
