"""The metrics of the data plane. None is labelled by workspace or key: at most 500 lines in all."""

from __future__ import annotations

from typing import Final

from core.error_codes import CALLS as CALL_CODES
from core.metrics.kinds import Counter, Gauge, Histogram, Latest, Told
from providers.declaration.registry import all_providers
from providers.declaration.spec import Operation

NONE: Final = "none"  # not known when the call was refused
OUTCOMES: Final = ("2xx", "4xx", "5xx")
PROVIDERS: Final = [(provider.slug,) for provider in all_providers()]
JOBS: Final = {
    "replay the spool": "spool",
    "reap holds": "reaper",
    "roll up usage": "rollup",
    "delete what was kept for calls": "sweep",
    "delete what is too old": "prune",
    "check for a newer catalog": "catalog",
    "write last uses": "notes",
    "ask about batches": "batches",
}
_STATES: Final = [("busy",), ("idle",)]
_JOBS: Final = [(job,) for job in JOBS.values()]

CALLS: Final = Counter(
    "modelkeep_calls_total",
    "Requests to /v1, by operation, provider that answered last, and class of the status. A stream "
    "that breaks off counts as an error.",
    ("operation", "provider", "status"),
    [
        (operation, provider, outcome)
        for operation, provider in [
            *((one.value, each.slug) for each in all_providers() for one in each.operations),
            *((one.value, NONE) for one in Operation),
            (NONE, NONE),
        ]
        for outcome in OUTCOMES
    ],
)
ERRORS: Final = Counter(
    "modelkeep_errors_total",
    "Requests to /v1 that ended with an error, by its code.",
    ("code",),
    [(error.code,) for error in CALL_CODES],
)
CANCELLED: Final = Counter("modelkeep_cancelled_total", "Calls whose client disconnected.")
UPSTREAM: Final = Histogram(
    "modelkeep_upstream_seconds",
    "How long providers took to answer, or until a stream's first piece.",
    ("provider",),
    PROVIDERS,
)
UPSTREAM_ERRORS: Final = Counter(
    "modelkeep_upstream_errors_total", "Attempts that failed.", ("provider",), PROVIDERS
)
FIRST_BYTE: Final = Histogram(
    "modelkeep_first_piece_seconds", "How long clients waited for a stream's first piece."
)
OPEN_CALLS: Final = Gauge("modelkeep_open_calls", "Calls being answered.")
OPEN_STREAMS: Final = Gauge("modelkeep_open_streams", "Streams being sent.")
POOL_SIZE: Final = Gauge("modelkeep_pages_pool_connections", "Database connections of pages.")
POOL_WAITS: Final = Gauge("modelkeep_pages_pool_waiting", "Pages that wait for a connection.")
POOL_WAITED: Final = Told(
    "modelkeep_pages_pool_waits_total", "How often a page waited for a connection."
)
POOL_SECONDS: Final = Told(
    "modelkeep_pages_pool_wait_seconds_total", "How long pages waited for connections in all."
)
POOL_FAILURES: Final = Told(
    "modelkeep_pages_pool_failures_total", "How often a page waited for a connection in vain."
)
STORE_CONNECTIONS: Final = Gauge(
    "modelkeep_store_connections", "Database connections of calls to /v1."
)
STORE_WAITING: Final = Gauge(
    "modelkeep_store_waiting", "Statements of calls that the database has not answered."
)
STORE_SECONDS: Final = Histogram(
    "modelkeep_store_seconds",
    "How long calls waited for the database: to read an app key, to hold credits, to record.",
    ("step",),
    [("read",), ("hold",), ("record",)],
    bounds=Histogram.STATEMENTS,
)
UPSTREAM_CONNECTIONS: Final = Gauge(
    "modelkeep_upstream_connections", "Connections to providers.", ("state",), _STATES
)
LOOP_LATE: Final = Latest(
    "modelkeep_loop_late_seconds", "How late the last timer of the busiest worker was."
)
LOSING: Final = Gauge(
    "modelkeep_workers_losing_records", "Workers that can keep the ends of calls nowhere."
)
OPEN_HOLDS: Final = Latest(
    "modelkeep_open_holds", "Reservations of trial credits, when last counted."
)
JOB_TIME: Final = Latest(
    "modelkeep_job_last_run_timestamp_seconds", "When it last ran.", ("job",), _JOBS
)
JOB_SECONDS: Final = Counter(
    "modelkeep_job_seconds_total", "How long it ran in all.", ("job",), _JOBS
)
JOB_FAILURES: Final = Counter(
    "modelkeep_job_failures_total", "How often it failed.", ("job",), _JOBS
)
