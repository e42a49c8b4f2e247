"""Credentials of tenants at providers, and what a tenant chose per provider."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from providers.failures.detail import FailureDetail
from tenants.models import TenantOwned, User

NAME_LENGTH = 80  # characters of a credential's name


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
    """One named set of a provider's keys. All secret fields are one sealed envelope; `mask` is all
    that is shown.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(_("provider"), max_length=40)
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    base_url = models.CharField(
        _("base URL"), max_length=300, blank=True
    )  # normalised; "" is the provider's own
    values = models.JSONField(
        default=dict, blank=True, editable=False
    )  # fields that are not secret
    sealed = models.TextField(
        blank=True, editable=False
    )  # tenants.crypto.keys token; "" where no field is secret
    version = models.PositiveIntegerField(
        default=1, editable=False
    )  # grows with each sealing; part of its context
    mask = models.CharField(_("key"), max_length=40, blank=True, editable=False)
    is_active = models.BooleanField(_("active"), default=False)
    position = models.PositiveIntegerField(default=0)  # order of the standby ones
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
        """What was said when it failed last; empty while it works."""
        return FailureDetail.from_json(self.state_detail)

    @property
    def failure_words(self) -> str:
        """The same in the reader's language."""
        return self.failure.describe(gettext)


class ProviderChoice(TenantOwned):
    """What a tenant chose for one provider, and when its list of models was last fetched."""

    provider = models.CharField(max_length=40)
    trial_first = models.BooleanField(default=False)
    models_fetched = models.DateTimeField(null=True, blank=True)
    models_failure = models.JSONField(default=dict, blank=True)  # of a FailureDetail
    # Shipped models that the provider's own list did not have when it was last fetched.
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
        """Why the list of models could not be fetched the last time; empty where it could."""
        return FailureDetail.from_json(self.models_failure)
