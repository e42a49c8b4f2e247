"""What the tests of workspaces share: master keys to choose from, a table that holds sealed
texts.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import models

from tenants.crypto import digest_key, keys, sealed_columns
from tests.factories import Workspace


def master(number: int) -> str:
    """The base64 of master key `number`."""
    return base64.b64encode(
        hashlib.sha256(b"master key %d of the tests" % number).digest()
    ).decode()


@pytest.fixture(autouse=True)
def nothing_cached() -> Iterator[None]:
    keys.forget()
    digest_key.forget()
    yield
    keys.forget()
    digest_key.forget()


@pytest.fixture
def master_keys(settings: Any) -> Callable[..., None]:
    """Set the installation's master keys: master_keys(2, 1) is "m2:...,m1:..."."""

    def choose(*numbers: int) -> None:
        settings.MODELKEEP_MASTER_KEYS = ",".join(
            f"m{number}:{master(number)}" for number in numbers
        )

    return choose


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Callable[[Workspace, str], Any]:
    """A registered model with a sealed column. vault(workspace, text) makes a row that holds
    `text`.
    """
    from providers.models import ProviderCredential
    from tenants.scope import tenant_scope

    monkeypatch.setattr(sealed_columns, "_columns", {})
    keys.register_sealed(
        ProviderCredential,
        name="sealed",
        provider="provider",
        base_url=lambda row: row.base_url or "https://api.example.com",
        subject=lambda row: f"credential:{row.pk}",
    )

    def store(workspace: Workspace, text: str, **fields: Any) -> models.Model:
        with tenant_scope(workspace.tenant):
            row = ProviderCredential(
                tenant=workspace.tenant,
                provider="openai",
                name=fields.pop("name", text[:40]),
                **fields,
            )
            row.sealed = keys.seal(**binding(row), version=row.version, text=text)
            row.save()
        return row

    return store


def binding(row: Any) -> dict[str, Any]:
    """seal's and open_sealed's arguments that say where a row of `vault` stands."""
    return {
        "tenant_id": row.tenant_id,
        "provider": row.provider,
        "base_url": row.base_url or "https://api.example.com",
        "name": "sealed",
        "row_id": str(row.pk),
    }


def opened(row: Any, purpose: str = "call", **changed: Any) -> str:
    """The text of a row of `vault`, read again from the database."""
    from tenants.scope import tenant_scope

    with tenant_scope(row.tenant_id):
        fresh = type(row).objects.get(pk=row.pk)
    values = (
        binding(fresh)
        | {
            "version": fresh.version,
            "token": fresh.sealed,
            "purpose": purpose,
            "subject": "credential:x",
        }
        | changed
    )
    return keys.open_sealed(**values)
