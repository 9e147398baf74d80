"""Entry point of a CPU child: ``python -m consumers.cpu.child FD``; its standard input is the lifeline.

The first process becomes the guard and forks the child before anything else is imported, so the guard stays small
and the fork is of a process with one thread.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from consumers.cpu import guard


def main(connection_fd: int) -> int:
    """Fork the child; guard it, or be it."""
    os.environ.pop("PYTHONPATH", None)  # it was for this interpreter, not for the programs that a task starts
    lifeline = os.dup(0)
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.set_inheritable(connection_fd, False)  # noqa: FBT003 - it has no keyword
    _close_all_but({0, 1, 2, connection_fd, lifeline})  # uvloop hands down more than it was asked to
    guard.adopt_orphans()
    guard_pid = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(lifeline)
        os.setpgid(0, 0)
        guard.die_with_parent(guard_pid)
        from consumers.cpu.serve import serve  # noqa: PLC0415 - the guard must not pay for it

        serve(connection_fd)
        return 0
    os.close(connection_fd)
    return guard.watch(child, lifeline)


def _close_all_but(kept: set[int]) -> None:
    for fd in {int(name) for name in os.listdir("/dev/fd")} - kept:  # noqa: PTH208 - pathlib would double the guard's size
        with suppress(OSError):
            os.close(fd)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
