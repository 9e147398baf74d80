"""A supervisor of processes of one kind: ``supervised.py KIND COUNT GRACE_S EVENTS_FD [FIFO]``.

What happens is written to EVENTS_FD, a line an event: ``started|drained|died NAME``.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import time

import uvloop

from consumers.cpu.pool import CpuPool
from consumers.supervisor import DRAINED, Restarts, Role, Supervisor
from tests.support import cpu_tasks

_, KIND, COUNT, GRACE_S, EVENTS, *FIFO = sys.argv


class _Drain(Exception):  # noqa: N818 - the order to drain
    pass


def tell(event: str, name: str) -> None:
    os.write(int(EVENTS), f"{event} {name}\n".encode())


def patient(name: str) -> None:
    """Drain when told to."""

    def drain(*_: object) -> None:
        raise _Drain

    signal.signal(signal.SIGTERM, drain)
    try:
        tell("started", name)
        while True:
            time.sleep(600)
    except _Drain:
        tell("drained", name)


def drained(name: str) -> int:
    """Taken out of service by an operator."""
    tell("started", name)
    return DRAINED


def stubborn(name: str) -> None:
    """Never drain."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell("started", name)
    while True:
        time.sleep(600)


def crashing(name: str) -> None:
    """Die at once."""
    tell("started", name)
    os._exit(7)


def calculating(name: str) -> None:
    """Have a CPU child that hangs in C."""

    async def work() -> None:
        async with CpuPool(1, owner=name) as pool:
            tell("started", name)
            await pool.run(cpu_tasks.with_grandchildren, FIFO[0], timeout_s=60, memory_mb=512)

    uvloop.run(work())


KINDS = {"patient": patient, "drained": drained, "stubborn": stubborn, "crashing": crashing, "calculating": calculating}

if __name__ == "__main__":
    role = Role("worker", int(COUNT), KINDS[KIND], on_death=functools.partial(tell, "died"))
    restarts = Restarts(base_s=0.05, cap_s=0.2, quick_s=0.3)
    sys.exit(Supervisor([role], grace_s=float(GRACE_S), restarts=restarts).run())
