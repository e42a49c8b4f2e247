"""Credentials before they are stored: build, check and store a draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from core.db.violations import is_duplicate
from providers.credentials.opening import mask_of
from providers.credentials.storing import (
    access_from,
    announce,
    checked,
    cleaned_values,
    credential_rows,
    free_name,
    name_taken,
    offered,
    record_change,
    require_check,
    sealed,
)
from providers.credentials.validation import Values
from providers.declaration.spec import Provider
from providers.failures.detail import FailureDetail
from providers.models import CredentialState, ProviderCredential
from tenants.audit.trail import Actor
from tenants.config_version import bump_version
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class CredentialDraft:
    """A credential that is not stored yet. row: sealed and ready to be stored."""

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
    """Validate the values and return the draft, without asking the provider.

    Raises:
        ServiceError: Invalid values, or no check although the provider requires it.
        Conflict: The name is taken.
    """
    declared = offered(provider)
    require_check(declared, check)
    name = free_name(tenant, provider, name)
    cleaned, url = cleaned_values(declared, values, base_url)
    row = ProviderCredential(
        tenant=tenant,
        provider=provider,
        name=name,
        base_url=url,
        values=cleaned.public,
        mask=mask_of(declared.credential_fields, cleaned.secret),
        state=CredentialState.UNCHECKED,
        state_since=timezone.now(),
    )
    row.sealed = sealed(row, cleaned)
    return CredentialDraft(declared, row, cleaned)


def check_draft(draft: CredentialDraft) -> None:
    """Check the credential at the provider and set the draft's state.

    Raises:
        CredentialRefused: The check failed.
    """
    row = draft.row
    state, error = checked(
        draft.provider,
        access_from(draft.provider, draft.values, row.base_url),
        f"{row.tenant_id}:new",
    )
    row.state, row.state_detail = state, FailureDetail.of(error).to_json() if error else {}
    row.checked = None if state == CredentialState.UNCHECKED else timezone.now()


def store_draft(draft: CredentialDraft, *, actor: Actor) -> ProviderCredential:
    """Store a draft; a provider's first credential becomes the active one.

    Raises:
        Conflict: The name was taken in the meantime.
    """
    row = draft.row
    row.created_by_id, row.state_since = actor.user_id, timezone.now()
    # Seal again: the keys may have been rotated during the check.
    row.sealed = sealed(row, draft.values)
    try:
        with transaction.atomic():
            # Locks the tenant's row, so only one of two first credentials becomes active.
            bump_version(row.tenant_id)
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
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise name_taken(row.name) from None
    return row
