"""The data key that all sealed texts of a key pair share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tenants.crypto import envelope, key_pairs, keys, sealing
from tenants.models import KeyPair
from tenants.scope import tenant_scope
from tests.factories import Workspace
from tests.tenants.conftest import binding, opened
from tests.tenants.crypto.test_keys import reason, the_pair

Vault = Callable[..., Any]


def test_a_planted_data_key_opens_nothing(acme: Workspace, vault: Vault) -> None:
    """A writer of the database who plants a known data key does not know the pepper."""
    row, pair, known = vault(acme, "sk-old"), the_pair(acme), bytes(32)
    public = key_pairs.current_pair(acme.tenant.pk).key.public_key()
    with tenant_scope(acme.tenant):
        KeyPair.objects.filter(kid=pair.kid).update(
            data_key=envelope.wrap_data_key(
                known, public=public, tenant=acme.tenant.pk, kid=pair.kid
            )
        )
    keys.forget()
    assert reason(row) == "damaged"
    token = envelope.parse(vault(acme, "sk-new", name="again").sealed)
    place = sealing._binding(**binding(row), version=row.version)
    with pytest.raises(envelope.EnvelopeError):
        envelope.open_token(token, data_key=known, pepper=bytes(32), binding=place)


def test_a_lost_data_key_is_a_lost_pair(acme: Workspace, vault: Vault) -> None:
    row, lost = vault(acme, "sk-old"), the_pair(acme)
    with tenant_scope(acme.tenant):
        KeyPair.objects.filter(kid=lost.kid).update(data_key="d1.damaged")
    keys.forget()
    assert reason(row) == "data_key_lost"
    assert opened(vault(acme, "sk-new", name="again")) == "sk-new"
    assert the_pair(acme).kid != lost.kid


def test_one_operation_of_rsa_opens_all_texts_of_a_tenant(
    acme: Workspace, globex: Workspace, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [vault(acme, f"sk-{number}", name=f"{number}") for number in range(3)]
    rows.append(vault(globex, "sk-globex"))
    operations = []
    unwrap = envelope._unwrap
    monkeypatch.setattr(envelope, "_unwrap", lambda *parts: operations.append(1) or unwrap(*parts))
    keys.forget()
    assert [opened(row) for row in rows] == ["sk-0", "sk-1", "sk-2", "sk-globex"]
    assert len(operations) == 2
