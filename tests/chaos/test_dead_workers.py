"""Workers that die or are stopped while they work."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.processes import Held

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chaos import Stage

pytestmark = pytest.mark.chaos


def _children_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


async def _gone(processes: list[psutil.Process], within_s: float) -> None:
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, within_s)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


async def test_a_killed_workers_work_runs_again_by_lease(stage: Stage, tmp_path: Path) -> None:
    """On streams that get no new entries, with a CPU subprocess at work."""
    held = Held(tmp_path)
    victim = await stage.start()
    job = await stage.submit(work="hang_once", fifo=held.path, marker=str(tmp_path / "marker"))
    await stage.wait(event="began")
    await asyncio.to_thread(held.wait_held_by, 3)
    other = await stage.start()
    below = _children_of(victim.pid)
    killed_at = asyncio.get_running_loop().time()
    victim.signal(signal.SIGKILL)
    await _gone(below, within_s=2)
    await stage.wait(2, event="began", timeout_s=15)
    took_s = asyncio.get_running_loop().time() - killed_at
    print(f"\nrecovery by lease: {took_s:.2f} s")
    assert took_s <= 10
    (record,) = await stage.ended(job)
    assert record.status == "succeeded"
    assert {event["worker"] for event in stage.told(event="done")} == {other.name}
    types = await stage.check()
    assert types["reclaimed"] == 1


async def test_a_supervisor_gives_a_dead_workers_work_back_at_once(stage: Stage, tmp_path: Path) -> None:
    held = Held(tmp_path)
    await stage.start(supervised=2)
    job = await stage.submit(work="hang_once", fifo=held.path, marker=str(tmp_path / "marker"))
    (began,) = await stage.wait(event="began")
    await asyncio.to_thread(held.wait_held_by, 3)
    below = _children_of(began["pid"])
    killed_at = asyncio.get_running_loop().time()
    os.kill(began["pid"], signal.SIGKILL)
    again = await stage.wait(2, event="began", timeout_s=15)
    took_s = asyncio.get_running_loop().time() - killed_at
    print(f"\nrecovery under a supervisor: {took_s:.2f} s")
    assert took_s <= 1
    assert again[1]["worker"] != began["worker"]
    await _gone(below, within_s=2)
    await asyncio.to_thread(held.wait_gone)
    (record,) = await stage.ended(job)
    assert record.status == "succeeded"
    await stage.check()


async def test_workers_killed_one_after_the_other_under_load(stage: Stage) -> None:
    """Every job ends once, whoever dies when."""
    await stage.start(supervised=2, lease_ms=1_500)
    for _ in range(30):
        await stage.submit("patient", width=8, work="linger", seconds=0.2)
    for round_ in range(3):
        await stage.wait(40 * (round_ + 1), event="done")
        dead = {event["died"] for event in stage.told(event="disowned")}
        at_work = [event for event in stage.told(event="ready") if event["worker"] not in dead]
        victim = at_work[0]
        os.kill(victim["pid"], signal.SIGKILL)
        await stage.wait(event="disowned", died=victim["worker"])
    records = await stage.ended()
    assert {record.status.value for record in records} == {"succeeded"}
    assert len(stage.executions()) == 30 * 8
    types = await stage.check()
    print(f"\n{types['reclaimed']} entries were taken from the dead")
    assert types["completed"] == 30 * (1 + 3 * 8 + 2)


async def test_a_worker_stopped_past_its_lease_completes_nothing(stage: Stage) -> None:
    both = [await stage.start(lease_ms=1_500) for _ in range(2)]
    job = await stage.submit(work="sleep", seconds=3.0)
    await stage.wait(event="began")
    (began,) = stage.told(event="began")
    stopped, other = sorted(both, key=lambda one: one.name != began["worker"])
    stopped.signal(signal.SIGSTOP)
    # Both finish at about the same time: the one whose lease ran out is told so, or refused.
    await stage.wait(2, event="began", timeout_s=15)
    stopped.signal(signal.SIGCONT)
    (record,) = await stage.ended(job)
    assert record.status == "succeeded"
    assert {event["worker"] for event in stage.told(event="compiled")} <= {stopped.name, other.name}
    stopped.signal(signal.SIGTERM)
    await stopped.ended()
    (drained,) = stage.told(event="drained")
    assert sum(drained["counts"].get(late, 0) for late in ("abandoned", "superseded", "not_pending")) == 1
    types = await stage.check()
    assert types["reclaimed"] == 1


async def test_a_late_completion_is_refused(stage: Stage) -> None:
    """The handler had finished when its worker was stopped: only the fence keeps its completion out."""
    stopped = await stage.start(lease_ms=1_500)
    await stage.submit(work="sleep", seconds=0.5)
    await stage.wait(event="began")
    stopped.signal(signal.SIGSTOP)
    other = await stage.start(lease_ms=1_500)
    await stage.wait(2, event="began", timeout_s=15)
    await stage.ended()
    assert {event["worker"] for event in stage.told(event="done")} == {other.name}
    stopped.signal(signal.SIGCONT)
    # It wakes up: the handler's sleep is over, and so is its lease.
    await stage.until(
        lambda: stage.count(worker=stopped.name, event="done") + stage.count(worker=stopped.name, event="stopped") > 0,
        "the late end",
    )
    stopped.signal(signal.SIGTERM)
    assert await stopped.ended() == 0
    (drained,) = stage.told(event="drained")
    assert sum(drained["refused"].values()) + drained["counts"].get("abandoned", 0) == 1
    await stage.check()


@pytest.mark.slow
async def test_long_work_under_a_short_lease_runs_once(stage: Stage) -> None:
    """Four 12 s tasks under a 3 s lease, nobody dying."""
    for _ in range(2):
        await stage.start(lease_ms=3_000)
    for _ in range(4):
        await stage.submit(work="sleep", seconds=12.0)
    await stage.ended()
    assert set(stage.executions().values()) == {1}
    assert stage.count(event="lease.lost") == 0
    types = await stage.check()
    assert types["reclaimed"] == 0
