"""What the process remembers of routes, and for how long."""

from __future__ import annotations

import time

import pytest

from gateway.dataplane.routing.cooldown import cooldown_seconds
from gateway.dataplane.routing.routes import Routes
from gateway.dataplane.routing.targets import Route
from providers.declaration.errors import Failure, ProviderError


def test_routes_are_forgotten_with_the_keys_they_opened() -> None:
    routes = Routes()
    now = time.monotonic()
    routes._routes[("old",)] = Route("", (), now - 1)
    routes._routes[("new",)] = Route("", (), now + 60)
    routes._lists[("old",)] = (now - 1, ())
    routes._lists[("new",)] = (now + 60, ())
    routes.drop_expired()
    assert list(routes._routes) == list(routes._lists) == [("new",)]


@pytest.mark.parametrize(
    ("failure", "retry_after", "seconds"),
    [
        (Failure.RATE_LIMIT, None, 60.0),
        (Failure.RATE_LIMIT, 7.0, 7.0),
        (Failure.RATE_LIMIT, 0.0, 1.0),
        (Failure.RATE_LIMIT, 86_400.0, 3600.0),
        (Failure.AUTH, 2.0, 300.0),
        (Failure.NO_FUNDS, None, 300.0),
        (Failure.BAD_REQUEST, 5.0, 0.0),
    ],
)
def test_a_credential_rests_as_long_as_its_provider_asks(
    failure: Failure, retry_after: float | None, seconds: float
) -> None:
    assert cooldown_seconds(ProviderError(failure, "x", retry_after=retry_after)) == seconds
