"""How many worker processes a tree should have: one more while entries wait, one less when it has been idle. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LOOK_EVERY_S: Final = 2.0
BEHIND_LOOKS: Final = 2
"""Entries that wait in two looks in a row are not the ripple of a busy stream."""
IDLE_LOOKS: Final = 15
"""A process is given up later than it is made: a lull is short more often than long."""


@dataclass(slots=True)
class Autoscale:
    """Watches the backlog between two bounds.

    Attributes:
        least, most: Processes.
    """

    least: int
    most: int
    _behind: int = 0
    _idle: int = 0

    def look(self, processes: int, waiting: int, in_hand: int) -> int:
        """What is to change now: 1, 0 or -1 processes.

        Args:
            processes: Of this tree that show presence; the supervisor keeps the bounds of those that it started.
            waiting: Entries that nobody was given so far, in the streams that these processes read.
            in_hand: Entries that they hold.
        """
        self._behind = self._behind + 1 if waiting else 0
        # One process less must still leave somebody without work.
        self._idle = self._idle + 1 if not waiting and in_hand < processes else 0
        if self._behind >= BEHIND_LOOKS and processes < self.most:
            self._behind = 0
            return 1
        if self._idle >= IDLE_LOOKS and processes > self.least:
            self._idle = 0
            return -1
        return 0
