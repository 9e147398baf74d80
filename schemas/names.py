"""The closed vocabularies that every part shares: stages, pools, lanes, and the identifiers' types."""

from __future__ import annotations

from typing import Final, Literal, NewType

JobId = NewType("JobId", str)
EntryId = NewType("EntryId", str)
StageName = Literal["crawl", "classify", "download", "extract", "compile", "notify"]
Lane = Literal["high", "normal", "low"]

STAGES: Final[tuple[StageName, ...]] = ("crawl", "classify", "download", "extract", "compile", "notify")
"""In the order in which every job passes them."""

WORK_STAGES: Final[tuple[StageName, ...]] = STAGES[:4]
"""The stages whose tasks the join counts; when none is open, compile is emitted."""

LANES: Final[tuple[Lane, ...]] = ("high", "normal", "low")
POOLS: Final[tuple[str, ...]] = ("default", "heavy", "browser", "mail")
"""Classes of resources; a worker reads only the pools whose requirements it has."""


def lane_of(priority: str | int) -> Lane:
    """The lane for a job's priority: a name, or 0 to 9 where 9 is the most urgent.

    Raises:
        ValueError: The priority is neither a lane's name nor 0 to 9.
    """
    if isinstance(priority, str):
        for lane in LANES:
            if lane == priority:
                return lane
    elif 0 <= priority <= 9:  # noqa: PLR2004 - the range is the contract
        return "high" if priority >= 7 else "low" if priority <= 2 else "normal"  # noqa: PLR2004
    msg = f"priority {priority!r} is not one of high, normal, low or 0 to 9"
    raise ValueError(msg)
