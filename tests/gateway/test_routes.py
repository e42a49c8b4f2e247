"""What the process remembers of routes, and for how long."""

from __future__ import annotations

import time

from gateway.routes import Route, Routes


def test_routes_are_forgotten_with_the_keys_they_opened() -> None:
    routes = Routes()
    now = time.monotonic()
    routes._kept[("old",)] = Route("", (), now - 1)
    routes._kept[("new",)] = Route("", (), now + 60)
    routes._lists[("old",)] = (now - 1, ())
    routes._lists[("new",)] = (now + 60, ())
    routes.drop_expired()
    assert list(routes._kept) == list(routes._lists) == [("new",)]
