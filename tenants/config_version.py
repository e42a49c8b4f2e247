"""The version that tells the data plane when its cached configuration of a tenant is stale."""

from __future__ import annotations

from uuid import UUID

from django.db.models import F

from tenants.models import Tenant


def bump_version(tenant_id: UUID) -> None:
    """Increment a tenant's version. Call in the transaction of every change to cached data."""
    Tenant.objects.filter(pk=tenant_id).update(config_version=F("config_version") + 1)
