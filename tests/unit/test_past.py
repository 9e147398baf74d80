"""A job as it was at an instant: pure, from its lifecycle entries; and how instants of the past are typed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from api.cli.root import Usage
from api.cli.typed import past_ms
from streams.past import job_at

if TYPE_CHECKING:
    from collections.abc import Iterator


def opens(*tasks: tuple[int, str]) -> str:
    return orjson.dumps([{"task": task, "stage": stage, "data": {}} for task, stage in tasks]).decode()


def move(ms: int, kind: str, **fields: Any) -> tuple[str, dict[str, str]]:
    return f"{ms}-0", {"type": kind, "revision": "1", **{name: str(value) for name, value in fields.items()}}


LIFE = [
    move(100, "submitted", task=1, stage="crawl", status="queued"),
    # 110-150 crawl ran unannounced
    move(150, "completed", task=1, stage="crawl", started_at=110, worker="w1", status="running",
         emitted=opens((2, "extract"), (3, "extract"))),
    move(200, "retried", task=2, stage="extract", started_at=160, worker="w1", due_at=300, reason="http_503"),
    move(205, "dead_lettered", task=3, stage="extract", started_at=170, worker="w2", reason="http_403"),
    move(300, "promoted", task=2, stage="extract", attempt=2),
    move(350, "completed", task=2, stage="extract", started_at=310, attempt=2, worker="w2",
         emitted=opens((4, "compile"))),
    move(400, "completed", task=4, stage="compile", started_at=360, worker="w1", status="partial", error="http_403",
         emitted=opens((5, "notify"))),
    move(420, "completed", task=5, stage="notify", started_at=405, worker="w1"),
    move(500, "redriven", task=3, stage="extract", revision=2, status="running"),
    move(600, "completed", task=3, stage="extract", started_at=510, revision=2, worker="w1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("at_ms", "status", "counts", "open_tasks"),
    [
        (100, "queued", {"crawl": (1, 0, 0)}, [(1, "queued", "")]),
        (120, "running", {"crawl": (1, 0, 0)}, [(1, "running", "w1")]),
        (150, "running", {"crawl": (0, 1, 0), "extract": (2, 0, 0)}, [(2, "queued", ""), (3, "queued", "")]),
        (180, "running", {"crawl": (0, 1, 0), "extract": (2, 0, 0)}, [(2, "running", "w1"), (3, "running", "w2")]),
        (202, "running", {"crawl": (0, 1, 0), "extract": (2, 0, 0)}, [(3, "running", "w2"), (2, "delayed", "")]),
        (250, "retrying", {"crawl": (0, 1, 0), "extract": (1, 0, 1)}, [(2, "delayed", "")]),
        (320, "running", {"crawl": (0, 1, 0), "extract": (1, 0, 1)}, [(2, "running", "w2")]),
        (370, "running", {"crawl": (0, 1, 0), "extract": (0, 1, 1), "compile": (1, 0, 0)}, [(4, "running", "w1")]),
        (410, "partial", {"extract": (0, 1, 1), "compile": (0, 1, 0), "notify": (1, 0, 0)}, [(5, "running", "w1")]),
        (430, "partial", {"extract": (0, 1, 1), "notify": (0, 1, 0)}, []),
        (505, "running", {"extract": (1, 1, 0)}, [(3, "queued", "")]),
        (555, "running", {"extract": (1, 1, 0)}, [(3, "running", "w1")]),
        (700, "running", {"extract": (0, 2, 0)}, []),
    ],
)
def test_a_job_is_what_its_entries_say_it_was(
    at_ms: int, status: str, counts: dict[str, tuple[int, int, int]], open_tasks: list[tuple[int, str, str]]
) -> None:
    past = job_at(LIFE, at_ms)
    assert past.status == status
    found = {stage: (one.open, one.done, one.failed) for stage, one in past.stages.items()}
    assert {stage: found[stage] for stage in counts} == counts
    assert [(one.task, one.state.value, one.worker) for one in past.open_tasks] == open_tasks
    assert past.error == ("http_403" if status == "partial" else None)


def test_before_its_submission_there_was_no_job() -> None:
    assert not job_at(LIFE, 99).is_there


def test_durations_are_those_of_what_had_ended() -> None:
    stage = job_at(LIFE, 320).stages["extract"]
    assert (stage.runs, stage.busy_ms, stage.first_ms, stage.last_ms) == (2, 75, 160, 205)


def test_what_runs_now_is_known_from_the_live_record() -> None:
    life = [move(100, "submitted", task=1, stage="crawl", status="queued")]
    past = job_at(life, 200, running={1: (150, "w9", 1)})
    assert (past.status, past.open_tasks[0].worker, past.started_ms) == ("running", "w9", 150)
    assert job_at(life, 140, running={1: (150, "w9", 1)}).status == "queued"


def test_a_cancelled_job_has_nothing_waiting() -> None:
    life = [*LIFE[:2], move(155, "cancelled", status="cancelled", reason="cancelled")]
    past = job_at([*life, move(170, "dropped", task=3, stage="extract")], 160)
    assert (past.status, past.open_tasks, past.error) == ("cancelled", [], "cancelled")


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("03:12", "2030-07-10T01:12:00Z"),  # today, in summer time
        ("3:12:30", "2030-07-10T01:12:30Z"),
        ("23:00", "2030-07-09T21:00:00Z"),  # today's is still to come
        ("2030-01-31T03:12", "2030-01-31T02:12:00Z"),  # a winter's day
        ("2030-01-31T03:12Z", "2030-01-31T03:12:00Z"),
        ("2h", "2030-07-10T08:00:00Z"),
    ],
)
def test_an_instant_of_the_past_as_people_type_it(typed: str, meant: str) -> None:
    now = datetime(2030, 7, 10, 10, 0, tzinfo=UTC)
    assert past_ms("--at", typed, now) == datetime.fromisoformat(meant).timestamp() * 1_000


@pytest.mark.parametrize("typed", ["25:00", "soon", "2090-01-01", "", "3"])
def test_what_is_no_instant_of_the_past_is_refused(typed: str) -> None:
    with pytest.raises(Usage, match="--at"):
        past_ms("--at", typed, datetime(2030, 7, 10, 10, 0, tzinfo=UTC))
