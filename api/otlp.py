"""A job's trace, as read back from its lifecycle, in OTLP's JSON form: for a backend that never saw its spans.

``curl …/jobs/ID/trace?format=otlp | curl --json @- http://jaeger:4318/v1/traces``. Ids derive from the job, the task
and the place of the span, so sending it twice makes no second trace. Pure.

Source: OpenTelemetry, "OTLP: JSON Protobuf Encoding" (ids in hex, 64-bit numbers as text).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from api.waterfall import JobTrace, TraceSpan

NS_PER_MS: Final = 1_000_000
INTERNAL: Final = 1
CONSUMER: Final = 5
ERROR: Final = 2
SCOPE: Final = "millrace.lifecycle"
FAILED: Final = frozenset({"dead_lettered", "expired", "failed"})


def otlp_of(trace: JobTrace, now_ms: int) -> dict[str, Any]:
    """An ExportTraceServiceRequest.

    Args:
        trace: The job's.
        now_ms: What lasts ends here, and says that it lasts (`millrace.open`).
    """
    trace_id = trace.trace_id or hashlib.sha256(trace.job_id.encode()).hexdigest()[:32]
    root = _span_id(trace.job_id, "job")
    runs = {span.task: _id_of(trace, span) for span in trace.spans if span.kind == "run"}
    spans = [_job(trace, trace_id, root, now_ms)]
    spans += [
        _span(trace, span, trace_id, runs.get(span.parent, root) if span.parent is not None else root, now_ms)
        for span in trace.spans
    ]
    resource = {"attributes": [_text("service.name", "millrace")]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": SCOPE}, "spans": spans}]}]}


def _job(trace: JobTrace, trace_id: str, span_id: str, now_ms: int) -> dict[str, Any]:
    is_open = any(span.end_ms is None for span in trace.spans)
    ends = [span.end_ms for span in trace.spans if span.end_ms is not None]
    return {
        "traceId": trace_id, "spanId": span_id, "name": f"job {trace.flow}", "kind": INTERNAL,
        "startTimeUnixNano": _nanos(trace.start_ms),
        "endTimeUnixNano": _nanos(now_ms if is_open else max([trace.end_ms, *ends])),
        "attributes": [
            _text("millrace.job", trace.job_id), _text("millrace.flow", trace.flow),
            _text("millrace.status", trace.status), _number("millrace.spans_left_out", trace.left_out),
            {"key": "millrace.open", "value": {"boolValue": is_open}},
        ],
        "status": {"code": ERROR} if trace.status in FAILED else {},
    }  # fmt: skip


def _span(trace: JobTrace, span: TraceSpan, trace_id: str, parent: str, now_ms: int) -> dict[str, Any]:
    attributes = [
        _text("millrace.job", trace.job_id), _text("millrace.flow", trace.flow), _text("millrace.stage", span.stage),
        _number("millrace.task", span.task), _text("millrace.kind", span.kind),
    ]  # fmt: skip
    attributes += [_number(f"millrace.{name}", of) for name in ("attempt", "delivery") if (of := getattr(span, name))]
    texts = ("worker", "outcome", "reason")
    attributes += [_text(f"millrace.{name}", of) for name in texts if (of := getattr(span, name))]
    if span.end_ms is None:
        attributes.append({"key": "millrace.open", "value": {"boolValue": True}})
    is_bad = span.kind == "crash_gap" or span.outcome in {*FAILED, "retried"}
    return {
        "traceId": trace_id, "spanId": _id_of(trace, span), "parentSpanId": parent, "name": span.name,
        "kind": CONSUMER if span.kind in {"run", "crash_gap"} else INTERNAL,
        "startTimeUnixNano": _nanos(span.start_ms),
        "endTimeUnixNano": _nanos(max(span.start_ms, now_ms) if span.end_ms is None else span.end_ms),
        "attributes": attributes,
        "status": {"code": ERROR, "message": span.reason} if is_bad else {},
    }  # fmt: skip


def _id_of(trace: JobTrace, span: TraceSpan) -> str:
    return _span_id(trace.job_id, f"{span.task} {span.kind} {span.start_ms} {span.delivery}")


def _span_id(job_id: str, place: str) -> str:
    return hashlib.sha256(f"{job_id} {place}".encode()).hexdigest()[:16]


def _nanos(at_ms: int) -> str:
    return str(at_ms * NS_PER_MS)


def _text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def _number(key: str, value: int) -> dict[str, Any]:
    return {"key": key, "value": {"intValue": str(value)}}
