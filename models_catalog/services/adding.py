"""Add a model by name: draft, test and store it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from core.db.violations import is_duplicate
from core.errors import ServiceError
from models_catalog import queries
from models_catalog.models import TenantModel
from models_catalog.services.models import record_model_change
from models_catalog.services.validation import (
    already_there,
    clean_model_name,
    clean_type,
    model_fields,
    model_values,
    provider_label,
    refuse_known,
)
from providers import queries as provider_queries
from providers.credentials import checking, opening
from providers.credentials.checking import Probe
from providers.credentials.storing import offered
from providers.declaration.spec import Access, ModelType, Provider
from providers.models import ProviderCredential
from tenants.audit.trail import Actor
from tenants.config_version import bump_version
from tenants.models import Tenant


def add_model(
    *,
    tenant: Tenant,
    actor: Actor,
    provider: str,
    model: str,
    type: ModelType | str,
    values: Mapping[str, Any] | None = None,
    base_url: str = "",
    check: bool = True,
) -> TenantModel:
    """Add a model, after testing it with a call.

    Args:
        values: The provider's model fields; may hold the model's own key or base URL.
        check: False skips the test, if the provider allows that.

    Raises:
        Conflict: The model already exists.
        CredentialRefused: The test failed.
        CredentialUnreadable: The credential cannot be decrypted.
        ServiceError: A value is invalid.
    """
    credential = next(
        iter(provider_queries.credentials(tenant_id=tenant.pk, provider=provider)), None
    )
    draft = draft_model(tenant, provider, model, type, values or {}, base_url, credential, check)
    if check:
        try_draft(draft)
    return store_model(draft, actor)


@dataclass(frozen=True, slots=True)
class _Draft:
    """An unsaved model, with the stored or drafted credential for its calls."""

    provider: Provider
    row: TenantModel
    secret: dict[str, str] = field(repr=False)
    credential: ProviderCredential | None


def draft_model(
    tenant: Tenant,
    provider: str,
    model: str,
    type: ModelType | str,
    values: Mapping[str, Any],
    base_url: str,
    credential: ProviderCredential | None,
    check: bool,
) -> _Draft:
    """Validate a model without contacting the provider."""
    declared = offered(provider)
    name, kind = clean_model_name(model), clean_type(declared, type)
    if not check and not declared.allow_unchecked:
        raise ServiceError(
            "check_required",
            _("%(provider)s models must be checked before they are added.")
            % provider_label(declared),
        )
    refuse_known(tenant, declared, name)
    cleaned, url = model_values(declared, values, base_url, credential)
    row = TenantModel(
        tenant=tenant,
        provider=provider,
        model=name,
        type=kind.value,
        origin=TenantModel.Origin.ADDED,
        base_url=url,
        values=cleaned.public,
        mask=opening.mask_of(model_fields(declared), cleaned.secret),
    )
    return _Draft(declared, row, dict(cleaned.secret), credential)


def try_draft(draft: _Draft) -> None:
    """Test the model with a call.

    Raises:
        CredentialRefused: The test failed.
        CredentialUnreadable: The credential cannot be decrypted.
    """
    row, credential = draft.row, draft.credential
    opened = opening.open_access(credential=credential, purpose="check", model_row=row)
    # The row is not sealed yet: its secrets override the credential's.
    access = Access(
        values=dict(opened.values) | draft.secret,
        base_url=opened.base_url,
        model_values=dict(opened.model_values) | draft.secret,
    )
    pool_key = (
        str(credential.pk)
        if credential is not None and not row.base_url
        else f"{row.tenant_id}:new"
    )
    probe = Probe(row.model, ModelType(row.type), queries.facts_of(row))
    checking.check_access(provider=draft.provider, access=access, pool_key=pool_key, model=probe)


def store_model(draft: _Draft, actor: Actor) -> TenantModel:
    row = draft.row
    row.sealed = opening.seal_values(
        tenant_id=row.tenant_id,
        provider=row.provider,
        base_url=row.base_url,
        name=opening.MODEL_ENVELOPE,
        row_id=row.pk,
        version=row.version,
        secret=draft.secret,
    )
    try:
        with transaction.atomic():
            bump_version(row.tenant_id)
            row.save(force_insert=True)
            record_model_change(
                row.tenant,
                actor,
                "model.added",
                row.provider,
                row.model,
                {"type": row.type, "base_url": row.base_url},
            )
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise already_there(row.model) from None
    return row
