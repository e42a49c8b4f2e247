"""The fake provider as a fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.provider import FakeProvider, Running


@pytest.fixture
def fake_provider(settings: object) -> Iterator[FakeProvider]:
    """A running FakeProvider on a free port, allowed by the egress setting."""
    with Running(FakeProvider()) as fake:
        settings.MODELKEEP_EGRESS_ALLOW = [fake.url]  # type: ignore[attr-defined]
        yield fake
