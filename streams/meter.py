"""What all workers have counted since ever: one hash, ``<namespace>:metrics``, that only grows.

A worker adds what it counted every few seconds. So the numbers survive its end, are those of the whole fleet, and
whoever shows them needs no address of a worker. Up to a flush of counts is lost with a worker that is killed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.connect import transaction

BUCKETS_S: Final = (0.005, 0.025, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0)
"""Upper bounds of durations: from what Redis takes to what an audit may."""
OVER: Final = len(BUCKETS_S)


@dataclass(slots=True)
class Histogram:
    """Durations by bucket, each counted once, and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (OVER + 1))
    sum_us: int = 0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_us += int(seconds * 1_000_000)

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """(``le``, observations up to it), as Prometheus wants them."""
        total = 0
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self.counts, strict=True):
            total += count
            yield bound, total


@dataclass(slots=True)
class Counted:
    """What was counted of a (stage, flow, pool).

    Attributes:
        outcomes: Outcome -> entries settled with it.
        deliveries: Handlers started; `redeliveries` of them for an entry that somebody had before, `attempts` for
            another attempt than the first.
        waited: From the entry's coming into the stream to its handler's start.
        ran: From the handler's start to the settlement's answer.
    """

    outcomes: dict[str, int] = field(default_factory=dict)
    deliveries: int = 0
    redeliveries: int = 0
    attempts: int = 0
    waited: Histogram = field(default_factory=Histogram)
    ran: Histogram = field(default_factory=Histogram)

    def fields(self) -> Iterator[tuple[str, int]]:
        """Name and amount of each number that is not 0."""
        yield from ((f"outcome.{name}", count) for name, count in self.outcomes.items())
        for name in ("deliveries", "redeliveries", "attempts"):
            if count := getattr(self, name):
                yield name, count
        for name in ("waited", "ran"):
            histogram: Histogram = getattr(self, name)
            yield from ((f"{name}.{at}", count) for at, count in enumerate(histogram.counts) if count)
            if histogram.sum_us:
                yield f"{name}.us", histogram.sum_us

    def add(self, name: str, amount: int) -> None:
        """Take a field back; one of another version that is not known here is left out."""
        kind, _, part = name.partition(".")
        if kind == "outcome":
            self.outcomes[part] = self.outcomes.get(part, 0) + amount
        elif kind in {"waited", "ran"}:
            histogram: Histogram = getattr(self, kind)
            if part == "us":
                histogram.sum_us += amount
            elif part.isdigit() and int(part) <= OVER:
                histogram.counts[int(part)] += amount
        elif kind in {"deliveries", "redeliveries", "attempts"}:
            setattr(self, kind, getattr(self, kind) + amount)


Place = tuple[str, str, str]
"""Stage, flow, pool."""


async def add(client: Any, key: str, counted: Mapping[Place, Counted]) -> None:
    """Add to what was counted; all or nothing."""
    pipe = await transaction(client)
    for place, one in counted.items():
        for name, amount in one.fields():
            pipe.hincrby(key, " ".join((*place, name)), amount)
    await pipe.execute()


async def read(client: Any, key: str) -> dict[Place, Counted]:
    """All that was counted."""
    found: dict[Place, Counted] = {}
    for name, amount in (await client.hgetall(key)).items():
        stage, flow, pool, field_name = name.decode().split(" ", 3)
        found.setdefault((stage, flow, pool), Counted()).add(field_name, int(amount))
    return dict(sorted(found.items()))
