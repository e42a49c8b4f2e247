"""The key that seals what clients keep."""

from __future__ import annotations

import pytest

from tenants.crypto import digest_key


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_key, "_cached", [b"k" * 32])
