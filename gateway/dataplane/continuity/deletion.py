"""Delete a kept response from the account of the workspace where its provider stores it as well."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

from gateway.dataplane.continuity.stored import StoredResponse
from gateway.dataplane.errors import Refusal, from_provider
from gateway.dataplane.threads import in_thread
from models_catalog import queries as catalog
from providers.credentials import opening
from providers.declaration import registry
from providers.declaration.errors import ProviderError
from providers.declaration.spec import Access, Provider
from providers.declaration.storage import StorageRequest
from providers.models import ProviderCredential
from providers.transport.async_client import Progress, Upstream
from providers.transport.steps import Steps
from providers.wire.http import path_segment
from tenants.crypto.keys import CredentialUnreadable
from tenants.scope import tenant_scope

SECONDS: Final = 60.0
# Of servers that answer in this format without storing anything: they have no such method.
_STORES_NOTHING: Final = frozenset({405, 501})


@dataclass(frozen=True, slots=True)
class _Account:
    provider: Provider
    access: Access
    pool_key: str


async def delete_at_provider(
    tenant_id: UUID, key: str, stored: StoredResponse, upstream: Upstream
) -> bool:
    """Delete a response where its provider stores it.

    Returns:
        Whether the provider stores it no longer; False if the key that made it is gone.

    Raises:
        Refusal: The provider refused or could not be reached; its copy is still there.
        DatabaseUnavailable: The database is unavailable.
    """
    if not stored.at_provider or stored.response.get("store") is False:
        return True
    try:
        account = await in_thread(partial(_account_of, tenant_id, stored))
    except CredentialUnreadable:
        account = None
    if account is None:
        return False
    try:
        await _ask(account, tenant_id, key, upstream)
    except ProviderError as error:
        if error.status not in _STORES_NOTHING:
            raise _not_deleted(account.provider, error) from None
    return True


def _account_of(tenant_id: UUID, stored: StoredResponse) -> _Account | None:
    """Open the credential that made a response, as for calls of its model."""
    provider = next((one for one in registry.offered() if one.slug == stored.provider), None)
    if provider is None or provider.storage is None:
        return None
    with tenant_scope(tenant_id):
        row = _credential(tenant_id, stored)
        model = catalog.row(tenant_id=tenant_id, provider=stored.provider, model=stored.model)
        brings_access = model is not None and bool(model.base_url or model.sealed)
        if row is None and not (stored.at_provider is True and brings_access):
            return None
        access = opening.open_access(credential=row, purpose="call", model_row=model)
    pool_key = f"{row.pk}:{row.version}" if row else f"{stored.provider}/{stored.model}"
    return _Account(provider, access, f"{tenant_id}:{pool_key}")


def _credential(tenant_id: UUID, stored: StoredResponse) -> ProviderCredential | None:
    if not isinstance(stored.at_provider, str):
        return None
    rows = ProviderCredential.objects.filter(tenant_id=tenant_id, provider=stored.provider)
    return rows.filter(pk=stored.at_provider).first()


async def _ask(account: _Account, tenant_id: UUID, key: str, upstream: Upstream) -> None:
    storage = account.provider.storage
    assert storage is not None, "checked when the account was opened"
    request = StorageRequest("DELETE", f"/responses/{path_segment(key)}")
    deadline = time.monotonic() + SECONDS
    steps: Steps[Any] = Steps(
        partial(storage.exchange, account.provider, request, account.access),
        errors=account.provider.errors,
        secrets=opening.secret_texts(account.provider, account.access),
        deadline=deadline,
    )
    await upstream.run(
        steps,
        owner=tenant_id,
        pool_key=account.pool_key,
        deadline=deadline,
        progress=Progress(),
    )


def _not_deleted(provider: Provider, error: ProviderError) -> Refusal:
    refusal = from_provider(error, label=str(provider.label))
    return Refusal(
        refusal.code,
        f"The response was deleted neither at {provider.label} nor here. {refusal.message}",
        param=refusal.param,
        retry_after=refusal.retry_after,
        final=refusal.final,
    )
