"""A migration operation for the indexes of large tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres.operations import NotInTransactionMixin
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddIndex

VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"


class AddIndexConcurrently(NotInTransactionMixin, AddIndex):
    """Add an index, on PostgreSQL while the table is read and written.

    Does nothing if the index is already there; one that an interrupted attempt left unfinished is
    built again. The migration needs `atomic = False`.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if schema_editor.connection.vendor != "postgresql":
            if not _exists(schema_editor, model._meta.db_table, self.index.name):
                schema_editor.add_index(model, self.index)
            return
        self._ensure_not_in_transaction(schema_editor)
        with _patient(schema_editor) as cursor:
            cursor.execute(VALID, [self.index.name])
            row = cursor.fetchone()
            if row == (False,):
                schema_editor.remove_index(model, self.index, concurrently=True)
            if row != (True,):
                schema_editor.add_index(model, self.index, concurrently=True)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if schema_editor.connection.vendor != "postgresql":
            schema_editor.remove_index(model, self.index)
            return
        self._ensure_not_in_transaction(schema_editor)
        with _patient(schema_editor):
            schema_editor.remove_index(model, self.index, concurrently=True)


def _exists(schema_editor: BaseDatabaseSchemaEditor, table: str, index: str) -> bool:
    with schema_editor.connection.cursor() as cursor:
        found = schema_editor.connection.introspection.get_constraints(cursor, table)
    return index in found


@contextmanager
def _patient(schema_editor: BaseDatabaseSchemaEditor) -> Iterator[Any]:
    """Wait for running transactions as long as they take: building concurrently blocks nobody."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        [before] = cursor.fetchone()
        cursor.execute("SET lock_timeout = 0")
        try:
            yield cursor
        finally:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])
