"""Count what happened. On the hot path: one addition for each number."""

from __future__ import annotations

import time

from django.db import connection

from gateway.dataplane.measures import table
from gateway.dataplane.measures.outcome import CANCELLED, Outcome
from gateway.dataplane.requests.http import HttpExchange
from gateway.dataplane.store.base import Store
from providers.transport.async_client import Upstream
from quotas.ledger.records import Record


def call_ended(exchange: HttpExchange, outcome: Outcome) -> None:
    """Count a request to /v1 when its answer is sent."""
    request = exchange.request
    record = request.record if request is not None else None
    if outcome.code == CANCELLED:
        table.CANCELLED.add()
    else:
        operation = request.operation.value if request is not None else table.NONE
        provider = (record.provider if record is not None else "") or table.NONE
        table.CALLS.add(operation, provider, f"{outcome.status // 100}xx")
        if outcome.code:
            table.ERRORS.add(outcome.code)
    if record is not None:
        _attempts(record)


def _attempts(record: Record) -> None:
    for attempt in record.attempt_log:
        table.UPSTREAM.add(attempt["ms"] / 1000, attempt["provider"])
        if attempt["failure"]:
            table.UPSTREAM_ERRORS.add(attempt["provider"])
    if record.first_token_ms is not None:
        table.FIRST_BYTE.add(record.first_token_ms / 1000)


def job_ended(what: str, seconds: float, *, failed: bool) -> None:
    """Count a run of a background job."""
    job = table.JOBS.get(what)
    if job is not None:
        table.JOB_TIME.set(time.time(), job)
        table.JOB_SECONDS.add(job, by=seconds)
        if failed:
            table.JOB_FAILURES.add(job)


def pool_seen() -> None:
    """Note how busy this process's pool of connections is; SQLite has none."""
    pool = getattr(connection, "pool", None) if connection.vendor == "postgresql" else None
    if pool is not None:
        stats = pool.get_stats()
        table.POOL_SIZE.set(stats.get("pool_size", 0))
        table.POOL_WAITS.set(stats.get("requests_waiting", 0))
        table.POOL_WAITED.set(stats.get("requests_queued", 0))
        table.POOL_SECONDS.set(stats.get("requests_wait_ms", 0) / 1000)
        table.POOL_FAILURES.set(stats.get("requests_errors", 0))


def connections_seen(store: Store, upstream: Upstream) -> None:
    """Note the connections of this process's data plane."""
    connections, waiting = store.connections()
    table.STORE_CONNECTIONS.set(connections)
    table.STORE_WAITING.set(waiting)
    busy, idle = upstream.connections()
    table.UPSTREAM_CONNECTIONS.set(busy, "busy")
    table.UPSTREAM_CONNECTIONS.set(idle, "idle")
