"""Corrections of what calls cost. The records of the calls stay as they are."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.ids import uuid7
from tenants.models import TenantOwned


class Rating(TenantOwned):
    """Calls of a period that were priced again, and the prices that were used for it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    since = models.DateTimeField(_("from"))
    before = models.DateTimeField(_("until"))
    provider = models.CharField(_("provider"), max_length=40, blank=True)
    model = models.CharField(_("model"), max_length=200, blank=True)
    # "provider/model" -> its prices of then, as ports.prices_document returns them
    prices = models.JSONField(default=dict, editable=False)
    corrected = models.PositiveBigIntegerField(_("corrected calls"), default=0)
    actor = models.CharField(_("who"), max_length=160)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("rating")
        verbose_name_plural = _("ratings")
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%d} – {self.before:%Y-%m-%d} {self.provider}/{self.model}"


class CostCorrection(TenantOwned):
    """What a call cost by another price. Of several corrections of a call, one is current."""

    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    # No indexes of their own: the unique ones below start with them.
    rating = models.ForeignKey(
        Rating, on_delete=models.PROTECT, related_name="corrections", db_index=False
    )
    call = models.ForeignKey(
        "quotas.CallRecord", on_delete=models.PROTECT, related_name="corrections", db_index=False
    )
    is_current = models.BooleanField(default=True)
    cost = models.DecimalField(max_digits=20, decimal_places=10, null=True)  # None if unknown
    currency = models.CharField(max_length=3, blank=True)
    price_version = models.CharField(max_length=16, blank=True)

    class Meta:
        verbose_name = _("cost correction")
        verbose_name_plural = _("cost corrections")
        constraints = (
            models.UniqueConstraint(fields=("rating", "call"), name="correction_once_in_a_rating"),
            models.UniqueConstraint(
                fields=("call",), condition=Q(is_current=True), name="correction_one_is_current"
            ),
            models.CheckConstraint(
                condition=Q(cost=None) | ~Q(currency=""), name="correction_has_a_currency"
            ),
        )

    def __str__(self) -> str:
        return f"{self.call_id}: {self.cost} {self.currency}"
