"""Incidents: dead letters that died of the same, at the same stage of the same flow, about the same host.

An incident is nothing that is stored: it is there while it has letters. `DeadLetters.meant` gives its letters, by a
filter with its id as `incident`, to whoever wants to try, redrive or drop them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from streams.codec import host_of
from streams.log import DeadLetter

LOOK_AT: Final = 100_000
"""Letters that are grouped at most, the newest."""

_RAISED: Final = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)")
"""What the last line of a traceback begins with: the exception's class."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What letters of an incident have in common.

    Attributes:
        error: The class that was raised, without its module; the reason's code where nothing was.
        host: Of the address that the payload is about.
    """

    error: str
    reason: str
    stage: str
    flow: str
    host: str

    @property
    def id(self) -> str:
        """Twelve hex digits, the same wherever and whenever it is computed."""
        parts = (self.error, self.reason, self.stage, self.flow, self.host)
        return sha256("\0".join(parts).encode()).hexdigest()[:12]


def fingerprint_of(letter: DeadLetter) -> Fingerprint:
    """The fingerprint of a letter."""
    row = letter.fields
    reason = row.get("reason", "")
    return Fingerprint(
        _raised(row.get("traceback", "")) or reason, reason, row.get("stage", ""), row.get("flow", ""),
        host_of(row.get("data", "").encode()).lower(),
    )  # fmt: skip


def _raised(traceback: str) -> str:
    # The message may have several lines: the class stands at the last line that is not indented and looks like one.
    for line in reversed(traceback.rstrip().splitlines()):
        found = _RAISED.match(line)
        if found is not None and found[1] != "Traceback":
            return found[1].rpartition(".")[2]
    return ""


@dataclass(slots=True)
class Incident:
    """A group of dead letters.

    Attributes:
        first_ms, last_ms: When the oldest and the newest of its letters died, milliseconds since the epoch.
        jobs: How many jobs each tenant has in it; strays, which are of no job, are the tenant ``""``.
        newest: Its newest letter.
    """

    fingerprint: Fingerprint
    newest: DeadLetter
    letters: int = 0
    quarantined: int = 0
    first_ms: int = 0
    last_ms: int = 0
    jobs: Counter[str] = field(default_factory=Counter)

    @property
    def id(self) -> str:
        """Of its fingerprint."""
        return self.fingerprint.id


@dataclass(frozen=True, slots=True)
class Grouped:
    """What letters came to.

    Attributes:
        incidents: The one with the newest letter first.
        is_cut: There are older letters that were not looked at.
    """

    incidents: list[Incident]
    is_cut: bool


async def grouped(
    letters: AsyncIterable[tuple[DeadLetter, str]], *, max_redrives: int, look_at: int = LOOK_AT
) -> Grouped:
    """Group letters by their fingerprint.

    Args:
        letters: Each with its tenant, the newest first.
        max_redrives: Redrives after which a letter is in quarantine.
    """
    found: dict[Fingerprint, Incident] = {}
    seen: set[tuple[str, str]] = set()
    looked = 0
    async for letter, tenant in letters:
        if looked == look_at:
            return Grouped(list(found.values()), is_cut=True)
        looked += 1
        fingerprint = fingerprint_of(letter)
        incident = found.setdefault(fingerprint, Incident(fingerprint, letter))
        died_ms = letter.place[0]
        incident.letters += 1
        incident.quarantined += letter.redriven >= max_redrives
        incident.first_ms = min(incident.first_ms or died_ms, died_ms)
        incident.last_ms = max(incident.last_ms, died_ms)
        job = (incident.id, letter.fields.get("job", ""))
        if job not in seen:
            seen.add(job)
            incident.jobs[tenant] += bool(job[1])
    return Grouped(list(found.values()), is_cut=False)
