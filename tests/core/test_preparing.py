"""One process at a time prepares the database, and doing so keeps no call waiting."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.migrations.state import ProjectState

from core.db import exclusive
from core.db.exclusive import preparing
from core.db.indexes import AddIndexConcurrently
from core.management.commands import migrate
from tests.config.test_start import clean_environment
from tests.faults.conftest import database_url
from tests.postgres import Postgres
from tests.source import ROOT

on_postgres = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one lock")


@contextmanager
def held_elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The lock is held as if by another process; yields what gives it up."""
    with preparing():
        monkeypatch.setattr(exclusive, "_held", False)
        yield


@pytest.mark.django_db(transaction=True)
def test_who_comes_second_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    waits = threading.Event()

    def second() -> None:
        with preparing():
            order.append("second")

    monkeypatch.setattr(exclusive.logger, "warning", lambda *_: waits.set())
    thread = threading.Thread(target=second)
    with held_elsewhere(monkeypatch):
        thread.start()
        assert waits.wait(20)
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]


@pytest.mark.django_db
def test_within_a_process_it_may_be_nested() -> None:
    with preparing(), preparing():
        pass
    assert not exclusive._held


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_a_table_in_use_is_tried_again(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Each try gives up soon, so that what comes behind it does not wait for what is before it."""
    import psycopg

    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(migrate.time, "sleep", lambda _seconds: reader.rollback())
    reader = psycopg.connect(database_url())
    reader.execute("SELECT 1 FROM quotas_trialplan")
    tries = []

    def handle(*_args: Any, **_options: Any) -> None:
        tries.append(1)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE quotas_trialplan IN ACCESS EXCLUSIVE MODE")

    monkeypatch.setattr(migrate.migrate.Command, "handle", handle)
    with reader, connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        before = cursor.fetchone()
        call_command("migrate", verbosity=0)
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == before
    assert len(tries) == 2
    assert "trying again" in capsys.readouterr().err


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_an_index_that_was_left_unfinished_is_built_again() -> None:
    state = ProjectState.from_apps(__import__("django").apps.apps)
    name = "preparing_test"
    operation = AddIndexConcurrently("grant", models.Index(fields=["actor"], name=name))
    after = state.clone()
    operation.state_forwards("quotas", after)

    def valid() -> Any:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [name]
            )
            return cursor.fetchone()

    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("quotas", editor, state, after)
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(%s)",
                    [name],
                )
            assert valid() == (False,)
            operation.database_forwards("quotas", editor, state, after)
            assert valid() == (True,)
            operation.database_forwards("quotas", editor, state, after)  # changes nothing
        finally:
            operation.database_backwards("quotas", editor, after, state)
    assert valid() is None


@pytest.mark.slow
@pytest.mark.one_database
def test_two_machines_may_start_at_once(tmp_path: Path) -> None:
    """Both find an empty database; one fills it, the other waits and then finds it filled."""
    with Postgres(durable=False) as server:
        secrets = {
            "DATABASE_URL": server.url,
            "SECRET_KEY": "s" * 20 + "ecret-of-both-machines-0123456789",
            "MODELKEEP_MASTER_KEYS": first_start_key(),
        }
        machines = [
            subprocess.Popen(
                [sys.executable, "-m", "config.start", "--secrets-to-file"],
                cwd=ROOT,
                env=clean_environment(tmp_path / name, 8000, **secrets),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for name in ("a", "b")
        ]
        printed = [machine.communicate(timeout=240)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], printed
    assert sum((tmp_path / name / "first-start").exists() for name in ("a", "b")) == 1
    assert "Traceback" not in "".join(printed)


def first_start_key() -> str:
    from config.first_start import new_master_key

    return new_master_key()
