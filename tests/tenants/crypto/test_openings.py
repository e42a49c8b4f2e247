"""How often keys are opened is counted, by a server once a second."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError

from tenants.audit import openings
from tenants.crypto import keys
from tenants.models import KeyOpening
from tenants.scope import tenant_scope
from tests.factories import Workspace
from tests.tenants.conftest import opened
from tests.tenants.crypto.test_keys import Vault

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_server() -> Iterator[None]:
    openings.collect(on=True)
    yield
    openings.collect(on=False)
    openings.write()


def count(workspace: Workspace, purpose: str = "call") -> int:
    with tenant_scope(workspace.tenant):
        return sum(row.count for row in KeyOpening.objects.filter(purpose=purpose))


def test_openings_for_calls_wait_and_are_written_together(
    acme: Workspace,
    globex: Workspace,
    vault: Vault,
    as_server: None,
    django_assert_num_queries: Any,
) -> None:
    rows = vault(acme, "sk-one"), vault(acme, "sk-two"), vault(globex, "sk-three")
    for _time in range(2):
        for row in rows:
            keys.forget()
            opened(row)
    assert (count(acme), count(globex)) == (0, 0)
    with django_assert_num_queries(1):
        openings.write()
    assert (count(acme), count(globex)) == (4, 2)
    assert not openings.is_waiting()


def test_what_is_not_a_call_is_counted_at_once(
    acme: Workspace, vault: Vault, as_server: None
) -> None:
    opened(vault(acme, "sk-secret"), purpose="verify")
    assert count(acme, "verify") == 1


def test_what_the_database_refuses_goes_on_waiting(
    acme: Workspace, vault: Vault, as_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(vault(acme, "sk-secret"))

    def refuse(*_args: object) -> None:
        raise DatabaseError

    with monkeypatch.context() as patch:
        patch.setattr(openings, "execute", refuse)
        with pytest.raises(DatabaseError):
            openings.write()
    openings.write()
    assert count(acme) == 1


def test_only_so_many_wait(
    acme: Workspace, vault: Vault, as_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openings, "MOST", 0)
    opened(vault(acme, "sk-secret"))
    assert count(acme) == 1
