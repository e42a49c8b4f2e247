"""Raw SQL on Django's connection, for what the ORM cannot express."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from weakref import WeakSet

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from core.db.dialect import DJANGO_SQLITE, POSTGRES, Dialect, read_time

STATEMENT_SECONDS: Final = 15
_limited: WeakSet[Any] = WeakSet()


def dialect() -> Dialect:
    """Return the dialect of Django's connection."""
    return POSTGRES if connection.vendor == "postgresql" else DJANGO_SQLITE


def release() -> None:
    """Return this thread's connection to the pool, unless a transaction is open.

    Call it before anything that may take long: a few slow providers or readers would otherwise
    hold all connections. The next query takes a connection again.
    """
    if not connection.in_atomic_block:
        connection.close()


def limit_statements() -> None:
    """End statements of this process that take longer than any reader waits.

    For servers: a page's query would go on in PostgreSQL after its reader has left. Commands take
    the time they need.
    """
    connection_created.connect(_limit, dispatch_uid="limit_statements")


def _limit(connection: BaseDatabaseWrapper, **_more: Any) -> None:
    """Limit a connection of the pool the first time that it is taken."""
    raw: Any = connection.connection
    if connection.vendor == "postgresql" and raw not in _limited:
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
        _limited.add(raw)


def separate() -> BaseDatabaseWrapper:
    """Return a new connection outside the pool, for the caller to close."""
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    options = dict(own.settings_dict["OPTIONS"])
    options.pop("pool", None)
    own.settings_dict = own.settings_dict | {"OPTIONS": options}
    return own


def execute(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Execute a statement and return all rows, or an empty list if it returns none.

    Args:
        params: Already adapted to the database; see `values`.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def values(params: Iterable[Any]) -> tuple[Any, ...]:
    """Adapt Python values to the database, stored as the ORM stores them."""
    return tuple(map(dialect().value, params))


def now() -> datetime:
    """Return the database's time, which is the same for all machines."""
    if dialect() is not POSTGRES:
        return datetime.now(UTC)
    [(value,)] = execute("SELECT clock_timestamp()")
    return read_time(value)
