"""Spans over real sockets: both protocols, a fork, endpoints that are dead or never answer."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from streams.telemetry import current_ids, delivery_span, parse, setup, start, submit_span
from tests.support.otlp_receiver import grpc_receiver, http_receiver

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from streams.telemetry.spans import Delivery

RECEIVERS = {"http/protobuf": http_receiver, "grpc": grpc_receiver}
FOREIGN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    exporter_level = logging.getLogger("opentelemetry.exporter").level
    yield
    setup.current.shutdown()
    logging.getLogger("opentelemetry.exporter").setLevel(exporter_level)


def deliver(traceparent: str, stage: str = "crawl", **changes: int) -> Delivery:
    numbers = {"task": 1, "attempt": 1, "delivery": 1, "enqueued_ms": 1_000, "started_ms": 1_250} | changes
    return delivery_span(
        traceparent,
        stream=f"millrace:{{0}}:{stage}",
        entry_id="1000-0",
        consumer="worker-1",
        stage=stage,
        flow="filings",
        job="0-abc",
        **numbers,
    )


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_a_job_arrives_as_one_tree_of_linked_spans(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with RECEIVERS[protocol]() as (receiver, endpoint):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        tracing = start(instance="worker-1")
        with submit_span("filings", "0-abc", FOREIGN) as submitted:
            assert current_ids() == (submitted[3:35], submitted[36:52])
        with deliver(submitted) as crawl:
            assert current_ids() == (crawl.traceparent[3:35], crawl.traceparent[36:52])
            crawl.handled()
        crawl.end("completed")
        classify = deliver(crawl.traceparent, "classify", delivery=2, attempt=2, previous_started_ms=1_100)
        classify.end("dead_lettered", ValueError("no such page: http://user:hunter2@example.com/"))
        assert tracing.shutdown(30)

        spans = receiver.wait_for(6)
        assert tracing.counters() == {"waiting": 0, "exported": 6, "failed": 0, "dropped": 0, "capped": 0}

    send, wait, process = spans["send filings"], spans["wait crawl"], spans["process crawl"]
    settle, gap, failed = spans["settle crawl"], spans["crash gap classify"], spans["process classify"]
    assert {span.trace_id for span in spans.values()} == {FOREIGN[3:35]}
    assert send.parent_id == FOREIGN[36:52]
    assert send.span.kind == Span.SPAN_KIND_PRODUCER
    assert send.attributes["messaging.operation.type"] == "send"
    assert send.resource["service.name"] == "millrace"
    assert send.resource["service.instance.id"] == "worker-1"
    assert send.resource["deployment.environment.name"] == "test"

    assert wait.parent_id == process.parent_id == send.span_id == submitted[36:52]
    assert (wait.span.start_time_unix_nano, wait.span.end_time_unix_nano) == (1_000_000_000, 1_250_000_000)
    assert process.span.kind == Span.SPAN_KIND_CONSUMER
    assert [link.span_id.hex() for link in process.span.links] == [send.span_id]
    assert process.span.start_time_unix_nano == 1_250_000_000
    assert process.attributes == {
        "messaging.system": "redis",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": "millrace:{0}:crawl",
        "messaging.consumer.group.name": "millrace",
        "messaging.client.id": "worker-1",
        "messaging.message.id": "1000-0",
        "messaging.message.conversation_id": "0-abc",
        "millrace.job.id": "0-abc",
        "millrace.flow": "filings",
        "millrace.stage": "crawl",
        "millrace.task": 1,
        "millrace.attempt": 1,
        "millrace.delivery": 1,
        "millrace.outcome": "completed",
    }
    assert settle.parent_id == process.span_id
    assert settle.span.end_time_unix_nano <= process.span.end_time_unix_nano

    assert gap.parent_id == failed.parent_id == process.span_id == crawl.traceparent[36:52]
    assert (gap.span.start_time_unix_nano, gap.span.end_time_unix_nano) == (1_100_000_000, 1_250_000_000)
    assert failed.span.status.code == Status.STATUS_CODE_ERROR
    assert failed.attributes["error.type"] == "ValueError"
    assert [event.name for event in failed.span.events] == ["exception"]
    assert b"hunter2" not in failed.span.SerializeToString()


def test_what_is_not_sampled_is_passed_on_untouched_and_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver() as (receiver, endpoint):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        tracing = start()
        unsampled = FOREIGN[:-2] + "02"
        with submit_span("filings", "0-abc", unsampled) as submitted:
            assert submitted == unsampled
        delivery = deliver(submitted)
        assert delivery.traceparent is submitted
        with delivery:
            assert current_ids() == (unsampled[3:35], unsampled[36:52])
            assert setup.in_unsampled_delivery()
        delivery.handled()
        delivery.end("completed")
        assert tracing.shutdown(30)
        assert receiver.names == []


def test_an_entry_without_context_joins_the_trace_of_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver() as (receiver, endpoint):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        tracing = start()
        for broken in ("", "00-zz", "x" * 54 + "1"):
            deliver(broken).end("completed")
        assert tracing.shutdown(30)
        receiver.wait_for(6)
        assert len({span.trace_id for span in receiver.spans}) == 1


def test_a_library_span_inside_a_handler_is_a_child_of_the_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    # The SDK keeps the first provider of a process for ever, so this one runs in a process of its own.
    with http_receiver() as (receiver, endpoint):
        program = (
            "from opentelemetry import trace\n"
            "from streams.telemetry import delivery_span, start\n"
            "tracing = start()\n"
            f"for parent in ({FOREIGN!r}, {FOREIGN[:-2] + '00'!r}):\n"
            "    delivery = delivery_span(parent, stream='s', entry_id='1-0', consumer='w', stage='crawl', flow='f',\n"
            "        job='0-a', task=1, attempt=1, delivery=2, enqueued_ms=1, started_ms=2)\n"
            "    with delivery, trace.get_tracer('library').start_as_current_span('GET'):\n"
            "        pass\n"
            "    delivery.end('completed')\n"
            "assert tracing.shutdown(30)\n"
        )
        run(program, endpoint, "http/protobuf")
        spans = receiver.wait_for(2)
        assert sorted(receiver.names) == ["GET", "process crawl"]
        assert spans["GET"].parent_id == spans["process crawl"].span_id


def test_each_forked_worker_exports_over_its_own_grpc_channel() -> None:
    program = (
        "import os, sys\n"
        "from streams.telemetry import setup, start, submit_span\n"
        "assert 'grpc' not in sys.modules and 'opentelemetry.sdk' not in sys.modules\n"
        "for name in ('w1', 'w2'):\n"
        "    if os.fork() == 0:\n"
        "        tracing = start(instance=name)\n"
        "        with submit_span('filings', '0-' + name):\n"
        "            pass\n"
        "        os._exit(0 if tracing.shutdown(30) else 1)\n"
        "for _ in range(2):\n"
        "    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0\n"
    )
    with grpc_receiver() as (receiver, endpoint):
        run(program, endpoint, "grpc")
        receiver.wait_for(2)
        assert {span.resource["service.instance.id"] for span in receiver.spans} == {"w1", "w2"}


def test_a_child_of_a_tracing_process_records_nothing_until_it_starts_tracing_itself() -> None:
    program = (
        "import os\n"
        "from streams.telemetry import setup, start\n"
        "tracing = start()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if setup.current.recorder is None else 1)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
        "assert setup.current is tracing\n"
    )
    run(program, "http://127.0.0.1:9", "http/protobuf")


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_an_endpoint_that_never_answers_costs_spans_and_not_work(
    protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts by its backlog, reads nothing
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
        tracing = start()
        for _ in range(1_000):
            with deliver(FOREIGN) as delivery:
                pass
            delivery.end("completed")

        counters = tracing.counters()
        assert counters["exported"] == counters["failed"] == 0
        assert counters["waiting"] <= 10
        assert counters["dropped"] >= 2_000 - 2 * 10 - 1  # a queue full of spans, and one batch on its way
        waited = []

        def deadline_passes(flushed: threading.Event, deadline_s: float) -> bool:
            waited.append(deadline_s)
            return flushed.is_set()

        assert tracing.shutdown(wait=deadline_passes) is False
        assert waited == [setup.FLUSH_DEADLINE_S]
        assert "spans were not sent within 1.0 s and are lost" in caplog.text
        assert setup.current.recorder is None


def test_an_endpoint_that_nobody_listens_at_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.05")
    tracing = start()
    recorder = tracing.recorder
    assert recorder is not None
    for _ in range(3):
        deliver(FOREIGN).end("completed")
        recorder.processor.force_flush()
    assert tracing.counters() == {"waiting": 0, "exported": 0, "failed": 6, "dropped": 0, "capped": 0}
    told = [record.getMessage() for record in caplog.records if f":{port} " in record.getMessage()]
    assert told == [f"spans do not reach http://127.0.0.1:{port} and are lost until it answers; work goes on"]


def test_without_an_endpoint_nothing_is_recorded_and_context_still_flows() -> None:
    tracing = start()
    assert tracing.recorder is None
    with submit_span("filings", "0-abc") as submitted:
        context = parse(submitted)
        assert context is not None
        assert context.sampled  # 100 % is the default
    assert deliver(submitted).traceparent is submitted
    with submit_span("filings", "0-abc", FOREIGN) as continued:
        assert continued == FOREIGN
    assert not trace.get_current_span().get_span_context().is_valid
    assert tracing.shutdown()


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin", "set it to otlp, console or none"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "set it to always_on"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "set it to http/protobuf or grpc"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "set it to a whole number above 0"),
    ],
)
def test_a_setting_that_nobody_could_have_meant_is_refused_with_its_cure(
    name: str, value: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"{name} is .*{cure}"):
        start()


@pytest.mark.parametrize(("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
def test_tracing_can_be_switched_off_beside_an_endpoint(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(name, value)
    assert start().recorder is None


def run(program: str, endpoint: str, protocol: str) -> None:
    environ = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    subprocess.run([sys.executable, "-c", program], env=environ, check=True, timeout=60)
