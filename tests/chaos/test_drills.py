"""`millrace chaos` in short: all faults on everything, and the guards switched off one at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from api.chaos.place import Layout
from api.chaos.report import report
from api.chaos.run import Drill, run

if TYPE_CHECKING:
    from api.chaos.guards import GuardName

pytestmark = pytest.mark.chaos

SMALL = Layout(workers=2, tree=False, api=False, postgres=False, lease_ms=1_500, durable=False)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_short_run_loses_nothing(redis_server: str | None) -> None:
    kinds = (
        "redis_sigkill", "worker_sigkill", "supervised_sigkill", "replies_cut", "maxmemory", "postgres_restart",
        "artifacts_refused", "clock_jump",
    )  # fmt: skip
    drill = Drill(
        seed=25, seconds=26, jobs_per_s=30, layout=Layout(workers=1, lease_ms=1_500, redis_server=redis_server),
        kinds=kinds,
    )  # fmt: skip
    happened = await run(drill)
    figures = report(happened)
    assert happened.findings == []
    assert happened.crashes == {}
    assert figures["faults"]["could_not_happen"] == []
    assert figures["faults"]["count"] == len(drill.plan) == len(kinds)
    assert figures["recovery"]["measured"] == len(kinds)
    assert figures["jobs"]["accepted"] > 100
    assert figures["duplicated_effects"]["effects"] > 10
    print(f"\n{figures['jobs']['accepted']} jobs, {figures['recovery']}")


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("guard", "seconds", "kinds", "found"),
    [
        ("deduplication", 3.0, ("none",), "opened 2 times"),
        ("join", 3.0, ("none",), "compiled 2 times"),
        ("fence", 14.0, ("worker_sigstop",), "closes twice"),
    ],
)
async def test_a_guard_that_is_switched_off_is_missed(
    guard: GuardName, seconds: float, kinds: tuple[str, ...], found: str
) -> None:
    happened = await run(Drill(4, seconds, 150.0, replace(SMALL, without=guard), kinds=kinds))
    assert any(found in one.text for one in happened.findings), happened.findings[:5]
    assert report(happened)["ok"] is False
