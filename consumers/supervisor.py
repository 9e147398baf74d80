"""Forks the local processes, restarts those that die, and drains them at the end.

The supervisor imports the code once, has one thread and no event loop, and forks every process from that: safe, and a
replacement runs within milliseconds. Whatever it was asked to restart or stop, it decides in :class:`Restarts` and
:class:`Supervisor`, and sleeps in between: it wakes for a signal or for the next thing due.

A process that dies takes its descendants along: those in its process group and the CPU children marked with its name.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from consumers.cpu.environment import kill_owned_by
from consumers.cpu.guard import adopt_orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_log = logging.getLogger(__name__)

SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""That a supervisor acts on; who forks one may block them, and it lets them in when it listens."""
_ON_DEATH_WITHIN_S = 10

DRAINED: Final = 64
"""Exit code of a process that an operator took out of service: it is not started again before a SIGHUP."""


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of process.

    Attributes:
        name: Shown in logs: "worker", "api".
        count: How many of them, >= 1.
        run: The process's main, called in the forked process with its unique name. It drains and returns on SIGTERM,
            which it handles itself; what it returns is the exit code (None is 0).
        most: SIGUSR1 starts one more of them, up to so many; SIGUSR2 drains one, down to `count`. 0: neither.
        on_death: Called with the name of a process that did not exit with 0, to free its entries at once. It runs in a
            forked process of its own, so a slow Redis holds up nothing; it has 10 s.
    """

    name: str
    count: int
    run: Callable[[str], int | None]
    on_death: Callable[[str], None] | None = None
    most: int = 0


@dataclass(frozen=True, slots=True)
class Restarts:
    """How long to wait before a process is started again. The first restart is always at once.

    Attributes:
        base_s: The first wait, doubled with each further death, in seconds.
        cap_s: The longest wait.
        quick_s: A process that lived less than this counts as one more quick death.
        healthy_s: One that lived at least this long has paid off all earlier ones.
    """

    base_s: float = 0.5
    cap_s: float = 30.0
    quick_s: float = 5.0
    healthy_s: float = 60.0

    def quick_deaths(self, before: int, lived_s: float) -> int:
        """The number of quick deaths in a row after one more death."""
        if lived_s >= self.healthy_s:
            return 0
        return before + 1 if lived_s < self.quick_s else before

    def delay_s(self, quick_deaths: int) -> float:
        """Seconds to wait, in [0, ``cap_s``]."""
        if quick_deaths <= 1:
            return 0.0
        return min(self.cap_s, self.base_s * 2.0 ** min(quick_deaths - 2, 32))


class _Phase(Enum):
    RUNNING = "running"
    DRAINING = "draining"
    KILLING = "killing"


@dataclass(slots=True)
class _Slot:
    """One place for a process of a role."""

    role: Role
    pid: int = 0
    name: str = ""
    started_at: float = 0.0
    start_due_at: float = 0.0
    kill_due_at: float | None = None
    quick_deaths: int = 0
    is_out: bool = False
    is_last: bool = False


@dataclass(slots=True)
class Supervisor:
    """Keeps the processes of the roles running until it is told to stop.

    ====================  ============================================================================================
    SIGTERM, SIGINT       SIGTERM to all; SIGKILL to those that are not gone after ``grace_s``; returns when all are
    a second SIGINT       SIGKILL to all at once
    exit code `DRAINED`   that one is not started again; when all are out, returns
    SIGHUP                restarts them one after the other, each drained first, the next when the new one has lived
                          ``restarts.quick_s``; the code stays the one imported here. Started at a terminal, it means
                          that the terminal was closed, and is as SIGTERM.
    SIGUSR1, SIGUSR2      one process more, or one less, of the role that scales; the one less is drained first
    ====================  ============================================================================================

    If the supervisor is killed, each process gets SIGTERM through the end of a pipe, and SIGKILL after ``grace_s``.

    Every process is a process group of its own, so that Ctrl-C reaches the supervisor alone. The supervisor reaps every
    child of its process; one that was started beforehand by other means reads as exited with 0.

    Args:
        roles: What to run.
        grace_s: Seconds for draining.
        restarts: The backoff of a crash loop.
    """

    roles: Sequence[Role]
    grace_s: float = 30.0
    restarts: Restarts = field(default_factory=Restarts)
    _slots: list[_Slot] = field(init=False)
    _phase: _Phase = field(init=False, default=_Phase.RUNNING)
    _to_roll: list[_Slot] = field(init=False, default_factory=list)
    _helpers: dict[int, float] = field(init=False, default_factory=dict)
    _killed: bool = field(init=False, default=False)
    _at_terminal: bool = field(init=False, default_factory=lambda: os.isatty(0))
    _wakeup: tuple[int, int] = field(init=False, default=(-1, -1))
    _lifeline: tuple[int, int] = field(init=False, default=(-1, -1))

    def __post_init__(self) -> None:
        self._slots = [_Slot(role) for role in self.roles for _ in range(role.count)]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the processes that run now."""
        return tuple(slot.name for slot in self._slots if slot.pid)

    def run(self) -> int:
        """Supervise until all processes are gone.

        Returns:
            0 if all drained within the grace, 1 if some had to be killed.

        Raises:
            RuntimeError: This process has other threads, whose locks a fork would copy in whatever state they are.
        """
        if threading.active_count() > 1 or threading.current_thread() is not threading.main_thread():
            names = ", ".join(thread.name for thread in threading.enumerate())
            raise RuntimeError(f"the supervisor forks and so must be the only thread, but there are: {names}")
        gc.collect()
        gc.freeze()  # the pages of what is imported stay shared with the forked processes
        with self._listening() as selector:
            while self._has_work():
                self._start_due()
                self._roll()
                self._kill_due()
                selector.select(self._next_due_in_s())
                with suppress(BlockingIOError):
                    for number in os.read(self._wakeup[0], 512):
                        self._on_signal(number)
                self._reap()
        return int(self._killed)

    def _has_work(self) -> bool:
        if any(slot.pid for slot in self._slots) or self._helpers:
            return True
        return self._phase is _Phase.RUNNING and not all(slot.is_out for slot in self._slots)

    @contextlib.contextmanager
    def _listening(self) -> Iterator[selectors.BaseSelector]:
        self._wakeup, self._lifeline = os.pipe(), os.pipe()
        for end in self._wakeup:
            os.set_blocking(end, False)
        handlers = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
        wakeup_before = signal.set_wakeup_fd(self._wakeup[1])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        adopt_orphans()  # a dead worker's guards come to us: an init may be slow to reap, a container may have none
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._wakeup[0], selectors.EVENT_READ)
                yield selector
        finally:
            adopt_orphans(adopt=False)
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for end in (*self._wakeup, *self._lifeline):
                os.close(end)

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGINT and self._phase is not _Phase.RUNNING:
            self._phase = _Phase.KILLING
            _log.warning("second interrupt: killing %s", ", ".join(self.names))
            for slot in self._slots:
                slot.kill_due_at = time.monotonic()
        elif self._phase is _Phase.RUNNING and (
            number in {signal.SIGTERM, signal.SIGINT} or (number == signal.SIGHUP and self._at_terminal)
        ):
            self._phase = _Phase.DRAINING
            self._to_roll.clear()
            _log.info("draining %d processes, with %g s to finish", len(self.names), self.grace_s)
            for slot in self._slots:
                self._stop(slot)
        elif number == signal.SIGHUP and self._phase is _Phase.RUNNING:
            _log.info("restarting %d processes one after the other", len(self._slots))
            self._to_roll = list(self._slots)
            for slot in self._slots:
                slot.is_out = False
            self._stop(self._to_roll[0])
        elif number in {signal.SIGUSR1, signal.SIGUSR2} and self._phase is _Phase.RUNNING:
            self._scale(more=number == signal.SIGUSR1)

    def _scale(self, *, more: bool) -> None:
        slots = [slot for slot in self._slots if slot.role.most and not slot.is_last]
        if more and slots and len(slots) < slots[0].role.most:
            self._slots.append(_Slot(slots[0].role))
        elif not more and slots and len(slots) > slots[0].role.count:
            slots[-1].is_last = True
            if slots[-1].pid:
                self._stop(slots[-1])
            else:
                self._slots.remove(slots[-1])

    def _start_due(self) -> None:
        if self._phase is not _Phase.RUNNING:
            return
        for slot in self._slots:
            if not slot.pid and not slot.is_out and slot.start_due_at <= time.monotonic():
                self._start(slot)

    def _roll(self) -> None:
        """Go on with a rolling restart when the replacement of the one in turn has proved to live."""
        if not self._to_roll:
            return
        turn = self._to_roll[0]
        if turn.quick_deaths:
            _log.error("a new %s dies at once: the rolling restart stops here", turn.role.name)
            self._to_roll.clear()
        elif turn.pid and turn.kill_due_at is None and time.monotonic() >= turn.started_at + self.restarts.quick_s:
            self._to_roll.pop(0)
            if self._to_roll:
                self._stop(self._to_roll[0])

    def _stop(self, slot: _Slot) -> None:
        """Ask for a drain. A process that is not up is started at its time, or not at all when we are draining."""
        if slot.pid and slot.kill_due_at is None:
            slot.kill_due_at = time.monotonic() + self.grace_s
            os.kill(slot.pid, signal.SIGTERM)

    def _kill_due(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.pid and slot.kill_due_at is not None and slot.kill_due_at <= now:
                _log.warning("%s %s is killed, it did not finish in time", slot.role.name, slot.name)
                self._killed = True
                slot.kill_due_at = float("inf")
                os.kill(slot.pid, signal.SIGKILL)
        for pid, due_at in self._helpers.items():
            if due_at <= now:
                self._helpers[pid] = float("inf")
                os.kill(pid, signal.SIGKILL)

    def _next_due_in_s(self) -> float | None:
        due = [slot.kill_due_at for slot in self._slots if slot.pid and slot.kill_due_at is not None]
        due += self._helpers.values()
        if self._phase is _Phase.RUNNING:
            due += [slot.start_due_at for slot in self._slots if not slot.pid and not slot.is_out]
            due += [slot.started_at + self.restarts.quick_s for slot in self._to_roll[:1] if slot.kill_due_at is None]
        soonest = min(due, default=float("inf"))
        return None if soonest == float("inf") else max(0.0, soonest - time.monotonic())

    def _start(self, slot: _Slot) -> None:
        token = os.urandom(4).hex()
        host = socket.gethostname()

        def main() -> int:
            name = f"{host}-{os.getpid()}-{token}"
            threading.Thread(target=self._follow_lifeline, name="lifeline", daemon=True).start()
            return slot.role.run(name) or 0

        slot.pid = self._fork(main)
        slot.name = f"{host}-{slot.pid}-{token}"
        slot.started_at = time.monotonic()
        slot.kill_due_at = None
        _log.info("%s %s started", slot.role.name, slot.name)

    def _fork(self, main: Callable[[], int]) -> int:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # else the child writes it again
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            return pid
        code = 1
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            for end in (*self._wakeup, self._lifeline[1]):
                os.close(end)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            code = main()
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        except BaseException:  # noqa: BLE001 - nothing may escape into the supervisor's stack
            _log.exception("process %d failed", os.getpid())
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)  # no atexit: its functions are the supervisor's

    def _follow_lifeline(self) -> None:
        """In a forked process: drain when the supervisor is gone, and end for good after the grace."""
        os.read(self._lifeline[0], 1)
        _log.warning("the supervisor is gone: draining, with %g s to finish", self.grace_s)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(self.grace_s)
        os.killpg(0, signal.SIGKILL)

    def _reap(self) -> None:
        """Collect every child that ended: ours, and orphans that came to us."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if self._helpers.pop(pid, None) is not None:
                    if status:
                        _log.error("on_death failed (%s): the lease has to run out", _how(status))
                    continue
                for slot in list(self._slots):
                    if slot.pid == pid:
                        self._bury(slot, status)

    def _bury(self, slot: _Slot, status: int) -> None:
        name, role, lived_s = slot.name, slot.role, time.monotonic() - slot.started_at
        asked_to_stop = slot.kill_due_at is not None
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(slot.pid, signal.SIGKILL)
        left_over = kill_owned_by(name)
        slot.pid, slot.name, slot.kill_due_at = 0, "", None
        slot.quick_deaths = 0 if asked_to_stop else self.restarts.quick_deaths(slot.quick_deaths, lived_s)
        delay_s = self.restarts.delay_s(slot.quick_deaths)
        slot.start_due_at = time.monotonic() + delay_s
        slot.is_out = not asked_to_stop and os.waitstatus_to_exitcode(status) == DRAINED
        if slot.is_out:
            _log.warning("%s %s was drained by an operator and stays out", role.name, name)
            return
        _log.log(
            logging.INFO if asked_to_stop and not status else logging.ERROR,
            "%s %s %s after %.1f s%s%s",
            role.name,
            name,
            _how(status),
            lived_s,
            f"; {left_over} CPU processes of it were killed" if left_over else "",
            f"; started again in {delay_s:g} s" if self._phase is _Phase.RUNNING else "",
        )
        on_death = role.on_death
        if slot.is_last:
            self._slots.remove(slot)
        if status and on_death is not None:

            def tell() -> int:
                on_death(name)
                return 0

            self._helpers[self._fork(tell)] = time.monotonic() + _ON_DEATH_WITHIN_S


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
