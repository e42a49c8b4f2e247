"""How each database wants SQL and values, and how its answers are read. Pure: opens no
connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

# Values that every driver takes as they are; recognised by type alone, because a call record has 27
# values.
_PLAIN = frozenset({str, int, bool, float, type(None)})


# eq=False: there is one object of each, and the texts kept for it are looked up by identity.
@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """How one database, through one driver, wants SQL and values.

    `now` takes one parameter: the clock of a test, or None for the database's own. `later` takes it
    and what `seconds` returns.
    """

    name: str
    mark: str  # placeholder
    timestamp: str  # placeholder of a time in a list of results: PostgreSQL cannot infer its type
    now: str
    later: str
    lock: str
    skip_locked: str  # lock the rows of a table that nobody else has locked: format with `table`
    hour_later: str  # format with `column`
    unindexed: str  # keep a column's index out of the plan: format with `column`
    joins: bool  # WITH may write, so that several statements become one

    def value(self, value: Any) -> Any:
        """Return a Python value as this driver wants it, stored as Django's ORM stores it."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is list or isinstance(value, Mapping | list | tuple):
            return orjson.dumps(value, default=str).decode()
        if self.joins:
            return value
        if kind is UUID:
            return value.hex
        if kind is datetime:
            return str(value.astimezone(UTC).replace(tzinfo=None))
        return str(value) if kind is Decimal else value

    def seconds(self, seconds: float) -> Any:
        return float(seconds) if self.joins else f"{seconds:+.3f} seconds"


def _sqlite(name: str, mark: str, percent: str) -> Dialect:
    text = "%Y-%m-%d %H:%M:%f".replace("%", percent)
    return Dialect(
        name=name,
        mark=mark,
        timestamp=mark,
        now=f"strftime('{text}', COALESCE({mark}, 'now'))",
        later=f"strftime('{text}', COALESCE({mark}, 'now'), {mark})",
        lock="",  # transactions that write are IMMEDIATE: there is no other writer
        skip_locked="",
        hour_later="datetime({column}, '+1 hour')",
        # Without statistics SQLite prefers the index of any other column.
        unindexed="+{column}",
        joins=False,
    )


POSTGRES = Dialect(
    name="postgresql",
    mark="%s",
    timestamp="CAST(%s AS timestamptz)",
    now="COALESCE(CAST(%s AS timestamptz), clock_timestamp())",
    later="COALESCE(CAST(%s AS timestamptz), clock_timestamp()) + make_interval(secs => %s)",
    lock="FOR UPDATE",
    skip_locked="FOR UPDATE OF {table} SKIP LOCKED",
    hour_later="{column} + interval '1 hour'",
    unindexed="{column}",
    joins=True,
)
SQLITE = _sqlite("sqlite", "?", "%")  # the standard library's module
DJANGO_SQLITE = _sqlite("django-sqlite", "%s", "%%")  # the same behind Django's cursor


# Reading: PostgreSQL's drivers return Python's own types, SQLite's return text.


def read_uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def read_time(value: Any) -> datetime:
    """Return an aware time; a text without an offset is in UTC."""
    read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def read_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value
