"""How long the statements of pages and background jobs take, and which ones are slow."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from core.metrics.kinds import Histogram

logger = logging.getLogger("modelkeep.slow_query")
SLOW_SECONDS: Final = 1.0
LONGEST_TEXT: Final = 500  # characters of a statement in the log
QUERY_SECONDS: Final = Histogram(
    "modelkeep_query_seconds",
    "How long statements of pages and background jobs took.",
    bounds=Histogram.STATEMENTS,
)
_lock = Lock()  # pages run in threads, whose additions would be lost


def time_statements() -> None:
    """Time every statement that Django sends from this process."""
    connection_created.connect(_watch, dispatch_uid="time_statements")


def _watch(connection: BaseDatabaseWrapper, **_more: Any) -> None:
    if _timed not in connection.execute_wrappers:  # it stays when the connection is opened again
        connection.execute_wrappers.append(_timed)


def _timed(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    began = time.perf_counter()
    try:
        return execute(sql, params, many, context)
    finally:
        _note(sql, time.perf_counter() - began)


def _note(sql: str, seconds: float) -> None:
    """Count a statement; the log has its text, but none of its values."""
    with _lock:
        QUERY_SECONDS.add(seconds)
    if seconds >= SLOW_SECONDS:
        logger.warning("A statement took %.1f s: %s", seconds, " ".join(sql.split())[:LONGEST_TEXT])
