"""Signal receivers for saved credentials."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from models_catalog.services import setup
from providers.credentials.signals import credential_saved
from providers.declaration import registry
from providers.declaration.spec import Kind
from providers.models import ProviderCredential
from tenants.scope import tenant_scope


@receiver(credential_saved, sender=ProviderCredential)
def import_after_save(credential: ProviderCredential, **_rest: Any) -> None:
    """Import the models of the credential's provider, unless it is a hosting provider."""
    if registry.get(credential.provider).kind is Kind.OWN:
        with tenant_scope(credential.tenant_id):
            setup.import_models(tenant=credential.tenant, provider=credential.provider)
