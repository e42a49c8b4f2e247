"""Shared steps of storing a credential: clean, check and seal its values, and record it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from core.errors import Conflict, NotFound, ServiceError
from providers.credentials import validation
from providers.credentials.checking import CredentialRefused, check_access
from providers.credentials.opening import (
    ENVELOPE,
    open_credential,
    seal_values,
)
from providers.credentials.signals import credential_saved
from providers.credentials.validation import BASE_URL, Values
from providers.declaration import registry
from providers.declaration.errors import Failure, ProviderError
from providers.declaration.spec import Access, Field, Provider
from providers.models import NAME_LENGTH, CredentialState, ProviderCredential
from tenants.audit.trail import Actor, record
from tenants.models import Tenant


def offered(slug: str) -> Provider:
    """Return a provider that tenants may set up.

    Raises:
        NotFound: The provider is unknown.
    """
    for provider in registry.offered():
        if provider.slug == slug:
            return provider
    raise _unknown_provider(slug)


def known_provider(slug: str) -> Provider:
    """Return a provider, whether it is offered or not.

    Raises:
        NotFound: The provider is unknown.
    """
    try:
        return registry.get(slug)
    except registry.UnknownProvider:
        raise _unknown_provider(slug) from None


def _unknown_provider(slug: str) -> NotFound:
    text = _("Unknown provider “%(slug)s”.") % {"slug": slug[:60]}
    return NotFound("unknown_provider", text)


def credential_rows(tenant_id: UUID) -> QuerySet[ProviderCredential]:
    rows: QuerySet[ProviderCredential] = ProviderCredential.objects.filter(tenant_id=tenant_id)
    return rows


def name_taken(name: str) -> Conflict:
    text = _("A credential named “%(name)s” already exists. Choose another name.") % {"name": name}
    return Conflict("name_taken", text, field="name")


def credential_gone() -> NotFound:
    return NotFound("no_such_credential", _("Credential not found in this workspace."))


def free_name(
    tenant: Tenant, provider: str, name: Any, exclude: ProviderCredential | None = None
) -> str:
    """Return the cleaned name.

    Args:
        tenant: The tenant.
        provider: The provider's slug.
        name: What was entered.
        exclude: A credential that may keep its name.

    Raises:
        ServiceError: Not a valid name.
        Conflict: Another credential has the name.
    """
    text = name.strip() if isinstance(name, str) else ""
    if not text or len(text) > NAME_LENGTH or not text.isprintable():
        raise ServiceError(
            "invalid_value", _("Give the credential a name of at most 80 characters."), field="name"
        )
    taken = credential_rows(tenant.pk).filter(provider=provider, name=text)
    if exclude is not None:
        taken = taken.exclude(pk=exclude.pk)
    if taken.exists():
        raise name_taken(text)
    return text


def split_base_url(
    provider: Provider, values: Mapping[str, Any], base_url: str | None
) -> tuple[dict[str, Any], str | None]:
    """Separate the base URL from the values.

    It may be an argument or one of the values; a pasted URL may contain further values.
    """
    typed = dict(values)
    typed_url = typed.pop(BASE_URL, None)
    url = base_url if base_url or typed_url is None else typed_url
    if url is not None and not isinstance(url, str):
        raise ServiceError("invalid_value", _("The base URL must be text."), field=BASE_URL)
    if url and provider.read_base_url is not None:
        url, url_values = provider.read_base_url(url.strip())
        typed |= {name: value for name, value in url_values.items() if not typed.get(name)}
    return typed, url


def typed_fields(provider: Provider) -> tuple[Field, ...]:
    return tuple(field for field in provider.credential_fields if field.name != BASE_URL)


def cleaned_values(
    provider: Provider, values: Mapping[str, Any], base_url: str
) -> tuple[Values, str]:
    typed, url = split_base_url(provider, values, base_url)
    cleaned = validation.clean(typed_fields(provider), typed)
    validation.require_complete(provider, cleaned)
    return cleaned, validation.address(provider, cleaned.public, url or "")


def merged_values(
    provider: Provider,
    credential: ProviderCredential,
    values: Mapping[str, Any],
    base_url: str | None,
) -> tuple[Values, str]:
    """Merge new values into the stored ones and return them with the base URL."""
    typed, typed_url = split_base_url(provider, values, base_url)
    stored = (
        tuple(field.name for field in provider.credential_fields if field.secret)
        if credential.sealed
        else ()
    )
    cleaned = validation.clean(typed_fields(provider), typed, stored=stored)
    omitted = {name: value for name, value in credential.values.items() if name not in typed}
    public = omitted | cleaned.public
    if typed_url is None:
        typed_url = validation.typed_base_url(provider, credential.values, credential.base_url)
    url = validation.address(provider, public, typed_url)
    if url != credential.base_url:
        require_typed_again(provider, stored, typed)
    secret = dict(cleaned.secret)
    if url == credential.base_url and any(name not in secret for name in stored):
        secret = open_credential(credential, "check") | secret
    merged = Values(public, secret)
    validation.require_complete(provider, merged)
    return merged, url


def access_from(provider: Provider, values: Values, base_url: str) -> Access:
    return Access(values=values.public | values.secret, base_url=base_url)


def checked(
    provider: Provider, access: Access, pool_key: str
) -> tuple[CredentialState, ProviderError | None]:
    """Check an account and return the state and error to store.

    Raises:
        CredentialRefused: The credential must not be stored.
    """
    if provider.check is None:
        return CredentialState.UNCHECKED, None
    try:
        check_access(provider=provider, access=access, pool_key=pool_key)
    except CredentialRefused as refused:
        if refused.error.failure is Failure.NO_FUNDS:
            return CredentialState.NO_FUNDS, refused.error
        raise
    return CredentialState.CONNECTED, None


def require_check(provider: Provider, check: bool) -> None:
    """Refuse to skip the check unless the provider allows it.

    Raises:
        ServiceError: The credential must be checked.
    """
    if not check and not provider.allow_unchecked:
        raise ServiceError(
            "check_required",
            _("%(provider)s credentials are checked before they are saved.")
            % {"provider": provider.label},
        )


def require_typed_again(
    provider: Provider, stored: Sequence[str], typed: Mapping[str, Any]
) -> None:
    missing = [name for name in stored if not str(typed.get(name) or "").strip()]
    required = {field.name for field in provider.credential_fields if field.required}
    if missing and (required & set(missing) or len(missing) == len(stored)):
        message = _("Enter the key again: a stored key is never sent to a new address.")
        raise ServiceError("key_required", message, field=missing[0])


def sealed(row: ProviderCredential, values: Values) -> str:
    return seal_values(
        tenant_id=row.tenant_id,
        provider=row.provider,
        base_url=row.base_url,
        name=ENVELOPE,
        row_id=row.pk,
        version=row.version,
        secret=values.secret,
    )


def record_change(
    tenant: Tenant,
    actor: Actor,
    action: str,
    row: ProviderCredential,
    details: Mapping[str, Any] | None = None,
) -> None:
    record(
        tenant=tenant,
        actor=actor,
        action=action,
        object_type="credential",
        object_id=row.pk,
        object_label=f"{row.provider}: {row.name}",
        details={"provider": row.provider} | dict(details or {}),
    )


def announce(row: ProviderCredential, actor: Actor) -> None:
    if row.is_active:
        transaction.on_commit(
            lambda: credential_saved.send(sender=ProviderCredential, credential=row, actor=actor),
            robust=True,
        )
