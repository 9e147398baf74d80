"""Lifecycle in PostgreSQL: the same rows whatever the order and however often the entries come."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from consumers.store import BadCursorError

if TYPE_CHECKING:
    from consumers.store import Store

T0 = 1_790_000_000_000
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Entry = tuple[str, dict[str, str]]


def entry(ms: int, kind: str, job_id: str, tenant: str, seq: int = 0, /, **fields: str) -> Entry:
    return f"{T0 + ms}-{seq}", {"type": kind, "job": job_id, "flow": "noop", "tenant": tenant, **fields}


def life(job_id: str, tenant: str) -> list[Entry]:
    """A job that is retried, fails, is redriven, and ends well."""

    def move(ms: int, kind: str, seq: int = 0, /, **fields: str) -> Entry:
        return entry(ms, kind, job_id, tenant, seq, **fields)

    work: dict[str, str] = {"task": "1", "stage": "crawl", "revision": "1", "worker": "w-1"}
    return [
        move(0, "submitted", status="queued", data='{"url": "https://a.example"}', traceparent=TRACEPARENT,
             lane="high"),
        move(5, "started", **work, attempt="1", delivery="1", status="running"),
        move(6, "progressed", **work),
        move(9, "retried", **work, attempt="1", delivery="1", started_at=str(T0 + 5), status="retrying",
             reason="timeout"),
        move(9, "started", 1, **work, attempt="2", delivery="1", status="running"),
        move(12, "dead_lettered", **work, attempt="2", delivery="1", started_at=str(T0 + 9), reason="http_403"),
        move(12, "failed", 1, revision="1", status="failed", reason="nothing_done"),
        move(20, "redriven", task="1", stage="crawl", revision="2", status="running"),
        move(31, "completed", **work | {"revision": "2"}, attempt="3", delivery="1", started_at=str(T0 + 25)),
        # The end of the revision that the redrive overtook.
        move(24, "completed", task="2", stage="compile", revision="1", attempt="1", status="partial"),
        move(32, "completed", task="3", stage="compile", revision="2", attempt="1", status="partial",
             missing="1", error="http_403"),
    ]  # fmt: skip


async def rows(store: Store, job_id: str, tenant: str) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    job = await store.jobs.get(job_id, tenant=tenant)
    assert job is not None
    columns = {name: getattr(job, name) for name in job.__table__.c.keys()}  # noqa: SIM118 - a collection, not a dict
    columns.pop("job_id")
    columns.pop("tenant")
    events = await store.jobs.events(job_id, tenant=tenant)
    return columns, [
        (event.entry_id, event.type, event.task, event.attempt, event.worker, event.reason, event.started_at)
        for event in events.items
    ]


async def test_a_life_in_order(store: Store, job_id: str, tenant: str) -> None:
    projected = await store.jobs.project(0, life(job_id, tenant))
    assert projected.events == 10
    assert projected.refused == ()
    job, events = await rows(store, job_id, tenant)
    assert (job["status"], job["revision"], job["attempts"]) == ("partial", 2, 3)
    assert (job["flow"], job["lane"], job["spec"]) == ("noop", "high", {"url": "https://a.example"})
    assert job["trace_id"] == TRACEPARENT.split("-")[1]
    assert (job["missing"], job["error"]) == (1, "http_403")
    since = {name: (job[name].timestamp() * 1000) - T0 for name in ("created_at", "started_at", "finished_at")}
    assert since == {"created_at": 0, "started_at": 5, "finished_at": 32}
    assert "progressed" not in {event[1] for event in events}
    assert [event[0] for event in events] == sorted(event[0] for event in events)


async def test_a_failed_job_says_why(store: Store, job_id: str, tenant: str) -> None:
    await store.jobs.project(0, life(job_id, tenant)[:7])
    job, _ = await rows(store, job_id, tenant)
    assert (job["status"], job["error"]) == ("failed", "nothing_done")
    await store.jobs.project(0, life(job_id, tenant)[7:8])
    job, _ = await rows(store, job_id, tenant)
    assert (job["status"], job["error"], job["finished_at"]) == ("running", None, None)


@pytest.mark.parametrize("seed", range(15))
async def test_any_order_any_overlap_is_the_same(store: Store, job_id: str, tenant: str, seed: int) -> None:
    await store.jobs.project(0, life(f"{job_id}-in-order", tenant))
    expected = await rows(store, f"{job_id}-in-order", tenant)
    dice = random.Random(seed)  # noqa: S311 - a shuffle
    entries = life(job_id, tenant)
    left = entries * 2
    dice.shuffle(left)
    while left:
        count = dice.randint(1, 6)
        batch, left = left[:count], left[count:]
        await store.jobs.project(0, batch)
        if dice.random() < 0.3:
            await store.jobs.project(0, batch)
    assert await rows(store, job_id, tenant) == expected


async def test_the_end_of_an_overtaken_revision_does_not_end_the_job(store: Store, job_id: str, tenant: str) -> None:
    entries = [
        entry(0, "submitted", job_id, tenant, status="queued", revision="1"),
        entry(1, "redriven", job_id, tenant, task="1", revision="2"),
        entry(2, "completed", job_id, tenant, task="2", stage="compile", revision="1", status="partial"),
    ]
    for batch in (entries, entries[::-1]):
        for number, one in enumerate(batch):
            await store.jobs.project(0, [one])
            job = await store.jobs.get(job_id, tenant=tenant)
            assert job is not None
            if number:
                assert (job.status, job.finished_at, job.revision) == ("running", None, 2)
    await store.jobs.project(0, [entry(3, "completed", job_id, tenant, revision="2", status="succeeded")])
    job = await store.jobs.get(job_id, tenant=tenant)
    assert job is not None
    assert job.status == "succeeded"


async def test_a_stray_is_of_no_job(store: Store, job_id: str, tenant: str) -> None:
    await store.jobs.project(0, life(job_id, tenant))
    stray = (f"{T0}-77", {"type": "dead_lettered", "job": job_id, "flow": "", "tenant": "", "reason": "unknown_task"})
    projected = await store.jobs.project(0, [stray])
    assert (projected.events, projected.refused) == (0, ())
    assert await store.jobs.get(job_id, tenant="") is None


async def test_the_same_batch_twice_adds_nothing(store: Store, job_id: str, tenant: str) -> None:
    assert (await store.jobs.project(0, life(job_id, tenant))).events == 10
    before = await rows(store, job_id, tenant)
    assert (await store.jobs.project(0, life(job_id, tenant))).events == 0
    assert await rows(store, job_id, tenant) == before


async def test_two_projectors_of_the_same_jobs_do_not_wait_for_each_other(
    store: Store, job_id: str, tenant: str
) -> None:
    jobs = [f"{job_id}-{number}" for number in range(40)]
    batches = []
    for seed in range(6):
        batch = [move for job in jobs for move in life(job, tenant)]
        random.Random(seed).shuffle(batch)  # noqa: S311 - a shuffle
        batches.append(batch)
    projected = await asyncio.gather(*(store.jobs.project(0, batch) for batch in batches))
    assert sum(batch.events for batch in projected) == 40 * 10
    assert {job.status for job in (await store.jobs.page(tenant=tenant)).items} == {"partial"}


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "completed"},
        {"type": "completed", "job": "", "tenant": "t"},
        {"type": "completed", "job": "0-a", "tenant": "t", "task": "one"},
        {"type": "completed", "job": "0-a", "tenant": "t", "attempt": "-1"},
        {"type": "completed", "job": "0-a", "tenant": "t", "started_at": "9" * 15},
        {"type": "completed", "job": "0-a", "tenant": "t", "started_at": "9" * 30},
    ],
)
async def test_a_broken_entry_refuses_itself_only(
    store: Store, job_id: str, tenant: str, broken: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    entries = life(job_id, tenant)
    projected = await store.jobs.project(3, [*entries[:2], (f"{T0}-9", broken), *entries[2:]])
    assert projected.events == 10
    assert [text.split(":")[0] for text in projected.refused] == [f"{T0}-9"]
    assert "lifecycle 3" in caplog.text


async def test_text_that_postgresql_refuses_is_replaced(store: Store, job_id: str, tenant: str) -> None:
    spec = orjson.dumps({"url": "a\0b", "path": "C:\\u0000", "n": 2**63}).decode()
    entries = [
        entry(0, "submitted", job_id, tenant, status="queued", data=spec),
        entry(1, "failed", job_id, tenant, status="failed", reason="bad\0byte", worker="w\udc80"),
    ]
    await store.jobs.project(0, entries)
    job = await store.jobs.get(job_id, tenant=tenant)
    assert job is not None
    assert job.spec == {"url": "a\ufffdb", "path": "C:\\u0000", "n": 2**63}
    assert job.error == "bad\ufffdbyte"


@pytest.mark.parametrize("data", ["", "not json", "[1]", '"text"', '{"v": 1, "claim": null'])
async def test_a_spec_that_is_none_is_left_out(store: Store, job_id: str, tenant: str, data: str) -> None:
    await store.jobs.project(0, [entry(0, "submitted", job_id, tenant, status="queued", data=data)])
    job = await store.jobs.get(job_id, tenant=tenant)
    assert job is not None
    assert job.spec is None


async def test_a_tenant_sees_its_own(store: Store, job_id: str, tenant: str) -> None:
    await store.jobs.project(0, life(job_id, tenant))
    assert await store.jobs.get(job_id, tenant="rival") is None
    assert (await store.jobs.events(job_id, tenant="rival")).items == []
    assert (await store.jobs.page(tenant="rival")).items == []
    # Nor can an entry that names another tenant take the job away.
    await store.jobs.project(0, [entry(50, "cancelled", job_id, "rival", status="cancelled")])
    assert await store.jobs.get(job_id, tenant="rival") is None
    job = await store.jobs.get(job_id, tenant=tenant)
    assert job is not None
    assert job.status == "partial"


async def test_pages_newest_first(store: Store, job_id: str, tenant: str) -> None:
    batch = [
        entry(number // 3, "submitted", f"{job_id}-{number:03}", tenant, status=("queued", "running")[number % 2])
        for number in range(50)
    ]
    await store.jobs.project(0, batch)
    seen: list[str] = []
    cursor = None
    while True:
        page = await store.jobs.page(tenant=tenant, cursor=cursor, limit=7)
        seen += [job.job_id for job in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [f"{job_id}-{number:03}" for number in reversed(range(50))]
    running = await store.jobs.page(tenant=tenant, status="running", limit=100)
    assert len(running.items) == 25
    assert (await store.jobs.page(tenant=tenant, flow="audit")).items == []
    assert len((await store.jobs.page(tenant=tenant, flow="noop", limit=100)).items) == 50


async def test_events_by_page(store: Store, job_id: str, tenant: str) -> None:
    await store.jobs.project(0, life(job_id, tenant))
    first = await store.jobs.events(job_id, tenant=tenant, limit=5)
    rest = await store.jobs.events(job_id, tenant=tenant, limit=5, cursor=first.next)
    assert [len(first.items), len(rest.items), rest.next] == [5, 5, None]
    assert first.items[-1].entry_id < rest.items[0].entry_id


@pytest.mark.parametrize("cursor", ["x", "eA", "WzEsMl0", "bnVsbA", "W3RydWUsImEiXQ", "W251bGwsMV0", "\u00e9"])
async def test_a_made_up_cursor_is_refused(store: Store, tenant: str, cursor: str) -> None:
    with pytest.raises(BadCursorError, match="next"):
        await store.jobs.page(tenant=tenant, cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1_001])
async def test_a_limit_out_of_bounds_is_refused(store: Store, tenant: str, limit: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        await store.jobs.page(tenant=tenant, limit=limit)
