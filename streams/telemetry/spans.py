"""The spans of a job, by OpenTelemetry's messaging conventions: one for its submission, one for each delivery.

```
send filings                      PRODUCER, ends with the submission: the root is never missing
├── wait crawl                    from the entry's arrival in the stream to its first start
├── process crawl                 CONSUMER, linked to its producer; what it emits continues below it
│   ├── settle crawl              CLIENT, from the handler's end to the committed move
│   ├── wait classify
│   └── process classify …
├── crash gap crawl               from the start of a delivery that never ended to the reclaim
└── process crawl                 the delivery after it
```

Span names carry the stage instead of the stream: the stream's name holds partition and lane. A trace that is not
sampled costs a look at one digit: its `traceparent` goes from entry to entry as it came.

Source: OpenTelemetry semantic conventions 1.44, "Messaging spans". `redis` is not among the well-known systems yet.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from streams.telemetry import setup
from streams.telemetry.setup import here
from streams.telemetry.traceparent import TRACEPARENT_LENGTH, continued, is_sampled, parse, trace_of_job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import Token
    from types import TracebackType

    from streams.telemetry.export import Recorder
    from streams.telemetry.traceparent import TraceContext

    Attributes = dict[str, str | int]

GROUP: Final = "millrace"
TASKS_WITH_SPANS: Final = 10_000
"""Of one job: a backend takes no trace of a million spans. What the log tells of the job (`api.waterfall`) has all."""
_NS_PER_MS: Final = 1_000_000
_ATTRIBUTES_BEFORE: Final = (
    "messaging.destination.name",
    "messaging.message.id",
    "millrace.job.id",
    "millrace.stage",
    "millrace.task",
    "millrace.delivery",
)


class Delivery:
    """One delivery of an entry. This one records nothing: its trace is not sampled, or nothing exports here.

    With `with`, log lines in the block carry its ids and spans of libraries become its children; that does not end
    it, because the move that closes an entry is made later, with others.

    Attributes:
        traceparent: What the delivery's emissions carry.
    """

    __slots__ = ("_here", "traceparent")

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent

    def handled(self) -> None:
        """The handler has returned; what follows until `end` is the move."""

    def end(self, outcome: str, error: BaseException | str | None = None) -> None:
        """The move is made, or was refused.

        Args:
            outcome: The name of the move: `completed`, `retried`, `snoozed`, `dead_lettered`, `superseded`, …
            error: Marks the span as failed: the exception, or a reason in snake_case.
        """

    def __enter__(self) -> Self:
        self._here: Token[str] = here.set(self.traceparent)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        here.reset(self._here)


class RecordedDelivery(Delivery):
    """A delivery whose spans are exported: the wait or crash gap at once, its own when it has ended."""

    __slots__ = (
        "_attributes",
        "_began",
        "_context",
        "_handled",
        "_inside",
        "_parent",
        "_recorder",
        "_stage",
        "_start_ns",
    )

    def __init__(
        self, recorder: Recorder, parent: TraceContext, stage: str, attributes: Attributes, started_ms: int
    ) -> None:
        self._context = parent.child(setup.current.random_bits)
        super().__init__(str(self._context))
        self._recorder = recorder
        self._parent = parent
        self._stage = stage
        self._attributes = attributes
        self._start_ns = started_ms * _NS_PER_MS
        self._began = time.perf_counter_ns()
        self._handled = 0

    def handled(self) -> None:
        """The handler has returned; what follows until `end` is the move."""
        self._handled = time.perf_counter_ns()

    def end(self, outcome: str, error: BaseException | str | None = None) -> None:
        """Record the delivery; see the base class."""
        # A steady clock measures the length: the wall clock may jump while the handler runs.
        end_ns = self._start_ns + time.perf_counter_ns() - self._began
        attributes = self._attributes
        if self._handled:
            self._recorder.record(
                f"settle {self._stage}",
                "client",
                self._context.child(setup.current.random_bits),
                self._context,
                self._start_ns + self._handled - self._began,
                end_ns,
                {
                    **attributes,
                    "messaging.operation.type": "settle",
                    "messaging.operation.name": "settle",
                    "millrace.outcome": outcome,
                },
            )
        self._recorder.record(
            f"process {self._stage}",
            "consumer",
            self._context,
            self._parent,
            self._start_ns,
            end_ns,
            {
                **attributes,
                "messaging.operation.type": "process",
                "messaging.operation.name": "process",
                "millrace.outcome": outcome,
            },
            link=self._parent,
            error=error,
        )

    def __enter__(self) -> Self:
        self._inside = self._recorder.enter(self._context)
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        super().__exit__(kind, error, at)
        self._recorder.leave(self._inside)


def unrecorded(traceparent: str, task: int = 0) -> Delivery | None:
    """The delivery of a trace that is not recorded here, told from the `traceparent` alone; None for any other.

    Args:
        traceparent: The entry's.
        task: Its number within the job: of a very wide job only the first tasks have spans, and the others are
            counted. 0 for one that always has.
    """
    if len(traceparent) < TRACEPARENT_LENGTH:
        return None
    if setup.current.recorder is not None and is_sampled(traceparent):
        if task <= TASKS_WITH_SPANS:
            return None
        setup.current.capped += 1
    return Delivery(traceparent)


def delivery_span(
    traceparent: str,
    *,
    stream: str,
    entry_id: str,
    consumer: str,
    stage: str,
    flow: str,
    job: str,
    task: int,
    attempt: int,
    delivery: int,
    enqueued_ms: int,
    started_ms: int,
    previous_started_ms: int | None = None,
) -> Delivery:
    """Begin the span of a delivery.

    Args:
        traceparent: The entry's. Empty or invalid: the job gets the trace that derives from its id.
        stream: Key of the stream.
        entry_id: The entry's, in that stream.
        consumer: Name of the consumer that runs it.
        stage: Of the stream.
        flow: Of the job.
        job: Its id.
        task: The entry's number within its job.
        attempt: Attempts of policy, this one included.
        delivery: Redis's count, >= 1.
        enqueued_ms: When the entry came into the stream: the milliseconds of its id.
        started_ms: When this delivery started, since the epoch.
        previous_started_ms: When the delivery before this one was last known to run, if it died; gives the crash gap.
    """
    recorder = setup.current.recorder
    if len(traceparent) < TRACEPARENT_LENGTH:
        traceparent = str(trace_of_job(job, setup.current.sampler))
    if recorder is None or not is_sampled(traceparent):
        return Delivery(traceparent)
    parent = parse(traceparent)
    if parent is None:
        parent = trace_of_job(job, setup.current.sampler)
        if not parent.sampled:
            return Delivery(str(parent))
    attributes: Attributes = {
        "messaging.system": "redis",
        "messaging.destination.name": stream,
        "messaging.consumer.group.name": GROUP,
        "messaging.client.id": consumer,
        "messaging.message.id": entry_id,
        "messaging.message.conversation_id": job,
        "millrace.job.id": job,
        "millrace.flow": flow,
        "millrace.stage": stage,
        "millrace.task": task,
        "millrace.attempt": attempt,
        "millrace.delivery": delivery,
    }
    if delivery == 1:
        _record_before(recorder, f"wait {stage}", parent, enqueued_ms, started_ms, attributes)
    elif previous_started_ms is not None:
        _record_before(recorder, f"crash gap {stage}", parent, previous_started_ms, started_ms, attributes)
    return RecordedDelivery(recorder, parent, stage, attributes, started_ms)


@contextmanager
def submit_span(flow: str, job_id: str, parent: str | None = None) -> Iterator[str]:
    """The span of a submission, the root of its job's trace or the child of the caller's.

    It ends with the block and is on its way within a second. An exception marks it failed and goes on.

    Args:
        flow: Of the job.
        job_id: Its id.
        parent: The `traceparent` that came with the request; invalid ones are ignored, as the standard asks.

    Yields:
        The traceparent to put on the job and its first entry.
    """
    tracing = setup.current
    recorder = tracing.recorder
    above = parse(parent)
    context = continued(above, tracing.sampler, tracing.random_bits)
    if above is not None and (recorder is None or not context.sampled):
        context = replace(above, flags=context.flags)  # no span of ours to be below
    token = here.set(str(context))
    start_ns, began = time.time_ns(), time.perf_counter_ns()
    error: BaseException | None = None
    try:
        yield str(context)
    except BaseException as raised:
        error = raised
        raise
    finally:
        here.reset(token)
        if recorder is not None and context.sampled:
            attributes: Attributes = {
                "messaging.system": "redis",
                "messaging.operation.type": "send",
                "messaging.operation.name": "send",
                "messaging.message.conversation_id": job_id,
                "millrace.job.id": job_id,
                "millrace.flow": flow,
            }
            end_ns = start_ns + time.perf_counter_ns() - began
            recorder.record(f"send {flow}", "producer", context, above, start_ns, end_ns, attributes, error=error)


def current_ids() -> tuple[str, str] | None:
    """Trace and span id of what goes on here, for a log line; None outside of any job."""
    recorder = setup.current.recorder
    ids = recorder.innermost_ids() if recorder is not None else None
    if ids is None and (traceparent := here.get()):
        return traceparent[3:35], traceparent[36:52]
    return ids


def _record_before(
    recorder: Recorder, name: str, parent: TraceContext, start_ms: int, end_ms: int, attributes: Attributes
) -> None:
    context = parent.child(setup.current.random_bits)
    fewer = {key: attributes[key] for key in _ATTRIBUTES_BEFORE}
    recorder.record(name, "internal", context, parent, start_ms * _NS_PER_MS, end_ms * _NS_PER_MS, fewer)
