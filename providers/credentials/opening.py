"""Sealing and opening of credentials; calls open them only with `open_access`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from providers.credentials.health import mark_unreadable
from providers.declaration import registry
from providers.declaration.spec import Access, Field, Provider
from providers.models import ProviderCredential
from providers.transport import egress
from tenants.crypto import keys
from tenants.crypto.keys import CredentialUnreadable

# Names of the sealed values in their encryption context.
ENVELOPE = "credential"
MODEL_ENVELOPE = "model"


class HostedModel(Protocol):
    """A model that may have its own address, fields and key (models_catalog.TenantModel)."""

    pk: Any
    tenant_id: UUID
    provider: str
    base_url: str
    values: Any
    sealed: str
    version: int


def open_access(
    *, credential: ProviderCredential | None, purpose: str, model_row: HostedModel | None = None
) -> Access:
    """Open the values that a call needs.

    Secrets are only sent to the origin they were sealed for. If a hosted model has another address,
    only the model's own values are used; a model with its own key keeps its own address when the
    credential's address changes.

    Args:
        credential: The credential, if there is one.
        purpose: call, check or import.
        model_row: The hosted model that is called.

    Raises:
        CredentialUnreadable: A sealed value cannot be opened; the credential is marked unreadable.
    """
    values: dict[str, str] = {}
    base_url = credential.base_url if credential is not None else ""
    if model_row is not None and (model_row.base_url or model_row.sealed):
        base_url = model_row.base_url
    if credential is not None and not _is_elsewhere(credential, base_url):
        values = dict(credential.values) | open_credential(credential, purpose)
    if model_row is None:
        return Access(values=values, base_url=base_url)
    own = dict(model_row.values) | _opened_model(model_row, purpose)
    return Access(values=values | own, base_url=base_url, model_values=own)


def secret_texts(provider: Provider, access: Access) -> tuple[str, ...]:
    """Return the opened secrets, to be removed from texts; other values stay readable."""
    fields = (*provider.credential_fields, *provider.model_fields)
    names = [field.name for field in fields if field.secret]
    values = [
        source.get(name, "") for source in (access.values, access.model_values) for name in names
    ]
    return tuple(dict.fromkeys(value for value in values if value))


def effective_base_url(provider: str, base_url: str) -> str:
    """Return the address that calls use and secrets are bound to; empty if it is unknown."""
    if base_url:
        return base_url
    try:
        return registry.get(provider).default_base_url
    except registry.UnknownProvider:
        return ""


def seal_values(
    *,
    tenant_id: UUID,
    provider: str,
    base_url: str,
    name: str,
    row_id: Any,
    version: int,
    secret: Mapping[str, str],
) -> str:
    """Seal all secret values in one envelope; return an empty text if there are none."""
    if not secret:
        return ""
    text = json.dumps(dict(secret), ensure_ascii=False, sort_keys=True)
    return keys.seal(
        tenant_id=tenant_id,
        provider=provider,
        base_url=effective_base_url(provider, base_url),
        name=name,
        row_id=str(row_id),
        version=version,
        text=text,
    )


def mask_of(declared: Sequence[Field], secret: Mapping[str, str]) -> str:
    """Return the mask of the first secret field with a value."""
    return next(
        (
            keys.mask(secret[field.name])
            for field in declared
            if field.secret and secret.get(field.name)
        ),
        "",
    )


def open_credential(credential: ProviderCredential, purpose: str) -> dict[str, str]:
    try:
        return _open(credential, ENVELOPE, "credential", purpose)
    except CredentialUnreadable:
        mark_unreadable(credential)
        raise


def _opened_model(row: HostedModel, purpose: str) -> dict[str, str]:
    return _open(row, MODEL_ENVELOPE, "model", purpose)


def _open(
    row: ProviderCredential | HostedModel, envelope: str, kind: str, purpose: str
) -> dict[str, str]:
    if not row.sealed:
        return {}
    text = keys.open_sealed(
        tenant_id=row.tenant_id,
        provider=row.provider,
        base_url=effective_base_url(row.provider, row.base_url),
        name=envelope,
        row_id=str(row.pk),
        version=row.version,
        token=row.sealed,
        purpose=purpose,
        subject=f"{kind}:{row.pk}",
    )
    opened: dict[str, str] = json.loads(text)
    return opened


def _is_elsewhere(credential: ProviderCredential, base_url: str) -> bool:
    """Return whether `base_url` has another origin than the credential's secrets."""
    if base_url == credential.base_url:
        return False
    sealed_for = effective_base_url(credential.provider, credential.base_url)
    called = effective_base_url(credential.provider, base_url)
    return not sealed_for or not called or egress.origin(called) != egress.origin(sealed_for)
