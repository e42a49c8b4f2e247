"""The one number by which the data plane notices that what it caches of a tenant is old."""

from __future__ import annotations

from uuid import UUID

from django.db.models import F

from tenants.models import Tenant


def bump_version(tenant_id: UUID) -> None:
    """Called inside the transaction of every change that routing or opening depends on."""
    Tenant.objects.filter(pk=tenant_id).update(config_version=F("config_version") + 1)
