"""What this process knows of the frontiers of the jobs that it works on."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

JOBS_KNOWN: Final = 64


@dataclass(slots=True)
class Remembered:
    """What is remembered of a job.

    Attributes:
        known: Hashes of the addresses that this process was given. Pages link to the same pages over and over; the
            log drops repeats, and this spares sending most of them. An address is known only once it came out of the
            log, so nothing is held back that was not emitted.
        previous: The audit before, once it was looked up; empty without one.
    """

    known: set[int] = field(default_factory=set)
    previous: str | None = None


_jobs: Final[OrderedDict[str, Remembered]] = OrderedDict()


def remembered(job_id: str) -> Remembered:
    """What is remembered of a job; the one unused for longest is forgotten first."""
    job = _jobs.setdefault(job_id, Remembered())
    _jobs.move_to_end(job_id)
    while len(_jobs) > JOBS_KNOWN:
        _jobs.popitem(last=False)
    return job
