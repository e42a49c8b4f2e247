"""Spans of calls reach a collector by OTLP, by the conventions for GenAI and without content."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from gateway.dataplane.measures.outcome import Outcome
from gateway.dataplane.requests.http import HttpExchange
from gateway.dataplane.tracing.spans import Spans
from tests.fakes.provider import FakeProvider, Running
from tests.gateway.conftest import CHAT, KEY, Hub, running_hub
from tests.server import free_port

pytestmark = pytest.mark.one_database
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
CONTENT = "a-word-that-nobody-else-may-read"


class Collector(HTTPServer):
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", free_port()), _Handler)
        self.bodies: list[bytes] = []

    def spans(self, trace: str, count: int) -> list[Any]:
        """Wait for so many spans of a trace."""
        until = time.monotonic() + 20
        while len(spans := self._spans(trace)) < count:
            assert time.monotonic() < until, spans
            time.sleep(0.05)
        return spans

    def _spans(self, trace: str) -> list[Any]:
        return [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
            if span.trace_id.hex() == trace
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        return


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def traced(collector: Collector) -> Iterator[Hub]:
    with Running(FakeProvider()) as fake:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "MODELKEEP_TRACE_PROVIDERS": "1",
        }
        for hub in running_hub(fake, **settings):
            values = {"api_key": KEY}
            hub.seed(
                credentials=[
                    {"provider": "openai", "name": "A", "values": values, "base_url": fake.url}
                ]
            )
            yield hub


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def traces(number: int) -> str:
    return f"{number:032x}"


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_is_two_spans_of_the_applications_trace(
    traced: Hub, collector: Collector, stream: bool
) -> None:
    trace = traces(1 + stream)
    headers = {"traceparent": PARENT.replace(TRACE, trace)}
    messages = [{"role": "user", "content": CONTENT}]
    assert traced.chat(headers=headers, messages=messages, stream=stream).status_code == 200
    spans = {span.kind: span for span in collector.spans(trace, 2)}
    server, client = spans[2], spans[3]
    assert server.parent_span_id.hex() == "00f067aa0ba902b7"
    assert client.parent_span_id == server.span_id
    sent = traced.fake.calls[-1].headers["traceparent"]
    assert sent == f"00-{trace}-{client.span_id.hex()}-01"

    model = CHAT.partition("/")[2]
    told = attributes(client)
    assert (server.name, client.name) == ("POST /v1/chat/completions", f"chat {model}")
    assert told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.request.model"] == model
    assert told["gen_ai.request.stream"] is stream
    assert told["gen_ai.usage.input_tokens"] > 0
    assert told["gen_ai.usage.output_tokens"] > 0
    assert "gen_ai.response.finish_reasons" in told
    assert told["server.address"] == "127.0.0.1"
    assert told["http.response.status_code"] == 200
    assert ("gen_ai.response.time_to_first_chunk" in told) is stream
    assert attributes(server)["modelkeep.workspace"] == traced.server.workspace
    everything = b"".join(collector.bodies)
    for secret in (CONTENT, KEY, traced.server.app_key):
        assert secret.encode() not in everything


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "stream"), [("status:500", False), ("break:3", True)])
def test_a_call_that_fails_says_why(
    traced: Hub, collector: Collector, mode: str, stream: bool
) -> None:
    trace = traces(3 + stream)
    traced.fake.mode = mode
    traced.chat(headers={"traceparent": PARENT.replace(TRACE, trace)}, stream=stream)
    traced.fake.mode = ""
    for span in collector.spans(trace, 2):
        assert attributes(span)["error.type"] == "provider_error"
        assert span.status.code == 2


def test_without_an_application_or_a_call_there_is_one_span_of_a_new_trace() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    nothing: Any = None
    exchange = HttpExchange({"method": "GET"}, nothing, nothing, "models", {}, "request", False)
    spans = Spans(provider, passes_on=False)
    spans.begin(exchange).end(exchange, Outcome(401, "invalid_app_key"))
    [span] = exporter.get_finished_spans()
    assert (span.kind, span.name, span.parent) == (SpanKind.SERVER, "GET", None)
    assert span.attributes is not None
    assert span.attributes["error.type"] == "invalid_app_key"
    assert span.status.is_unset
    assert dict(spans.headers(provider.get_tracer("x").start_span("y"))) == {}
    spans.close()
