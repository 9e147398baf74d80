"""What is compared takes turns: the floor, pipelines of several shapes, and the peers.

Whatever else runs on the machine then hits all of them; the medians count. Each runs in processes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from api.bench import peers
from api.bench.ground import Ground
from api.bench.processes import ROOT, done, output, python, workers
from api.bench.statistics import middle
from schemas.names import STAGES

FLOOR: Final = ROOT / "bench" / "floor.py"
SAMPLED: Final = 0.01
"""The share of jobs whose trace is sampled, as shipped."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """One pipeline run.

    Attributes:
        cpu_us_per_transition: Of the workers.
        worker_rss_mb: Of the largest worker.
        lifecycle_completed: `completed` entries in lifecycle: every transition that was counted.
    """

    transitions_per_s: int
    cpu_us_per_transition: float
    server_cpu_us_per_transition: float
    worker_rss_mb: float
    transitions: int
    lifecycle_completed: int


@dataclass(frozen=True, slots=True)
class Shape:
    """How a pipeline differs from the shipped one.

    Attributes:
        sampled: Share of the jobs whose trace is sampled.
        archive_to: Folder into which lifecycle is archived meanwhile; empty for no archive.
    """

    processes: int = 1
    partitions: int = 1
    sampled: float = SAMPLED
    archive_to: str = ""


async def floor(ground: Ground) -> dict[str, float]:
    """One run of the bare loop.

    Raises:
        RuntimeError: It failed, or is not there (it comes with the source tree).
    """
    if not FLOOR.exists():
        raise RuntimeError(f"{FLOOR} is not there: the floor comes with the source tree; run the bench from there")
    async with ground.watched("floor"):
        command = python(str(FLOOR), "--url", ground.redis_url, "--jobs", str(ground.plan.jobs))
        return await output(command)


async def pipeline(ground: Ground, shape: Shape) -> Throughput:
    """One run of the six-stage no-op pipeline.

    Raises:
        RuntimeError: A worker failed, or lifecycle does not hold every transition that was counted.
    """
    jobs = ground.plan.jobs
    transitions = jobs * len(STAGES)
    every = round(1 / shape.sampled) if shape.sampled else 0
    async with ground.namespace(shape.partitions) as log, ground.watched("pipeline", transitions):
        await ground.fill(log, jobs, is_sampled=lambda n: bool(every) and n % every == 0)
        alone = transitions if shape.processes == 1 else 0
        order = ground.orders(log, alone, archive_to=shape.archive_to)
        before = await ground.cpu_s()
        async with workers(
            *[order] * shape.processes, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": ground.endpoint}
        ) as started:
            if not alone:
                await ground.until_ended(log)
            found = [await done(one) for one in started]
        server_cpu_s = await ground.cpu_s() - before
        completed = await ground.completed(log)
    counted = sum(one.outcomes.get("completed", 0) for one in found)
    if not counted == completed == transitions:
        outcomes = [one.outcomes for one in found]
        raise RuntimeError(f"of {transitions} transitions the workers counted {outcomes}, lifecycle has {completed}")
    busy = [one for one in found if one.began_ns]
    took_s = (max(one.ended_ns for one in busy) - min(one.began_ns for one in busy)) / 1e9
    return Throughput(
        transitions_per_s=round(transitions / took_s),
        cpu_us_per_transition=round(sum(one.cpu_s for one in found) / transitions * 1e6, 1),
        server_cpu_us_per_transition=round(server_cpu_s / transitions * 1e6, 1),
        worker_rss_mb=round(max(one.rss_mb for one in found), 1),
        transitions=transitions, lifecycle_completed=completed,
    )  # fmt: skip


Shapes = Mapping[str, Callable[[Ground], Shape]]

SHAPES: Final[Mapping[str, Shapes]] = {
    "throughput": {"shipped": lambda _: Shape(), "workers": lambda _: Shape(processes=2)},
    "partitions": {
        "shipped": lambda _: Shape(),
        "partitions": lambda ground: Shape(partitions=ground.plan.partitions),
    },
    "tracing": {
        "shipped": lambda _: Shape(),
        "unsampled": lambda _: Shape(sampled=0.0),
        "sampled": lambda _: Shape(sampled=1.0),
    },
    "peers": {"shipped": lambda _: Shape()},
}
"""Which pipelines each measurement compares."""


async def take_turns(ground: Ground, names: frozenset[str]) -> dict[str, Any]:
    """Measure what the named measurements compare, in turn, and answer their figures."""
    shapes: dict[str, Shape] = {}
    for name in SHAPES:
        if name in names:
            shapes |= {called: shape(ground) for called, shape in SHAPES[name].items()}
    runs: dict[str, list[dict[str, float]]] = {"floor": [], **{called: [] for called in shapes}}
    theirs: dict[str, peers.Peer] = await peers.found(ground.peers_python) if "peers" in names else {}
    contest = peers.Contest(ground, theirs)
    for turn in range(1, ground.plan.rounds + 1):
        ground.told(f"floor and pipelines, {turn} of {ground.plan.rounds}")
        runs["floor"].append(await floor(ground))
        for called, shape in shapes.items():
            runs[called].append(asdict(await pipeline(ground, shape)))
        await contest.round()
    figures = _figures(ground, {called: found for called, found in runs.items() if found})
    if "peers" in names:
        figures["peers"] = contest.figures(figures["transitions_per_s"])
    return figures


def _figures(ground: Ground, runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    middles = {called: middle(found) for called, found in runs.items()}
    shipped, bare = middles["shipped"], middles["floor"]
    figures: dict[str, Any] = {
        "transitions_per_s": shipped["transitions_per_s"],
        "floor_per_s": bare["floor_per_s"],
        "floor_busy_per_s": bare["floor_busy_per_s"],
        "floor_cpu_us_per_transition": bare["cpu_us_per_transition"],
        # In each turn the two ran one after the other: their ratio there is disturbed least.
        "ratio_to_floor": round(
            median(
                ours["transitions_per_s"] / theirs["floor_per_s"]
                for ours, theirs in zip(runs["shipped"], runs["floor"], strict=True)
            ),
            3,
        ),
        "cpu_ratio_to_floor": round(bare["cpu_us_per_transition"] / shipped["cpu_us_per_transition"], 3),
        "worker_rss_mb": shipped["worker_rss_mb"],
        "cpu_us_per_transition": shipped["cpu_us_per_transition"],
        "server_cpu_us_per_transition": shipped["server_cpu_us_per_transition"],
    }
    if "workers" in middles:
        figures["with_workers"] = {"workers": 2, **middles["workers"]}
    if "partitions" in middles:
        figures["with_partitions"] = {"partitions": ground.plan.partitions, **middles["partitions"]}
    if "sampled" in middles:
        figures["with_sampling_1"] = middles["sampled"]
        figures["with_sampling_0"] = middles["unsampled"]
        figures["tracing_cost"] = {
            "at_1_percent": cost(middles["unsampled"], shipped),
            "at_100_percent": cost(middles["unsampled"], middles["sampled"]),
        }
    figures["runs"] = runs
    return figures


def cost(without: Mapping[str, float], with_: Mapping[str, float]) -> dict[str, float]:
    """What something costs, as a share of the time and of the CPU time without it."""

    def cpu(run: Mapping[str, float]) -> float:
        return run["cpu_us_per_transition"] + run["server_cpu_us_per_transition"]

    return {
        "time": round(without["transitions_per_s"] / with_["transitions_per_s"] - 1, 3),
        "cpu": round(cpu(with_) / cpu(without) - 1, 3),
    }
