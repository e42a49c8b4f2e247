"""The ids of files and batches: sealed for their workspace, and always the same."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

import pytest

from providers.stored.ids import Identity, Kind, identity_of, is_sound, public_id
from tenants.crypto import digest_key
from tenants.crypto.keys import IdSeal

OURS, THEIRS = uuid4(), uuid4()
FILE: Final = Identity("openai", uuid4(), "file-abc123")


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_key, "_cached", [b"k" * 32])


def test_an_id_stands_for_its_file_in_its_workspace_only() -> None:
    text = public_id(Kind.FILE, FILE, tenant_id=OURS)
    assert text == public_id(Kind.FILE, FILE, tenant_id=OURS)
    assert identity_of(Kind.FILE, text, tenant_id=OURS) == FILE
    assert identity_of(Kind.FILE, text, tenant_id=THEIRS) is None
    assert identity_of(Kind.BATCH, text, tenant_id=OURS) is None
    as_batch = Kind.BATCH + text.removeprefix(Kind.FILE)
    assert identity_of(Kind.BATCH, as_batch, tenant_id=OURS) is None
    assert "abc123" not in text


def test_every_character_counts() -> None:
    text = public_id(Kind.FILE, FILE, tenant_id=OURS)
    for place in range(len(text)):
        for other in "AB":
            changed = text[:place] + other + text[place + 1 :]
            assert changed == text or identity_of(Kind.FILE, changed, tenant_id=OURS) is None
    for changed in (text[:-1], f"{text}A", f"{text}=", f"{text}\n", text.upper(), "file-", ""):
        assert identity_of(Kind.FILE, changed, tenant_id=OURS) is None


def test_an_id_is_for_one_purpose_only() -> None:
    """A text of the same key, made for something else, is no file."""
    assert identity_of(Kind.FILE, f"file-{IdSeal(OURS).seal(b'x' * 40)}", tenant_id=OURS) is None


@pytest.mark.parametrize(
    "provider_id", ["", "..", "a..b", "a/b", "../x", "a b", "a?b", "é", "x" * 201, ".a", None, 7]
)
def test_what_could_change_a_path_is_no_id(provider_id: object) -> None:
    assert not is_sound(provider_id)


@pytest.mark.parametrize("provider_id", ["file-abc_1", "batch_6f.2", "file-batch-9:1", "1723"])
def test_providers_ids_are_sound(provider_id: str) -> None:
    assert is_sound(provider_id)
