"""Managers of tenants' tables: filter by the active tenant, or raise."""

from __future__ import annotations

from typing import TypeVar

from django.db import models

from tenants.scope import EVERYONE, active_tenant

M = TypeVar("M", bound=models.Model)


class TenantManager(models.Manager[M]):
    """Rows of the active tenant only; NoActiveTenant where none is active."""

    def get_queryset(self) -> models.QuerySet[M]:
        active = active_tenant()
        rows = super().get_queryset()
        return rows if active is EVERYONE else rows.filter(tenant_id=active)
