"""Base of the API views below one provider."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from core.errors import NotFound
from providers import queries
from providers.models import ProviderCredential
from providers.queries import ProviderStatus
from tenants.api.base import ApiView
from tenants.models import Tenant


class ProviderApiView(ApiView):
    """Base of the views below one provider; an unknown provider is a 404."""

    applies_limits = frozenset({"get", "head", "post", "put", "patch", "delete"})

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        slug = kwargs["provider"]
        reads = request.method in ("GET", "HEAD")
        may = self.principal.may_see_provider if reads else self.principal.may_change_provider
        self.allow(may(slug), slug)

    def provider_status(self, provider: str) -> ProviderStatus:
        return provider_status(self.tenant, provider)

    def credential(self, provider: str, pk: UUID) -> ProviderCredential:
        row = queries.credential(tenant_id=self.tenant.pk, provider=provider, pk=pk)
        if row is None:
            raise NotFound("no_such_credential", _("Credential not found in this workspace."))
        return row


def provider_status(tenant: Tenant, slug: str) -> ProviderStatus:
    """Return a provider's status in a workspace. Raises NotFound if the provider is unknown."""
    status = queries.status(tenant_id=tenant.pk, provider=slug)
    if status is None:
        raise NotFound("unknown_provider", _("Unknown provider “%(slug)s”.") % {"slug": slug[:60]})
    return status
