"""The guard beside a CPU child: ends the child's process group, whatever state child and worker are in.

It waits for three things: the lifeline's end (the worker closed it, or died), the child's end, and, while a task is
watched, the next look at the memory of the child and its descendants. It keeps to the standard library to stay small.

Why memory is capped twice: ``RLIMIT_DATA``, set by the child for each task, makes the allocation fail at the spot
(``MemoryError``, the function may still clean up), and it counts what a process writes to, unlike ``RLIMIT_AS``, which
counts address space that engines with garbage collectors and memory-mapped models reserve by the gigabyte and never
touch. But a limit is each process's own, and macOS does not enforce it. So the guard also adds up the resident memory
of the child and everything it started, and kills the group when that passes the cap.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import struct
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

CAP: Final = struct.Struct("!Q")
"""Message to the guard: the cap of the running task in bytes, 0 for none."""

EXIT_ABANDONED: Final = 120
"""The guard's exit code when the lifeline closed."""
EXIT_MEMORY: Final = 121
"""The guard's exit code when the group passed its memory cap."""
EXIT_SIGNAL: Final = 128
"""Plus the signal that ended the child (the shell's convention)."""

_LOOK_EVERY_S = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent: int) -> None:
    """Have the kernel SIGKILL this process when ``parent`` ends (Linux). Source: prctl(2), PR_SET_PDEATHSIG."""
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(EXIT_ABANDONED)


def adopt_orphans(*, adopt: bool = True) -> None:
    """Become the parent of descendants whose parent dies (Linux). Source: prctl(2), PR_SET_CHILD_SUBREAPER."""
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0)


def descendants(pid: int) -> Iterator[int]:
    """Every process below ``pid``."""
    if not _LINUX:
        import psutil  # noqa: PLC0415 - only where there is no /proc, and only in a guard

        with suppress(psutil.Error):
            yield from (process.pid for process in psutil.Process(pid).children(recursive=True))
        return
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - pathlib would double the guard's size
    except OSError:
        return
    for thread in threads:
        for child in _read(f"/proc/{pid}/task/{thread}/children").split():
            yield int(child)
            yield from descendants(int(child))


def resident_bytes(pid: int) -> int:
    """Resident memory of one process; 0 if it is gone."""
    if _LINUX:
        fields = _read(f"/proc/{pid}/statm").split()
        return int(fields[1]) * _PAGE_BYTES if fields else 0
    import psutil  # noqa: PLC0415 - as above

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def watch(child: int, lifeline: int) -> int:
    """Guard ``child``, the leader of its process group, until it or the lifeline ends; then end all of the group.

    Returns:
        The exit code that tells the worker how it ended.
    """
    wakeup_read, wakeup_write = os.pipe()
    os.set_blocking(wakeup_read, False)
    os.set_blocking(wakeup_write, False)
    signal.set_wakeup_fd(wakeup_write)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(lifeline, selectors.EVENT_READ)
    selector.register(wakeup_read, selectors.EVENT_READ)

    code = _reap(child)  # it may have died before SIGCHLD was listened to
    caps, cap, look_at = b"", 0, 0.0
    while code is None:
        ready = {key.fd for key, _ in selector.select(max(0.0, look_at - time.monotonic()) if cap else None)}
        if wakeup_read in ready:
            others = set(os.read(wakeup_read, 512)) - {signal.SIGCHLD}
            code = EXIT_ABANDONED if others else _reap(child)
        if lifeline in ready:
            received = os.read(lifeline, 512)
            if not received:
                code = EXIT_ABANDONED
            caps += received
            while len(caps) >= CAP.size:
                (cap,) = CAP.unpack(caps[: CAP.size])
                caps = caps[CAP.size :]
        if cap and code is None and time.monotonic() >= look_at:
            look_at = time.monotonic() + _LOOK_EVERY_S
            if sum(resident_bytes(pid) for pid in descendants(os.getpid())) > cap:
                code = EXIT_MEMORY
    _end_all(child)
    return code


def _reap(child: int) -> int | None:
    """Reap whoever ended; the exit code if the child was among them."""
    code = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = ended
            if pid == child:
                exited = os.waitstatus_to_exitcode(status)
                code = EXIT_SIGNAL - exited if exited < 0 else exited
    return code


def _end_all(child: int) -> None:
    """Kill the child's group, then whoever left the group, until none is left to reap."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            for pid in tuple(descendants(os.getpid())):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:
        return ""
