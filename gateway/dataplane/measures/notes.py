"""Count what happened. On the hot path: one addition for each number."""

from __future__ import annotations

import time

from django.db import connection

from gateway.dataplane.measures import table
from gateway.dataplane.requests.http import HttpExchange
from quotas.ledger.records import Record


def call_ended(exchange: HttpExchange) -> None:
    """Count a request to /v1 when its answer is sent."""
    request, refusal = exchange.request, exchange.refusal
    record = request.record if request is not None else None
    operation = request.operation.value if request is not None else table.NONE
    provider = (record.provider if record is not None else "") or table.NONE
    status = refusal.status if refusal is not None else record.http_status if record else 200
    if record is not None and record.status == "cancelled":
        table.CANCELLED.add()
    else:
        table.CALLS.add(operation, provider, f"{status // 100}xx")
        code = refusal.code if refusal is not None else record.error_code if record else ""
        if code:
            table.ERRORS.add(code)
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
