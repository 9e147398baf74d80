"""When a schedule ticks, and which of its ticks are run; pure.

Source: Debian's cron(8) on changes of the clock, as cronsim implements it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from schemas.schedules import Timing

ON_TIME: Final = timedelta(seconds=60)
"""A tick that is not later than this is not missed."""

COUNTED: Final = 1_000
"""Missed ticks of a cron expression are counted up to about so many."""

_BACK: Final = tuple(timedelta(hours=hours) for hours in (1, 24, 8 * 24, 40 * 24, 400 * 24))
"""How far back missed ticks are looked for, until there are enough."""


@dataclass(frozen=True, slots=True)
class Due:
    """What follows when ticks have passed.

    Attributes:
        run: Ticks to submit, the oldest first.
        missed: Ticks that are left out, as far as they were counted.
        next_at: The next tick; None when there is none.
    """

    run: tuple[datetime, ...]
    missed: int
    next_at: datetime | None


def ticks_after(timing: Timing, anchor: datetime, after: datetime) -> Iterator[datetime]:
    """The ticks behind an instant, in UTC, rising.

    Args:
        timing: When it ticks.
        anchor: From which intervals are counted.
        after: The first tick is later than this.
    """
    if timing.every_s is not None:
        every = timedelta(seconds=timing.every_s)
        count = max(1, math.floor((after - anchor) / every) + 1)
        while True:
            yield anchor + count * every
            count += 1
    assert timing.cron is not None  # noqa: S101 - the model has one of the two
    last = after
    # Local times are walked, so where clocks are set back some of them lie before `after`, and two may be one instant.
    for local in CronSim(timing.cron, after.astimezone(ZoneInfo(timing.time_zone))):
        tick = local.astimezone(UTC)
        if tick > last:
            last = tick
            yield tick


def next_tick(timing: Timing, anchor: datetime, after: datetime) -> datetime | None:
    """The first tick behind an instant; None when there is none."""
    return next(ticks_after(timing, anchor, after), None)


def due(timing: Timing, anchor: datetime, first: datetime, now: datetime) -> Due:
    """What to run of the ticks from `first` to `now`, by the schedule's policy for missed runs."""
    most = timing.missed_most if timing.missed == "run_all" else 1
    last, count = _passed(timing, anchor, first, now, most)
    run = last[-most:]
    if timing.missed == "skip":
        run = [tick for tick in run if now - tick <= ON_TIME]
    return Due(tuple(run), count - len(run), next_tick(timing, anchor, now))


def _passed(timing: Timing, anchor: datetime, first: datetime, now: datetime, most: int) -> tuple[list[datetime], int]:
    """At least the last `most` ticks from `first` up to `now`, and how many there were, as far as they were counted."""
    if timing.every_s is not None:
        every = timedelta(seconds=timing.every_s)
        from_count = max(1, math.ceil((first - anchor) / every))
        to_count = math.floor((now - anchor) / every)
        last = [anchor + n * every for n in range(max(from_count, to_count - most + 1), to_count + 1)]
        return last, max(0, to_count - from_count + 1)
    found: list[datetime] = []
    for back in _BACK:
        start = max(first, now - back)
        ticks = ticks_after(timing, anchor, start - timedelta(microseconds=1))
        found = list(takewhile(lambda tick: tick <= now, ticks))
        if start == first or len(found) >= max(most, COUNTED):
            break
    return found, len(found)
