"""A tenant's own rows of the catalog, and its default model per scenario."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.models import TenantOwned


class TenantModel(TenantOwned):
    """A tenant's data on one model: synced from the provider, added, switched or overridden.

    Shipped models need no row; reading never creates one.
    """

    class Origin(models.TextChoices):
        SHIPPED = "shipped", _("Shipped")  # only holds the tenant's switch or overrides
        SYNCED = "synced", _("From the provider")
        ADDED = "added", _("Added by hand")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(_("provider"), max_length=40)
    model = models.CharField(_("model"), max_length=200)
    type = models.CharField(_("type"), max_length=20, blank=True)
    origin = models.CharField(_("source"), max_length=8, choices=Origin, default=Origin.SHIPPED)
    enabled = models.BooleanField(_("enabled"), default=True)
    facts = models.JSONField(default=dict, blank=True, editable=False)  # synced layer
    overrides = models.JSONField(default=dict, blank=True)  # tenant's layer; never synced
    # Each price that the tenant entered, as price_versions.added; none is ever changed.
    prices = models.JSONField(
        default=list, db_default=Value([], models.JSONField()), blank=True, editable=False
    )
    base_url = models.CharField(max_length=300, blank=True)
    # A hosted model's public fields.
    values = models.JSONField(default=dict, blank=True, editable=False)
    sealed = models.TextField(blank=True, editable=False)  # a hosted model's own key
    version = models.PositiveIntegerField(default=1, editable=False)
    mask = models.CharField(max_length=40, blank=True, editable=False)
    synced = models.DateTimeField(null=True, blank=True, editable=False)
    # When the provider's list first lacked the model; such models are flagged, not deleted.
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
    """A scenario's default model, and its fallbacks in order."""

    scenario = models.CharField(_("scenario"), max_length=20)
    model = models.CharField(_("model"), max_length=241)  # "provider/model"
    # A list of "provider/model".
    fallbacks = models.JSONField(_("fallbacks"), default=list, blank=True)
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
    """Newer shipped facts that an operator loaded for all workspaces.

    Without an active snapshot, the release's own files are used.
    """

    date = models.DateField(_("as of"), editable=False)
    # The loaded file, in the format of models_catalog.facts.snapshots.
    document = models.JSONField(editable=False)
    digest = models.CharField(_("SHA-256"), max_length=64, editable=False)
    # Differences from the facts in effect before: kind -> number.
    summary = models.JSONField(_("differences"), default=dict, editable=False)
    loaded = models.DateTimeField(_("loaded"), default=timezone.now, editable=False)
    actor = models.CharField(_("who"), max_length=160, editable=False)
    in_effect = models.BooleanField(_("in effect"), default=False, editable=False)
    # Restored by `refresh_catalog --previous`; None is the release's own files.
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
