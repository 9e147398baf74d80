"""What the dashboard makes of what it is given: addresses, numbers, instants, trees, reasons to wait, forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.dashboard.actions import ACTIONS, link
from api.dashboard.board import RATE_S, WINDOW_S, Tally
from api.dashboard.door import inner
from api.dashboard.job import WIDTH, Wait, tree, waits
from api.dashboard.render import amount, duration, environment, instant, number, size, when
from api.problems import Problem
from api.sessions import csrf_token, is_csrf_token, new_id
from api.trail import action_of
from api.waterfall import trace_of
from streams.pauses import Pause, Paused
from streams.record import JobRecord


@pytest.mark.parametrize(
    ("given", "leads_to"),
    [
        ("/jobs?status=failed", "/jobs?status=failed"), ("//evil.example", "/"), ("https://evil.example", "/"),
        ("/\\evil.example", "/"), ("javascript:alert(1)", "/"), ("", "/"), ("/a\r\nSet-Cookie: x", "/"),
    ],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(given: str, leads_to: str) -> None:
    assert inner(given) == leads_to


def test_a_token_belongs_to_one_session() -> None:
    one, other = new_id(), new_id()
    assert is_csrf_token(one, csrf_token(one))
    assert not is_csrf_token(other, csrf_token(one))
    assert not is_csrf_token("", csrf_token(""))
    assert one not in csrf_token(one)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (duration(0.25), "250 ms"), (duration(59.94), "59.9 s"), (duration(61), "1 min 01 s"),
        (duration(3_661), "1 h 01 min"), (duration(90_000), "1 d 1 h"), (duration(None), ""),
        (size(1_023), "1023 B"), (size(1 << 20), "1.0 MiB"), (size(3 << 30), "3.00 GiB"), (size(None), "0 B"),
        (number(1_234_567), "1,234,567"), (number(2.50), "2.5"), (number(None), ""), (number("x"), "x"),
        (amount("-1234567.80"), "-1,234,567.80"), (amount("n/a"), "n/a"),
        (str(when("<b>")), ""),
    ],
)  # fmt: skip
def test_numbers_and_times_are_for_people(shown: str, text: str) -> None:
    assert shown == text


def test_an_instant_is_shown_in_utc_and_marked_for_scripts() -> None:
    at = '<time datetime="2026-01-31T12:00:00+00:00" title="2026-01-31 12:00:00 UTC">2026-01-31 12:00:00</time>'
    assert str(when("2026-01-31T13:00:00+01:00")) == at


def test_an_instant_is_read_in_seconds_and_in_milliseconds() -> None:
    assert instant(1_700_000_000) == instant(1_700_000_000_000) == instant("2023-11-14T22:13:20+00:00")


def test_templates_escape_what_they_show_and_miss_nothing() -> None:
    page = environment().from_string("{{ text }}")
    assert page.render(text="<script>") == "&lt;script&gt;"
    for name in environment().list_templates():
        source = environment().get_template(name).filename or ""
        text = Path(source).read_text("utf-8")
        assert "| safe" not in text, name
        assert "autoescape" not in text, name


def entry(at_ms: int, kind: str, **fields: Any) -> tuple[str, dict[str, str]]:
    told = {"type": kind, "job": "0-a", "flow": "f", **{name: str(value) for name, value in fields.items()}}
    return f"{at_ms}-0", told


def test_a_tree_has_each_entry_below_the_one_that_emitted_it() -> None:
    entries = [
        entry(1_000, "submitted", task=1, stage="crawl"),
        entry(2_000, "completed", task=1, stage="crawl", started_at=1_500, worker="w", delivery=1, attempt=1,
              emitted='[{"task": 2, "stage": "extract"}]'),
        entry(3_000, "retried", task=2, stage="extract", started_at=2_500, delivery=1, attempt=1, reason="http_503"),
        entry(5_000, "completed", task=2, stage="extract", started_at=4_000, delivery=1, attempt=2),
    ]  # fmt: skip
    first, second = tree(trace_of(entries), 9_000)
    assert (first.task, first.depth, second.task, second.depth) == (1, 0, 2, 1)
    assert [(run.attempt, run.outcome) for run in second.runs] == [(1, "retried"), (2, "completed")]
    assert second.reason == "http_503"
    assert [bar.kind for bar in second.bars] == ["wait", "run", "retry", "run"]
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for row in (first, second) for bar in row.bars)
    assert second.lasted_s == 3.0


def test_a_job_says_where_its_tasks_are_and_why_they_do_not_go_on() -> None:
    record = JobRecord.of(
        "0-a",
        {
            b"flow": b"f", b"status": b"running", b"crawl.open": b"9", b"extract.open": b"1",
            b"task.1": b"crawl 1-0", b"task.2": b"crawl.browser 2-0", b"task.3": b"delayed 9000 crawl",
            b"task.4": b"crawl 4-0 run 500 w-1 2", b"task.5": b"extract 5-0", b"task.6": b"dead 6-0",
        },
    )  # fmt: skip
    paused = Paused.of([Pause("stage", "extract", "new parser")])
    assert waits(record, paused, {"default"}, 1_000) == [
        Wait(1, "in the stream crawl", "waits for a free worker"),
        Wait(1, "in the stream crawl.browser", "no worker serves the pool browser"),
        Wait(
            1, "in the timers for crawl", "waits for its time: a retry, a limit, or a site that asked for it", 0, 9_000
        ),
        Wait(1, "runs at w-1", "crawl, delivery 2", 500),
        Wait(1, "in the stream extract", "stage extract is paused: new parser"),
        Wait(5, "parked before crawl", "a job has only so many entries in a stream at a time"),
    ]


def test_entries_are_counted_by_second_and_stage() -> None:
    tally = Tally()
    for at_s, kind in ((100, b"completed"), (100, b"completed"), (130, b"dead_lettered"), (131, b"started")):
        tally.take(b"%d-0" % (at_s * 1_000), {b"type": kind, b"stage": b"crawl"})
    assert tally.moved() == {"crawl": [2, 1]}
    assert tally.moved() == {}
    assert tally.window("crawl", 132, WINDOW_S) == (2, 1)
    assert tally.window("crawl", 132, RATE_S) == (0, 1)
    assert tally.history(159)[0] == 2
    assert sum(tally.history(200)) == 0


def test_an_action_asks_for_what_its_route_needs() -> None:
    replay = ACTIONS["replay.start"]
    form = {"select.jobs": "0-a, 0-b", "from_stage": "extract", "rate.entries_per_s": "500", "fetch": ""}
    assert replay.request(form) == (
        {},
        {"select": {"jobs": ["0-a", "0-b"]}, "from_stage": "extract", "rate": {"entries_per_s": 500}},
    )
    assert ACTIONS["pause.remove"].request({"stage": "crawl", "kind": "stage"}) == ({"stage": "crawl"}, {})
    with pytest.raises(Problem, match="How many is missing"):
        ACTIONS["limit.set"].request({"count": " "})
    with pytest.raises(Problem, match="no number"):
        ACTIONS["limit.set"].request({"count": "many"})
    with pytest.raises(Problem, match="no JSON"):
        ACTIONS["dlq.edit"].request({"data": "{"})
    with pytest.raises(Problem, match="no slash"):
        ACTIONS["job.cancel"].target({"job": "a/../../purge"})
    with pytest.raises(Problem, match="needs 'job'"):
        ACTIONS["job.cancel"].target({})
    assert link("limit.set", name="a b", count="1") == "/do/limit.set?name=a+b&count=1"


@pytest.mark.parametrize(
    ("route", "method", "action"),
    [
        ("/api/v1/schedules", "POST", "schedules.post"), ("/api/v1/schedules/{name}/pause", "POST", "schedules.pause"),
        ("/api/v1/companies/{company_id}", "DELETE", "companies.delete"),
        ("/api/v1/websites/{website_id}/wont_fix", "PUT", "websites.wont_fix.put"),
    ],
)  # fmt: skip
def test_a_change_is_named_after_its_route(route: str, method: str, action: str) -> None:
    assert action_of(route, method) == action
