"""App keys: credentials of applications that call the gateway and the REST API."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.auth.permissions import SCOPE_SHORT, Scope
from tenants.limits.rates import described
from tenants.models.user import User
from tenants.models.workspace import TenantOwned

EXPIRES_SOON = timedelta(days=14)  # pages highlight app keys that expire within this time


class AppKey(TenantOwned):
    """An application's credential; stored as a keyed hash and a public prefix.

    What the key may do, and until when, is signed in `proof`. Revoking a key empties it, so
    that emptying `revoked` in the database does not bring the key back.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=80)
    prefix = models.CharField(_("prefix"), max_length=20, editable=False)
    # tenants.crypto.digest_key makes both; neither can be made without a master key.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    proof = models.CharField(max_length=64, default="", db_default="", editable=False)
    # Values of tenants.auth.permissions.Scope.
    scopes = models.JSONField(_("scopes"), default=list)
    # Slugs; empty means all.
    allowed_providers = models.JSONField(_("allowed providers"), default=list, blank=True)
    # "provider/model"; empty means all.
    allowed_models = models.JSONField(_("allowed models"), default=list, blank=True)
    # Endpoints of /v1, such as "embeddings"; empty means all.
    allowed_operations = models.JSONField(_("allowed endpoints"), default=list, blank=True)
    # How fast it may call models, by the names in tenants.limits.rates; None: no limit.
    rates = models.JSONField(_("rate limits"), null=True, default=None, editable=False)
    # The owner, whose rights limit the key. None if a command made the key (made_by_command) or
    # the person was deleted; the latter disables the key.
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    made_by_command = models.BooleanField(default=False, editable=False)
    # The app key whose holder received this key's text; revoking it revokes this key too.
    made_by_key = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, editable=False, related_name="made_keys"
    )
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    expires = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)
    last_used = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("app key")
        verbose_name_plural = _("app keys")
        ordering = ("-created",)
        indexes = (  # of operators' list and searches
            models.Index(fields=("-created",), name="app_key_newest"),
            models.Index(fields=("prefix",), name="app_key_prefix"),
            models.Index(fields=("name",), name="app_key_by_name"),
            models.Index(
                fields=("expires",),
                condition=models.Q(revoked=None, expires__isnull=False),
                name="app_key_expiring",
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "name"),
                condition=models.Q(revoked=None),
                name="app_key_name_once",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_expired(self) -> bool:
        return self.expires is not None and self.expires <= timezone.now()

    @property
    def expires_soon(self) -> bool:
        return (
            self.expires is not None
            and timezone.now() < self.expires <= timezone.now() + EXPIRES_SOON
        )

    @property
    def uses(self) -> list[Any]:
        """Labels of the scopes."""
        return [SCOPE_SHORT[scope] for scope in Scope if scope in self.scopes]

    @property
    def limits(self) -> list[str]:
        """All providers, models and endpoints that the key is limited to, and its rates."""
        allowed = [*self.allowed_providers, *self.allowed_models, *self.allowed_operations]
        return [*allowed, *described(self.rates)]
