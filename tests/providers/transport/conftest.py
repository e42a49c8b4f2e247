"""Fixtures of the transport tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from providers.transport import sync_client


@pytest.fixture
def closed_sessions() -> Iterator[None]:
    """Close the checks' connections after the test, whose server is gone then."""
    yield
    while sync_client._sessions:
        sync_client._sessions.popitem()[1].close()
