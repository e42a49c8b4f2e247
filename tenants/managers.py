"""Model managers that filter by the active tenant."""

from __future__ import annotations

from typing import TypeVar

from django.db import models

from tenants.scope import EVERYONE, active_tenant

M = TypeVar("M", bound=models.Model)


class TenantManager(models.Manager[M]):
    """Limit queries to the active tenant; raise NoActiveTenant if there is none."""

    def get_queryset(self) -> models.QuerySet[M]:
        active = active_tenant()
        rows = super().get_queryset()
        return rows if active is EVERYONE else rows.filter(tenant_id=active)
