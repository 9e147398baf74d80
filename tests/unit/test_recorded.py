"""What of a recorded job is run again, and when that cannot be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from consumers.flow import Flow
from consumers.noop import NoopSpec, Step, compile_nothing
from consumers.noop import flow as noop
from consumers.outcome import Done, Outcome
from consumers.replays.start import start_stage
from consumers.stage import stage
from schemas.names import STAGES, StageName
from streams.pace import SLACK_S, Pace
from streams.recorded import NotRecorded, Recorded, payload_bytes


def event(kind: str, task: int = 0, **fields: Any) -> dict[str, str]:
    emitted = fields.pop("emits", None)
    told = {"type": kind, "job": "0-j", "flow": "f", "tenant": "t", **{k: str(v) for k, v in fields.items()}}
    if task:
        told["task"] = str(task)
    if emitted is not None:
        told["emitted"] = orjson.dumps([
            {"task": n, "stage": s, "data": {"v": 1, "n": n}, **(more[0] if more else {})} for n, s, *more in emitted
        ]).decode()  # fmt: skip
    return told


BORN = event("submitted", 1, stage="crawl", data='{"v":1,"n":1}', spec='{"url":"x"}', lane="high", status="queued")
PAGES: list[tuple[Any, ...]] = [(2, "crawl", {"once": "p2", "budget": "pages"}), (3, "classify", {"once": "d3"})]
WHOLE = [
    BORN,
    event("completed", 1, emits=[*PAGES, (4, "classify", {"once": "d4"})], missing=1, status="running"),
    event("dead_lettered", 2, stage="crawl", reason="http_403", error="no"),
    event("completed", 3, emits=[(5, "download")]),
    event("completed", 4, emits=[(6, "extract", {"budget": "unsure"}), (7, "download", {"once": "x"})]),
    event("completed", 5, emits=[(8, "extract")], collected=2),
    event("completed", 7, collected=1),
    event("completed", 6, collected=4),
    event("completed", 8, emits=[(9, "compile")], collected=8),
    event("completed", 9, emits=[(10, "notify")], status="partial"),
]


def recorded(events: Sequence[dict[str, str]] = WHOLE) -> Recorded:
    found = Recorded("0-j")
    for fields in events:
        found.take(fields)
    return found


@pytest.mark.parametrize(
    ("start", "opened", "upstream", "reused", "missing", "collected"),
    [
        ("crawl", [1], (), 0, 0, 0),
        ("classify", [3, 4], (1, 2), 1, 2, 0),
        ("download", [5, 6, 7], (1, 2, 3, 4), 3, 2, 0),
        ("extract", [6, 8], (1, 2, 3, 4, 5, 7), 5, 2, 3),
        ("compile", [9], (1, 2, 3, 4, 5, 6, 7, 8), 7, 2, 15),
        ("notify", [10], (1, 2, 3, 4, 5, 6, 7, 8), 7, 2, 15),
    ],
)
def test_the_cut(
    start: StageName, opened: list[int], upstream: tuple[int, ...], reused: int, missing: int, collected: int
) -> None:
    cut = recorded().cut(start)
    assert cut.starts_at == start
    assert [task.number for task in cut.tasks] == opened
    assert (cut.upstream, cut.reused, cut.missing, cut.collected) == (upstream, reused, missing, collected)
    assert cut.next_task == 11
    assert [one.reason for one in cut.failures] == (["http_403"] if upstream else [])


def test_what_goes_with_it() -> None:
    cut = recorded().cut("download")
    assert set(cut.once) == {"p2", "d3", "d4", "x"}
    assert cut.spent == {"pages": 1, "unsure": 1}
    assert cut.entries == {"download": 2, "extract": 2, "compile": 1, "notify": 1}
    assert cut.tasks[0].data == b'{"v":1,"n":5}'
    assert cut.size_bytes == sum(len(task.data) for task in cut.tasks)
    read = recorded()
    assert (read.lane, read.spec, read.tenant, read.status) == ("high", b'{"url":"x"}', "t", "partial")
    assert recorded().cut("compile").tasks[0].data == b'{"v":1,"revision":1}'
    assert recorded().cut("notify").tasks[0].data == b'{"v":1,"revision":1,"status":"partial"}'


def test_where_there_was_no_such_work_it_begins_with_compile() -> None:
    cut = recorded([BORN, event("completed", 1, emits=[(2, "compile")], status="succeeded")]).cut("extract")
    assert (cut.starts_at, [task.number for task in cut.tasks], cut.upstream) == ("compile", [2], (1,))


def test_a_redriven_task_is_as_it_was_mended() -> None:
    mended = [*WHOLE[:3], event("redriven", 2, data='{"v":1,"n":22}'), event("completed", 2, collected=5), *WHOLE[3:]]
    assert recorded(mended).cut("compile").collected == 20
    assert recorded(mended).cut("classify").missing == 1
    assert recorded(mended).tasks[2].data == b'{"v":1,"n":22}'


DEAD = [BORN, event("dead_lettered", 1, stage="crawl", reason="http_403", status="failed", emits=[(2, "notify")])]
UNTIL = [
    {**BORN, "until_stage": "classify"}, event("completed", 1, emits=[(2, "classify")]),
    event("completed", 2, status="succeeded"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "start", "reason"),
    [
        pytest.param([], "crawl", "not_recorded", id="nothing"),
        pytest.param(WHOLE[1:], "crawl", "not_recorded", id="no beginning"),
        pytest.param(WHOLE[:-1], "crawl", "running", id="no end"),
        pytest.param(DEAD, "extract", "nothing_to_do", id="nothing was done, no work"),
        pytest.param(DEAD, "compile", "nothing_to_do", id="nothing was done"),
        pytest.param([*WHOLE, event("completed", 3, missing="x")], "crawl", "incomplete", id="no count"),
        pytest.param([*WHOLE, {**event("emitted"), "emitted": "["}], "crawl", "incomplete", id="no JSON"),
        pytest.param([{**BORN, "origin": "0-o"}, *WHOLE[1:]], "crawl", "is_a_replay", id="a replay"),
        pytest.param([*WHOLE[:3], *WHOLE[4:]], "extract", "incomplete", id="an emission is lost"),
        pytest.param([*WHOLE[:6], *WHOLE[7:]], "compile", "incomplete", id="an end is lost"),
        pytest.param(UNTIL, "download", "nothing_to_do", id="it was to end before"),
        pytest.param([UNTIL[0], event("completed", 1, status="succeeded")], "classify", "nothing_to_do", id="no tail"),
    ],
)
def test_what_cannot_be_replayed_says_why(events: list[dict[str, str]], start: StageName, reason: str) -> None:
    with pytest.raises(NotRecorded, match="0-j") as raised:
        recorded(events).cut(start)
    assert raised.value.reason == reason


def test_what_upstream_of_a_cancelled_job_left_undone_is_missing() -> None:
    events = [*WHOLE[:3], event("cancelled", status="cancelled"), event("dropped", 3), event("dropped", 4)]
    cut = recorded(events).cut("download")
    assert (cut.starts_at, cut.missing) == ("compile", 4)
    assert recorded(events).cut("classify").missing == 2


def test_the_end_of_what_need_not_be_known_may_be_lost() -> None:
    assert recorded([BORN, WHOLE[-1]]).cut("crawl").tasks[0].number == 1


def test_a_payload_that_was_put_aside_counts_with_its_size() -> None:
    assert payload_bytes(b'{"v":1,"$claim":"' + b"a" * 64 + b'","size_bytes":70000}') == 70_000
    assert payload_bytes(b'{"v":1}') == 7


def flow_asking(*asking: StageName) -> Flow:
    async def nothing(_: Step, __: object) -> Outcome:
        return Done()

    stages = tuple(
        stage(name=name, accepts=Step, fetches=name in asking)(nothing)
        for name in STAGES[:4]
    )  # fmt: skip
    return Flow("f", NoopSpec, (*stages, compile_nothing), lambda _: Step())


@pytest.mark.parametrize(
    ("asking", "wanted", "without", "fetched"),
    [
        (("crawl", "classify", "download"), "crawl", "extract", "crawl"),
        (("crawl", "classify", "download"), "classify", "extract", "classify"),
        (("crawl", "classify", "download"), "extract", "extract", "download"),
        (("crawl", "classify", "download"), "notify", "notify", "download"),
        (("crawl", "download"), "classify", "extract", "classify"),
        (("crawl",), "crawl", "classify", "crawl"),
        (("crawl",), "extract", "extract", "crawl"),
        (("extract",), "crawl", "compile", "crawl"),
        ((), "crawl", "crawl", "crawl"),
        ((), "download", "download", "download"),
    ],
)
def test_where_a_replay_begins(
    asking: tuple[StageName, ...], wanted: StageName, without: StageName, fetched: StageName
) -> None:
    flow = flow_asking(*asking)
    assert start_stage(flow, wanted, fetch=False) == without
    assert start_stage(flow, wanted, fetch=True) == fetched


def test_stages_are_taken_to_fetch_as_their_names_say() -> None:
    async def nothing(_: Step, __: object) -> Outcome:
        return Done()

    said = {name: stage(name=name, accepts=Step)(nothing).fetches for name in STAGES}
    assert [name for name, asks in said.items() if asks] == ["crawl", "classify", "download"]
    assert not any(one.fetches for one in noop.stages)


def test_the_pace_is_kept_and_not_made_up_for() -> None:
    pace, now = Pace(10.0), 100.0
    waits = [pace.spend(1, now) for _ in range(5)]
    assert waits == pytest.approx([0.0, 0.0, 0.0, 0.05, 0.15])  # SLACK_S ahead at first
    assert pace.spend(1, now + 60) == 0
    total = sum(pace.spend(1, now + 60) > 0 for _ in range(20))
    assert total >= 20 - SLACK_S * 10 - 1
