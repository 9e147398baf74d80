"""Every measurement once, tiny, on a real server: it counts what the log holds, and leaves nothing behind."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from api.bench import BY_NAME, Plan, bench
from api.bench.processes import output, python
from api.bench.report import page, plots
from streams.connect import connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PLAN = Plan.tiny()
APART = {"autoscale"}
"""It waits half a minute for idleness; `test_autoscale` has its decisions."""


async def test_every_measurement_is_made_and_nothing_is_left(valkey_url: str) -> None:
    steps: list[str] = []
    names = [name for name in BY_NAME if name not in APART]
    found = await bench(valkey_url, PLAN, steps.append, names=names, peers_python=sys.executable)
    (shipped,) = found["runs"]["shipped"]
    for called in ("shipped", "workers", "partitions", "sampled", "unsampled"):
        (run,) = found["runs"][called]
        assert run["lifecycle_completed"] == run["transitions"] == 6 * PLAN.jobs
    assert found["transitions_per_s"] == shipped["transitions_per_s"] > 0
    assert found["ratio_to_floor"] == pytest.approx(found["transitions_per_s"] / found["floor_per_s"], abs=0.001)
    for latency in (found["latency_ms"], found["latency_half_load_ms"]):
        assert 0 < latency["p50"] <= latency["p99"]
    assert 300 < found["redis_bytes_per_job"] < 2_000
    assert found["worker_rss_mb"] > 20
    assert found["cpu_us_per_transition"] > 0
    assert min(found["submits_per_s"].values()) > 0
    assert list(found["growth"]["backlog"]["cpu_us_per_transition"]) == [str(size) for size in PLAN.backlogs]
    assert list(found["growth"]["pending"]["cpu_us_per_transition"]) == [str(size) for size in PLAN.pending]
    assert found["soak"]["resident_mb"][str(PLAN.soak_transitions)] > 20
    assert found["slowlog"]["transitions"] > 6 * PLAN.jobs * 5
    assert [row["transitions_per_s"] > 0 for row in found["capacity"]["rows"]] == [True] * 6
    assert set(found["peers"]) == {"celery", "dramatiq", "taskiq", "streaq", "faststream", "bullmq"}
    for peer in found["peers"].values():
        assert peer.get("times_as_fast", 1) > 0
        assert "failed" not in peer
    assert 1 < found["recovery_s"]["by_lease"]["p99"] < 20
    assert 0 < found["recovery_s"]["by_supervisor"]["p99"] < 20
    claims = {claim["name"]: claim["measured"] for claim in found["claims"]}
    assert list(claims) == ["throughput", "latency", "memory", "success", "recovery"]
    assert claims["success"] > 90
    assert found["conditions"]["fsync"] in {"no", "everysec", "always"}
    assert found["conditions"]["sampling"] == 0.01
    assert steps
    assert "## Wanted and reached" in page(found)
    assert set(plots(found)) == {"throughput.svg", "growth.svg"}
    await is_clean(valkey_url)


async def is_clean(url: str) -> None:
    client = connect(url)
    for pattern in ("bench-*", "floor:*"):
        assert [key async for key in client.scan_iter(pattern)] == []
    await client.aclose()


async def script(name: str, *arguments: str, **environment: str) -> dict[str, Any]:
    return await output(python(f"bench/{name}.py", *arguments), environment)


async def test_the_scripts_beside_it_run(valkey_url: str) -> None:
    told = await script("stop_and_go", "--letters", "1000", "--rate", "1000", MILLRACE_REDIS_URL=valkey_url)
    assert (told["redrive"]["lost"], told["pause"]["started_later_than_1_s"]) == (0, 0)
