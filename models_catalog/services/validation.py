"""Validate the input for a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from core.errors import Conflict, ServiceError
from models_catalog import queries
from providers.credentials import validation as provider_fields
from providers.credentials.validation import BASE_URL, Values
from providers.declaration.spec import Field, ModelType, Provider
from providers.models import ProviderCredential
from tenants.models import Tenant


def provider_label(provider: Provider) -> dict[str, Any]:
    return {"provider": provider.label}


def clean_model_name(text: Any) -> str:
    name = text.strip() if isinstance(text, str) else ""
    if not name or len(name) > 200 or not name.isprintable() or " " in name:
        raise ServiceError(
            "invalid_value",
            _("A model name must have 1 to 200 characters and no spaces."),
            field="model",
        )
    return name


def clean_type(provider: Provider, value: Any) -> ModelType:
    try:
        kind = ModelType(value)
    except ValueError:
        raise ServiceError("invalid_value", _("Unknown model type."), field="type") from None
    if kind not in provider.model_types:
        raise ServiceError(
            "invalid_value",
            _("%(provider)s models of this type cannot be called.") % provider_label(provider),
            field="type",
        )
    return kind


def refuse_known(tenant: Tenant, provider: Provider, name: str) -> None:
    if queries.entry(tenant_id=tenant.pk, provider=provider.slug, model=name) is not None:
        raise already_there(name)


def already_there(name: str) -> Conflict:
    return Conflict(
        "model_exists",
        _("The model “%(model)s” already exists.") % {"model": name},
        field="model",
    )


def model_fields(provider: Provider) -> tuple[Field, ...]:
    """Return the fields a model may have: declared model fields, and the credential's secrets."""
    own = tuple(field for field in provider.model_fields if field.name != BASE_URL)
    names = {field.name for field in own}
    return own + tuple(
        field for field in provider.credential_fields if field.secret and field.name not in names
    )


def model_values(
    provider: Provider,
    values: Mapping[str, Any],
    base_url: str,
    credential: ProviderCredential | None,
) -> tuple[Values, str]:
    typed = dict(values)
    field_url = typed.pop(BASE_URL, "")
    url = base_url or (field_url if isinstance(field_url, str) else "")
    declared = {field.name for field in provider.model_fields}
    cleaned = provider_fields.clean(
        tuple(
            field
            for field in model_fields(provider)
            if field.name in declared or typed.get(field.name)
        ),
        typed,
    )
    if url:
        return cleaned, provider_fields.clean_base_url(provider, url)
    if (
        credential is None
        and (not cleaned.secret or not provider.default_base_url)
        and not provider.local
    ):
        raise Conflict(
            "no_credential",
            _("Set up %(provider)s first, or give the model its own key and base URL.")
            % provider_label(provider),
        )
    # A model's own key is bound to the address it is used with, so store that address with it.
    return cleaned, credential.base_url if credential is not None and cleaned.secret else ""
