"""What calls note: collected, and written by one statement for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from core.db import connection
from core.db.statements import run
from gateway.dataplane.errors import DatabaseUnavailable
from gateway.dataplane.routing.health import Health
from gateway.dataplane.store import notes as module
from gateway.dataplane.store.notes import Failure, Notes
from providers.credentials import health
from providers.declaration import errors
from providers.models import CredentialState, ProviderCredential
from tenants.auth.principal import touch
from tenants.models import AppKey
from tenants.scope import all_tenants
from tests.factories import Workspace, make_app_key, make_credential
from tests.gateway.conftest import CHAT, Hub

ONE, OTHER = uuid4(), uuid4()
LONG_AGO = timedelta(hours=1)


def failure(version: int = 1) -> Failure:
    return Failure(uuid4(), errors.ProviderError(errors.Failure.AUTH, "no"), Health(version))


class Written:
    """A store that keeps what it is asked to write. `fail`: raised the first time."""

    def __init__(self, fail: BaseException | None = None) -> None:
        self.uses: list[tuple[set[UUID], set[UUID]]] = []
        self._fail = fail

    async def note_uses(self, keys: Collection[UUID], credentials: Collection[UUID]) -> list[Any]:
        fail, self._fail = self._fail, None
        if fail is not None:
            raise fail
        self.uses.append((set(keys), set(credentials)))
        return []


@pytest.fixture
def failed(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The credentials whose failures were written."""
    written: list[UUID] = []
    monkeypatch.setattr(module, "_failed", lambda pk, _failure: written.append(pk))
    return written


def write(notes: Notes, store: Any) -> None:
    asyncio.run(notes.write(store))


def test_many_uses_are_one_note_and_nothing_is_written_for_none(failed: list[UUID]) -> None:
    notes, store = Notes(), Written()
    for _call in range(3):
        notes.key_used(ONE)
        notes.credential_worked(OTHER, 1)
    for _second in range(2):
        write(notes, store)
    assert (store.uses, failed) == ([({ONE}, {OTHER})], [])


def test_the_latest_note_about_a_credential_counts(failed: list[UUID]) -> None:
    notes, store = Notes(), Written()
    notes.credential_worked(ONE, 1)
    notes.credential_failed(ONE, failure())
    notes.credential_failed(OTHER, failure())
    notes.credential_worked(OTHER, 1)
    write(notes, store)
    assert (store.uses, failed) == ([(set(), {OTHER})], [ONE])


def test_a_key_that_was_replaced_says_nothing_of_the_new_one(failed: list[UUID]) -> None:
    notes, store = Notes(), Written()
    notes.credential_worked(ONE, 2)
    notes.credential_failed(ONE, failure(1))
    notes.credential_failed(OTHER, failure(2))
    notes.credential_worked(OTHER, 1)
    write(notes, store)
    assert (store.uses, failed) == ([(set(), {ONE, OTHER})], [ONE, OTHER])


@pytest.mark.parametrize("reason", [DatabaseUnavailable("away"), asyncio.CancelledError()])
def test_what_could_not_be_written_is_written_later(
    reason: BaseException, failed: list[UUID]
) -> None:
    notes, store = Notes(), Written(reason)
    notes.key_used(ONE)
    notes.credential_worked(ONE, 1)
    notes.credential_failed(OTHER, failure())
    with pytest.raises(type(reason)):
        write(notes, store)
    notes.credential_worked(OTHER, 1)  # has recovered since
    notes.credential_failed(ONE, failure())
    write(notes, store)
    assert (store.uses, failed) == ([({ONE}, {OTHER})], [ONE])


@pytest.mark.django_db
def test_keys_are_touched_by_one_statement_once_a_minute(
    acme: Workspace, globex: Workspace, django_assert_num_queries: Any
) -> None:
    (old, _), (new, _), (fresh, _), (_unused, _) = (
        make_app_key(workspace.tenant, name=name)
        for workspace, name in ((acme, "old"), (globex, "new"), (acme, "fresh"), (acme, "unused"))
    )
    now = timezone.now()
    just = now - timedelta(seconds=59)
    with all_tenants():
        AppKey.objects.filter(pk=old.pk).update(last_used=now - LONG_AGO)
        AppKey.objects.filter(pk=fresh.pk).update(last_used=just)
    with django_assert_num_queries(1):
        connection.execute(*touch([old.pk, new.pk, fresh.pk, uuid4()], now, connection.dialect()))
    with all_tenants():
        used = dict(AppKey.objects.values_list("name", "last_used"))
    assert used == {"old": now, "new": now, "fresh": just, "unused": None}


@pytest.mark.django_db
def test_credentials_that_work_again_are_told(
    acme: Workspace, globex: Workspace, django_assert_num_queries: Any
) -> None:
    now = timezone.now()
    rows = [
        make_credential(acme.tenant, name="works"),
        make_credential(globex.tenant, name="rejected", state=CredentialState.REJECTED),
        make_credential(acme.tenant, name="fresh", last_used=now, is_active=False),
    ]
    other = make_credential(acme.tenant, provider="anthropic", name="unused")
    later = now + timedelta(seconds=1)
    with django_assert_num_queries(1):
        steps = health.note_uses([row.pk for row in rows], later, connection.dialect())
        again = run(steps, connection.execute)
    assert again == [(globex.tenant.pk, rows[1].pk)]
    with all_tenants():
        used = dict(ProviderCredential.objects.values_list("pk", "last_used"))
    expected = {rows[0].pk: later, rows[1].pk: later, rows[2].pk: now, other.pk: None}
    assert used == expected


@pytest.mark.slow
def test_last_uses_are_written_within_seconds(hub: Hub) -> None:
    key = hub.app_key("counted", scopes="use")
    hub.execute("UPDATE providers_providercredential SET last_used = NULL")
    hub.server.stop()
    hub.server.start()
    for _call in range(3):
        assert hub.chat(CHAT, key=key).status_code == 200
    uses = """SELECT (SELECT COUNT(*) FROM tenants_appkey WHERE name = 'counted'
                      AND last_used IS NOT NULL),
                     (SELECT COUNT(*) FROM providers_providercredential
                      WHERE last_used IS NOT NULL)"""
    until = time.monotonic() + 5
    while hub.rows(uses) != [(1, 1)]:
        assert time.monotonic() < until, "the last uses were not written"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_server_that_stops_writes_what_it_has_noted(hub: Hub) -> None:
    key = hub.app_key("last", scopes="use")
    assert hub.chat(CHAT, key=key).status_code == 200
    hub.server.stop()
    assert hub.rows("SELECT 1 FROM tenants_appkey WHERE name = 'last' AND last_used IS NOT NULL")
    hub.server.start()
