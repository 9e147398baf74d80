"""A real OTLP receiver on loopback, over HTTP and gRPC, that keeps the spans it is sent."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Received:
    """A span as it arrived."""

    span: Span
    resource: dict[str, str | int]

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def attributes(self) -> dict[str, str | int]:
        return _attributes(list(self.span.attributes))

    @property
    def span_id(self) -> str:
        return self.span.span_id.hex()

    @property
    def parent_id(self) -> str:
        return self.span.parent_span_id.hex()

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()


@dataclass
class OtlpReceiver:
    spans: list[Received] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, request: ExportTraceServiceRequest) -> ExportTraceServiceResponse:
        with self._changed:
            for resource_spans in request.resource_spans:
                resource = _attributes(list(resource_spans.resource.attributes))
                for scope_spans in resource_spans.scope_spans:
                    self.spans.extend(Received(span, resource) for span in scope_spans.spans)
            self._changed.notify_all()
        return ExportTraceServiceResponse()

    def wait_for(self, count: int) -> dict[str, Received]:
        """The spans by name, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.spans) >= count, 30), f"only {self.names} arrived"
            return {received.name: received for received in self.spans}

    @property
    def names(self) -> list[str]:
        return [received.name for received in self.spans]


@contextmanager
def http_receiver() -> Iterator[tuple[OtlpReceiver, str]]:
    """The receiver and its endpoint."""
    receiver = OtlpReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self: Self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = receiver.take(ExportTraceServiceRequest.FromString(body)).SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def grpc_receiver() -> Iterator[tuple[OtlpReceiver, str]]:
    """The receiver and its endpoint."""
    receiver = OtlpReceiver()

    class Servicer(TraceServiceServicer):
        def Export(  # noqa: N802 - as the protocol names it
            self,
            request: ExportTraceServiceRequest,
            context: grpc.ServicerContext,  # noqa: ARG002 - the protocol hands it over
        ) -> ExportTraceServiceResponse:
            return receiver.take(request)

    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    add_TraceServiceServicer_to_server(Servicer(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield receiver, f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def _attributes(pairs: list[KeyValue]) -> dict[str, str | int]:
    return {
        pair.key: pair.value.int_value if pair.value.WhichOneof("value") == "int_value" else pair.value.string_value
        for pair in pairs
    }
