from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import psutil
import pytest

from consumers.supervisor import Role, Supervisor
from tests.support.processes import Held
from tests.support.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Event(NamedTuple):
    what: str
    name: str

    @property
    def pid(self) -> int:
        return int(self.name.rsplit("-", 2)[1])


class Supervised:
    """A running supervisor and what its processes tell."""

    def __init__(self, kind: str, count: int, grace_s: float, *fifo: str) -> None:
        reader, writer = os.pipe()
        command = [sys.executable, "-m", "tests.support.supervised", kind, str(count), str(grace_s), str(writer), *fifo]
        self.process = subprocess.Popen(command, pass_fds=(writer,), stdin=subprocess.DEVNULL)
        os.close(writer)
        self._lines = os.fdopen(reader)

    def next(self) -> Event:
        what, name = self._lines.readline().split()
        return Event(what, name)

    def next_ones(self, count: int) -> list[Event]:
        return sorted(self.next() for _ in range(count))

    def rest(self) -> list[Event]:
        """What is told until every process that could tell is gone."""
        return [Event(*line.split()) for line in self._lines]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._lines.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Supervised]]:
    running: list[Supervised] = []

    def starter(kind: str, count: int = 1, grace_s: float = 20, *fifo: str) -> Supervised:
        running.append(Supervised(kind, count, grace_s, *fifo))
        return running[-1]

    yield starter
    for supervised in running:
        supervised.end()


def test_processes_get_unique_names_and_drain_on_sigterm(start: Callable[..., Supervised]) -> None:
    supervised = start("patient", 2)
    one, two = supervised.next_ones(2)
    assert one.name != two.name
    assert re.fullmatch(rf"{re.escape(socket.gethostname())}-\d+-[0-9a-f]{{8}}", one.name)
    assert {one.pid, two.pid} == {child.pid for child in psutil.Process(supervised.process.pid).children()}
    assert os.getpgid(one.pid) == one.pid  # Ctrl-C reaches the supervisor alone
    supervised.process.terminate()
    assert sorted(supervised.rest()) == [Event("drained", one.name), Event("drained", two.name)]
    assert supervised.process.wait() == 0


def test_what_an_operator_drained_stays_out_and_nobody_is_told(start: Callable[..., Supervised]) -> None:
    supervised = start("drained", 2)
    assert {event.what for event in supervised.rest()} == {"started"}
    assert supervised.process.wait() == 0, "all are out: there is nothing left to supervise"


@pytest.mark.chaos
def test_a_killed_process_is_announced_and_replaced_at_once(start: Callable[..., Supervised]) -> None:
    supervised = start("patient")
    first = supervised.next()
    killed_at = time.monotonic()
    os.kill(first.pid, signal.SIGKILL)
    died, second = supervised.next_ones(2)
    assert time.monotonic() - killed_at < 1
    assert died == Event("died", first.name)
    assert second.what == "started"
    assert second.name != first.name
    supervised.process.terminate()
    assert supervised.rest() == [Event("drained", second.name)]
    assert supervised.process.wait() == 0


@pytest.mark.chaos
def test_a_killed_processs_cpu_children_are_gone_within_a_second(
    start: Callable[..., Supervised], tmp_path: Path
) -> None:
    held = Held(tmp_path)
    supervised = start("calculating", 1, 20, held.path)
    first = supervised.next()
    held.wait_held_by(3)
    below = psutil.Process(first.pid).children(recursive=True)
    os.kill(first.pid, signal.SIGKILL)
    assert psutil.wait_procs(below, timeout=1)[1] == []  # and reaped
    assert {event.what for event in supervised.next_ones(2)} == {"died", "started"}
    supervised.process.terminate()
    assert supervised.process.wait() == 0


@pytest.mark.chaos
def test_a_crash_loop_slows_down(start: Callable[..., Supervised]) -> None:
    supervised = start("crashing")
    at: list[float] = []
    while len(at) < 7:
        if supervised.next().what == "started":
            at.append(time.monotonic())
    waits = [after - before for before, after in itertools.pairwise(at)]
    at_least = [0.0, 0.05, 0.1, 0.2, 0.2, 0.2]
    assert all(wait >= least - 0.02 for wait, least in zip(waits, at_least, strict=True))
    supervised.process.terminate()
    assert supervised.process.wait() == 0


def test_what_does_not_drain_is_killed_after_the_grace(start: Callable[..., Supervised]) -> None:
    supervised = start("stubborn", 1, 0.3)
    first = supervised.next()
    supervised.process.terminate()
    assert supervised.rest() == [Event("died", first.name)]
    assert supervised.process.wait() == 1


def test_a_second_interrupt_kills_at_once(start: Callable[..., Supervised]) -> None:
    supervised = start("stubborn", 2, 600)
    started = supervised.next_ones(2)
    # Two signals may arrive as one, so the user presses again.
    while supervised.process.poll() is None:
        supervised.process.send_signal(signal.SIGINT)
        try:
            supervised.process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    assert sorted(event.name for event in supervised.rest()) == sorted(event.name for event in started)
    assert supervised.process.returncode == 1


def test_sighup_restarts_one_after_the_other(start: Callable[..., Supervised]) -> None:
    supervised = start("patient", 2)
    before = {event.name for event in supervised.next_ones(2)}
    supervised.process.send_signal(signal.SIGHUP)
    events = [supervised.next() for _ in range(4)]
    assert [event.what for event in events] == ["drained", "started", "drained", "started"]
    assert {events[0].name, events[2].name} == before
    supervised.process.terminate()
    assert {event.name for event in supervised.rest()} == {events[1].name, events[3].name}
    assert supervised.process.wait() == 0


@pytest.mark.chaos
@pytest.mark.parametrize("kind", ["patient", "stubborn"])
def test_processes_end_when_the_supervisor_is_killed(start: Callable[..., Supervised], kind: str) -> None:
    supervised = start(kind, 2, 0.3)
    started = supervised.next_ones(2)
    processes = [psutil.Process(event.pid) for event in started]
    supervised.process.kill()
    drained = [Event("drained", event.name) for event in started]
    assert sorted(supervised.rest()) == (drained if kind == "patient" else [])
    assert psutil.wait_procs(processes, timeout=5)[1] == []


def test_it_refuses_to_fork_beside_other_threads() -> None:
    release = threading.Event()
    other = threading.Thread(target=release.wait, name="flusher")
    other.start()
    try:
        with pytest.raises(RuntimeError, match="flusher"):
            Supervisor([Role("worker", 1, lambda _: 0)]).run()
    finally:
        release.set()
        other.join()


def test_a_signal_that_came_before_it_listened_is_not_lost() -> None:
    program = """
import os, signal, sys
from consumers.supervisor import SIGNALS, Role, Supervisor
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
os.kill(os.getpid(), signal.SIGTERM)
sys.exit(Supervisor([Role("worker", 1, lambda _: signal.pause())], grace_s=10).run())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, timeout=30, check=False)
    assert done.returncode == 0


def test_one_process_more_or_less_within_the_bounds() -> None:
    program = """
import signal, sys
from consumers.supervisor import Role, Supervisor
def work(_):
    signal.signal(signal.SIGTERM, lambda *_: (print("end", flush=True), sys.exit(0)))
    print("start", flush=True)
    while True:
        signal.pause()
sys.exit(Supervisor([Role("worker", 1, work, most=2)], grace_s=10).run())
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline()]
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            process.send_signal(number)
            told.append(process.stdout.readline())
            process.send_signal(number)  # one too many: nothing comes of it
        process.terminate()
        told += process.stdout.readlines()
        assert [one.strip() for one in told] == ["start", "start", "end", "end"]
        assert process.wait(10) == 0
