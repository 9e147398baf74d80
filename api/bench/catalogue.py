"""The measurements by name, and what running some of them together takes."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.bench import capacity, rounds
from api.bench.claims import claims
from api.bench.ground import Ground, sink
from api.bench.growth import grow, soak
from api.bench.intake import memory, submissions
from api.bench.latency import latency
from api.bench.plan import Plan
from api.bench.profile import profile
from api.bench.recovery import recovery
from api.bench.scaling import autoscale
from api.bench.slowlog import slowlog
from streams.errors import MillraceError

Measure = Callable[[Ground, dict[str, Any]], Awaitable[dict[str, Any]]]


class UnknownMeasurement(MillraceError):  # noqa: N818 - it says what is wrong
    """There is no measurement of this name."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One that can be asked for by name.

    Attributes:
        about: One line for people.
        measure: Given the figures so far, answers its own; None: it takes turns with others (`rounds`).
        needs: Others whose figures it uses; they run before it.
        is_shipped: Whether it runs when nothing is named.
    """

    name: str
    about: str
    measure: Measure | None = None
    needs: tuple[str, ...] = ()
    is_shipped: bool = False


async def _capacity(_: Ground, found: dict[str, Any]) -> dict[str, Any]:
    return capacity.figures(found, os.cpu_count() or 1)


MEASUREMENTS: Final = (
    Measurement("throughput", "transitions a second beside the floor, with one and two workers", is_shipped=True),
    Measurement("partitions", "the same with 16 partitions", is_shipped=True),
    Measurement("tracing", "what sampling 0, 1 and 100 % of the traces costs", is_shipped=True),
    Measurement("peers", "Celery, Dramatiq, taskiq, streaq, FastStream and BullMQ on the same server, in turn"),
    Measurement("latency", "submit to first handler, idle and at half load", latency, ("throughput",), is_shipped=True),
    Measurement("submit", "submissions a second, single and batched", submissions, is_shipped=True),
    Measurement("memory", "bytes of a queued job", memory, is_shipped=True),
    Measurement("recovery", "until the work of a killed worker runs again", recovery),
    Measurement("growth", "the cost of a transition by backlog and by entries held", grow),
    Measurement("soak", "the memory of a worker over very many entries", soak),
    Measurement("claims", "what the systems before this one claimed", claims, ("latency", "memory", "recovery")),
    Measurement("autoscale", "until a process more, and one less", autoscale),
    Measurement("capacity", "what one node and a Cluster carry", _capacity, ("throughput", "partitions", "memory")),
    Measurement("profile", "where the time of a transition goes", profile),
    Measurement("slowlog", "scripts and commands that blocked the server", slowlog, ("throughput",), is_shipped=True),
)
"""In the order in which they run; what summarises the others comes last."""

BY_NAME: Final = {one.name: one for one in MEASUREMENTS}


def chosen(names: Sequence[str], *, is_all: bool = False) -> list[Measurement]:
    """The measurements to run, in order, with what they need; those that ship when none is named.

    Raises:
        UnknownMeasurement: There is none of a name; the text lists them.
    """
    unknown = sorted(set(names) - set(BY_NAME))
    if unknown:
        raise UnknownMeasurement(f"there is no measurement {unknown[0]!r}; there are: {', '.join(BY_NAME)}")
    wanted = set(BY_NAME) if is_all else set(names) or {one.name for one in MEASUREMENTS if one.is_shipped}
    while more := {need for name in wanted for need in BY_NAME[name].needs} - wanted:
        wanted |= more
    return [one for one in MEASUREMENTS if one.name in wanted]


async def made(name: str, measure: Measure, ground: Ground, figures: dict[str, Any]) -> None:
    """Add a measurement's figures; the others stand when it fails, and ``failed`` says why it did."""
    try:
        figures |= await measure(ground, figures)
    except (RuntimeError, TimeoutError) as error:
        figures.setdefault("failed", {})[name] = f"{type(error).__name__}: {error}"
    except KeyError as missing:
        if "failed" not in figures:
            raise
        figures["failed"][name] = f"without {missing}, which is of a measurement that failed"


async def bench(
    redis_url: str,
    plan: Plan | None = None,
    told: Callable[[str], None] = lambda _: None,
    *,
    names: Sequence[str] = (),
    is_all: bool = False,
    peers_python: str = "",
) -> dict[str, Any]:
    """Measure, and return what `millrace bench --json` prints.

    Args:
        redis_url: The server to measure on; better one that nobody else uses.
        plan: How much is measured.
        told: Is told what happens next.
        names: Measurements; empty: those that ship.
        is_all: All of them.
        peers_python: Python that has the peers; empty: this one.

    Returns:
        The figures, and under ``failed`` what kept single measurements from being made.

    Raises:
        UnknownMeasurement: There is none of a name.
        RuntimeError: A throughput run failed, or lifecycle does not hold every transition of it.
    """
    wanted = chosen(names, is_all=is_all)
    load_before = os.getloadavg()
    figures: dict[str, Any] = {}
    async with sink() as endpoint:
        ground = Ground(redis_url, plan or Plan(), told, endpoint=endpoint, peers_python=peers_python)
        try:
            turns = frozenset(one.name for one in wanted if one.measure is None)
            if turns:
                figures |= await rounds.take_turns(ground, turns)
            for one in wanted:
                if one.measure is not None:
                    await made(one.name, one.measure, ground, figures)
            return {**figures, "conditions": await ground.conditions(load_before)}
        finally:
            await ground.client.aclose()
