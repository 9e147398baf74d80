"""A job's lifecycle entries read back as spans, and drawn."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import orjson
import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console

from api.otlp import otlp_of
from api.waterfall import JobTrace, capped, trace_of, waterfall

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"


def entry(at_ms: int, move: str, **fields: Any) -> tuple[str, dict[str, str]]:
    emitted = fields.pop("emitted", None)
    if emitted is not None:
        fields["emitted"] = orjson.dumps([{"task": task, "stage": stage, "data": {}} for task, stage in emitted])
    texts = {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in fields.items()}
    return f"{at_ms}-0", {"type": move, "job": "0-abc", "flow": "filings", **texts}


def completed(at_ms: int, task: int, stage: str, started_at: int, **fields: Any) -> tuple[str, dict[str, str]]:
    fields = {"attempt": 1, "delivery": 1, "worker": "w1", "emitted": []} | fields
    return entry(at_ms, "completed", task=task, stage=stage, started_at=started_at, **fields)


def stretches(trace: JobTrace) -> list[tuple[int, str, int, int | None]]:
    return [(span.task, span.kind, span.start_ms, span.end_ms) for span in trace.spans]


def drawn(trace: JobTrace, **options: Any) -> str:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(waterfall(trace, **options))
    return console.export_text()


def test_children_wait_from_the_moment_their_parent_completed() -> None:
    trace = trace_of(
        [
            entry(1000, "submitted", traceparent=TRACEPARENT, task=1, stage="crawl", status="queued"),
            completed(1300, 1, "crawl", 1100, emitted=[(2, "classify"), (3, "classify")], status="running"),
            completed(1500, 2, "classify", 1350),
            completed(1600, 3, "classify", 1300),
            completed(1900, 4, "compile", 1700, status="succeeded"),
            completed(2100, 5, "notify", 2000),
        ]
    )
    assert (trace.job_id, trace.flow, trace.status) == ("0-abc", "filings", "succeeded")
    assert trace.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert (trace.start_ms, trace.end_ms) == (1000, 2100)
    assert stretches(trace) == [
        (1, "wait", 1000, 1100),
        (1, "run", 1100, 1300),
        (2, "wait", 1300, 1350),
        (3, "run", 1300, 1600),
        (2, "run", 1350, 1500),
        (4, "wait", 1600, 1700),
        (4, "run", 1700, 1900),
        (5, "wait", 1900, 2000),
        (5, "run", 2000, 2100),
    ]
    assert {span.task: span.parent for span in trace.spans} == {1: None, 2: 1, 3: 1, 4: 3, 5: 4}
    run = trace.spans[1]
    assert (run.name, run.stage, run.attempt, run.delivery, run.worker, run.outcome) == (
        "run crawl",
        "crawl",
        1,
        1,
        "w1",
        "completed",
    )


@pytest.mark.parametrize(
    "death",
    [
        [entry(1100, "started", task=1, stage="crawl", delivery=1, worker="w1"), entry(6100, "reclaimed", task=1)],
        [entry(6100, "reclaimed", task=1, stage="crawl", started_at=1100)],
    ],
    ids=["started was told", "reclaimed tells it"],
)
def test_a_reclaim_shows_the_crash_gap(death: list[tuple[str, dict[str, str]]]) -> None:
    trace = trace_of(
        [
            entry(1000, "submitted", task=1, stage="crawl"),
            *death,
            completed(6300, 1, "crawl", 6110, delivery=2, worker="w2"),
        ]
    )
    assert stretches(trace) == [
        (1, "wait", 1000, 1100),
        (1, "crash_gap", 1100, 6100),
        (1, "wait", 6100, 6110),
        (1, "run", 6110, 6300),
    ]
    assert (trace.spans[-1].delivery, trace.spans[-1].worker) == (2, "w2")
    assert "a worker died, 5.0 s lost" in drawn(trace)


def test_a_second_start_without_a_reclaim_is_a_crash_gap_too() -> None:
    trace = trace_of(
        [
            entry(1000, "submitted"),
            entry(1000, "started", task=1, stage="crawl", delivery=1, worker="w1"),
            entry(2000, "started", task=1, stage="crawl", delivery=2, worker="w2"),
            completed(3000, 1, "crawl", 2000, delivery=2, worker="w2"),
        ]
    )
    assert stretches(trace) == [(1, "crash_gap", 1000, 2000), (1, "run", 2000, 3000)]


def test_a_retry_and_a_snooze_are_spans_until_the_task_is_promoted() -> None:
    trace = trace_of(
        [
            entry(1000, "submitted", task=1, stage="download"),
            entry(1200, "retried", task=1, stage="download", started_at=1100, attempt=1, delivery=1, reason="http_503"),
            entry(3200, "promoted", task=1, stage="download"),
            entry(3400, "snoozed", task=1, stage="download", started_at=3300, attempt=2, delivery=1, reason="429"),
            entry(4400, "promoted", task=1, stage="download"),
            entry(4600, "dead_lettered", task=1, stage="download", started_at=4500, attempt=2, reason="http_404"),
        ]
    )
    assert stretches(trace) == [
        (1, "wait", 1000, 1100),
        (1, "run", 1100, 1200),
        (1, "retry", 1200, 3200),
        (1, "wait", 3200, 3300),
        (1, "run", 3300, 3400),
        (1, "snooze", 3400, 4400),
        (1, "wait", 4400, 4500),
        (1, "run", 4500, 4600),
    ]
    assert [span.outcome for span in trace.spans if span.kind == "run"] == ["retried", "snoozed", "dead_lettered"]
    assert "dead lettered · attempt 2 · http_404" in drawn(trace)


def test_what_has_not_ended_is_open() -> None:
    trace = trace_of(
        [
            entry(1000, "submitted", task=1, stage="crawl"),
            completed(1300, 1, "crawl", 1100, emitted=[(2, "classify"), (3, "classify")]),
            entry(1400, "started", task=2, stage="classify", delivery=1, worker="w1"),
            entry(1500, "progressed"),
        ]
    )
    assert [(span.task, span.kind, span.end_ms, span.outcome) for span in trace.spans[-2:]] == [
        (3, "wait", None, "open"),
        (2, "run", None, "open"),
    ]


def test_cancelling_a_job_ends_what_waits_and_not_what_runs() -> None:
    trace = trace_of(
        [
            entry(1000, "submitted", task=1, stage="crawl"),
            completed(1100, 1, "crawl", 1000, emitted=[(2, "classify"), (3, "classify")]),
            entry(1200, "started", task=2, stage="classify", delivery=1, worker="w1"),
            entry(1300, "cancelled", status="cancelled"),
            completed(1400, 2, "classify", 1200),
        ]
    )
    assert stretches(trace)[1:] == [(2, "wait", 1100, 1200), (3, "wait", 1100, 1300), (2, "run", 1200, 1400)]
    assert trace.spans[2].outcome == "cancelled"


def test_a_redriven_task_waits_and_runs_again() -> None:
    trace = trace_of(
        [
            entry(1000, "submitted", task=1, stage="crawl"),
            entry(1200, "dead_lettered", task=1, stage="crawl", started_at=1000),
            entry(9000, "redriven", task=1, stage="crawl"),
            completed(9300, 1, "crawl", 9100),
        ]
    )
    assert stretches(trace) == [(1, "run", 1000, 1200), (1, "wait", 9000, 9100), (1, "run", 9100, 9300)]


def test_a_worker_whose_clock_is_behind_gives_no_negative_span() -> None:
    trace = trace_of([entry(1000, "submitted", task=1, stage="crawl"), completed(1300, 1, "crawl", 900)])
    assert stretches(trace) == [(1, "run", 1000, 1300)]


def test_trimmed_entries_are_missed_and_not_guessed_at() -> None:
    trace = trace_of([completed(5000, 7, "extract", 4000)])
    assert stretches(trace) == [(7, "run", 4000, 5000)]
    assert trace_of([]) == JobTrace("", "", "", "", 0, 0, ())


def test_the_drawing_indents_children_and_says_what_it_left_out() -> None:
    trace = trace_of(
        [
            entry(1000, "submitted", traceparent=TRACEPARENT, task=1, stage="crawl"),
            completed(2000, 1, "crawl", 1500, emitted=[(2, "classify"), (3, "classify"), (4, "classify")]),
            *[completed(3000, task, "classify", 2500) for task in (2, 3, 4)],
        ]
    )
    text = drawn(trace, max_rows=3)
    lines = text.splitlines()
    assert lines[0] == "filings 0-abc · 2.0 s · trace 0af7651916cd43dd8448eb211c80319c"
    assert lines[1].startswith("crawl #1 ")
    assert lines[2].startswith("  classify #2 ")
    assert "… and 1 more tasks" in text
    bar = lines[1].removeprefix("crawl #1").strip().split("  ")[0]
    assert bar.startswith("░")
    assert abs(bar.count("░") - bar.count("█")) <= 1
    assert drawn(trace_of([])) is not None


def test_the_trace_as_data_is_plain() -> None:
    trace = trace_of([entry(1000, "submitted", task=1, stage="crawl"), completed(1300, 1, "crawl", 1100)])
    data = orjson.loads(orjson.dumps(dataclasses.asdict(trace)))
    assert data["spans"][0] == {
        "name": "wait crawl",
        "stage": "crawl",
        "task": 1,
        "kind": "wait",
        "start_ms": 1000,
        "end_ms": 1100,
        "attempt": 1,
        "delivery": 0,
        "worker": "",
        "outcome": "",
        "parent": None,
        "reason": "",
    }


LIFE = (
    entry(1000, "submitted", task=1, stage="crawl", traceparent=TRACEPARENT, status="queued"),
    entry(1100, "started", task=1, stage="crawl", delivery=1, worker="w1", status="running"),
    entry(6100, "reclaimed", task=1, stage="crawl"),
    entry(6500, "snoozed", task=1, stage="crawl", started_at=6110, delivery=2, worker="w2", reason="asked to wait"),
    entry(7000, "promoted", task=1, stage="crawl"),
    completed(7300, 1, "crawl", 7010, delivery=1, worker="w2", emitted=[(2, "classify")]),
    entry(7400, "started", task=2, stage="classify", delivery=1, worker="w2"),
)


def test_a_reclaim_ends_the_crash_gap_by_name() -> None:
    (gap,) = [span for span in trace_of(LIFE).spans if span.kind == "crash_gap"]
    assert gap.outcome == "reclaimed"


def test_what_is_beyond_the_limit_is_counted() -> None:
    trace = trace_of(LIFE)
    few = capped(trace, 3)
    assert (len(few.spans), few.left_out) == (3, len(trace.spans) - 3)
    assert capped(trace, 100) is trace


def parsed(trace: JobTrace, now_ms: int) -> list[Any]:
    """The spans as OpenTelemetry's own messages; OTLP's JSON has ids in hex where protobuf's has base64."""
    document = otlp_of(trace, now_ms)
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    request = json_format.ParseDict(document, ExportTraceServiceRequest())
    return list(request.resource_spans[0].scope_spans[0].spans)


def test_as_otlp_every_delivery_wait_and_gap_is_a_span_of_the_jobs_trace() -> None:
    job, *spans = parsed(trace_of(LIFE), 9_000)
    assert {span.trace_id.hex() for span in spans} == {TRACEPARENT[3:35]}
    assert len({span.span_id for span in spans}) == len(spans)
    assert [(span.name, span.start_time_unix_nano // 10**6, span.end_time_unix_nano // 10**6) for span in spans] == [
        ("wait crawl", 1000, 1100),
        ("crash gap crawl", 1100, 6100),
        ("wait crawl", 6100, 6110),
        ("run crawl", 6110, 6500),
        ("snooze crawl", 6500, 7000),
        ("wait crawl", 7000, 7010),
        ("run crawl", 7010, 7300),
        ("wait classify", 7300, 7400),
        ("run classify", 7400, 9000),
    ]
    assert job.end_time_unix_nano == 9_000 * 10**6
    assert {span.parent_span_id for span in spans[:7]} == {job.span_id}
    assert {span.parent_span_id for span in spans[7:]} == {spans[6].span_id}
    assert spans[1].status.code == 2
    assert parsed(trace_of(LIFE), 9_000)[1].span_id == spans[0].span_id
