"""Check a credential before it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from core.errors import ServiceError
from providers.credentials.opening import (
    mask_of,
)
from providers.credentials.validation import Values
from providers.credentials.values import (
    access_from,
    announce,
    checked,
    cleaned_values,
    credential_rows,
    free_name,
    name_taken,
    offered,
    record_change,
    seal_into,
)
from providers.declaration import registry
from providers.declaration.spec import Provider
from providers.failures.detail import FailureDetail
from providers.models import CredentialState, ProviderCredential
from tenants.audit.trail import Actor
from tenants.config_version import bump_version
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class CredentialDraft:
    """A set of keys that is not stored. row: as it is to be written, sealed, so that what belongs
    to it can be tried with it.
    """

    provider: Provider
    row: ProviderCredential
    values: Values = field(repr=False)


def draft_credential(
    *,
    tenant: Tenant,
    provider: str,
    name: str,
    values: Mapping[str, Any],
    base_url: str = "",
    check: bool = True,
) -> CredentialDraft:
    """What `add_credential` would store, with values that can be right; nobody was asked yet.
    Raises as it does.
    """
    declared = offered(provider)
    if not check and not declared.allow_unchecked:
        raise ServiceError(
            "check_required",
            _("%(provider)s credentials are checked before they are saved.")
            % {"provider": declared.label},
        )
    name = free_name(tenant, provider, name)
    cleaned, url = cleaned_values(declared, values, base_url)
    return _draft(tenant, declared, name, cleaned, url)


def check_draft(draft: CredentialDraft) -> None:
    """Ask the provider, and note its answer in the draft. Raises CredentialRefused."""
    row = draft.row
    state, error = checked(
        draft.provider,
        access_from(draft.provider, draft.values, row.base_url),
        f"{row.tenant_id}:new",
    )
    row.state, row.state_detail = state, FailureDetail.of(error).to_json() if error else {}
    row.checked = None if state == CredentialState.UNCHECKED else timezone.now()


def store_draft(draft: CredentialDraft, *, actor: Actor) -> ProviderCredential:
    """Write it; a tenant's first one becomes the active one. Raises Conflict for a name that was
    taken meanwhile.
    """
    row = draft.row
    row.created_by_id, row.state_since = actor.user_id, timezone.now()
    row.sealed = seal_into(
        row, draft.values
    )  # again: the keys may have been rotated while the provider was asked
    try:
        with transaction.atomic():
            bump_version(
                row.tenant_id
            )  # locks the tenant's row: of two first credentials one becomes active
            others = credential_rows(row.tenant_id).filter(provider=row.provider)
            last = others.aggregate(last=Max("position"))["last"]
            row.is_active = last is None
            row.position = 0 if last is None else last + 1
            row.save(force_insert=True)
            record_change(
                row.tenant,
                actor,
                "credential.added",
                row,
                {"state": str(row.state), "base_url": row.base_url},
            )
            announce(row, actor)
    except IntegrityError:
        raise name_taken(row.name) from None
    return row


def store_unchecked(
    *,
    tenant: Tenant,
    actor: Actor,
    provider: str,
    name: str,
    values: Mapping[str, Any],
    base_url: str = "",
) -> ProviderCredential:
    """Store a credential that nobody asked the provider about: for demo data and tests, never for a
    surface.
    """
    declared = registry.get(provider)
    cleaned, url = cleaned_values(declared, values, base_url)
    return store_draft(
        _draft(tenant, declared, free_name(tenant, provider, name), cleaned, url), actor=actor
    )


def _draft(
    tenant: Tenant, provider: Provider, name: str, values: Values, base_url: str
) -> CredentialDraft:
    row = ProviderCredential(
        tenant=tenant,
        provider=provider.slug,
        name=name,
        base_url=base_url,
        values=values.public,
        mask=mask_of(provider.credential_fields, values.secret),
        state=CredentialState.UNCHECKED,
        state_since=timezone.now(),
    )
    row.sealed = seal_into(row, values)
    return CredentialDraft(provider, row, values)
