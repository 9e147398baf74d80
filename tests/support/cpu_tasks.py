"""Functions for CPU children. They import nothing heavy, as a child imports this module."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from consumers.cpu.task import SoftTimeLimit, report_progress
from streams.errors import PermanentError, TransientError


@dataclass(frozen=True, slots=True)
class Statement:
    title: str
    period_end: date
    rows: tuple[tuple[str, Decimal], ...]


class Corrupt(PermanentError):  # noqa: N818 - it is named after what happened
    def __init__(self, page: int) -> None:
        super().__init__(f"page {page} is corrupt", reason="corrupt_document")
        self.page = page


def nothing() -> None:
    return None


def statement(title: str) -> Statement:
    return Statement(title, date(2024, 12, 31), (("Revenue", Decimal("1.50")),))


def reverse(data: bytes) -> bytes:
    return data[::-1]


def lies() -> int:
    return "many"  # type: ignore[return-value]


def too_much() -> bytes:
    return bytes(65 * 2**20)


def environment() -> dict[str, str]:
    return dict(os.environ)


def process_state() -> dict[str, Any]:
    return {
        "fds": sorted(str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.exists()),
        "pgid": os.getpgid(0),
        "pid": os.getpid(),
        "guard": os.getppid(),
        "nice": os.nice(0),
        "stdin": sys.stdin.read(),
    }


def pid() -> int:
    return os.getpid()


def raise_corrupt() -> None:
    raise Corrupt(7)


def raise_transient() -> None:
    raise TransientError("the font server is away", reason="fonts", retry_after_s=3.5)


def raise_other() -> None:
    raise KeyError("total")


def exit_process() -> None:
    os._exit(3)


def exit_politely() -> None:
    sys.exit(3)


def crash() -> None:
    ctypes.string_at(0)


def talk() -> None:
    sys.stdout.write("first line\n")
    sys.stderr.write("x" * 10_000 + "\n")
    sys.stdout.write("last line")


def chatter() -> None:
    for n in range(3000):
        sys.stdout.write(f"line {n}\n")


def _hold(fifo: str) -> int:
    """Open ``fifo`` for writing and say so in it: its reader sees the end when all who hold it are gone."""
    held = os.open(fifo, os.O_WRONLY)
    os.write(held, b".")
    return held


def hang_in_c(fifo: str) -> None:
    _hold(fifo)
    sum(itertools.repeat(0))  # holds the GIL and looks at no signal, for ever


def backtrack(fifo: str) -> None:
    _hold(fifo)
    re.match(r"(a+)+$", "a" * 64 + "b")


def sleep(fifo: str) -> None:
    _hold(fifo)
    time.sleep(600)


def with_grandchildren(fifo: str) -> None:
    """Hang with a grandchild in the group and one that left it; all three hold ``fifo`` open for writing."""
    held = os.open(fifo, os.O_WRONLY)
    command = [sys.executable, "-S", "-c", "import os, sys, time; os.write(int(sys.argv[1]), b'.'); time.sleep(600)"]
    for new_session in (False, True):
        subprocess.Popen([*command, str(held)], pass_fds=(held,), start_new_session=new_session)
    os.write(held, b".")
    sum(itertools.repeat(0))


def leave_one_behind() -> int:
    return subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"]).pid


def clean_up(marker: str) -> str:
    try:
        time.sleep(600)
    except SoftTimeLimit:
        Path(marker).write_text("cleaned")
        return "partial"
    return "whole"


def ignore_soft_limit() -> None:
    while True:
        try:
            time.sleep(600)
        except SoftTimeLimit:
            continue


def swallow_exceptions() -> None:
    for _ in range(1000):
        with contextlib.suppress(Exception):
            time.sleep(1)


def allocate(size_mb: int) -> int:
    return len(bytearray(size_mb * 2**20))


def allocate_in_grandchild(size_mb: int) -> None:
    # Shared memory: its own RLIMIT_DATA does not see it.
    fill = f"m = mmap.mmap(-1, {size_mb} * 2**20); [m.write(bytes(2**20)) for _ in range({size_mb})]"
    code = f"import mmap, time; {fill}; time.sleep(600)"
    subprocess.run([sys.executable, "-S", "-c", code], check=True)


def grow_without_limit() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))
    held = []
    while True:
        held.append(bytearray(8 * 2**20))


def steps() -> int:
    for n in range(3):
        report_progress(f"page {n + 1} of 3", 100 * (n + 1) / 3)
        for _ in range(100):
            report_progress(f"page {n + 1} of 3", 50.0)
    return 3
