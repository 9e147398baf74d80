"""What stages leave behind: twice is once, old does not overwrite new, tenants do not meet."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from consumers.store import Store

SHA = "a" * 64
NOW = datetime.now(UTC)


async def collected(store: Store, job_id: str, tenant: str) -> list[Any]:
    return [payload async for payload in store.contributions.of(job_id, tenant=tenant)]


async def test_a_contribution_twice_is_once(store: Store, job_id: str, tenant: str) -> None:
    for _ in range(2):
        for ordinal in range(3):
            assert await store.contributions.put(job_id, 7, ordinal, {"n": ordinal}, tenant=tenant, revision=1)
    assert await collected(store, job_id, tenant) == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert await collected(store, job_id, "rival") == []


async def test_an_older_revision_s_contribution_does_not_replace_a_newer(
    store: Store, job_id: str, tenant: str
) -> None:
    assert await store.contributions.put(job_id, 1, 0, "new", tenant=tenant, revision=2)
    assert not await store.contributions.put(job_id, 1, 0, "old", tenant=tenant, revision=1)
    assert not await store.contributions.put(job_id, 1, 0, "stolen", tenant="rival", revision=3)
    assert await collected(store, job_id, tenant) == ["new"]


async def test_a_run_that_collects_less_leaves_no_rest(store: Store, job_id: str, tenant: str) -> None:
    for ordinal in range(4):
        await store.contributions.put(job_id, 1, ordinal, ordinal, tenant=tenant, revision=1)
    await store.contributions.trim(job_id, 1, 2, tenant="rival", revision=9)
    await store.contributions.trim(job_id, 1, 2, tenant=tenant, revision=1)
    assert await collected(store, job_id, tenant) == [0, 1]


async def test_more_contributions_than_a_page(store: Store, job_id: str, tenant: str) -> None:
    keys = [(task, ordinal) for task in range(50) for ordinal in range(9)]
    await asyncio.gather(*(store.contributions.put(job_id, *key, list(key), tenant=tenant, revision=1) for key in keys))
    assert await collected(store, job_id, tenant) == [list(key) for key in keys]


async def test_what_a_pdf_may_hold_is_kept(store: Store, job_id: str, tenant: str) -> None:
    await store.contributions.put(job_id, 1, 0, {"a\0": ["\ud800x", 2**70, "\\u0000"]}, tenant=tenant, revision=1)
    assert await collected(store, job_id, tenant) == [{"a\ufffd": ["\ufffdx", float(2**70), "\\u0000"]}]


async def test_the_latest_result_is_that_of_the_highest_revision(store: Store, job_id: str, tenant: str) -> None:
    assert await store.results.get(job_id, tenant=tenant) is None
    await store.results.put(job_id, {"rev": 2}, tenant=tenant, revision=2)
    await store.results.put(job_id, {"rev": 1}, tenant=tenant, revision=1)
    await store.results.put(job_id, {"rev": 2, "again": True}, tenant=tenant, revision=2)
    await store.results.put(job_id, {"stolen": True}, tenant="rival", revision=2)
    latest = await store.results.get(job_id, tenant=tenant)
    assert latest is not None
    assert (latest.revision, latest.payload) == (2, {"rev": 2, "again": True})
    assert latest.size_bytes == len('{"rev":2,"again":true}')
    first = await store.results.get(job_id, tenant=tenant, revision=1)
    assert first is not None
    assert first.payload == {"rev": 1}
    assert await store.results.get(job_id, tenant="rival") is None


async def test_an_expired_result_is_gone(store: Store, job_id: str, tenant: str) -> None:
    await store.results.put(job_id, {}, tenant=tenant, revision=1, expires_at=NOW - timedelta(seconds=1))
    assert await store.results.get(job_id, tenant=tenant) is None
    await store.results.put(job_id, {}, tenant=tenant, revision=1, expires_at=NOW + timedelta(days=1))
    assert await store.results.get(job_id, tenant=tenant) is not None


async def test_a_file_of_the_same_name_replaces_the_old(store: Store, job_id: str, tenant: str) -> None:
    for sha256, owner in ((SHA, tenant), ("b" * 64, tenant), ("c" * 64, "rival")):
        await store.artifacts.put(
            job_id, 3, "statements.xlsx", tenant=owner, sha256=sha256, content_type="application/x", size_bytes=9
        )
    [artifact] = await store.artifacts.of(job_id, tenant=tenant)
    assert (artifact.name, artifact.sha256) == ("statements.xlsx", "b" * 64)
    assert await store.artifacts.of(job_id, tenant="rival") == []


async def begin(store: Store, job_id: str, tenant: str) -> Any:
    return await store.deliveries.begin(
        f"{job_id}/1/mail/a@b.example",
        tenant=tenant,
        job_id=job_id,
        revision=1,
        channel="mail",
        target="a@b.example",
        deadline_at=NOW,
    )


async def test_a_delivery_begun_and_not_ended_is_unknown(store: Store, job_id: str, tenant: str) -> None:
    first = await begin(store, job_id, tenant)
    assert (first.status, first.attempts) == ("pending", 0)
    second = await begin(store, job_id, tenant)
    assert (second.status, second.attempts) == ("unknown", 1)
    await store.deliveries.end(second.idempotency_key, "pending", tenant=tenant, error="451 later")
    third = await begin(store, job_id, tenant)
    assert (third.status, third.attempts, third.last_error) == ("pending", 2, "451 later")


@pytest.mark.parametrize("end", ["sent", "failed"])
async def test_a_delivery_that_is_over_is_not_begun_again(store: Store, job_id: str, tenant: str, end: Any) -> None:
    key = (await begin(store, job_id, tenant)).idempotency_key
    await store.deliveries.end(key, end, tenant=tenant)
    again = await begin(store, job_id, tenant)
    assert (again.status, again.attempts) == (end, 1)
    [listed] = await store.deliveries.of(job_id, tenant=tenant)
    assert (listed.status, listed.attempts) == (end, 1)


async def test_what_is_sent_stays_sent(store: Store, job_id: str, tenant: str) -> None:
    key = (await begin(store, job_id, tenant)).idempotency_key
    await store.deliveries.end(key, "failed", tenant="rival")
    await store.deliveries.end(key, "sent", tenant=tenant)
    await store.deliveries.end(key, "failed", tenant=tenant)
    assert [delivery.status for delivery in await store.deliveries.of(job_id, tenant=tenant)] == ["sent"]
    assert await store.deliveries.of(job_id, tenant="rival") == []
