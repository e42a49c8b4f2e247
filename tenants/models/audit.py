"""The audit trail."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.audit.labels import actor_label, details, object_label, sentence
from tenants.models.user import User
from tenants.models.workspace import TenantOwned


class AuditEntry(TenantOwned):
    """A record of who did what, when. Never updated; never contains a secret."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    time = models.DateTimeField(_("time"), default=timezone.now, editable=False, db_index=True)
    # An e-mail address, "app key <name>", "command" or "system".
    actor = models.CharField(_("who"), max_length=160)
    user = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    action = models.CharField(_("action"), max_length=48)  # such as "credential.added"
    object_type = models.CharField(max_length=32, blank=True)
    object_id = models.CharField(max_length=80, blank=True)
    object_label = models.CharField(_("object"), max_length=160, blank=True)
    address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit trail")
        ordering = ("-time",)
        indexes = (
            models.Index(fields=("tenant", "-time"), name="audit_tenant_time"),
            # Of operators' list and searches.
            models.Index(fields=("-time",), name="audit_newest"),
            models.Index(fields=("actor", "-time"), name="audit_actor_time"),
            models.Index(fields=("object_label", "-time"), name="audit_object_time"),
        )

    def __str__(self) -> str:
        return f"{self.sentence} {self.about}".strip()

    @property
    def sentence(self) -> Any:
        return sentence(self.action)

    @property
    def about(self) -> Any:
        return object_label(self)

    @property
    def who(self) -> Any:
        return actor_label(self.actor)

    @property
    def facts(self) -> list[tuple[Any, str]]:
        """(label, value) of each detail."""
        return details(self)
