"""Base of the API views below one provider."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext_lazy as _

from core.errors import NotFound
from providers import queries
from providers.models import ProviderCredential
from providers.queries import ProviderStatus
from tenants.api.base import ApiView


class ProviderApiView(ApiView):
    """Base of the views below one provider; an unknown provider is a 404."""

    def provider_status(self, provider: str) -> ProviderStatus:
        status = queries.status(tenant_id=self.tenant.pk, provider=provider)
        if status is None:
            raise NotFound(
                "unknown_provider",
                _("Unknown provider “%(slug)s”.") % {"slug": provider[:60]},
            )
        return status

    def credential(self, provider: str, pk: UUID) -> ProviderCredential:
        row = queries.credential(tenant_id=self.tenant.pk, provider=provider, pk=pk)
        if row is None:
            raise NotFound("no_such_credential", _("Credential not found in this workspace."))
        return row
