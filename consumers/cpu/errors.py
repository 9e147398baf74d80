"""What can go wrong with work in a CPU child.

::

    TransientError
    └── CpuError
        ├── CpuTaskFailed       the function raised something unforeseen, or its result cannot be sent
        ├── CpuTaskTimedOut     the soft or the hard limit passed
        ├── MemoryCapExceeded   it asked for more memory than the task may have
        └── CpuChildDied        the child crashed, or somebody else killed it

They are transient: the stage's policy says how many attempts such an end is worth. A TransientError or PermanentError
that the function itself raises comes back as what it was.
"""

# ruff: noqa: N818 - they are named after what happened

from __future__ import annotations

import signal as signals
from typing import Literal

from streams.errors import TransientError


class ChildTraceback(Exception):
    """The traceback of an error in the child, as text: the ``__cause__`` of the error in the parent, never raised."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"in the CPU child:\n{self.text}"


class CpuError(TransientError):
    """Root of the errors of this package.

    Attributes:
        task: Name of the function.
    """

    def __init__(self, message: str, *, task: str, reason: str) -> None:
        super().__init__(message, reason=reason)
        self.task = task


class CpuTaskFailed(CpuError):
    """The function raised an error that is not one of ours, or returned what cannot be sent back."""

    def __init__(self, message: str, *, task: str) -> None:
        super().__init__(message, task=task, reason="cpu_task_failed")


class CpuTaskTimedOut(CpuError):
    """A time limit passed.

    Attributes:
        limit: "soft" if the function ended after the soft limit was raised in it, "hard" if it was killed.
        after_s: The limit that passed, in seconds.
    """

    def __init__(self, *, task: str, limit: Literal["soft", "hard"], after_s: float) -> None:
        how = "was killed with all its processes" if limit == "hard" else "was asked to stop, and did"
        super().__init__(
            f"{task} passed its {limit} time limit of {after_s:g} s and {how}: "
            "raise the limit in the stage's policy, or give it less to do",
            task=task,
            reason=f"cpu_{limit}_timeout",
        )
        self.limit = limit
        self.after_s = after_s


class MemoryCapExceeded(CpuError):
    """The task, with the processes it started, wanted more memory than its cap.

    Attributes:
        memory_mb: The cap, in MiB.
    """

    def __init__(self, *, task: str, memory_mb: int) -> None:
        super().__init__(
            f"{task} wanted more than its {memory_mb} MiB of memory: raise the cap, or give it less to do",
            task=task,
            reason="memory_cap",
        )
        self.memory_mb = memory_mb


class CpuChildDied(CpuError):
    """The child ended in the middle of the task and nobody had asked it to.

    Attributes:
        signal: The signal that ended it (11 is a crash in C code; 9 is often the kernel, out of memory), or None.
        exit_code: What it exited with if no signal ended it, or None if that is not known.
    """

    def __init__(self, *, task: str, signal: int | None, exit_code: int | None = None, output: str = "") -> None:
        if signal is not None:
            how = f"was ended by {_signal_name(signal)}"
        elif exit_code is not None:
            how = f"exited with code {exit_code}"
        else:
            how = "stopped answering"
        shown = f"; it wrote last:\n{output}" if output else "; it wrote nothing"
        super().__init__(f"the CPU child {how} while it ran {task}{shown}", task=task, reason="cpu_child_died")
        self.signal = signal
        self.exit_code = exit_code


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
