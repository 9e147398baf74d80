"""Counting, sketches and alert rules: pure."""

from __future__ import annotations

import random

import pytest

from consumers.analytics.cells import MEMORY_MS, MOST_HOSTS, OTHER, Counter, Place
from consumers.analytics.rules import (
    CLEARS_AT,
    HOLD_MS,
    LEAST_ENDED,
    Alert,
    Reading,
    StageFigures,
    Thresholds,
    decide,
    readings,
)
from consumers.analytics.sketch import ACCURACY, Sketch

THRESHOLDS = Thresholds(queue=100, failure_rate=0.05, quiet_minutes=10, dlq=50)


def entry(**fields: object) -> dict[bytes, bytes]:
    told = {"job": "0-a", "flow": "audit", "tenant": "t", "revision": 1, **fields}
    return {name.encode(): str(value).encode() for name, value in told.items()}


@pytest.mark.parametrize("seed", range(3))
def test_a_quantile_is_within_the_sketchs_accuracy(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable
    values = sorted(max(1, int(chance.lognormvariate(6, 2))) for _ in range(5_000))
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    for quantile, found in zip((0, 0.5, 0.95, 0.99, 1), sketch.quantiles(0, 0.5, 0.95, 0.99, 1), strict=True):
        true = values[int(quantile * (len(values) - 1))]
        assert found == pytest.approx(true, rel=ACCURACY * 1.001)
    assert len(sketch.buckets) < 1_000


def test_merged_sketches_are_the_sketch_of_all() -> None:
    parts, whole = [Sketch(), Sketch()], Sketch()
    for value in (0, -5, 1, 7, 7, 1_000, 3_600_000):
        parts[value % 2].add(value)
        whole.add(value)
    parts[0].merge(parts[1])
    assert parts[0] == whole
    assert (whole.count, whole.zeros, whole.most) == (7, 2, 3_600_000)
    assert Sketch().quantiles(0.5, 0.99) == [None, None]


def test_a_task_is_of_the_host_that_it_was_opened_for() -> None:
    counter = Counter()
    counter.count(0, entry(type="submitted", task=1, stage="crawl", data='{"url":"https://A.example/"}'))
    emitted = (
        '[{"task":2,"stage":"extract","data":{"url":"https://b.example/"}},{"task":3,"stage":"extract","data":{}}]'
    )
    counter.count(100, entry(type="completed", task=1, stage="crawl", started_at=40, emitted=emitted))
    counter.count(300, entry(type="retried", task=2, stage="extract", started_at=150))
    counter.count(400, entry(type="dead_lettered", task=2, stage="extract", started_at=350))
    counter.count(500, entry(type="redriven", task=2, stage="extract"))
    cells = {place: cell for (_, place), cell in counter.take().items()}
    crawl = cells[Place("t", "crawl", "audit", "a.example")]
    extract = cells[Place("t", "extract", "audit", "b.example")]
    assert (crawl.opened, crawl.done, crawl.run.most, crawl.whole.most) == (1, 1, 60, 100)
    assert (extract.opened, extract.retried, extract.failed, extract.run.count, extract.whole.most) == (1, 1, 1, 2, 300)
    again = cells[Place("t", "extract", "audit", "")]
    assert (again.opened, again.redriven) == (2, 1)
    assert counter.oldest_ms() == {Place("t", "extract", "audit", ""): (2, 100)}
    assert counter.panes == {}


def test_what_was_opened_long_ago_is_forgotten_as_who_begins_later_never_knew_it() -> None:
    counter = Counter()
    counter.count(0, entry(type="submitted", task=1, stage="crawl", data='{"url":"https://a.example/"}'))
    counter.count(MEMORY_MS + 1, entry(type="completed", task=1, stage="crawl", started_at=MEMORY_MS - 9))
    places = {place.host: cell for (_, place), cell in counter.panes.items()}
    assert (places[""].done, places[""].run.most, places[""].whole.count) == (1, 10, 0)
    counter.count(5, entry(type="submitted", task=9, stage="crawl", job="0-b", data="{}"))
    counter.expire(6)
    assert counter.open == {}


def test_hosts_beyond_a_bound_are_counted_together() -> None:
    counter = Counter()
    for number in range(MOST_HOSTS + 5):
        data = f'{{"url":"https://h{number}.example/"}}'
        counter.count(1, entry(type="submitted", job=f"0-{number}", task=1, stage="crawl", data=data))
    hosts = {place.host: cell.opened for (_, place), cell in counter.panes.items()}
    assert (len(hosts), hosts[OTHER]) == (MOST_HOSTS + 1, 5)


@pytest.mark.parametrize("fields", [{}, {b"type": b"group_moved"}, entry(tenant=""), entry(type="progressed", task=1)])
def test_what_is_no_move_of_a_task_counts_nothing(fields: dict[bytes, bytes]) -> None:
    counter = Counter()
    counter.count(1, fields)
    assert counter.panes == {}


def reading(value: float) -> Reading:
    return Reading("queue_too_long", "crawl", value, 100.0, "")


def test_a_rule_fires_and_clears_only_when_the_figure_stays() -> None:
    alert, news = Alert("queue_too_long", "crawl"), []
    for at_ms, value in (
        (0, 101), (HOLD_MS - 1, 101), (HOLD_MS + 1, 99), (HOLD_MS + 2, 101), (2 * HOLD_MS, 150),  # a break
        (2 * HOLD_MS + 2, 101),  # fires
        (3 * HOLD_MS, 100 * CLEARS_AT + 1), (4 * HOLD_MS, 99),  # below, but not by enough
        (5 * HOLD_MS, 80), (6 * HOLD_MS, 80),  # clears
        (7 * HOLD_MS, 0),
    ):  # fmt: skip
        alert, is_news = decide(alert, reading(value), at_ms)
        if is_news:
            news.append((at_ms, alert.is_firing))
    assert news == [(2 * HOLD_MS + 2, True), (6 * HOLD_MS, False)]
    assert (alert.since_ms, alert.value) == (6 * HOLD_MS, 0)


@pytest.mark.parametrize(
    ("rule", "stage", "open_tasks", "quiet_s", "dead"),
    [
        (None, StageFigures(100, 100, 5), 3, 600.0, 50),
        ("queue_too_long", StageFigures(101, 0, 0), 0, 0.0, 0),
        ("failure_rate", StageFigures(0, 93, 7), 0, 0.0, 0),
        (None, StageFigures(0, 0, LEAST_ENDED - 1), 0, 0.0, 0),  # too few to say
        ("nothing_finished", StageFigures(0, 0, 0), 1, 601.0, 0),
        (None, StageFigures(0, 0, 0), 0, 86_400.0, 0),  # nothing is to be done
        ("dlq_growing", StageFigures(0, 0, 0), 0, 0.0, 51),
    ],
)
def test_a_rule_is_broken_beyond_its_threshold(
    rule: str | None, stage: StageFigures, open_tasks: int, quiet_s: float, dead: int
) -> None:
    found = readings({"crawl": stage}, open_tasks=open_tasks, quiet_s=quiet_s, dead=dead, thresholds=THRESHOLDS)
    broken = [one.rule for one in found if one.value > one.threshold]
    assert broken == ([rule] if rule else [])


def test_a_clock_that_is_behind_the_last_task_is_no_negative_silence() -> None:
    found = {one.rule: one for one in readings({}, open_tasks=3, quiet_s=-2.0, dead=0, thresholds=THRESHOLDS)}
    assert found["nothing_finished"].value == 0.0
    assert "for 0 minutes" in found["nothing_finished"].said
