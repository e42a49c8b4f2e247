"""Statements on Django's own connection, for what the ORM cannot say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from quotas import statements
from quotas.statements import Dialect


def dialect() -> Dialect:
    """The dialect of Django's own connection."""
    return statements.POSTGRES if connection.vendor == "postgresql" else statements.DJANGO_SQLITE


def execute(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows; none where the statement returns none. `params` are as the database wants them."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def values(params: Iterable[Any]) -> tuple[Any, ...]:
    """Python's values as the database wants them, stored as the ORM stores them."""
    return tuple(map(dialect().value, params))


def moment(value: datetime | str) -> datetime:
    """A time that a statement returned: SQLite's are texts."""
    read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def moment_mark() -> str:
    """The placeholder of a time that stands in a list of results, where PostgreSQL cannot tell its type."""
    return "CAST(%s AS timestamptz)" if connection.vendor == "postgresql" else "%s"


def unindexed(column: str) -> str:
    """A column in a condition that another column's index serves: SQLite without statistics would rather walk through all of a tenant's
    records."""
    return f"+{column}" if connection.vendor == "sqlite" else column


def now() -> datetime:
    """The database's clock, which is one for all machines."""
    if connection.vendor != "postgresql":
        return datetime.now(UTC)
    [(value,)] = execute("SELECT clock_timestamp()")
    return moment(value)
