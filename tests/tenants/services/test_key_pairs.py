"""Key pairs of new workspaces are made one after the other, in the background."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from Crypto.PublicKey import RSA
from django.db import connection, transaction

from tenants.models import KeyPair
from tenants.scope import all_tenants
from tenants.services import key_pairs
from tests.factories import make_tenant


@pytest.fixture
def made_by(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads that made pairs, which hold no connection meanwhile."""
    threads: list[threading.Thread] = []
    generate = RSA.generate

    def noted(bits: int) -> Any:
        threads.append(threading.current_thread())
        # Closing leaves a database in memory open.
        assert connection.vendor == "sqlite" or connection.connection is None
        return generate(bits)

    monkeypatch.setattr(RSA, "generate", noted)
    return threads


def test_one_thread_makes_them_after_the_commit(
    transactional_db: None, settings: Any, made_by: list[threading.Thread]
) -> None:
    settings.MODELKEEP_KEY_PAIRS_IN_BACKGROUND = True
    with transaction.atomic():
        for number in range(4):
            key_pairs.prepare(make_tenant(f"later-{number}", with_keys=False).pk)
        assert key_pairs.maker._thread is None
    key_pairs.maker.wait()
    assert len(made_by) == 4
    assert threading.current_thread() not in made_by
    with all_tenants():
        rows = KeyPair.objects.values_list("tenant__slug", "state").order_by("tenant__slug")
        assert list(rows) == [(f"later-{number}", "current") for number in range(4)]


def test_a_failure_stops_no_other_and_the_queue_is_bounded(
    transactional_db: None,
    settings: Any,
    made_by: list[threading.Thread],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.MODELKEEP_KEY_PAIRS_IN_BACKGROUND = True
    monkeypatch.setattr(key_pairs, "MOST", 2)
    tenants = [make_tenant(f"t{number}", with_keys=False) for number in range(3)]
    gone = tenants[0].pk
    tenants[0].delete()
    started, go = threading.Event(), threading.Event()
    make = key_pairs._make

    def held(tenant_id: Any) -> None:
        started.set()
        assert go.wait(10)
        make(tenant_id)

    monkeypatch.setattr(key_pairs, "_make", held)
    key_pairs.prepare(gone)
    assert started.wait(10)
    for tenant in (tenants[1], tenants[2], tenants[2]):  # the last finds no place
        key_pairs.prepare(tenant.pk)
    assert len(key_pairs.maker._waiting) == 2
    go.set()
    key_pairs.maker.wait()
    assert f"could not make the key pair of workspace {gone}" in caplog.text
    with all_tenants():
        assert set(KeyPair.objects.values_list("tenant__slug", flat=True)) == {"t1", "t2"}
