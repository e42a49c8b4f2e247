"""Tokens that clients keep for their workspace."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tenants.crypto import digest_key
from tenants.crypto.keys import Seal

OURS, THEIRS = uuid4(), uuid4()


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_key, "_cached", [b"k" * 32])


def test_a_token_opens_for_its_workspace_only() -> None:
    token = Seal(OURS).seal(b"What we said")
    assert Seal(OURS).open(token) == b"What we said"
    assert Seal(THEIRS).open(token) is None
    assert b"said" not in token.encode()


def test_no_two_tokens_are_alike() -> None:
    assert Seal(OURS).seal(b"") != Seal(OURS).seal(b"")


@pytest.mark.parametrize("token", ["", "A", "AAAA", "é", "!" * 50, "A" * 100])
def test_anything_else_does_not_open(token: str) -> None:
    assert Seal(OURS).open(token) is None


def test_a_changed_token_does_not_open() -> None:
    token = Seal(OURS).seal(b"What we said")
    for place in (0, 30, len(token) - 2):
        changed = "A" if token[place] != "A" else "B"
        assert Seal(OURS).open(token[:place] + changed + token[place + 1 :]) is None


def test_another_digest_key_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    token = Seal(OURS).seal(b"What we said")
    monkeypatch.setattr(digest_key, "_cached", [b"o" * 32])
    assert Seal(OURS).open(token) is None
