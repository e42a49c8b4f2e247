"""Read all tables as they are at one moment, while others write."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final, Protocol

import orjson
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from core.backup.archive import Member
from core.backup.tables import FROM_POSTGRES, FROM_SQLITE, Table, convert, converters, tables
from core.db.connection import separate

FORMAT: Final = "modelkeep-backup/1"
MANIFEST, COUNTS = "manifest.json", "counts.json"
MEMBER_BYTES: Final = 4 * 1024 * 1024


class Snapshot(Protocol):
    def rows(self, table: Table) -> Iterator[list[Any]]: ...


def members(about: dict[str, Any]) -> Iterator[Member]:
    """Yield the manifest, the rows of each table in pieces, and at last the counts of rows.

    Args:
        about: More entries of the manifest.
    """
    counts: dict[str, int] = {}
    with _snapshot() as snapshot:
        every = tables()
        yield MANIFEST, orjson.dumps(_manifest(every) | about)
        for table in every:
            counts[table.name] = 0
            for number, (lines, content) in enumerate(_pieces(snapshot.rows(table))):
                counts[table.name] += lines
                yield f"tables/{table.name}/{number:06}.jsonl", content
    yield COUNTS, orjson.dumps(counts)


def _manifest(every: list[Table]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "time": timezone.now().isoformat(),
        "database": connection.vendor,
        "migrations": sorted(MigrationRecorder(connection).applied_migrations()),
        "tables": [[table.name, table.columns, table.refers_to_itself] for table in every],
    }


def _pieces(rows: Iterator[list[Any]]) -> Iterator[tuple[int, bytes]]:
    """Yield (number of rows, their lines) in pieces of a few MiB, so that memory stays flat."""
    lines: list[bytes] = []
    size = 0
    for row in rows:
        lines.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        size += len(lines[-1])
        if size >= MEMBER_BYTES:
            yield len(lines), b"".join(lines)
            lines, size = [], 0
    if lines:
        yield len(lines), b"".join(lines)


@contextmanager
def _snapshot() -> Iterator[Snapshot]:
    """Begin to read, on a connection of its own: what is committed later is not seen."""
    connection.ensure_connection()  # its first use may change the journal, which needs no reader
    if connection.vendor == "sqlite":
        name = connection.settings_dict["NAME"]
        with closing(sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=20)) as opened:
            opened.isolation_level = None
            opened.execute("BEGIN")
            opened.execute("SELECT 1 FROM django_migrations LIMIT 1").fetchone()
            yield _SQLite(opened)
        return
    own = separate()
    try:
        with own.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL TIME ZONE 'UTC'; SET LOCAL datestyle = 'ISO'")
            cursor.execute("SET LOCAL statement_timeout = 0")
        yield _Postgres(own.connection)
    finally:
        own.close()


class _SQLite:
    def __init__(self, opened: sqlite3.Connection) -> None:
        self._opened = opened

    def rows(self, table: Table) -> Iterator[list[Any]]:
        functions = converters(table, FROM_SQLITE)
        for row in self._opened.execute(_select(table)):
            yield convert(row, functions)


class _Postgres:
    def __init__(self, opened: Any) -> None:
        self._opened = opened

    def rows(self, table: Table) -> Iterator[list[Any]]:
        functions = converters(table, FROM_POSTGRES)
        sql = f"COPY ({_select(table)}) TO STDOUT"
        with self._opened.cursor() as cursor, cursor.copy(sql) as copy:
            for row in copy.rows():
                yield convert(row, functions)


def _select(table: Table) -> str:
    columns = ", ".join(f'"{column}"' for column in table.columns)
    return f'SELECT {columns} FROM "{table.name}"'  # noqa: S608 - names of our own tables
