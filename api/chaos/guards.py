"""The log's guards, each of which can be switched off: to see that the checker finds what they keep out.

A script's text is changed as it is loaded, in the processes of the drill alone; nothing of it reaches a server that
somebody else uses.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from streams import scripts
from streams.errors import MillraceError

GuardName = Literal["fence", "join", "deduplication"]


@dataclass(frozen=True, slots=True)
class Guard:
    """A guard and where it stands.

    Attributes:
        about: What it keeps out, for people.
        changes: Text of a script or fragment -> what stands there when the guard is off.
    """

    about: str
    changes: tuple[tuple[str, str], ...]


GUARDS: Final[dict[GuardName, Guard]] = {
    "fence": Guard(
        "a worker whose lease ran out cannot close what another one has by now",
        (
            ("  if row[2] ~= consumer or row[4] ~= delivery then return SUPERSEDED end\n", ""),
            ("pending.err or not row then return NOT_PENDING end\n", "pending.err or not row then return nil end\n"),
            ("return refused(route.stream, id, consumer, delivery) or NOT_PENDING\n", "return nil\n"),
        ),
    ),
    "join": Guard(
        "compile runs once, when all work of its revision is closed",
        (("  if tonumber(job.f.work) > 0 or is_ended(job) then return end\n", "  if is_ended(job) then return end\n"),),
    ),
    "deduplication": Guard(
        "the same submission sent twice is one job",
        (("  if known then return known == j.digest and DUPLICATE or CONFLICT end\n", ""),),
    ),
}  # fmt: skip


def switch_off(name: GuardName) -> None:
    """Load every script of this process without a guard from now on.

    Raises:
        MillraceError: The guard is not where it was: `GUARDS` must be brought up to date with the scripts.
    """
    shipped = scripts.script
    changes = GUARDS[name].changes
    for before, _ in changes:
        if not any(before in shipped(move).source for move in scripts.MOVES):
            raise MillraceError(
                f"guard {name}: no script has the line {before.strip()!r} any more; change api/chaos/guards.py"
            )
    changed: dict[str, scripts.Script] = {}

    def script(move: str) -> scripts.Script:
        if move not in changed:
            source = shipped(move).source
            for before, after in changes:
                source = source.replace(before, after)
            sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
            changed[move] = scripts.Script(move, source, sha)
        return changed[move]

    scripts.script = script  # type: ignore[assignment]
