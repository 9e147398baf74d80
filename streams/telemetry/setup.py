"""Sets tracing up from the standard `OTEL_*` variables, in the process that will export.

| variable | default |
| --- | --- |
| `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | none: nothing is recorded |
| `OTEL_EXPORTER_OTLP_PROTOCOL`, `…_TRACES_PROTOCOL` | `http/protobuf`; also `grpc` |
| `OTEL_TRACES_EXPORTER` | `otlp` with an endpoint, else `none`; also `console` (to stderr) |
| `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `parentbased_always_on`: 100 % of the jobs |
| `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | `millrace` |
| `OTEL_SDK_DISABLED` | `false` |
| `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_SCHEDULE_DELAY` | 8,192 spans, 1,000 ms |

Headers, certificates, compression and time-outs of the exporter are the SDK's own variables.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from streams.telemetry.traceparent import Sampler, is_sampled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace.export import SpanExporter

    from streams.telemetry.export import Recorder, Wait
    from streams.telemetry.traceparent import RandomBits

SERVICE_NAME: Final = "millrace"
FLUSH_DEADLINE_S: Final = 1.0


class Tracing:
    """Tracing of this process: how to decide, and where spans go.

    Attributes:
        sampler: Decides on the traces that start here.
        recorder: None when nothing is exported; contexts are passed on all the same.
        random_bits: Source of new ids.
        capped: Deliveries without spans, because their job has more than its share.
    """

    __slots__ = ("capped", "random_bits", "recorder", "sampler")

    def __init__(
        self, sampler: Sampler, recorder: Recorder | None = None, random_bits: RandomBits = random.getrandbits
    ) -> None:
        self.sampler = sampler
        self.recorder = recorder
        self.random_bits = random_bits
        self.capped = 0

    def counters(self) -> dict[str, int]:
        """Spans `waiting`, `exported`, `failed` (not taken), `dropped` (the queue was full); deliveries `capped`."""
        if self.recorder is None:
            return {"waiting": 0, "exported": 0, "failed": 0, "dropped": 0, "capped": self.capped}
        processor = self.recorder.processor
        exporter = processor.exporter
        return {
            "waiting": processor.waiting,
            "exported": exporter.exported,
            "failed": exporter.failed,
            "dropped": processor.dropped,
            "capped": self.capped,
        }

    def shutdown(self, deadline_s: float = FLUSH_DEADLINE_S, wait: Wait = threading.Event.wait) -> bool:
        """Send what is queued and stop; the process ends within `deadline_s` whatever the endpoint does.

        Blocks for at most `deadline_s`: call it last, or through `asyncio.to_thread`.

        Returns:
            Whether everything was handed over in time.
        """
        global current  # noqa: PLW0603 - one tracing a process
        if current is self:
            current = Tracing(self.sampler)
        return self.recorder is None or self.recorder.processor.close(deadline_s, wait)


here: ContextVar[str] = ContextVar("millrace_traceparent", default="")
"""The traceparent of the delivery or submission that this task of the event loop works on."""

current: Tracing = Tracing(Sampler())
"""What `spans` uses. Records nothing until `start`, and again in a child after a fork."""


def start(*, instance: str = "", environ: Mapping[str, str] | None = None) -> Tracing:
    """Set tracing up from the environment and make it this process's.

    Call it after a fork, once a process: gRPC does not survive one, so a child of a process that exports records
    nothing until it calls this itself.

    Args:
        instance: Name of this process, as `service.instance.id`: the worker's, say.
        environ: Instead of `os.environ`, for what this module reads; the SDK's exporters read `os.environ`.

    Raises:
        ValueError: A variable has a value that nobody could have meant; the text says which and what to set.
    """
    global current  # noqa: PLW0603 - one tracing a process
    environ = os.environ if environ is None else environ
    sampler = Sampler.of(environ)
    exporter_name = _exporter_name(environ)
    recorder = None if exporter_name == "none" else _recorder(exporter_name, instance, sampler, environ)
    current = Tracing(sampler, recorder)
    return current


def in_unsampled_delivery() -> bool:
    """Whether the work going on here belongs to a trace that is not recorded."""
    traceparent = here.get()
    return traceparent != "" and not is_sampled(traceparent)


def _exporter_name(environ: Mapping[str, str]) -> str:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "none"
    name = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if not name:
        return "otlp" if _endpoint(environ) else "none"
    if name not in {"none", "otlp", "console"}:
        raise ValueError(f"OTEL_TRACES_EXPORTER is {name!r}; set it to otlp, console or none")
    return name


def _endpoint(environ: Mapping[str, str]) -> str:
    return environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or ""


def _recorder(exporter_name: str, instance: str, sampler: Sampler, environ: Mapping[str, str]) -> Recorder:
    from opentelemetry import trace  # noqa: PLC0415 - a process without an exporter does not pay for the SDK
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    from streams.telemetry import export  # noqa: PLC0415

    target = "the console" if exporter_name == "console" else _endpoint(environ) or "the default OTLP endpoint"
    exporter = export.CountingExporter(_exporter(exporter_name, environ), target)
    # Our exporter speaks once at each change; the SDK would at every batch and retry.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    processor = export.BoundedProcessor(
        exporter,
        queue_spans=_positive(environ, "OTEL_BSP_MAX_QUEUE_SIZE", export.QUEUE_SPANS),
        schedule_delay_ms=_positive(environ, "OTEL_BSP_SCHEDULE_DELAY", export.SCHEDULE_DELAY_MS),
    )
    attributes: dict[str, str | int] = {"process.pid": os.getpid()}
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        attributes["service.name"] = SERVICE_NAME
    if instance:
        attributes["service.instance.id"] = instance
    resource = Resource.create(attributes)
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        # Spans that a handler or a library makes go the same way, below the delivery that they belong to.
        below = export.BelowDeliveries(sampler, in_unsampled_delivery)
        provider = TracerProvider(below, resource, shutdown_on_exit=False)
        provider.add_span_processor(processor)
        trace.set_tracer_provider(provider)
    return export.Recorder(processor, resource)


def _exporter(name: str, environ: Mapping[str, str]) -> SpanExporter:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415

        return ConsoleSpanExporter(out=sys.stderr)
    protocol = (
        environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    ).strip()
    match protocol:
        case "http/protobuf":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter as HttpExporter,
            )

            return HttpExporter()
        case "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415 - not fork safe
                OTLPSpanExporter as GrpcExporter,
            )

            return GrpcExporter()
        case _:
            raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; set it to http/protobuf or grpc")


def _positive(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, "").strip()
    if not value:
        return default
    if not value.isdecimal() or int(value) == 0:
        raise ValueError(f"{name} is {value!r}; set it to a whole number above 0")
    return int(value)


def _forget_after_fork() -> None:
    global current  # noqa: PLW0603 - one tracing a process
    current = Tracing(current.sampler)


os.register_at_fork(after_in_child=_forget_after_fork)
