"""Fill an empty database with the tables of a backup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import orjson
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from core.backup import archive
from core.backup.archive import BackupError
from core.backup.dump import COUNTS, FORMAT, MANIFEST
from core.backup.tables import TO_POSTGRES, TO_SQLITE, Table, convert, converters
from core.db.connection import execute

NOT_EMPTY: Final = (
    "This installation is not empty. Restore into a new one: an empty DATABASE_URL or DATA_DIR."
)


def read_through(path: Path, identity: Any) -> dict[str, Any]:
    """Read a whole file without changing anything; return its manifest, with "counts".

    Raises:
        BackupError: If it is no backup, or not whole.
    """
    manifest: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for name, content in archive.read(path, identity):
        if name == MANIFEST:
            manifest = orjson.loads(content)
        elif name == COUNTS:
            manifest["counts"] = orjson.loads(content)
        else:
            table = name.split("/")[1]
            counts[table] = counts.get(table, 0) + content.count(b"\n")
    if manifest.get("format") != FORMAT:
        raise BackupError(f"{path} is not a backup that this release can read.")
    if {name: number for name, number in manifest["counts"].items() if number} != counts:
        raise BackupError(f"{path} is incomplete: rows are missing.")
    return manifest


def require_empty(used_if_rows_in: Sequence[str]) -> None:
    """Raise BackupError if one of the tables has rows. It need not exist."""
    existing = connection.introspection.table_names()
    for table in used_if_rows_in:
        if table in existing and execute(f'SELECT 1 FROM "{table}" LIMIT 1'):  # noqa: S608
            raise BackupError(NOT_EMPTY)


def restore(path: Path, identity: Any, manifest: dict[str, Any]) -> None:
    """Make the tables as the backup's release had them, and fill them.

    Raises:
        BackupError: If the backup is of a newer release, or the tables are of another one.
    """
    _make_tables([(app, name) for app, name in manifest["migrations"]])
    every = [Table(*entry) for entry in manifest["tables"]]
    with transaction.atomic(), _triggers_off():
        for table in reversed(every):
            execute(f'DELETE FROM "{table.name}"')  # noqa: S608 - what migrations put there
        _fill({table.name: table for table in every}, archive.read(path, identity))
        _check_counts(manifest["counts"])
        _continue_numbers(every)


def _make_tables(migrations: list[tuple[str, str]]) -> None:
    """Apply the migrations that the backup's database had, and no other."""
    executor = MigrationExecutor(connection)
    nodes = executor.loader.graph.node_map
    if unknown := [key for key in migrations if key not in nodes]:
        raise BackupError(
            f"The backup is of a newer release: it has the migration {'.'.join(unknown[0])}."
        )
    applied = set(executor.loader.applied_migrations)
    if applied - set(migrations):
        raise BackupError("The backup is of an older release. Use a database without tables.")
    # Those that a later one of their app builds on would be migrated back to.
    built_on = {
        (app, name)
        for app, name in migrations
        for child in nodes[app, name].children
        if child.key[0] == app and child.key in migrations
    }
    executor.migrate([key for key in migrations if key not in built_on])


def _fill(every: dict[str, Table], members: Iterator[archive.Member]) -> None:
    rows = ((name.split("/")[1], content) for name, content in members if "/" in name)
    for name, pieces in groupby(rows, key=lambda piece: piece[0]):
        table = every[name]
        _check_references(at_once=not table.refers_to_itself)
        for _name, content in pieces:
            _insert(table, [orjson.loads(line) for line in content.splitlines()])
    _check_references(at_once=True)


def _check_references(*, at_once: bool) -> None:
    """Let PostgreSQL check references after each statement, not remember every row for later."""
    if connection.vendor == "postgresql":
        execute(f"SET CONSTRAINTS ALL {'IMMEDIATE' if at_once else 'DEFERRED'}")


def _insert(table: Table, rows: list[list[Any]]) -> None:
    columns = ", ".join(f'"{column}"' for column in table.columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            functions = converters(table, TO_POSTGRES)
            with cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(convert(row, functions))
            return
        functions = converters(table, TO_SQLITE)
        marks = ", ".join(["%s"] * len(table.columns))
        sql = f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})'  # noqa: S608
        cursor.executemany(sql, [convert(row, functions) for row in rows])


def _check_counts(counts: dict[str, int]) -> None:
    for table, number in counts.items():
        [(found,)] = execute(f'SELECT COUNT(*) FROM "{table}"')  # noqa: S608
        if found != number:
            raise BackupError(f"{table} has {found} rows after the restore, not {number}.")


def _continue_numbers(every: list[Table]) -> None:
    """Let new rows follow the restored ones."""
    if connection.vendor != "postgresql":
        return  # SQLite does so by itself
    for table in every:
        if table.columns.get("id") == "whole":
            execute(
                f"SELECT setval(pg_get_serial_sequence(%s, 'id'), max(id)) "  # noqa: S608
                f'FROM "{table.name}" HAVING max(id) IS NOT NULL',
                [f'"{table.name}"'],
            )


@contextmanager
def _triggers_off() -> Iterator[None]:
    """Rows come back as they were: nothing is derived from them again."""
    if connection.vendor == "postgresql":
        tables = execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
        )
        for (table,) in tables:
            execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        for (table,) in tables:
            execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        return
    triggers = execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    for name, _sql in triggers:
        execute(f'DROP TRIGGER "{name}"')
    yield
    with connection.cursor() as cursor:
        for _name, sql in triggers:
            cursor.execute(sql, None)
