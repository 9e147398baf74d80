"""Which faults come when: a pure function of the seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from api.chaos.faults import FAULTS, Fault, Planned, Track

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.chaos.place import Layout

FIRST_S: Final = 3.0
"""Work is on its way by then."""
QUIET_S: Final = 4.0
"""At the end, no fault begins or goes on."""
GAP_S: Final[dict[Track, tuple[float, float]]] = {"hard": (0.2, 1.0), "side": (2.0, 8.0)}


def plan(seed: int, seconds: float, layout: Layout, kinds: Sequence[str] = ()) -> tuple[Planned, ...]:
    """Draw the faults of a run.

    Every kind comes once before any comes twice, as from a shuffled deck of cards; so does every target of a kind.

    Args:
        seed: Equal seeds (with equal other arguments) give equal plans.
        seconds: Of the run.
        layout: What there is to hit.
        kinds: Only these; all that fit the layout when empty.
    """
    found: list[Planned] = []
    tracks: tuple[Track, ...] = ("hard", "side")
    for track in tracks:
        fitting = [
            one
            for name, one in FAULTS.items()
            if one.track == track and one.fits(layout) and (not kinds or name in kinds)
        ]  # fmt: skip
        if fitting:
            found += _track(random.Random(f"{seed} {track}"), fitting, seconds, layout)  # noqa: S311 - dice
    return tuple(sorted(found, key=lambda one: one.at_s))


def _track(dice: random.Random, fitting: list[Fault], seconds: float, layout: Layout) -> list[Planned]:
    found: list[Planned] = []
    deck: list[Fault] = []
    targets: dict[str, list[str]] = {}
    at_s = FIRST_S
    while True:
        if not deck:
            deck = dice.sample(fitting, len(fitting))
        one = deck.pop()
        left = targets.setdefault(one.kind, [])
        if not left:
            left += dice.sample(one.targets(layout), len(one.targets(layout)))
        lasts_s = dice.uniform(*one.lasts_s) + (layout.lease_ms / 1_000 if one.past_lease else 0.0)
        if at_s + lasts_s > seconds - QUIET_S:
            return found
        found.append(Planned(round(at_s, 3), one.kind, left.pop(), round(lasts_s, 3), round(dice.random(), 6)))
        at_s += lasts_s + one.settle_s + dice.uniform(*GAP_S[one.track])
