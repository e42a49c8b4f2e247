"""A tenant's own rows of the catalog, and its default model per scenario."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.models import TenantOwned


class TenantModel(TenantOwned):
    """What one tenant knows or decided of one model: synced from its provider, added by hand,
    switched, overridden.

    A shipped model needs no row; reading never makes one.
    """

    class Origin(models.TextChoices):
        SHIPPED = "shipped", _("Shipped")  # a row that only holds the tenant's switch or override
        SYNCED = "synced", _("From the provider")
        ADDED = "added", _("Added by hand")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(_("provider"), max_length=40)
    model = models.CharField(_("model"), max_length=200)
    type = models.CharField(_("type"), max_length=20, blank=True)
    origin = models.CharField(_("source"), max_length=8, choices=Origin, default=Origin.SHIPPED)
    enabled = models.BooleanField(_("enabled"), default=True)
    facts = models.JSONField(default=dict, blank=True, editable=False)  # synced layer
    overrides = models.JSONField(
        default=dict, blank=True
    )  # tenant's layer; a sync never touches it
    base_url = models.CharField(max_length=300, blank=True)
    values = models.JSONField(
        default=dict, blank=True, editable=False
    )  # fields of a hosted model, not secret
    sealed = models.TextField(blank=True, editable=False)  # a hosted model's own key
    version = models.PositiveIntegerField(default=1, editable=False)
    mask = models.CharField(max_length=40, blank=True, editable=False)
    synced = models.DateTimeField(null=True, blank=True, editable=False)
    # Since when the provider's list no longer has it; such a model is flagged, not deleted.
    missing_since = models.DateTimeField(null=True, blank=True, editable=False)
    created = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("model")
        verbose_name_plural = _("models")
        ordering = ("provider", "model")
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "provider", "model"), name="tenant_model_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


class DefaultModel(TenantOwned):
    """The model of a scenario, and the ordered models to try when it fails."""

    scenario = models.CharField(_("scenario"), max_length=20)
    model = models.CharField(_("model"), max_length=241)  # "provider/model"
    fallbacks = models.JSONField(
        _("fallbacks"), default=list, blank=True
    )  # list of "provider/model"
    updated = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("default model")
        verbose_name_plural = _("default models")
        constraints = (
            models.UniqueConstraint(fields=("tenant", "scenario"), name="default_model_once"),
        )

    def __str__(self) -> str:
        return f"{self.scenario}: {self.model}"


class CatalogSnapshot(models.Model):
    """A newer state of the shipped facts that an operator loaded, for all workspaces; without one
    the release's own files count.
    """

    date = models.DateField(_("as of"), editable=False)
    document = models.JSONField(
        editable=False
    )  # the file as it was loaded: models_catalog.facts.snapshots says its format
    digest = models.CharField(_("SHA-256"), max_length=64, editable=False)
    summary = models.JSONField(
        _("differences"), default=dict, editable=False
    )  # to what was in effect before: kind -> number
    loaded = models.DateTimeField(_("loaded"), default=timezone.now, editable=False)
    actor = models.CharField(_("who"), max_length=160, editable=False)
    in_effect = models.BooleanField(_("in effect"), default=False, editable=False)
    # What comes back with `refresh_catalog --previous`; None: the release's own files.
    previous = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )

    class Meta:
        verbose_name = _("catalog snapshot")
        verbose_name_plural = _("catalog snapshots")
        ordering = ("-loaded",)
        constraints = (
            models.UniqueConstraint(
                fields=("in_effect",),
                condition=models.Q(in_effect=True),
                name="one_snapshot_in_effect",
            ),
        )

    def __str__(self) -> str:
        return f"{self.date}"
