"""The first credential of a hosting provider together with its first model: both are stored, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models_catalog import services
from providers import services as provider_services
from providers.models import ProviderCredential
from tenants.audit import Actor
from tenants.errors import ServiceError
from tenants.models import Tenant


def set_up(
    *, tenant: Tenant, actor: Actor, provider: str, name: str, values: Mapping[str, Any], check: bool, model: Mapping[str, Any] | None
) -> ProviderCredential:
    """model: {"model", "type", "values"} of the first model, None for none.

    The model is tried with the credential, which is often the only check there is. Raises what add_credential and add_model raise.
    """
    credential = provider_services.add_credential(tenant=tenant, actor=actor, provider=provider, name=name, values=values, check=check)
    if model is None:
        return credential
    try:
        services.add_model(tenant=tenant, actor=actor, provider=provider, check=check, **model)
    except ServiceError:
        provider_services.delete_credential(tenant=tenant, actor=actor, credential=credential)
        raise
    return credential
