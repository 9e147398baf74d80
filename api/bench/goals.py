"""What the figures are to reach, and whether they do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

PER_S: Final = 35_000
TO_FLOOR: Final = 0.65
TIMES_PYTHON: Final = 10.0
TIMES_BULLMQ: Final = 4.0
GROWTH: Final = 1.3
HALF_LOAD_MS: Final = 50.0
FLAT: Final = 0.10
RECOVERED_S: Final = 10.0
TRACED: Final = 0.05
NODE_PEER: Final = "bullmq"


@dataclass(frozen=True, slots=True)
class Reached:
    """One row.

    Attributes:
        measured: In the words of the table.
        holds: None when that cannot be said, such as without the peers.
    """

    what: str
    wanted: str
    measured: str
    holds: bool | None


def reached(figures: Mapping[str, Any]) -> list[Reached]:
    """The rows for what was measured."""
    return [*_speed(figures), *_peers(figures.get("peers", {})), *_steadiness(figures)]


def _speed(figures: Mapping[str, Any]) -> Iterator[Reached]:
    if "transitions_per_s" in figures:
        per_s, share = figures["transitions_per_s"], figures["ratio_to_floor"]
        yield Reached("transitions a second, one worker", f">= {PER_S:,}", f"{per_s:,.0f}", per_s >= PER_S)
        yield Reached("share of the floor in the same run", f">= {TO_FLOOR}", f"{share:.2f}", share >= TO_FLOOR)
    if "tracing_cost" in figures:
        cpu = figures["tracing_cost"]["at_1_percent"]["cpu"]
        yield Reached("CPU that sampling 1 % costs", f"<= {TRACED:.0%}", f"{cpu:.1%}", cpu <= TRACED)
    if "latency_half_load_ms" in figures:
        p99 = figures["latency_half_load_ms"]["p99"]
        yield Reached(
            "p99 submit to first handler at half of the maximum load", f"<= {HALF_LOAD_MS:.0f} ms", f"{p99:.1f} ms",
            p99 <= HALF_LOAD_MS,
        )  # fmt: skip


def _peers(peers: Mapping[str, Any]) -> Iterator[Reached]:
    ran = {name: peer for name, peer in peers.items() if "times_as_fast" in peer}
    python = {name: peer for name, peer in ran.items() if name != NODE_PEER}
    if python:
        best = min(python, key=lambda name: float(python[name]["times_as_fast"]))
        times = python[best]["times_as_fast"]
        yield Reached(
            f"times the best Python peer ({best})", f">= {TIMES_PYTHON:.0f}", f"{times:.1f}", times >= TIMES_PYTHON
        )
    if NODE_PEER in ran:
        times = ran[NODE_PEER]["times_as_fast"]
        yield Reached("times BullMQ", f">= {TIMES_BULLMQ:.0f}", f"{times:.1f}", times >= TIMES_BULLMQ)


def _steadiness(figures: Mapping[str, Any]) -> Iterator[Reached]:
    for name, said in (("backlog", "waiting"), ("pending", "held by others")):
        if "growth" in figures:
            curve = figures["growth"][name]
            sizes = [int(size) for size in curve["cpu_us_per_transition"]]
            times = curve["largest_to_smallest"]
            yield Reached(
                f"cost of a transition with {max(sizes):,} {said} against {min(sizes):,}", f"<= {GROWTH} x",
                f"{times:.2f} x", times <= GROWTH,
            )  # fmt: skip
    if "recovery_s" in figures:
        for way, said in (("by_lease", "nobody saw it die"), ("by_supervisor", "under a supervisor")):
            p99 = figures["recovery_s"][way]["p99"]
            yield Reached(
                f"p99 until a killed worker's entries are done, {said}", f"<= {RECOVERED_S:.0f} s", f"{p99:.1f} s",
                p99 <= RECOVERED_S,
            )  # fmt: skip
    if "soak" in figures:
        soak = figures["soak"]
        far = soak["farthest_after_50000"]
        yield Reached(
            f"memory of a worker over {soak['transitions']:,} entries, after the first 50,000", f"within {FLAT:.0%}",
            "not known" if far is None else f"{far:.1%}", None if far is None else far <= FLAT,
        )  # fmt: skip
    slow = figures.get("slowlog", {})
    if "count" in slow:
        alone = "undisturbed" in slow
        told = slow["undisturbed"] if alone else slow
        worst = told["worst"]
        said = f"; worst: {worst['command']}, {worst['took_ms']} ms" if worst else ""
        yield Reached(
            "scripts and commands above 5 ms during load" + (", the server having its core" if alone else ""), "0",
            f"{told['count']}{said}", told["count"] == 0,
        )  # fmt: skip
