"""Tenants' credentials at providers, and their choices per provider."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from providers.failures.detail import FailureDetail
from tenants.models import TenantOwned, User

NAME_LENGTH = 80  # characters


class CredentialState(models.TextChoices):
    UNCHECKED = "unchecked", _("Not checked")
    CONNECTED = "connected", _("Connected")
    REJECTED = "rejected", _("Key rejected")
    NO_FUNDS = "no_funds", _("Out of funds")
    UNREACHABLE = "unreachable", _("Unreachable")
    WRONG_URL = "wrong_url", _("Wrong address")
    NOT_ALLOWED = "not_allowed", _("Not allowed")
    COOLING = "cooling", _("Resting")
    UNREADABLE = "unreadable", _("Cannot be read")


class ProviderCredential(TenantOwned):
    """A named set of a provider's keys, with all secrets in one sealed envelope.

    Only `mask` is ever shown of the secrets.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(_("provider"), max_length=40)
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    # Normalised; empty for the provider's own.
    base_url = models.CharField(_("base URL"), max_length=300, blank=True)
    # The non-secret fields.
    values = models.JSONField(default=dict, blank=True, editable=False)
    # A tenants.crypto.keys token; empty without secrets.
    sealed = models.TextField(blank=True, editable=False)
    # Part of the encryption context; grows each time the secrets are replaced.
    version = models.PositiveIntegerField(default=1, editable=False)
    mask = models.CharField(_("key"), max_length=40, blank=True, editable=False)
    is_active = models.BooleanField(_("active"), default=False)
    position = models.PositiveIntegerField(default=0)  # among the standby credentials
    state = models.CharField(
        _("state"), max_length=12, choices=CredentialState, default=CredentialState.UNCHECKED
    )
    state_since = models.DateTimeField(_("since"), default=timezone.now)
    state_detail = models.JSONField(default=dict, blank=True, editable=False)  # of a FailureDetail
    resting_until = models.DateTimeField(null=True, blank=True, editable=False)
    checked = models.DateTimeField(_("last check"), null=True, blank=True, editable=False)
    last_used = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        ordering = ("provider", "-is_active", "position", "created")
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "provider", "name"), name="credential_name_once"
            ),
            models.UniqueConstraint(
                fields=("tenant", "provider"),
                condition=models.Q(is_active=True),
                name="credential_one_active",
            ),
        )

    def __str__(self) -> str:
        return f"{self.provider}: {self.name}"

    @property
    def failure(self) -> FailureDetail:
        """The last failure; empty while the credential works."""
        return FailureDetail.from_json(self.state_detail)

    @property
    def failure_words(self) -> str:
        """The last failure as text in the reader's language."""
        return self.failure.describe(gettext)


class ProviderChoice(TenantOwned):
    """A tenant's choices for a provider, and the last fetch of its model list."""

    provider = models.CharField(max_length=40)
    trial_first = models.BooleanField(default=False)
    models_fetched = models.DateTimeField(null=True, blank=True)
    models_failure = models.JSONField(default=dict, blank=True)  # of a FailureDetail
    # Built-in models that were missing from the provider's last fetched list.
    models_missing = models.JSONField(default=list, blank=True)

    class Meta:
        verbose_name = _("provider choice")
        verbose_name_plural = _("provider choices")
        constraints = (
            models.UniqueConstraint(fields=("tenant", "provider"), name="provider_choice_once"),
        )

    def __str__(self) -> str:
        return self.provider

    @property
    def list_failure(self) -> FailureDetail:
        """Why the last fetch of the model list failed; empty if it succeeded."""
        return FailureDetail.from_json(self.models_failure)
