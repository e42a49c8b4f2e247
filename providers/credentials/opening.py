"""Seals a credential's secrets as one envelope, and opens them in one place: `open_access`."""

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

# They name a row's one sealed value in its context.
ENVELOPE = "credential"
MODEL_ENVELOPE = "model"


class HostedModel(Protocol):
    """The row of one model that may bring its own address, fields and key
    (models_catalog.TenantModel).
    """

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
    """Open what a call needs. purpose: call, check or import.

    A hosted model may bring its own address and key. Secrets never go to another origin than the
    one they were sealed for: with a foreign address only the model's own values are used, and a
    model with a key of its own stays at its own address ("" is the provider's) when the
    credential's changes. Raises CredentialUnreadable; the credential's state says so then, and
    nothing else is changed.
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
    """The opened values of secret fields, which no text may show. A region or an id is none:
    masking it would eat words.
    """
    names = [
        one.name for one in (*provider.credential_fields, *provider.model_fields) if one.secret
    ]
    values = [
        source.get(name, "") for source in (access.values, access.model_values) for name in names
    ]
    return tuple(dict.fromkeys(value for value in values if value))


def effective_base_url(provider: str, base_url: str) -> str:
    """The address that calls go to and that secrets are bound to; "" for an unknown provider
    without an own one.
    """
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
    """One sealed envelope of all secret values; "" where there are none."""
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
    """The mask of the first secret field that has a value."""
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
    """Whether calls to `base_url` leave the origin that the credential's secrets are sealed for."""
    if base_url == credential.base_url:
        return False
    own, there = (
        effective_base_url(credential.provider, url) for url in (credential.base_url, base_url)
    )
    return not own or not there or egress.origin(there) != egress.origin(own)
