"""The benchmark counts what the log holds, on the shipped runtime, and leaves nothing behind."""

from __future__ import annotations

import pytest

from api.bench import Plan, bench
from streams.connect import connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

JOBS = 60
SMALL = Plan(jobs=JOBS, rounds=1, latency_jobs=10, latency_per_s=50, memory_jobs=500, partitions=2)


async def test_lifecycle_holds_every_transition_that_was_counted(valkey_url: str) -> None:
    steps: list[str] = []
    found = await bench(valkey_url, SMALL, steps.append)
    (shipped,) = found["runs"]["shipped"]
    for run in (shipped, *found["runs"]["partitions"], *found["runs"]["sampled"]):
        assert run["lifecycle_completed"] == run["transitions"] == 6 * JOBS
    assert found["transitions_per_s"] == shipped["transitions_per_s"] > 0
    assert found["ratio_to_floor"] == pytest.approx(found["transitions_per_s"] / found["floor_per_s"], abs=0.001)
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]
    assert 300 < found["redis_bytes_per_job"] < 2_000
    assert found["worker_rss_mb"] > 20
    assert found["cpu_us_per_transition"] > 0
    assert found["conditions"]["fsync"] in {"no", "everysec", "always"}
    assert found["conditions"]["sampling"] == 0.01
    assert len(steps) == 3
    client = connect(valkey_url)
    assert [key async for key in client.scan_iter("bench-*")] == []
    assert [key async for key in client.scan_iter("floor:*")] == []
    await client.aclose()
