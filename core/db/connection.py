"""Statements on Django's own connection, for what the ORM cannot say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from core.db.dialect import DJANGO_SQLITE, POSTGRES, Dialect, read_time


def dialect() -> Dialect:
    """The dialect of Django's own connection."""
    return POSTGRES if connection.vendor == "postgresql" else DJANGO_SQLITE


def execute(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows; none where the statement returns none. `params` are as the database wants them."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def values(params: Iterable[Any]) -> tuple[Any, ...]:
    """Python's values as the database wants them, stored as the ORM stores them."""
    return tuple(map(dialect().value, params))


def now() -> datetime:
    """The database's clock, which is one for all machines."""
    if dialect() is not POSTGRES:
        return datetime.now(UTC)
    [(value,)] = execute("SELECT clock_timestamp()")
    return read_time(value)
