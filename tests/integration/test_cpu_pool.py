from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import uvloop

from consumers.cpu.environment import kill_owned_by
from consumers.cpu.errors import CpuChildDied, CpuTaskFailed, CpuTaskTimedOut, MemoryCapExceeded
from consumers.cpu.pool import CpuPool
from streams.errors import TransientError
from tests.support import cpu_tasks
from tests.support.processes import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

RUN: dict[str, Callable[..., None]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}
LIMITS: dict[str, Any] = {"timeout_s": 30, "memory_mb": 512}
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path)


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Any:
    """Run an async test in an event loop of each kind, with a pool of one child, and see that nothing is left."""
    parameters = inspect.signature(test).parameters

    def run_test(loop: str, **fixtures: Any) -> None:
        async def main() -> None:
            others = psutil.Process().children(recursive=True)  # servers that the session's other tests share
            async with CpuPool(1) as pool:
                await test(**fixtures, **({"pool": pool} if "pool" in parameters else {}))
            left = [one for one in psutil.Process().children(recursive=True) if one not in others]
            assert left == []  # a zombie would be one

        RUN[loop](main())

    run_test.__name__ = test.__name__
    asked = [parameter for name, parameter in parameters.items() if name != "pool"]
    loop_parameter = inspect.Parameter("loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run_test.__signature__ = inspect.Signature([loop_parameter, *asked])  # type: ignore[attr-defined]
    return pytest.mark.parametrize("loop", RUN)(run_test)


@on_both_loops
async def test_results_arrive_as_the_declared_type(pool: CpuPool) -> None:
    got = await pool.run(cpu_tasks.statement, "Balance sheet", **LIMITS)
    assert got == cpu_tasks.Statement("Balance sheet", date(2024, 12, 31), (("Revenue", Decimal("1.50")),))
    assert await pool.run(cpu_tasks.reverse, bytes(3 * 2**20) + b"\xff", **LIMITS) == b"\xff" + bytes(3 * 2**20)
    assert await pool.run(cpu_tasks.nothing, **LIMITS) is None  # type: ignore[func-returns-value]


@on_both_loops
async def test_one_child_serves_task_after_task(pool: CpuPool) -> None:
    assert len({await pool.run(cpu_tasks.pid, **LIMITS) for _ in range(3)}) == 1
    assert pool.pids == (await pool.run(cpu_tasks.pid, **LIMITS),)


@on_both_loops
async def test_tasks_run_side_by_side_up_to_the_concurrency() -> None:
    async with CpuPool(2) as pool:
        pids = await asyncio.gather(*(pool.run(cpu_tasks.pid, **LIMITS) for _ in range(6)))
        assert set(pids) == set(pool.pids)
        assert len(pool.pids) <= 2


@on_both_loops
async def test_our_errors_come_back_as_what_they_were_with_the_childs_traceback(pool: CpuPool) -> None:
    with pytest.raises(cpu_tasks.Corrupt, match="page 7 is corrupt") as corrupt:
        await pool.run(cpu_tasks.raise_corrupt, **LIMITS)
    assert (corrupt.value.reason, corrupt.value.page) == ("corrupt_document", 7)
    assert "raise Corrupt(7)" in str(corrupt.value.__cause__)
    with pytest.raises(TransientError, match="font server") as transient:
        await pool.run(cpu_tasks.raise_transient, **LIMITS)
    assert (transient.value.reason, transient.value.retry_after_s) == ("fonts", 3.5)


@pytest.mark.parametrize(
    ("fn", "says"),
    [
        (cpu_tasks.raise_other, "KeyError: 'total'"),
        (cpu_tasks.lies, "Expected `int`"),
        (cpu_tasks.too_much, "write it to a file"),
        (cpu_tasks.exit_politely, "SystemExit: 3"),
    ],
)
@on_both_loops
async def test_other_errors_are_task_failed_and_the_child_goes_on(pool: CpuPool, fn: Any, says: str) -> None:
    before = await pool.run(cpu_tasks.pid, **LIMITS)
    with pytest.raises(CpuTaskFailed, match=says):
        await pool.run(fn, **LIMITS)
    assert await pool.run(cpu_tasks.pid, **LIMITS) == before


@on_both_loops
async def test_a_function_without_a_name_is_refused_before_any_child(pool: CpuPool) -> None:
    with pytest.raises(TypeError, match="top of a module"):
        await pool.run(lambda: 1, **LIMITS)
    assert pool.pids == ()


@on_both_loops
async def test_a_crash_tells_the_signal_and_the_next_task_runs(pool: CpuPool) -> None:
    with pytest.raises(CpuChildDied, match=r"SIGSEGV(?s:.)*in crash") as crashed:
        await pool.run(cpu_tasks.crash, **LIMITS)
    assert crashed.value.signal == signal.SIGSEGV
    with pytest.raises(CpuChildDied, match="exited with code 3") as exited:
        await pool.run(cpu_tasks.exit_process, **LIMITS)
    assert (exited.value.signal, exited.value.exit_code) == (None, 3)
    assert await pool.run(cpu_tasks.pid, **LIMITS)


@pytest.mark.parametrize("fn", [cpu_tasks.hang_in_c, cpu_tasks.with_grandchildren])
@on_both_loops
async def test_the_hard_limit_kills_what_hangs_in_c_and_all_it_started(pool: CpuPool, held: Held, fn: Any) -> None:
    count = 3 if fn is cpu_tasks.with_grandchildren else 1
    up = asyncio.create_task(asyncio.to_thread(held.wait_held_by, count))
    await pool.run(cpu_tasks.nothing, **LIMITS)
    with pytest.raises(CpuTaskTimedOut) as timed_out:
        await pool.run(fn, held.path, timeout_s=1, soft_timeout_s=0.5, memory_mb=512)
    assert timed_out.value.limit == "hard"
    await up
    assert held.wait_gone() < 0.1  # run() returned after it was gone
    assert await pool.run(cpu_tasks.pid, **LIMITS)


@on_both_loops
async def test_the_soft_limit_lets_the_function_clean_up(pool: CpuPool, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    kept: dict[str, Any] = {"timeout_s": 30, "soft_timeout_s": 0.1, "memory_mb": 512}
    before = await pool.run(cpu_tasks.pid, **LIMITS)
    assert await pool.run(cpu_tasks.clean_up, str(marker), **kept) == "partial"
    assert marker.read_text() == "cleaned"
    with pytest.raises(CpuTaskTimedOut) as timed_out:
        await pool.run(cpu_tasks.swallow_exceptions, **kept)
    assert (timed_out.value.limit, timed_out.value.after_s) == ("soft", 0.1)
    assert await pool.run(cpu_tasks.pid, **LIMITS) == before


@on_both_loops
async def test_a_regex_that_backtracks_for_ever_ends_at_the_soft_limit(pool: CpuPool, held: Held) -> None:
    up = asyncio.create_task(asyncio.to_thread(held.wait_held_by, 1))
    with pytest.raises(CpuTaskTimedOut) as timed_out:
        await pool.run(cpu_tasks.backtrack, held.path, timeout_s=30, soft_timeout_s=0.3, memory_mb=512)
    assert timed_out.value.limit == "soft"
    await up


@on_both_loops
async def test_a_function_that_ignores_the_soft_limit_meets_the_hard_one(pool: CpuPool) -> None:
    with pytest.raises(CpuTaskTimedOut) as timed_out:
        await pool.run(cpu_tasks.ignore_soft_limit, timeout_s=0.6, soft_timeout_s=0.1, memory_mb=512)
    assert timed_out.value.limit == "hard"


@linux
@pytest.mark.parametrize(
    ("fn", "args"),
    [(cpu_tasks.allocate, (400,)), (cpu_tasks.grow_without_limit, ()), (cpu_tasks.allocate_in_grandchild, (400,))],
    ids=["at the allocation", "seen by the guard", "in a process it started"],
)
@on_both_loops
async def test_the_memory_cap(pool: CpuPool, fn: Any, args: tuple[Any, ...]) -> None:
    with pytest.raises(MemoryCapExceeded, match="256 MiB") as exceeded:
        await pool.run(fn, *args, timeout_s=30, memory_mb=256)
    assert exceeded.value.memory_mb == 256
    assert await pool.run(cpu_tasks.allocate, 300, **LIMITS) == 300 * 2**20  # the cap is the task's, not the child's


@on_both_loops
async def test_recycling_after_so_many_tasks_and_above_so_much_memory() -> None:
    async with CpuPool(1, recycle_after=2) as pool:
        pids = [await pool.run(cpu_tasks.pid, **LIMITS) for _ in range(6)]
    assert [len(list(run)) for _, run in itertools.groupby(pids)] == [2, 2, 2]
    async with CpuPool(1, recycle_rss_mb=1) as pool:
        pids = [await pool.run(cpu_tasks.pid, **LIMITS) for _ in range(3)]
    assert len(set(pids)) == 3


@linux
@on_both_loops
async def test_a_child_whose_task_left_a_process_behind_is_replaced(pool: CpuPool) -> None:
    before = await pool.run(cpu_tasks.pid, **LIMITS)
    left = psutil.Process(await pool.run(cpu_tasks.leave_one_behind, **LIMITS))
    assert await pool.run(cpu_tasks.pid, **LIMITS) != before
    assert psutil.wait_procs([left], timeout=5)[1] == []


@on_both_loops
async def test_cancelling_the_caller_kills_the_group(pool: CpuPool, held: Held) -> None:
    call = asyncio.create_task(pool.run(cpu_tasks.with_grandchildren, held.path, **LIMITS))
    await asyncio.to_thread(held.wait_held_by, 3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(held.wait_gone) < 1
    assert await pool.run(cpu_tasks.pid, **LIMITS)


@on_both_loops
async def test_a_caller_cancelled_while_its_child_starts_leaves_a_whole_child(pool: CpuPool) -> None:
    for turns in range(12):
        call = asyncio.create_task(pool.run(cpu_tasks.pid, **LIMITS))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
    assert (await pool.run(cpu_tasks.pid, **LIMITS),) == pool.pids


@on_both_loops
async def test_closing_the_pool_kills_what_runs(held: Held) -> None:
    pool = CpuPool(1)
    call = asyncio.create_task(pool.run(cpu_tasks.sleep, held.path, **LIMITS))
    await asyncio.to_thread(held.wait_held_by, 1)
    await pool.aclose()
    assert held.wait_gone() < 0.1
    with pytest.raises(CpuChildDied):
        await call
    with pytest.raises(RuntimeError, match="closed"):
        await pool.run(cpu_tasks.pid, **LIMITS)


@on_both_loops
async def test_a_killed_guard_takes_the_child_along(pool: CpuPool, held: Held) -> None:
    call = asyncio.create_task(pool.run(cpu_tasks.hang_in_c, held.path, **LIMITS))
    await asyncio.to_thread(held.wait_held_by, 1)
    os.kill(psutil.Process(pool.pids[0]).ppid(), signal.SIGKILL)
    with pytest.raises(CpuChildDied, match="SIGKILL"):
        await call
    assert await asyncio.to_thread(held.wait_gone) < 1


@on_both_loops
async def test_the_child_sees_no_secrets(pool: CpuPool, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hunter2-secret"
    for name in (
        "MILLRACE_LLM_API_KEY",
        "MILLRACE_REDIS_URL",
        "MILLRACE_DATABASE_URL",
        "MILLRACE_SMTP_URL",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "SSH_AUTH_SOCK",
    ):
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    seen = await pool.run(cpu_tasks.environment, **LIMITS)
    assert secret not in seen.values()
    assert seen["LC_ALL"] == "C.UTF-8"
    assert "PYTHONPATH" not in seen
    if sys.platform == "linux":
        guard = psutil.Process(pool.pids[0]).parent()
        assert guard is not None
        assert secret not in guard.environ().values()


@linux
@on_both_loops
async def test_the_child_has_a_group_of_its_own_its_pipes_and_nothing_else(pool: CpuPool) -> None:
    with open(os.devnull) as leak:  # noqa: ASYNC230, PTH123 - any descriptor
        os.set_inheritable(leak.fileno(), True)  # noqa: FBT003
        state = await pool.run(cpu_tasks.process_state, **LIMITS)
    assert state["pgid"] == state["pid"] == pool.pids[0] != os.getpgid(0)
    assert state["nice"] == 10
    assert state["stdin"] == ""
    assert state["fds"][0] == "/dev/null"
    assert len(state["fds"]) == 4  # and stdout, stderr, the connection


@on_both_loops
async def test_output_becomes_log_lines(pool: CpuPool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "consumers.cpu.output")
    await pool.run(cpu_tasks.talk, **LIMITS)
    await pool.run(cpu_tasks.chatter, **LIMITS)
    await pool.aclose()  # all is read
    lines = {(record.levelname, record.getMessage()[:10]) for record in caplog.records}
    assert {("INFO", "first line"), ("WARNING", "x" * 10), ("INFO", "last linel")} & lines >= {("INFO", "first line")}
    assert len(caplog.records) < 1100
    assert any("the rest is dropped" in record.getMessage() for record in caplog.records)


@on_both_loops
async def test_progress_reaches_the_parent(pool: CpuPool) -> None:
    seen: list[tuple[str, float | None]] = []
    assert await pool.run(cpu_tasks.steps, progress=lambda *step: seen.append(step), **LIMITS) == 3
    assert list(dict.fromkeys(step for step, _ in seen)) == ["page 1 of 3", "page 2 of 3", "page 3 of 3"]
    assert len(seen) < 10


@on_both_loops
async def test_the_loop_beats_on_while_a_child_starts_and_works(held: Held) -> None:
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(0.005)

    async with CpuPool(1) as pool:
        beating = asyncio.create_task(beat())
        call = asyncio.create_task(pool.run(cpu_tasks.hang_in_c, held.path, **LIMITS))
        await asyncio.to_thread(held.wait_held_by, 1)
        beating.cancel()
        call.cancel()
        await asyncio.wait([beating, call])
    assert max(after - before for before, after in itertools.pairwise(beats)) < 0.25


@pytest.mark.chaos
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_sigkill_of_the_parent_ends_child_guard_and_descendants_within_a_second(held: Held, loop: str) -> None:
    parent = subprocess.Popen([sys.executable, "-m", "tests.support.cpu_parent", loop, held.path])
    held.wait_held_by(3)
    below = psutil.Process(parent.pid).children(recursive=True)
    assert len(below) == 4  # guard, child, and two that it started
    parent.kill()
    assert held.wait_gone() < 1
    parent.wait()
    assert psutil.wait_procs(below, timeout=5)[1] == []


@linux
@pytest.mark.chaos
def test_when_parent_and_guard_are_killed_the_rest_is_found_by_its_owner(held: Held) -> None:
    parent = subprocess.Popen([sys.executable, "-m", "tests.support.cpu_parent", "uvloop", held.path])
    held.wait_held_by(3)
    (guard,) = psutil.Process(parent.pid).children()
    guard.suspend()  # before it can act
    parent.kill()
    parent.wait()
    guard.kill()
    assert kill_owned_by("cpu-parent") >= 2
    assert held.wait_gone() < 1
    assert kill_owned_by("cpu-parent") == 0
