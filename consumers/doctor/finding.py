"""What the doctor says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "bad"]
Repair = Literal["", "log", "released", "groups", "history", "told"]
"""What ``--fix`` does about it: repairs the log, gives back what a dead consumer holds, makes missing groups, ends
jobs in history that are nowhere else, or forgets what was told; empty when a person must act."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found.

    Attributes:
        what: Looked at.
        state: ``ok``, ``note`` (works, but know it) or ``bad``.
        found: In words.
        cure: What to do; empty when nothing is to be done.
        repair: What ``doctor --fix`` would do.
    """

    what: str
    state: State
    found: str
    cure: str = ""
    repair: Repair = ""
