"""Send spans to a collector, by OTLP over HTTP: an extra that is loaded if its setting is there."""

from __future__ import annotations

import logging
import os
from importlib.util import find_spec

from django.conf import settings

from gateway.dataplane.tracing.interface import Tracing

logger = logging.getLogger(__name__)
MISSING = (
    "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed, so nothing is traced."
)
INSTALL = "Install it: make install LOCK=requirements-otel.txt"


def is_missing() -> bool:
    """Return whether spans are wanted and the packages for them are not there."""
    return bool(settings.OTEL_ENDPOINT) and not (
        find_spec("opentelemetry")
        and find_spec("opentelemetry.sdk")
        and find_spec("opentelemetry.exporter")
    )


def make_tracing() -> Tracing | None:
    """Return what traces this process's calls, or None if that is off.

    Call it in each worker: it starts a thread.
    """
    if not settings.OTEL_ENDPOINT:
        return None
    if is_missing():
        logger.error("%s %s", MISSING, INSTALL)
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.util.re import parse_env_headers

    from gateway.dataplane.tracing.spans import Spans

    name = os.environ.get("OTEL_SERVICE_NAME", "modelkeep")
    provider = TracerProvider(
        resource=Resource.create({"service.name": name}), shutdown_on_exit=False
    )
    headers = parse_env_headers(settings.OTEL_HEADERS, liberal=True)
    exporter = OTLPSpanExporter(f"{settings.OTEL_ENDPOINT.rstrip('/')}/v1/traces", headers=headers)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Spans(provider, passes_on=settings.MODELKEEP_TRACE_PROVIDERS)
