"""What a benchmark calculates, draws and writes from its figures."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import orjson
import pytest

from api.bench.capacity import Measured, capacity, carried
from api.bench.catalogue import BY_NAME, UnknownMeasurement, chosen
from api.bench.chart import bars, curves
from api.bench.goals import reached
from api.bench.peers import EXTRA, PEERS, found
from api.bench.plan import Plan
from api.bench.report import page, plots, table, write
from api.bench.rounds import SHAPES, cost
from api.bench.statistics import cuts, flatness, growth, middle

FIGURES: dict[str, Any] = {
    "transitions_per_s": 36_000, "floor_per_s": 50_000, "floor_busy_per_s": 51_000, "floor_cpu_us_per_transition": 10.0,
    "ratio_to_floor": 0.72, "cpu_ratio_to_floor": 0.6, "worker_rss_mb": 90.0, "cpu_us_per_transition": 16.0,
    "server_cpu_us_per_transition": 20.0,
    "with_sampling_1": {"transitions_per_s": 20_000, "cpu_us_per_transition": 40.0,
                        "server_cpu_us_per_transition": 20.0, "worker_rss_mb": 95.0},
    "tracing_cost": {"at_1_percent": {"time": 0.01, "cpu": 0.06}, "at_100_percent": {"time": 0.8, "cpu": 0.66}},
    "peers": {
        "celery": {"not_installed": EXTRA},
        "dramatiq": {"transitions_per_s": 2_000, "cpu_us_per_transition": 400.0, "server_cpu_us_per_transition": 90.0,
                     "times_as_fast": 18.0, "version": "2", "settings": "acknowledged | late"},
        "taskiq": {"transitions_per_s": 4_000, "cpu_us_per_transition": 400.0, "server_cpu_us_per_transition": 90.0,
                   "times_as_fast": 9.0, "version": "0.1", "settings": "late"},
        "bullmq": {"failed": "RuntimeError: it ended"},
    },
    "latency_ms": {"p50": 2.0, "p99": 4.0},
    "latency_half_load_ms": {"p50": 3.0, "p99": 51.0, "max": 60.0, "jobs_per_s": 3_000, "jobs": 100},
    "growth": {
        name: {"cpu_us_per_transition": {"1000": 30.0, "100000": 33.0},
               "server_cpu_us_per_transition": {"1000": 15.0, "100000": 16.0},
               "transitions_per_s": {"1000": 30_000, "100000": 29_000},
               "largest_to_smallest": 1.1, "server_largest_to_smallest": 1.07}
        for name in ("backlog", "pending")
    },
    "soak": {"transitions": 1_000, "transitions_per_s": 9, "resident_mb": {"500": 90.0}, "largest_mb": 90.0,
             "farthest_after_50000": None},
    "slowlog": {"threshold_ms": 5.0, "transitions": 10, "count": 1, "count_during_floor": 0, "by_command": {"sub": 1},
                "by_measurement": {"pipeline": 1},
                "worst": {"command": "submit", "arguments": 9, "took_ms": 7.5, "during": "pipeline"}},
    "runs": {"shipped": [{"transitions_per_s": 36_000}], "floor": [{"floor_per_s": 50_000}]},
    "conditions": {"measured_at": "2026-01-01 00:00 UTC", "machine": "Linux, 2 cores", "python": "3.11",
                   "server": "valkey 9", "fsync": "always", "rounds": 3, "jobs": 5_000,
                   "load_average_before": [0.1, 0.2, 0.3], "load_average_after": [1, 1, 1],
                   "server_waited_for_a_core_s": None},
}  # fmt: skip


def test_percentiles() -> None:
    assert cuts(range(101)) == {"p50": 50.0, "p99": 99.0, "max": 100}
    assert cuts([4.0]) == {"p50": 4.0, "p99": 4.0, "max": 4.0}
    with pytest.raises(ValueError, match="nothing"):
        cuts([])


def test_medians_keep_whole_numbers_whole() -> None:
    assert middle([{"n": 1, "us": 1.26}, {"n": 2, "us": 1.0}]) == {"n": 2, "us": 1.1}


def test_growth_and_flatness() -> None:
    assert growth({1_000: 30.0, 10: 20.0, 100: 90.0}) == 1.5
    with pytest.raises(ValueError, match="costs"):
        growth({})
    assert flatness({1: 10.0, 5: 100.0, 6: 95.0, 7: 104.0}, 5) == 0.05
    assert flatness({1: 10.0, 5: 100.0}, 5) is None


def test_what_tracing_costs() -> None:
    without = {"transitions_per_s": 20_000, "cpu_us_per_transition": 20.0, "server_cpu_us_per_transition": 20.0}
    with_ = {"transitions_per_s": 16_000, "cpu_us_per_transition": 30.0, "server_cpu_us_per_transition": 20.0}
    assert cost(without, with_) == {"time": 0.25, "cpu": 0.25}


@pytest.mark.parametrize(
    ("bounds", "per_s", "limited_by", "cores"),
    [
        ({}, 0.7 * 50_000, "server", 0.7),
        ({"cores": 1}, 0.7 * 50_000, "server", 0.7),
        ({"cores": 1, "worker_us": 40.0}, 0.7 * 25_000, "workers", 0.7),
        ({"masters": 4, "partitions": 16}, 4 * 0.7 * 50_000, "server", 2.8),
        ({"masters": 3, "partitions": 16}, 16 / 6 * 0.7 * 50_000, "server", 1.9),  # the busiest has six of them
        ({"masters": 8, "partitions": 4}, 4 * 0.7 * 50_000, "server", 2.8),  # four masters have none
    ],
)
def test_what_servers_and_workers_carry(bounds: Any, per_s: float, limited_by: str, cores: float) -> None:
    row = carried("row", **{"server_us": 20.0, "worker_us": 20.0, **bounds})
    assert (row.transitions_per_s, row.limited_by, row.worker_cores) == (round(per_s), limited_by, cores)


def test_capacity_of_one_node_partitions_and_a_cluster() -> None:
    rows = capacity(Measured(20.0, 25.0, 30.0, 40.0, 800.0, 200.0), cores=2)
    assert [row.transitions_per_s for row in rows[:3]] == [28_000, 35_000, 23_333]
    assert rows[4].transitions_per_s == round(0.7 * 4 * 1e6 / 30)
    with pytest.raises(ValueError, match="above 0"):
        carried("row", 0.0, 1.0)


def test_names_bring_what_they_need_in_order() -> None:
    assert [one.name for one in chosen(["capacity"])] == ["throughput", "partitions", "memory", "capacity"]
    assert {"latency", "recovery", "memory"} < {one.name for one in chosen(["claims"])}
    assert "peers" not in {one.name for one in chosen([])}
    assert [one.name for one in chosen([], is_all=True)] == list(BY_NAME)
    assert {one.name for one in BY_NAME.values() if one.measure is None} == set(SHAPES)
    with pytest.raises(UnknownMeasurement, match="there is no measurement 'speed'; there are: throughput, "):
        chosen(["speed"])


def test_the_command_names_every_measurement() -> None:
    from api.cli.bench import NAMES  # noqa: PLC0415 - commands are imported when they are used

    assert NAMES.split(", ") == list(BY_NAME)


def test_the_full_plan_has_the_million() -> None:
    assert max(Plan.full().backlogs) == Plan.full().soak_transitions == 1_000_000


async def test_a_peer_that_is_not_there_says_how_to_install_it(tmp_path: Path) -> None:
    there = await found(str(tmp_path / "no-python"))
    assert tuple(there) == PEERS
    assert [there[name].command for name in PEERS[:-1]] == [()] * 5
    assert there["celery"].install == EXTRA


def test_goals_say_what_is_reached() -> None:
    said = {one.what.split(",")[0].split(" (")[0]: one for one in reached(FIGURES)}
    assert said["transitions a second"].holds is True
    assert said["share of the floor in the same run"].holds is True
    assert said["CPU that sampling 1 % costs"].holds is False
    assert (said["times the best Python peer"].holds, said["times the best Python peer"].measured) == (False, "9.0")
    assert "times BullMQ" not in said  # it failed
    assert said["p99 submit to first handler at half of the maximum load"].holds is False
    assert said["cost of a transition with 100"].holds is True
    assert said["memory of a worker over 1"].holds is None
    assert said["scripts and commands above 5 ms during load"].measured == "1; worst: submit, 7.5 ms"


def test_the_page_has_every_section_that_was_measured(tmp_path: Path) -> None:
    text = page(FIGURES)
    sections = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert sections == [
        "The run", "Wanted and reached", "Throughput", "Peers", "Latency and intake", "Growth", "Memory of a worker",
        "What blocked the server",
    ]  # fmt: skip
    assert "| celery | not installed: `pip install '.[peers]'` |" in text
    assert "acknowledged \\| late" in text
    assert "| CPU that sampling 1 % costs | <= 5% | 6.0% | **no** |" in text
    files = write(FIGURES, tmp_path / "speed.md")
    assert "](speed/growth.svg)" in (tmp_path / "speed.md").read_text()
    assert {file.name for file in files} == {"speed.md", "throughput.svg", "growth.svg", "figures.json"}
    assert orjson.loads((tmp_path / "speed" / "figures.json").read_bytes()) == FIGURES
    assert "capacity" not in page({"conditions": FIGURES["conditions"]})


def test_tables_set_numbers_flush_right() -> None:
    assert [*table(("a", "b"), [("x", 1_234), ("y", 2.5)])] == [
        "| a | b |", "| --- | ---: |", "| x | 1,234 |", "| y | 2.50 |", "",
    ]  # fmt: skip


def test_plots_are_well_formed_and_drawn_to_scale() -> None:
    drawn = ET.fromstring(bars("Speed & more", [("a <b>", 100.0, True), ("c", 50.0, False)], "per s"))  # noqa: S314 - ours
    widths = [float(one.get("width", "0")) for one in drawn.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert widths[0] == pytest.approx(2 * widths[1])
    curve = ET.fromstring(curves("Cost", {"one": {10: 5.0, 100: 5.0, 1_000: 10.0}}, across="n", upwards="us"))  # noqa: S314
    (line,) = curve.iter("{http://www.w3.org/2000/svg}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.get("points", "").split()]
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0])  # decades are as far apart
    assert points[0][1] == points[1][1] > points[2][1]
    assert not math.isnan(points[2][1])
    assert set(plots({})) == set()
    ET.fromstring(curves("Empty", {}, across="n", upwards="us"))  # noqa: S314
