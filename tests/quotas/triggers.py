"""Emptying tables between tests although call records are final: the triggers are dropped around it
and made again.

What the migrations seeded is put back, because the next test of the process counts on it. Only
tests do this. The product deletes no call record that it has not archived.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import TransactionTestCase

_migration = import_module("quotas.migrations.0002_call_records_are_final")
_deleting = import_module("quotas.migrations.0013_prune_calls")
_seed = import_module("quotas.migrations.0003_seed_trial_plans").seed


def _run(statements: dict[str, list[str]]) -> None:
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)


@contextmanager
def without_triggers() -> Iterator[None]:
    _run(_migration.DROP)
    try:
        yield
    finally:
        _run(_migration.CREATE)
        _run(_deleting.DROP)
        _run(_deleting.CREATE)


@pytest.fixture(scope="session", autouse=True)
def flushing_drops_triggers() -> Iterator[None]:
    """A test with `transaction=True` ends by emptying all tables: TRUNCATE on PostgreSQL, DELETE on
    SQLite.
    """
    original = TransactionTestCase._fixture_teardown

    def teardown(self: Any) -> None:
        with without_triggers():
            original(self)
        with connection.schema_editor() as editor:
            _seed(apps, editor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
        yield
