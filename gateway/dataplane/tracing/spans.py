"""Spans by OpenTelemetry's conventions for HTTP and GenAI: who answered, how long it took, what it
used and why it failed. Nothing that was sent or answered.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.dataplane.attempts import Call
from gateway.dataplane.measures.outcome import Outcome
from gateway.dataplane.requests.http import HttpExchange
from providers.declaration.spec import Operation
from providers.transport.async_client import Progress
from quotas.ledger.records import Record

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_PORTS: Final = {"https": 443, "http": 80}
_NONE: Final[Mapping[str, str]] = {}
# The conventions' names, where they have one and it is not ours.
OPERATIONS: Final[Mapping[str, str]] = {
    Operation.CHAT: "chat",
    Operation.COMPLETION: "text_completion",
    Operation.EMBEDDINGS: "embeddings",
}
PROVIDERS: Final[Mapping[str, str]] = {"azure_openai": "azure.ai.openai"}


class Spans:
    """Makes the spans of this process.

    Args:
        provider: Where they go.
        passes_on: Whether providers get the trace's ids.
    """

    def __init__(self, provider: TracerProvider, *, passes_on: bool) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("modelkeep")
        self._passes_on = passes_on

    def begin(self, exchange: HttpExchange) -> RequestSpans:
        context = _PROPAGATOR.extract(exchange.headers, Context())
        span = self._tracer.start_span(exchange.scope["method"], context, SpanKind.SERVER)
        return RequestSpans(self, span)

    def begin_attempt(self, parent: Span, call: Call) -> Span:
        assert call.target is not None
        operation, provider = call.request.operation, call.target.provider.slug
        name = OPERATIONS.get(operation, operation.value)
        return self._tracer.start_span(
            f"{name} {call.target.model}",
            set_span_in_context(parent, Context()),
            SpanKind.CLIENT,
            {
                "gen_ai.operation.name": name,
                "gen_ai.provider.name": PROVIDERS.get(provider, provider),
                "gen_ai.request.model": call.target.model,
            },
        )

    def headers(self, span: Span) -> Mapping[str, str]:
        """Return what tells a provider the span that asks it."""
        if not self._passes_on:
            return _NONE
        headers: dict[str, str] = {}
        _PROPAGATOR.inject(headers, set_span_in_context(span, Context()))
        return headers

    def close(self) -> None:
        self._provider.shutdown()


class RequestSpans:
    """The spans of one request: its own, and one for each attempt at a provider."""

    def __init__(self, spans: Spans, span: Span) -> None:
        self._spans = spans
        self._span = span
        self._attempt: _Attempt | None = None

    def attempt(self, call: Call) -> Mapping[str, str]:
        self._end_attempt()
        span = self._spans.begin_attempt(self._span, call)
        self._attempt = _Attempt(span, call.progress, call.log, len(call.log), time.time_ns())
        return self._spans.headers(span)

    def end(self, exchange: HttpExchange, outcome: Outcome) -> None:
        record = exchange.request.record if exchange.request is not None else None
        self._end_attempt(record)
        span = self._span
        if span.is_recording():
            span.set_attributes(_of_request(exchange, outcome))
            if exchange.request is not None:
                span.update_name(f"{exchange.scope['method']} {exchange.path}")
            if outcome.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
        span.end()

    def _end_attempt(self, record: Record | None = None) -> None:
        """End the span of the latest attempt.

        Args:
            record: Of the whole call, if it was the last attempt.
        """
        attempt, self._attempt = self._attempt, None
        if attempt is None or not (attempt.entry or attempt.progress.url):
            return  # nothing was sent: there is no span
        if attempt.span.is_recording():
            attempt.span.set_attributes(_of_attempt(attempt))
            if record is not None:
                attempt.span.set_attributes(_of_answer(record))
            if attempt.entry.get("failure") or (record is not None and record.status == "error"):
                attempt.span.set_status(Status(StatusCode.ERROR))
        is_streamed = record is not None and record.first_token_ms is not None
        attempt.span.end(None if is_streamed else attempt.ended)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt at a provider.

    Args:
        log: The entries of the attempts of its call.
        place: That of its own entry, which comes when it has ended.
        began: Nanoseconds.
    """

    span: Span
    progress: Progress
    log: Sequence[Mapping[str, Any]]
    place: int
    began: int

    @property
    def entry(self) -> Mapping[str, Any]:
        return self.log[self.place] if len(self.log) > self.place else {}

    @property
    def ended(self) -> int | None:
        """When the answer was there, in nanoseconds, or a stream had begun."""
        return self.began + self.entry["ms"] * 1_000_000 if self.entry else None


def _of_request(exchange: HttpExchange, outcome: Outcome) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "http.request.method": exchange.scope["method"],
        "url.scheme": exchange.scope.get("scheme", "http"),
        "http.response.status_code": 200 if exchange.streamed else outcome.status,
        "modelkeep.request_id": exchange.request_id,
    }
    if exchange.request is not None:
        attributes["http.route"] = exchange.path
    if exchange.principal is not None:
        attributes["modelkeep.workspace"] = exchange.principal.tenant_slug
    if outcome.code:
        attributes["error.type"] = outcome.code
    return attributes


def _of_attempt(attempt: _Attempt) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    entry = attempt.entry
    if attempt.progress.url:
        parts = urlsplit(attempt.progress.url)
        attributes["server.address"] = parts.hostname or ""
        attributes["server.port"] = parts.port or _PORTS.get(parts.scheme, 0)
    if entry.get("status"):
        attributes["http.response.status_code"] = entry["status"]
    if entry.get("failure"):
        attributes["error.type"] = entry["failure"]
    return attributes


def _of_answer(record: Record) -> dict[str, Any]:
    """Return what is known of an answer, or of its beginning."""
    attributes: dict[str, Any] = {
        "gen_ai.request.stream": record.stream,
        "gen_ai.usage.input_tokens": record.prompt_tokens,
        "gen_ai.usage.output_tokens": record.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": record.cached_tokens,
    }
    if record.finish_reason:
        attributes["gen_ai.response.finish_reasons"] = [record.finish_reason]
    if record.first_token_ms is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = record.first_token_ms / 1000
    if record.error_code:
        attributes["error.type"] = record.error_code
    return {name: value for name, value in attributes.items() if value is not None}
