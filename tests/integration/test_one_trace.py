"""A job is one trace, from whoever asked for it to the last notification, at a real OTLP receiver."""

from __future__ import annotations

import io
import logging
import os
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from api.waterfall import trace_of
from consumers.context import StageContext
from consumers.noop import flow as noop
from consumers.outcome import Done, Emit, Outcome, Snooze
from consumers.submit import submit
from consumers.worker.ingest import Ingest
from schemas.events import SUBMIT
from schemas.jobs import JobRequest
from schemas.names import STAGES
from streams.errors import PermanentError, TransientError
from streams.telemetry import Tracing, parse, setup, setup_logging, start
from tests.support.chaos_local import Here, Note, flow_of, here
from tests.support.otlp_receiver import OtlpReceiver, Received, http_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOREIGN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WIDE: Mapping[str, object] = {"flow": "noop", "spec": {"fan_out": 3}}
TASKS = {"crawl": 1, "classify": 3, "download": 3, "extract": 3, "compile": 1, "notify": 1}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    exporter_level = logging.getLogger("opentelemetry.exporter").level
    yield
    setup.current.shutdown()
    logging.getLogger("opentelemetry.exporter").setLevel(exporter_level)


@contextmanager
def tracing_to_a_receiver(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Iterator[tuple[OtlpReceiver, Tracing]]:
    """Tracing of this process with the standard variables."""
    with http_receiver() as (receiver, endpoint):
        for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **variables}.items():
            monkeypatch.setenv(name, value)
        yield receiver, start(instance="here")


async def run(place: Here, request: Mapping[str, object], *, traceparent: str | None = None) -> str:
    """Submit a job and wait for its end."""
    asked = JobRequest.model_validate(request)
    job_id = (await submit(place.log, place.flows, asked, traceparent=traceparent)).job_id
    await place.ended(job_id)
    return job_id


def one(receiver: OtlpReceiver, name: str) -> Received:
    (found,) = [span for span in receiver.spans if span.name == name]
    return found


def stage_of(span: Received) -> str:
    return str(span.attributes["millrace.stage"])


@pytest.mark.parametrize("asked", ["plainly", "in a foreign trace", "by a foreign event"])
async def test_every_span_of_a_job_is_in_one_trace(
    valkey_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    foreign = None if asked == "plainly" else FOREIGN
    with tracing_to_a_receiver(monkeypatch) as (receiver, tracing):
        async with here(valkey_url, namespace, noop) as place:
            await place.start(follows=(Ingest,))
            if asked == "by a foreign event":
                data = orjson.dumps({**WIDE, "job_id": "wide"})
                event = {"type": SUBMIT, "data": data, "traceparent": FOREIGN}
                await place.log.client.xadd(place.log.keys.events, event)
                job_id = "0-wide"

                async def is_there() -> bool:
                    return await place.log.job(job_id) is not None

                await place.until(is_there, "the job of the event")
                await place.ended(job_id)
            else:
                job_id = await run(place, WIDE, traceparent=foreign)
            record = await place.log.job(job_id)
            lifecycle = await place.log.lifecycle(job_id)
        assert tracing.shutdown(30)

    send = one(receiver, "send noop")
    trace_id = FOREIGN[3:35] if foreign else send.trace_id
    assert {span.trace_id for span in receiver.spans} == {trace_id}
    assert send.parent_id == (FOREIGN[36:52] if foreign else "")
    assert send.attributes["millrace.job.id"] == job_id
    # The record and the log name the place in the trace that everything else is below.
    assert record is not None
    assert record.trace_id == trace_id
    assert {row["traceparent"] for _, row in lifecycle if "traceparent" in row} == {record.fields["traceparent"]}
    context = parse(record.fields["traceparent"])
    assert context is not None
    assert (context.trace_id, context.span_id, context.sampled) == (trace_id, send.span_id, True)
    assert trace_of(lifecycle).trace_id == trace_id

    processes = {span.span_id: span for span in receiver.spans if span.name.startswith("process ")}
    assert Counter(map(stage_of, processes.values())) == TASKS
    before = {"crawl": None} | dict(zip(STAGES[1:], STAGES, strict=False))
    for span in processes.values():
        assert span.span.kind == Span.SPAN_KIND_CONSUMER
        assert [link.span_id.hex() for link in span.span.links] == [span.parent_id]
        assert [link.trace_id.hex() for link in span.span.links] == [trace_id]
        producer = processes.get(span.parent_id)
        assert (stage_of(producer) if producer else None) == before[stage_of(span)]
        assert producer is not None or span.parent_id == send.span_id
        assert (span.attributes["millrace.outcome"], span.attributes["millrace.delivery"]) == ("completed", 1)
        assert span.span.end_time_unix_nano >= span.span.start_time_unix_nano
    assert {span.attributes["millrace.task"] for span in processes.values()} == set(range(1, 13))
    assert {span.parent_id for span in receiver.spans if span is not send} <= {send.span_id, *processes}


async def test_each_move_is_a_span_below_its_delivery(
    valkey_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracing_to_a_receiver(monkeypatch) as (receiver, tracing):
        async with here(valkey_url, namespace, noop) as place:
            await place.start()
            await run(place, WIDE)
        assert tracing.shutdown(30)
    settles = [span for span in receiver.spans if span.name.startswith("settle ")]
    assert Counter(map(stage_of, settles)) == TASKS
    assert {span.parent_id for span in settles} == {
        span.span_id for span in receiver.spans if span.name.startswith("process ")
    }


async def test_a_snooze_is_no_failure(valkey_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = iter((Snooze(0.01, "later"), Done()))

    async def waits(_: Note, __: StageContext) -> Outcome:
        return next(outcomes)

    with tracing_to_a_receiver(monkeypatch) as (receiver, tracing):
        async with here(valkey_url, namespace, flow_of(crawl=waits)) as place:
            await place.start()
            await run(place, {"flow": "one", "spec": {}})
        assert tracing.shutdown(30)
    assert [span.name for span in receiver.spans if span.span.status.code == Status.STATUS_CODE_ERROR] == []


async def test_each_delivery_of_a_task_is_a_span(
    valkey_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries: list[int] = []

    async def wavers(_: Note, ctx: StageContext) -> Outcome:
        deliveries.append(ctx.attempt)
        if len(deliveries) == 1:
            raise TransientError("not yet", reason="busy")
        return Snooze(0.01, "later") if len(deliveries) == 2 else Done((Emit("classify", Note()),))

    async def refuses(_: Note, __: StageContext) -> Outcome:
        raise PermanentError("http://user:hunter2@example.com/ says no", reason="forbidden")

    with tracing_to_a_receiver(monkeypatch) as (receiver, tracing):
        async with here(valkey_url, namespace, flow_of(crawl=wavers, classify=refuses)) as place:
            await place.start()
            job_id = await run(place, {"flow": "one", "spec": {}})
            lifecycle = await place.log.lifecycle(job_id)
        assert tracing.shutdown(30)

    send = one(receiver, "send one")
    crawls = sorted(
        (span for span in receiver.spans if span.name == "process crawl"),
        key=lambda span: span.span.start_time_unix_nano,
    )
    assert [(span.attributes["millrace.attempt"], span.attributes["millrace.outcome"]) for span in crawls] == [
        (1, "retried"), (2, "snoozed"), (2, "completed"),
    ]  # fmt: skip
    assert {span.attributes["millrace.task"] for span in crawls} == {1}
    assert {span.parent_id for span in crawls} == {send.span_id}
    assert crawls[0].attributes["error.type"] in {"busy", "TransientError"}
    assert crawls[0].span.status.code == Status.STATUS_CODE_ERROR
    refused = one(receiver, "process classify")
    assert refused.parent_id == crawls[2].span_id  # what the delivery that ended well has emitted
    assert refused.attributes["millrace.outcome"] == "dead_lettered"
    assert refused.span.status.code == Status.STATUS_CODE_ERROR
    assert {span.trace_id for span in receiver.spans} == {send.trace_id}
    assert not any(b"hunter2" in span.span.SerializeToString() for span in receiver.spans)
    runs = [(span.stage, span.outcome) for span in trace_of(lifecycle).spans if span.kind == "run"]
    assert runs[:4] == [
        ("crawl", "retried"), ("crawl", "snoozed"), ("crawl", "completed"), ("classify", "dead_lettered"),
    ]  # fmt: skip


@contextmanager
def log_lines() -> Iterator[io.StringIO]:
    """What this process logs, as JSON."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    setup_logging("INFO", stream)
    try:
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.mark.parametrize("ratio", ["1", "0"])
async def test_the_log_lines_of_handlers_carry_the_trace(
    valkey_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch, ratio: str
) -> None:
    async def speaks(_: Note, ctx: StageContext) -> Outcome:
        ctx.log.info("one page", page=3)
        logging.getLogger("some.library").warning("by the way")
        return Done()

    sampling = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio}
    with tracing_to_a_receiver(monkeypatch, **sampling) as (receiver, tracing), log_lines() as written:
        async with here(valkey_url, namespace, flow_of(crawl=speaks)) as place:
            await place.start()
            job_id = await run(place, {"flow": "one", "spec": {}}, traceparent=FOREIGN)
        assert tracing.shutdown(30)

    lines = {line["message"]: line for line in map(orjson.loads, written.getvalue().splitlines())}
    said, heard = lines["one page"], lines["by the way"]
    assert said["trace_id"] == heard["trace_id"] == FOREIGN[3:35]
    assert (said["job_id"], said["flow"], said["stage"], said["task"], said["page"]) == (job_id, "one", "crawl", "1", 3)
    assert said["span_id"] == heard["span_id"]
    if ratio == "1":
        assert said["span_id"] == one(receiver, "process crawl").span_id
    else:
        assert receiver.spans == []


@pytest.mark.parametrize(
    ("sampler", "traceparent"),
    [
        ("always_off", None),
        ("always_off", FOREIGN),
        ("traceidratio", FOREIGN),
        ("parentbased_traceidratio", None),
        ("parentbased_always_on", FOREIGN[:-2] + "00"),
    ],
)
async def test_what_is_not_sampled_is_not_exported_and_still_told_by_lifecycle(
    valkey_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch, sampler: str, traceparent: str | None
) -> None:
    sampling = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": "0"}
    with tracing_to_a_receiver(monkeypatch, **sampling) as (receiver, tracing):
        async with here(valkey_url, namespace, noop) as place:
            worker = await place.start()
            job_id = await run(place, WIDE, traceparent=traceparent)
            record = await place.log.job(job_id)
            trace = trace_of(await place.log.lifecycle(job_id))
        assert tracing.shutdown(30)
        assert receiver.spans == []
        assert tracing.counters() == {"waiting": 0, "exported": 0, "failed": 0, "dropped": 0, "capped": 0}

    assert record is not None
    assert (trace.trace_id, trace.status, trace.flow) == (record.trace_id, "succeeded", "noop")
    assert len(trace.trace_id) == 32
    assert traceparent is None or trace.trace_id == FOREIGN[3:35]
    runs = [span for span in trace.spans if span.kind == "run"]
    assert Counter(span.stage for span in runs) == TASKS
    assert {span.worker for span in runs} == {worker.name}
    stage_by_task = {span.task: span.stage for span in runs}
    for span in runs:
        before = None if span.stage == "crawl" else STAGES[STAGES.index(span.stage) - 1]
        assert (None if span.parent is None else stage_by_task[span.parent]) == before
