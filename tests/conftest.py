"""What every test gets: no network but loopback, no tenant left active, and on request two workspaces and a stranger."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from tenants.models import User
from tests import factories
from tests.pairs import stored_pairs
from tests.quotas.triggers import flushing_drops_triggers  # noqa: F401  (an autouse fixture)

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _refuse_foreign(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
        raise RuntimeError(f"a test tried to reach {address[0]}")


def _guarded_connect(self: socket.socket, address: Any) -> Any:
    _refuse_foreign(self.family, address)
    return _connect(self, address)


def _guarded_connect_ex(self: socket.socket, address: Any) -> Any:
    _refuse_foreign(self.family, address)
    return _connect_ex(self, address)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", _guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", _guarded_connect_ex)


@pytest.fixture(autouse=True)
def ready_pairs() -> Iterator[None]:
    """RSA pairs come from a store; a test that wants a new one asks tests.pairs.generate."""
    with stored_pairs():
        yield


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    """Throttles and cached routes of one test are not the next one's."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def acme(db: None) -> factories.Workspace:
    return factories.make_workspace("acme")


@pytest.fixture
def globex(db: None) -> factories.Workspace:
    return factories.make_workspace("globex")


@pytest.fixture
def stranger(db: None) -> User:
    """A person with an account and no workspace."""
    return factories.make_user("stranger@nowhere.test")


@pytest.fixture
def operator(db: None) -> User:
    return factories.make_operator()
