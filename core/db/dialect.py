"""SQL syntax and value conversion for each database. Pure: opens no connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson

# Types that every driver accepts unchanged. Checked by exact type for speed: a call record has 27
# values.
_PLAIN = frozenset({str, int, bool, float, type(None)})
# How SQLite stores the others.
_ADAPTERS: Mapping[type, Callable[[Any], str]] = {
    UUID: attrgetter("hex"),
    datetime: lambda value: str(value.astimezone(UTC).replace(tzinfo=None)),
    Decimal: str,
}


# eq=False: each dialect is a singleton, and cached SQL is looked up by its identity.
@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """SQL syntax and value conversion for one database and driver.

    `now` takes one parameter: a test's clock, or None for the database's own. `later` takes the
    same parameter and the result of `seconds`.
    """

    name: str
    mark: str  # placeholder
    timestamp: str  # placeholder for a selected time, whose type PostgreSQL cannot infer
    now: str
    later: str
    after: str  # the same, with the seconds from elsewhere: format with `seconds`
    lock: str
    skip_locked: str  # lock only unlocked rows of a table: format with `table`
    hour_later: str  # format with `column`
    unindexed: str  # keep a column's index out of the plan: format with `column`
    among: str  # what follows a column of UUIDs that are listed by `uuids`: format with `p`
    joins: bool  # WITH can write, so several statements can be combined into one

    def value(self, value: Any) -> Any:
        """Adapt a Python value to this driver, stored as Django's ORM stores it."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        adapt = _ADAPTERS.get(kind)
        if adapt is not None:
            return value if self.joins else adapt(value)
        if kind is list or isinstance(value, Mapping | list | tuple):
            return orjson.dumps(value, default=str).decode()
        return value

    def values(self, values: Iterable[Any]) -> tuple[Any, ...]:
        """Adapt the parameters of a statement."""
        return tuple([item if type(item) in _PLAIN else self.value(item) for item in values])

    def uuids(self, values: Iterable[UUID]) -> str:
        """Return a parameter for `among`, in the order of the database's own."""
        texts = sorted(value.hex for value in values)
        return f"{{{','.join(texts)}}}" if self.joins else orjson.dumps(texts).decode()

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
        after=f"strftime('{text}', COALESCE({mark}, 'now'), {{seconds}})",
        lock="",  # writing transactions are IMMEDIATE, so there is only one writer
        skip_locked="",
        hour_later="datetime({column}, '+1 hour')",
        # Without statistics, SQLite may prefer a worse index.
        unindexed="+{column}",
        among="IN (SELECT value FROM json_each({p}))",
        joins=False,
    )


POSTGRES = Dialect(
    name="postgresql",
    mark="%s",
    timestamp="CAST(%s AS timestamptz)",
    now="COALESCE(CAST(%s AS timestamptz), clock_timestamp())",
    later="COALESCE(CAST(%s AS timestamptz), clock_timestamp()) + make_interval(secs => %s)",
    after="COALESCE(CAST(%s AS timestamptz), clock_timestamp()) + make_interval(secs => {seconds})",
    lock="FOR NO KEY UPDATE",
    skip_locked="FOR UPDATE OF {table} SKIP LOCKED",
    hour_later="{column} + interval '1 hour'",
    unindexed="{column}",
    among="= ANY(CAST({p} AS uuid[]))",
    joins=True,
)
SQLITE = _sqlite("sqlite", "?", "%")  # the sqlite3 module
DJANGO_SQLITE = _sqlite("django-sqlite", "%s", "%%")  # sqlite3 through Django's cursor


# Reading values: PostgreSQL's drivers return Python types, SQLite's return text.


def read_uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def read_time(value: Any) -> datetime:
    """Return an aware time; text without an offset is in UTC."""
    read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def read_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value
