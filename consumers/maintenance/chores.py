"""The chores, each registered here and nowhere else; the built-in schedules beside them say when each is done.

To add one: write a function from `Yard` to `Report` and name it in `CHORES`, with its times in `built_in`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from consumers.maintenance.clean_up import clean_up
from consumers.maintenance.digest import digest
from consumers.maintenance.erase import erase
from consumers.maintenance.health import health
from consumers.maintenance.memory import memory
from consumers.maintenance.repairs import stale
from consumers.maintenance.sweep import sweep
from consumers.maintenance.yard import Chore

CHORES: Final[Mapping[str, Chore]] = {
    "clean_up": clean_up,
    "digest": digest,
    "erase": erase,
    "health": health,
    "memory": memory,
    "stale": stale,
    "sweep": sweep,
}
