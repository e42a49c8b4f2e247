"""The workspace, and the base class of all models that belong to one."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.managers import TenantManager
from tenants.scope import EVERYONE, active_tenant


class ForeignTenant(RuntimeError):
    """A row of one tenant was saved or deleted while another tenant was active."""


class Tenant(models.Model):
    """A workspace. `config_version` increases with each change to what the data plane caches."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        SUSPENDED = "suspended", _("Suspended")
        CLOSED = "closed", _("Closed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(_("address"), max_length=50, unique=True)
    name = models.CharField(_("name"), max_length=120)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.ACTIVE)
    # For invited people who haven't chosen a language.
    default_language = models.CharField(_("default language"), max_length=12, blank=True)
    # How long the data plane keeps what calls need later: tenants.kept.periods. 0: nothing.
    kept_hours = models.PositiveSmallIntegerField(_("kept hours"), default=0, db_default=0)
    # that calls are kept, if fewer than in other workspaces
    call_days = models.PositiveSmallIntegerField(_("days of calls"), null=True, blank=True)
    # How fast it may call models, by the names in tenants.limits.rates; None: no limit.
    rates = models.JSONField(_("rate limits"), null=True, default=None, editable=False)
    # The operators' own row, whose key pair seals trial plans' credentials. Never listed.
    is_system = models.BooleanField(default=False, editable=False)
    config_version = models.PositiveBigIntegerField(default=1, editable=False)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("workspace")
        verbose_name_plural = _("workspaces")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class TenantOwned(models.Model):
    """Abstract base of models that belong to a tenant, with scoped reads and guarded writes."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, verbose_name=_("workspace"), related_name="+"
    )

    objects = TenantManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        self._refuse_foreign_tenant()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        self._refuse_foreign_tenant()
        return super().delete(*args, **kwargs)

    def _refuse_foreign_tenant(self) -> None:
        active = active_tenant()
        if active is not EVERYONE and self.tenant_id != active:
            raise ForeignTenant(
                f"{type(self).__name__} of tenant {self.tenant_id} changed while {active} is active"
            )


class FormerAddress(TenantOwned):
    """A former address of a workspace; it redirects to the current one and stays reserved."""

    slug = models.SlugField(_("address"), max_length=50, primary_key=True)
    created = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("former address")
        verbose_name_plural = _("former addresses")

    def __str__(self) -> str:
        return self.slug


class AllowedOrigin(TenantOwned):
    """An origin whose pages may call models with this workspace's app keys."""

    origin = models.CharField(_("origin"), max_length=255, db_index=True)

    class Meta:
        verbose_name = _("allowed origin")
        verbose_name_plural = _("allowed origins")
        ordering = ("origin",)
        constraints = [
            models.UniqueConstraint(fields=("tenant", "origin"), name="allowed_origin_unique")
        ]

    def __str__(self) -> str:
        return self.origin
