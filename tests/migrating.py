"""Bring the tables of an app to one of its migrations, for tests of what an upgrade keeps."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor


def migrate(app: str, name: str) -> Any:
    """The models as they are then (django.apps' registry of that migration)."""
    return MigrationExecutor(connection).migrate([(app, name)]).apps


def migrate_all() -> None:
    """Bring all tables back to their newest migrations: going back in one app undoes what others
    built on it.
    """
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
