"""The environment a CPU child gets, and how its processes are found by it.

A child reads documents that strangers wrote. It gets the few variables that libraries need to work and no other, so
that no key, no URL with a password and no cloud credential is there to be read.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OWNER_VARIABLE = "MILLRACE_CPU_OWNER"
"""Names the worker a child belongs to; its descendants inherit it."""

GUARD_MODULE = "consumers.cpu.child"
"""What a guard's interpreter was told to run; a guard leads its session, the child it forked does not."""

_ALLOWED = frozenset(
    {
        "HOME",  # no secret (the password database tells it too), and font caches need it
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",  # some interpreters do not start without
        "OMP_NUM_THREADS",
        "OMP_THREAD_LIMIT",
        "PATH",
        "TESSDATA_PREFIX",
        "TMPDIR",
        "TZ",
    }
)
_ALLOWED_PREFIXES = ("LC_", "PYTHON")


def child_environment(environ: Mapping[str, str], owner: str) -> dict[str, str]:
    """The variables of ``environ`` that a child may see, the path to import from, and its owner's mark."""
    allowed = {k: v for k, v in environ.items() if k in _ALLOWED or k.startswith(_ALLOWED_PREFIXES)}
    allowed["PYTHONPATH"] = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    allowed[OWNER_VARIABLE] = owner
    return allowed


def kill_owned_by(owner: str) -> int:
    """SIGKILL the CPU children of ``owner`` and all that they started; returns how many there were.

    A dead worker's guards do this by themselves within milliseconds, and are left alone as they reap what they kill.
    This is for the case that somebody killed the guards too. Linux only (it reads ``/proc``); elsewhere it finds
    nothing.
    """
    killed = 0
    for pid in _owned_by(owner):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def _owned_by(owner: str) -> Iterator[int]:
    mark = f"{OWNER_VARIABLE}={owner}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            pid = int(folder.name)
            leads_session = os.getsid(pid) == pid
            if not (leads_session and GUARD_MODULE.encode() in (folder / "cmdline").read_bytes().split(b"\0")):
                yield pid
