"""Traces and log lines: W3C trace context, OpenTelemetry export, JSON logs with their secrets masked.

Importing this package costs nothing that a process without tracing would not want: the OpenTelemetry SDK and gRPC
are imported by `start`, in the process that exports.
"""

from streams.telemetry.logs import bind, setup_logging
from streams.telemetry.setup import Tracing, start
from streams.telemetry.spans import current_ids, delivery_span, submit_span, unrecorded
from streams.telemetry.traceparent import TraceContext, is_sampled, parse

__all__ = [
    "TraceContext",
    "Tracing",
    "bind",
    "current_ids",
    "delivery_span",
    "is_sampled",
    "parse",
    "setup_logging",
    "start",
    "submit_span",
    "unrecorded",
]
