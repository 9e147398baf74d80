"""Seeing, without polling, that processes of other processes are up or gone."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path


class Held:
    """A named pipe that processes hold open for writing; each writes a dot when it has it.

    The kernel tells when the last of them is gone, however it ended, and wherever its parent is.
    """

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "held")
        os.mkfifo(self.path)
        self._fd = -1

    def wait_held_by(self, count: int) -> Self:
        """Return when so many processes hold it; blocks."""
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_RDONLY)
        for _ in range(count):
            assert os.read(self._fd, 1) == b"."
        return self

    def wait_gone(self) -> float:
        """Return when no process holds it any more, with the seconds that took; blocks."""
        started_at = time.monotonic()
        assert os.read(self._fd, 1) == b""
        os.close(self._fd)
        self._fd = -1
        return time.monotonic() - started_at
