"""What handlers say of how far they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One thing that a handler said.

    Attributes:
        percent: Of the job, 0 to 100, never set back.
    """

    task: int
    stage: str
    step: str
    percent: float
