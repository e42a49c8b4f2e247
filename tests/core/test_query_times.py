"""Statements of pages are counted by their time, and slow ones are logged without values."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from core.db import query_times
from core.db.connection import separate
from core.metrics.kinds import exposition

pytestmark = pytest.mark.django_db
SECRET = "value-0123456789"


@pytest.fixture
def timed() -> Iterator[BaseDatabaseWrapper]:
    """A connection of a process that times its statements, and that was opened twice."""
    query_times.time_statements()
    new = separate()
    try:
        new.ensure_connection()
        new.close()
        new.ensure_connection()
        yield new
    finally:
        new.close()
        connection_created.disconnect(dispatch_uid="time_statements")


def counted() -> float:
    lines = exposition().splitlines()
    found = [line for line in lines if line.startswith("modelkeep_query_seconds_count")]
    return float(found[0].split()[1]) if found else 0.0


def test_each_statement_counts_once(timed: BaseDatabaseWrapper) -> None:
    before = counted()
    with timed.cursor() as cursor:
        cursor.execute("SELECT %s", [SECRET])
        cursor.execute("SELECT 1")
    assert counted() == before + 2


def test_a_slow_statement_is_logged_without_its_values(
    timed: BaseDatabaseWrapper, monkeypatch, caplog
) -> None:
    with timed.cursor() as cursor, caplog.at_level(logging.WARNING):
        cursor.execute("SELECT %s", [SECRET])
        assert caplog.text == ""
        monkeypatch.setattr(query_times, "SLOW_SECONDS", 0.0)
        cursor.execute("SELECT\n  %s, 1", [SECRET])
    assert "SELECT %s, 1" in caplog.text
    assert SECRET not in caplog.text
