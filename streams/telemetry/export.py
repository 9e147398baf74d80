"""The way out for spans: a bounded queue that drops and counts, and a shutdown with a deadline of its own.

Imports the OpenTelemetry SDK; only `setup.start` imports this module, and only when there is something to export to.
"""

from __future__ import annotations

import logging
import threading
import traceback
from typing import TYPE_CHECKING, Final, Literal

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, SamplingResult, TraceIdRatioBased
from opentelemetry.sdk.trace.sampling import Sampler as SdkSampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from streams.telemetry.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import TraceState
    from opentelemetry.util.types import Attributes, AttributeValue

    from streams.telemetry.traceparent import Sampler, TraceContext

    Wait = Callable[[threading.Event, float], bool]
    """Waits for the event at most so many seconds; tells whether it was set."""

QUEUE_SPANS: Final = 8_192
"""About 2 s of spans of a fully sampled worker, 15 MB at most; OTEL_BSP_MAX_QUEUE_SIZE overrides it."""

SCHEDULE_DELAY_MS: Final = 1_000
"""A span is sent at most so long after it ended; OTEL_BSP_SCHEDULE_DELAY overrides it."""

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
"""The semantic conventions that our attributes follow."""

log = logging.getLogger(__name__)


class CountingExporter(SpanExporter):
    """Counts what the exporter inside was given and delivered; says once when it fails and once when it is back."""

    def __init__(self, inner: SpanExporter, target: str) -> None:
        self.taken = 0
        self.exported = 0
        self.failed = 0
        self._inner = inner
        self._target = target
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand a batch over; a failure loses it, never the process."""
        self.taken += len(spans)
        try:
            result = self._inner.export(spans)
        except Exception:
            log.exception("the span exporter for %s raised; its batch is lost", self._target)
            result = SpanExportResult.FAILURE
        delivered = result is SpanExportResult.SUCCESS
        if delivered:
            self.exported += len(spans)
        else:
            self.failed += len(spans)
        if delivered == self._failing:
            self._failing = not delivered
            if self._failing:
                log.warning("spans do not reach %s and are lost until it answers; work goes on", self._target)
            else:
                log.info("spans reach %s again; %d were lost", self._target, self.failed)
        return result

    def shutdown(self) -> None:
        """Close the exporter inside, which ends its retries."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held here."""
        return self._inner.force_flush(timeout_millis)


class BoundedProcessor(BatchSpanProcessor):
    """A batch processor that refuses the newest span when its queue is full, counts it, and never waits.

    Attributes:
        dropped: Spans refused because the queue was full.
    """

    def __init__(self, exporter: CountingExporter, *, queue_spans: int, schedule_delay_ms: float) -> None:
        super().__init__(
            exporter,
            max_queue_size=queue_spans,
            schedule_delay_millis=schedule_delay_ms,
            max_export_batch_size=min(512, queue_spans),
        )
        self.dropped = 0
        self.exporter = exporter
        self._queue_spans = queue_spans
        self._queued = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """Spans queued and not yet handed to the exporter."""
        return self._queued - self.exporter.taken

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span, or drop and count it."""
        if self._closed or self.waiting >= self._queue_spans:
            self.dropped += 1
            return
        self._queued += 1
        super().on_end(span)

    def close(self, deadline_s: float, wait: Wait = threading.Event.wait) -> bool:
        """Send what is queued, for at most `deadline_s`; then give up what is left.

        The SDK's own shutdown waits for a dead endpoint's retries, so it runs in a thread that nobody joins.

        Returns:
            Whether everything queued was handed over in time.
        """
        if self._closed:
            return True
        self._closed = True
        done = threading.Event()

        def flush() -> None:
            self.shutdown()  # type: ignore[no-untyped-call]
            done.set()

        threading.Thread(target=flush, name="millrace-flush-spans", daemon=True).start()
        in_time = wait(done, deadline_s)
        if not in_time:
            left = self._queued - self.exporter.exported - self.exporter.failed
            log.warning("%d spans were not sent within %.1f s and are lost", left, deadline_s)
            threading.Thread(target=self.exporter.shutdown, name="millrace-stop-spans", daemon=True).start()
        return in_time


Kind = Literal["producer", "consumer", "client", "internal"]

_KINDS: Final[Mapping[Kind, SpanKind]] = {
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}
_STACKTRACE_CHARACTERS: Final = 8_192
_MESSAGE_CHARACTERS: Final = 500
_UNSET: Final = Status(StatusCode.UNSET)


class Recorder:
    """Where this process's spans go.

    A span is written down when it has ended, from values: most of ours (the wait in a stream, a crash gap) are
    known only afterwards, and this costs a fifth of an SDK span that is kept open and locked.

    Attributes:
        processor: The queue, with its counters.
    """

    def __init__(self, processor: BoundedProcessor, resource: Resource) -> None:
        self.processor = processor
        self._resource = resource
        self._scope = InstrumentationScope("millrace", schema_url=SCHEMA_URL)

    def record(
        self,
        name: str,
        kind: Kind,
        context: TraceContext,
        parent: TraceContext | None,
        start_ns: int,
        end_ns: int,
        attributes: Mapping[str, AttributeValue],
        *,
        link: TraceContext | None = None,
        error: BaseException | str | None = None,
    ) -> None:
        """Queue a span that has ended.

        Args:
            name: Of low cardinality: an operation and a stage or flow.
            kind: As in the messaging conventions.
            context: The span's own.
            parent: The span above; None for a root.
            start_ns: Nanoseconds since the epoch.
            end_ns: As `start_ns`; a clock that jumped back gives an empty span, never a negative one.
            attributes: Not changed afterwards.
            link: The context that produced the entry.
            error: What went wrong: gives the span its status, and an event when it is an exception.
        """
        end_ns = max(start_ns, end_ns)
        status = _UNSET
        events: tuple[Event, ...] = ()
        if error is not None:
            status = Status(StatusCode.ERROR, redact_text(str(error))[:_MESSAGE_CHARACTERS])
            attributes = {**attributes, "error.type": error if isinstance(error, str) else _name_of(error)}
            if isinstance(error, BaseException):
                events = (_event(error, end_ns),)
        self.processor.on_end(
            ReadableSpan(
                name=name,
                context=_span_context(context, is_remote=False),
                parent=None if parent is None else _span_context(parent, is_remote=True),
                resource=self._resource,
                attributes=attributes,
                events=events,
                links=() if link is None else (Link(_span_context(link, is_remote=True)),),
                kind=_KINDS[kind],
                status=status,
                start_time=start_ns,
                end_time=end_ns,
                instrumentation_scope=self._scope,
            )
        )

    def enter(self, context: TraceContext) -> Token[Context]:
        """Make spans of handlers and libraries children of this one, until `leave`."""
        span = NonRecordingSpan(_span_context(context, is_remote=False))
        return otel_context.attach(trace.set_span_in_context(span))

    def leave(self, token: Token[Context]) -> None:
        """Undo `enter`."""
        otel_context.detach(token)

    def innermost_ids(self) -> tuple[str, str] | None:
        """Trace and span id of the innermost span open here, one of a library's included."""
        context = trace.get_current_span().get_span_context()
        return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else None


class BelowDeliveries(SdkSampler):
    """Samples the spans of handlers and libraries: never below a delivery that is not sampled itself."""

    def __init__(self, sampler: Sampler, in_unsampled_delivery: Callable[[], bool]) -> None:
        by_ratio = TraceIdRatioBased(sampler.ratio)
        self._otherwise: SdkSampler = ParentBased(by_ratio) if sampler.follows_parent else by_ratio
        self._in_unsampled_delivery = in_unsampled_delivery

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """The decision of the delivery around the span, else that of `OTEL_TRACES_SAMPLER`."""
        sampler = ALWAYS_OFF if self._in_unsampled_delivery() else self._otherwise
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Its name in the SDK's own output."""
        return f"BelowDeliveries{{{self._otherwise.get_description()}}}"


def _span_context(context: TraceContext, *, is_remote: bool) -> SpanContext:
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), is_remote, TraceFlags(context.flags))


def _name_of(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _event(error: BaseException, at_ns: int) -> Event:
    stacktrace = redact_text("".join(traceback.format_exception(error)))
    return Event(
        "exception",
        {
            "exception.type": _name_of(error),
            "exception.message": redact_text(str(error))[:_MESSAGE_CHARACTERS],
            "exception.stacktrace": stacktrace[-_STACKTRACE_CHARACTERS:],
        },
        at_ns,
    )
