"""What the calls of a workspace need later."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models.workspace import TenantOwned


class KeptItem(TenantOwned):
    """A sealed item: reasoning between calls of tools, or a response. Only the data plane reads it.

    tenants.kept.statements writes the rows.
    """

    key = models.CharField(max_length=160, editable=False)
    size = models.PositiveIntegerField(_("size"), editable=False)  # of `sealed`
    created = models.DateTimeField(_("created"), editable=False)
    expires = models.DateTimeField(_("expires"), db_index=True, editable=False)
    sealed = models.TextField(editable=False)

    class Meta:
        verbose_name = _("kept item")
        verbose_name_plural = _("kept items")
        constraints = [models.UniqueConstraint(fields=("tenant", "key"), name="kept_item_unique")]

    def __str__(self) -> str:
        return self.key
