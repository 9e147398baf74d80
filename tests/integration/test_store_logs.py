"""Jobs' logs: in order, capped once, and never in the way of the work."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from consumers.store import LogLine, LogShipper, Store
from consumers.store.logs import MAX_LINE_BYTES, Logs

if TYPE_CHECKING:
    from collections.abc import Sequence

CAPPED = "log was capped"


def line(job_id: str, tenant: str, message: str = "fetched") -> LogLine:
    return LogLine(job_id, tenant, datetime.now(UTC), "info", message, {"url": "https://a.example"}, stage="crawl")


def lines(job_id: str, tenant: str, count: int) -> list[LogLine]:
    return [line(job_id, tenant, f"line {number}") for number in range(count)]


async def test_lines_come_back_in_order_and_by_page(store: Store, job_id: str, tenant: str) -> None:
    await store.logs.append(lines(job_id, tenant, 3))
    await store.logs.append([replace(line(job_id, tenant, "last"), task=4, attempt=2, trace_id="ab", fields={})])
    first = await store.logs.read(job_id, tenant=tenant, limit=2)
    rest = await store.logs.read(job_id, tenant=tenant, after=first[-1].seq)
    assert [row.message for row in first + rest] == ["line 0", "line 1", "line 2", "last"]
    assert first[0].fields == {"url": "https://a.example"}
    assert (rest[-1].task, rest[-1].attempt, rest[-1].trace_id, rest[-1].fields) == (4, 2, "ab", None)
    assert await store.logs.read(job_id, tenant="rival") == []


@pytest.mark.parametrize("batch", [1, 7, 100])
async def test_a_log_is_capped_by_lines_and_says_so_once(store: Store, job_id: str, tenant: str, batch: int) -> None:
    logs = Logs(store.database, max_lines=10)
    kept = 0
    for start in range(0, 100, batch):
        kept += await logs.append(lines(job_id, tenant, 100)[start : start + batch])
    assert kept == 10
    messages = [row.message for row in await logs.read(job_id, tenant=tenant)]
    assert messages[:10] == [f"line {number}" for number in range(10)]
    assert len(messages) == 11
    assert CAPPED in messages[10]


async def test_a_log_that_just_fits_is_not_capped(store: Store, job_id: str, tenant: str) -> None:
    logs = Logs(store.database, max_lines=10)
    assert await logs.append(lines(job_id, tenant, 10)) == 10
    assert len(await logs.read(job_id, tenant=tenant)) == 10
    assert await logs.append(lines(job_id, tenant, 1)) == 0
    assert CAPPED in (await logs.read(job_id, tenant=tenant))[-1].message


async def test_a_log_is_capped_by_bytes(store: Store, job_id: str, tenant: str) -> None:
    logs = Logs(store.database, max_bytes=5_000)
    await logs.append([line(job_id, tenant, "x" * 1_000) for _ in range(20)])
    rows = await logs.read(job_id, tenant=tenant)
    assert [len(row.message) for row in rows[:-1]] == [1_000] * 4
    assert CAPPED in rows[-1].message


async def test_writers_at_once_cap_once(store: Store, job_id: str, tenant: str) -> None:
    logs = Logs(store.database, max_lines=50)
    jobs = [f"{job_id}-{number}" for number in range(5)]
    batches: list[Sequence[LogLine]] = [
        [line(job, tenant) for job in (jobs if number % 2 else reversed(jobs)) for _ in range(5)]
        for number in range(20)
    ]
    assert sum(await asyncio.gather(*(logs.append(batch) for batch in batches))) == 5 * 50
    for job in jobs:
        messages = [row.message for row in await logs.read(job, tenant=tenant)]
        assert len(messages) == 51
        assert sum(CAPPED in message for message in messages) == 1


async def test_odd_lines_are_kept_as_well_as_can_be(store: Store, job_id: str, tenant: str) -> None:
    odd = [
        line(job_id, tenant, "nul\0 and half \ud83d"),
        line(job_id, tenant, "long " * MAX_LINE_BYTES),
        replace(line(job_id, tenant), fields={"path": Path("/a"), "nul": "\0"}),
        replace(line(job_id, tenant), fields={"page": "x" * MAX_LINE_BYTES}),
    ]
    await store.logs.append(odd)
    rows = await store.logs.read(job_id, tenant=tenant)
    assert rows[0].message == "nul\ufffd and half \ufffd"
    assert rows[1].message.endswith("[cut]")
    assert len(rows[1].message) < MAX_LINE_BYTES + 20
    assert rows[2].fields == {"path": "/a", "nul": "\ufffd"}
    assert rows[3].fields is not None
    assert list(rows[3].fields) == ["fields_left_out"]


async def test_the_shipper_carries_what_it_is_given(store: Store, job_id: str, tenant: str) -> None:
    async with LogShipper(store.logs) as shipper:
        for one in lines(job_id, tenant, 2_500):
            shipper.put(one)
    assert shipper.dropped == 0
    read = 0
    after = 0
    while page := await store.logs.read(job_id, tenant=tenant, after=after, limit=1_000):
        assert [row.message for row in page] == [f"line {number}" for number in range(read, read + len(page))]
        read += len(page)
        after = page[-1].seq
    assert read == 2_500


async def test_a_full_buffer_drops_and_counts(store: Store, job_id: str, tenant: str) -> None:
    shipper = LogShipper(store.logs, max_buffered=10)
    for one in lines(job_id, tenant, 15):
        shipper.put(one)
    assert shipper.dropped == 5
    async with shipper:
        assert await shipper.flush(within_s=10)
    assert [row.message for row in await store.logs.read(job_id, tenant=tenant)] == [f"line {n}" for n in range(10)]
